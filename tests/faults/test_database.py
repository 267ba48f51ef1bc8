"""PostgreSQL refuses, hangs and is cut: every door says so clearly, and recovers by itself — S18; issue 2."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

import pytest
from sqlalchemy import text

from bridge.database.migrate import migrate
from bridge.testing.lossy import LossyProxy
from tests.databases import opened
from tests.faults.doors import DOORS, UNTOUCHED, WELL, Callers, knock, knock_at_all, wrong_of
from tests.faults.machines import family_of, signal_all
from tests.faults.test_redis import until_ready
from tests.flows.mailbox import Mailbox
from tests.running import ADA, Furnished, Given, Site, furnish, in_process
from tests.security.holdings import Visiting, gather
from tests.servers import LOOPBACK, Server, postgres

pytestmark = pytest.mark.slow

CACHED = {
    *("authorize", "authorize, prompt=none", "authorize, unknown", "redeem", "refresh", "robot", "userinfo", "touch"),
    *("introspect", "host, private", "WhmcsDetails", "oauth logout"),
}
"""Hot paths: what they ask of SQL is mostly in a cache, so they may work on, or say that they cannot."""
BLIND = {"forgot"}
"""Answers before it looks, as always (R1): the page says what to do if no mail comes, the log that it was lost."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A PostgreSQL of these tests' own: it is frozen."""
    with postgres() as server:
        yield server


@pytest.fixture
async def proxy(server: Server) -> AsyncIterator[LossyProxy]:
    async with LossyProxy(LOOPBACK, server.port) as proxy:
        yield proxy


@pytest.fixture
async def site(database: Furnished, mailbox: Mailbox, server: Server, proxy: LossyProxy) -> AsyncIterator[Site]:
    await _emptied(server.url)
    url = urlsplit(server.url)._replace(netloc=f"bridge@{LOOPBACK}:{proxy.port}").geturl()
    more: Given = {("mail", "url"): f"file:{mailbox.folder}", ("database", "url"): url}
    async with in_process(database, more=more) as site:
        await furnish(site.bridge)
        yield site


async def _emptied(url: str) -> None:
    async with opened(url) as db, db.engine.begin() as tx:
        await tx.execute(text("DROP SCHEMA public CASCADE"))
        await tx.execute(text("CREATE SCHEMA public"))
    await migrate(url)


@pytest.fixture
async def callers(site: Site, visit: Visiting, mailbox: Mailbox) -> Callers:
    callers = Callers(await gather(site, visit, mailbox), visit)
    await callers.fill_in()
    await knock(callers, "host, private")  # so that the caches hold what they hold in use
    await knock(callers, "robot")
    return callers


async def test_every_door_opens_when_all_is_well(callers: Callers) -> None:
    """The control."""
    assert {door: (await knock(callers, door)).reply.status_code for door in DOORS} == WELL


async def broken(callers: Callers, *, seconds: float) -> None:
    """Every door; `seconds` is the longest that one may take."""
    heard = await knock_at_all(callers)
    for again in range(2):
        heard = await knock_at_all(callers) if again else heard
        slow = {door: each.seconds for door, each in heard.items() if each.seconds > seconds}
        assert slow == {}, again
        cached = {door for door in CACHED if heard[door].reply.status_code == WELL[door]}
        assert wrong_of(heard, UNTOUCHED | BLIND | cached) == {}, again
    assert heard["readyz"].reply.json()["database"] == "unavailable"
    assert heard["readyz"].reply.json()["store"] == "ok"


async def mended(callers: Callers, mailbox: Mailbox, visit: Visiting) -> None:
    """It works again by itself."""
    assert await until_ready(callers) < 10
    again = visit(callers.site)
    await again.sign_in(ADA, path="/account")
    assert again.at == "/account"
    once = {"redeem", "refresh", "revoke", "code", "login", "logout", "change password", "authorize, prompt=none"}
    heard = {door: await knock(callers, door) for door in DOORS if door not in once}
    assert wrong_of(heard, set(heard)) == {}
    await mailbox.next(ADA, seconds=30)


async def test_a_database_that_is_frozen(callers: Callers, server: Server, mailbox: Mailbox, visit: Visiting) -> None:
    processes = family_of(server.process.pid)
    signal_all(processes, signal.SIGSTOP)
    try:
        await broken(callers, seconds=12)
    finally:
        signal_all(processes, signal.SIGCONT)
    await mended(callers, mailbox, visit)


async def test_a_database_that_refuses(callers: Callers, proxy: LossyProxy, mailbox: Mailbox, visit: Visiting) -> None:
    await proxy.__aexit__()
    start = time.monotonic()
    await broken(callers, seconds=3.5)
    await asyncio.sleep(max(0.0, 3 - (time.monotonic() - start)))
    await proxy.__aenter__()
    await mended(callers, mailbox, visit)


async def test_connections_that_were_cut_are_made_anew(callers: Callers, proxy: LossyProxy) -> None:
    """A restart, a failover: the pool is full of dead connections, and nobody is told of it twice."""
    for door in DOORS:
        await proxy.reset_all()
        heard = await knock(callers, door)
        assert heard.reply.status_code in (WELL[door], 503), (door, heard.reply.text[:300])
    assert await until_ready(callers) < 5
