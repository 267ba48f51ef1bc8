"""Whole bridges for journeys: in the test's own loop, or on a port for a real browser."""

import time
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.async_api import Browser

from bridge.outbox import worker
from bridge.testing.hands import Hands
from tests.databases import sqlite_template
from tests.flows.mailbox import Mailbox
from tests.flows.screens import Open, Screen, screen
from tests.flows.visitor import Visitor
from tests.running import Furnished, Given, Site, furnished, in_process, on_a_port
from tests.servers import SmtpSink

__all__ = ["sqlite_template"]


@pytest.fixture(scope="session")
async def house(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Furnished:
    """A database with people, clients and keys, to be copied."""
    return await furnished(sqlite_template, tmp_path_factory.mktemp("furnished"))


@pytest.fixture
def database(house: Furnished, tmp_path: Path) -> Furnished:
    """A copy of it for this test alone."""
    return house.copy(tmp_path)


@pytest.fixture
def mailbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mailbox:
    """Where the letters of `site` come to; they are not long under way."""
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.05)
    return Mailbox(tmp_path / "mail")


@pytest.fixture
def clock() -> Hands:
    """The clock of `site`, which stands still; a new code of the second step takes `clock.move(30)`."""
    return Hands(time.time())


@pytest.fixture
async def site(request: pytest.FixtureRequest, database: Furnished, clock: Hands) -> AsyncIterator[Site]:
    """A bridge of the production profile, in this loop, on a store in memory."""
    async with in_process(database, more=mailing(request), clock=clock) as site:
        yield site


@pytest.fixture(params=["redis", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("memory", "sqlite"))])
async def any_site(request: pytest.FixtureRequest, database: Furnished) -> AsyncIterator[Site]:
    """The same on each kind of store, by the clock on the wall."""
    urls = {"memory": "memory://", "sqlite": f"sqlite:///{database.file.with_name('store.db')}"}
    url = urls.get(request.param) or request.getfixturevalue("redis_url")
    async with in_process(database, more={("store", "url"): url, **mailing(request)}) as site:
        yield site


def mailing(request: pytest.FixtureRequest) -> Given:
    """Letters go to the test's mailbox, where it asks for one; it must be there before the bridge begins to send."""
    folder = request.getfixturevalue("tmp_path") / "mail"
    if "mailbox" in request.fixturenames:
        folder = request.getfixturevalue("mailbox").folder
    return {("mail", "url"): f"file:{folder}"}


@pytest.fixture
async def visit() -> AsyncIterator[Callable[..., Visitor]]:
    """`visit(site)`: a new browser; `visit(site, app)`: one for an app that stands around or before the bridge."""
    clients: list[httpx2.AsyncClient] = []

    def visiting(site: Site, app: Any = None) -> Visitor:
        transport = httpx2.ASGITransport(app or site.bridge, raise_app_exceptions=False)
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
def served(house: Furnished, post_office: SmtpSink, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A bridge of the dev profile on a free port, for all browsers: each test brings people of its own."""
    with on_a_port(house.copy(tmp_path_factory.mktemp("served")), post_office) as site:
        yield site


@pytest.fixture(scope="session")
def served_by_name(house: Furnished, post_office: SmtpSink, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The same under a name: an address that is a number has no passkeys."""
    with on_a_port(house.copy(tmp_path_factory.mktemp("named")), post_office, name="localhost") as site:
        yield site


@pytest.fixture
async def window(chromium: Browser, served: Site) -> AsyncIterator[Open]:
    """`await window(**look)`: a new browser window."""
    opened: list[Screen] = []

    async def opening(**look: Any) -> Screen:
        opened.append(await screen(chromium, served.url, **look))
        return opened[-1]

    yield opening
    for each in opened:
        await each.context.close()


@pytest.fixture
def caches_stay(site: Site) -> None:
    """None is read anew in a request that is counted, however long this process stood still."""
    site.bridge.rooms.versions._monotonic = repeat(0.0).__next__  # no function of Python's: those are counted
