"""Every store agrees with the one in memory on any history; that one agrees with a naive model — spec/store.md §8."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import Phase, assume, given, settings

from bridge.stores.address import Address
from bridge.stores.lines import Lines
from bridge.stores.memory import MemoryStore
from bridge.stores.redis import RedisStore
from bridge.stores.sqlite import SqliteStore
from bridge.stores.store import Add, Change, Drop, Expect, Put, Swap, Tag, Take, Untag
from bridge.testing.hands import Hands
from bridge.testing.store_machine import INDEXES, KEYS, SHORT, Step, agrees, histories
from tests.servers import Server
from tests.stores.broken import BROKEN
from tests.stores.servers import PATIENT, emptied

STATEFUL = [name for name in BROKEN if name not in {"half-commit-on-error", "judges-then-writes", "cancel-fails-all"}]


@settings(max_examples=200)
@given(histories)
def test_the_store_in_memory_agrees_with_a_naive_model(history: list[Step]) -> None:
    asyncio.run(_follows_the_rules(history))


@settings(max_examples=100)
@given(histories)
def test_the_store_in_sqlite_agrees(history: list[Step]) -> None:
    async def play() -> None:
        hands = Hands()
        with TemporaryDirectory() as folder:
            store = SqliteStore(Path(folder) / "store.db", hands)
            await store.open()
            await agrees(store, _moving(hands), history)
            await store.close()

    asyncio.run(play())


@pytest.mark.slow
@settings(max_examples=40)
@given(history=histories)
def test_the_store_in_valkey_agrees(history: list[Step], valkey_server: Server) -> None:
    asyncio.run(_on_server(emptied(valkey_server).url, history))


@pytest.mark.slow
@settings(max_examples=40)
@given(history=histories)
def test_the_store_in_redis_agrees(history: list[Step], redis_server: Server) -> None:
    asyncio.run(_on_server(emptied(redis_server).url, history))


@pytest.mark.slow
@pytest.mark.parametrize("name", STATEFUL)
def test_a_broken_store_disagrees(name: str) -> None:
    @settings(max_examples=2000, database=None, derandomize=True, phases=[Phase.generate])
    @given(histories)
    def search(history: list[Step]) -> None:
        hands = Hands()
        asyncio.run(agrees(BROKEN[name](hands), _moving(hands), history))

    with pytest.raises(AssertionError):
        search()


async def _on_server(url: str, history: list[Step]) -> None:
    store = RedisStore(Lines(Address(url, seconds=PATIENT)))
    await store.open()
    begun = time.monotonic()
    slept = 0.0

    async def wait(seconds: float) -> None:
        nonlocal slept
        slept += seconds
        await asyncio.sleep(seconds)

    try:
        await agrees(store, wait, history)
    except AssertionError:
        # Real time also passed while we asked; then what should live `SHORT` may have been gone too early.
        assume(time.monotonic() - begun - slept < SHORT / 2)
        raise
    finally:
        await store.close()


async def _follows_the_rules(history: list[Step]) -> None:
    """The model: one list of everything ever written, read backwards."""
    hands = Hands(0)
    store = MemoryStore(hands)
    written: list[tuple[str, bytes | None, float]] = []
    tagged: list[tuple[str, str, float | None]] = []

    def held(key: str) -> bytes | None:
        for name, value, end in reversed(written):
            if name == key:
                return value if end > hands.now() else None
        return None

    for step in history:
        if not isinstance(step, list):
            hands.move(step)
            continue
        holds = all(_holds(change, held) for change in step)
        if holds:
            for change in step:
                _note(change, hands.now(), written, tagged)
        assert await store.commit(*step) is holds
        assert list(await store.read(*KEYS)) == [held(key) for key in KEYS]
        for index in INDEXES:
            assert await store.members(index) == _listed(index, hands.now(), tagged)


def _holds(change: Change, held: Callable[[str], bytes | None]) -> bool:
    match change:
        case Expect(key, value):
            return held(key) == value
        case Add(key):
            return held(key) is None
        case Take(key, seen) | Swap(key, seen):
            return held(key) == seen
        case _:
            return True


def _note(
    change: Change,
    now: float,
    written: list[tuple[str, bytes | None, float]],
    tagged: list[tuple[str, str, float | None]],
) -> None:
    match change:
        case Add(key, value, ttl) | Put(key, value, ttl) | Swap(key, _, value, ttl):
            written.append((key, value, now + ttl))
        case Take(key) | Drop(key):
            written.append((key, None, 0))
        case Tag(index, member, ttl):
            tagged.append((index, member, now + ttl))
        case Untag(index, member):
            tagged.append((index, member, None))
        case Expect():
            pass


def _listed(index: str, now: float, tagged: Sequence[tuple[str, str, float | None]]) -> list[str]:
    ends: dict[str, float] = {}
    for name, member, end in tagged:
        if name == index:
            ends[member] = 0 if end is None else max(end, ends.get(member, 0))
    return sorted(member for member, end in ends.items() if end > now)


def _moving(hands: Hands) -> Callable[[float], Awaitable[None]]:
    async def wait(seconds: float) -> None:
        hands.move(seconds)

    return wait
