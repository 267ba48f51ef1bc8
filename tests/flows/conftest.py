"""Whole bridges for journeys: in the test's own loop, or on a port for a real browser."""

import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from tests.databases import sqlite_template
from tests.flows.visitor import Visitor
from tests.running import Site, furnished, in_process, on_a_port
from tests.servers import SmtpSink

__all__ = ["sqlite_template"]


@pytest.fixture(scope="session")
async def furnished_file(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with people, clients and keys, to be copied."""
    return await furnished(sqlite_template, tmp_path_factory.mktemp("furnished"))


@pytest.fixture
def database(furnished_file: Path, tmp_path: Path) -> Path:
    """A copy of it for this test alone."""
    return Path(shutil.copy(furnished_file, tmp_path / "bridge.db"))


@pytest.fixture
async def site(database: Path) -> AsyncIterator[Site]:
    """A bridge of the production profile, in this loop, on a store in memory."""
    async with in_process(database) as site:
        yield site


@pytest.fixture(params=["memory", "sqlite", "redis"])
async def any_site(request: pytest.FixtureRequest, database: Path) -> AsyncIterator[Site]:
    """The same on each kind of store."""
    urls = {"memory": "memory://", "sqlite": f"sqlite:///{database.with_name('store.db')}"}
    url = urls.get(request.param) or request.getfixturevalue("redis_url")
    async with in_process(database, more={("store", "url"): url}) as site:
        yield site


@pytest.fixture
async def visit() -> AsyncIterator[Callable[[Site], Visitor]]:
    """`visit(site)`: a new browser."""
    clients: list[httpx2.AsyncClient] = []

    def visiting(site: Site) -> Visitor:
        transport = httpx2.ASGITransport(site.bridge, raise_app_exceptions=False)
        http = httpx2.AsyncClient(transport=transport, base_url=site.url, follow_redirects=False, trust_env=False)
        clients.append(http)
        return Visitor(http, site.url)

    yield visiting
    for http in clients:
        await http.aclose()


@pytest.fixture(scope="session")
def post_office() -> Iterator[SmtpSink]:
    """The mail server of the bridge on a port."""
    with SmtpSink.listening() as sink:
        yield sink


@pytest.fixture(scope="session")
def served(furnished_file: Path, post_office: SmtpSink, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A bridge of the dev profile on a free port, for all browsers: each test brings people of its own."""
    folder = tmp_path_factory.mktemp("served")
    with on_a_port(Path(shutil.copy(furnished_file, folder / "bridge.db")), post_office) as site:
        yield site
