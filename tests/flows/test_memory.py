"""A process keeps nothing for each token that it gives out: they are in the store, and nowhere else — DESIGN §5.

Measured as bytes that are still there after a thousand tokens, once every cache is warm, and again after
a thousand more: what fills a cache or a pool does so once, and what is kept for each token is kept each time.
"""

import asyncio
import gc
import sqlite3
import tracemalloc
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from itertools import pairwise
from typing import Final, NamedTuple

import pytest

from bridge.keys import algorithms
from tests.flows.raw import Party
from tests.running import Furnished, Site, in_process

pytestmark = pytest.mark.slow

WARM: Final = 150
ROUNDS: Final = 200
WINDOWS: Final = 4
LOOKS: Final = 3
TOKENS_A_ROUND: Final = 5
BYTES: Final = 8
"""For each token.  The name of its record alone, kept for one kind of token in a round, is three times that."""

NOT_OURS: Final = (__file__, tracemalloc.__file__, "*/aiosqlite/*", weakref.__file__, algorithms.__file__)
"""What SQLite's driver has under way, and the sets that engines and loops keep of their own, which grow by doubling.

And what a signature used: `cryptography` lets go of it where tracemalloc does not see it, so it is counted until its
place is used again (`sys.getallocatedblocks` stays the same to the block).
"""

CURSORS: Final = 200
"""So many cursors a connection of `sqlite3` remembers, living or not, before it forgets those that are gone."""


class Left(NamedTuple):
    """What is there for each token that was not there before, and the lines that made the most of it."""

    bytes: float
    lines: list[str]


@pytest.fixture(params=["redis", "sqlite"])
async def site(request: pytest.FixtureRequest, database: Furnished) -> AsyncIterator[Site]:
    """A bridge on a store that is not in its own memory."""
    url = f"sqlite:///{database.file.with_name('store.db')}"
    if request.param == "redis":
        url = request.getfixturevalue("redis_url")
    async with in_process(database, more={("store", "url"): url}) as site:
        yield site


async def _left(site: Site, *, before: Callable[[], None]) -> Left:
    """What all kinds of tokens, given out, renewed and shown, leave behind at least.  `before`: each count."""
    party = await Party.at(site)
    for _ in range(WARM):
        await _round(party)
    tracemalloc.start()
    try:
        for _ in range(20):
            await _round(party)
        held = [await _held(site, before)]
        for _ in range(WINDOWS):
            for _ in range(ROUNDS):
                await _round(party)
            held.append(await _held(site, before))
    finally:
        tracemalloc.stop()
    return min(_grown(*window) for window in pairwise(held))


def _grown(first: tracemalloc.Snapshot, last: tracemalloc.Snapshot) -> Left:
    tokens, lines = ROUNDS * TOKENS_A_ROUND, last.compare_to(first, "lineno")
    grown = sum(line.size_diff for line in lines)
    return Left(grown / tokens, [str(line) for line in lines[:8]])


async def _round(party: Party) -> None:
    own, tokens = await party.own_token(), await party.signed_in()
    renewed = await party.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    shown: list[Awaitable[object]] = [party.userinfo(renewed["access_token"])]
    shown += [party.introspect(text) for text in (own, tokens["access_token"], renewed["refresh_token"])]
    for each in shown:
        await each


async def _held(site: Site, before: Callable[[], None]) -> tracemalloc.Snapshot:
    """The least of some looks: what a task under way has read is not kept for a token."""
    await site.bridge.rooms.audit.flush()
    before()
    looks = []
    for _ in range(LOOKS):
        await asyncio.sleep(0.1)
        gc.collect()
        _forget_cursors()
        looks.append(
            tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(False, pattern) for pattern in NOT_OURS])
        )
    return min(looks, key=lambda look: sum(trace.size for trace in look.traces))


def _forget_cursors() -> None:
    """Each connection's cursors that are gone: how many it remembers depends on the time alone."""
    for connection in [held for held in gc.get_objects() if isinstance(held, sqlite3.Connection)]:
        with suppress(sqlite3.ProgrammingError):  # closed, or another thread's
            for _ in range(CURSORS + 1):
                connection.cursor().close()


async def test_a_process_keeps_nothing_for_each_token(site: Site) -> None:
    left = await _left(site, before=site.told.events.clear)
    assert left.bytes < BYTES, "\n".join([str(left.bytes), *left.lines])


async def test_one_reference_for_each_token_would_be_found(site: Site) -> None:
    """The measure bites: here a listener keeps what it hears of each."""
    left = await _left(site, before=lambda: None)
    assert left.bytes > BYTES, left
