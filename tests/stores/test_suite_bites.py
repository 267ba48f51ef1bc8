"""The suite notices every broken store, by name — spec/store.md §8, spec/style.md §8."""

import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from itertools import product
from typing import Any

import pytest

from bridge.stores.address import Address
from bridge.stores.lines import Lines
from bridge.stores.memory import MemoryStore
from bridge.stores.redis import RedisStore
from bridge.stores.store import Add, Store
from bridge.testing.hands import Hands
from bridge.testing.lossy import LossyProxy
from bridge.testing.store_losses import StoreLossSuite
from bridge.testing.store_races import StoreRaces
from bridge.testing.store_suite import StoreSuite
from tests.servers import Server
from tests.stores.broken import BROKEN, LibraryRetries, ReadsThenWrites
from tests.stores.servers import PATIENT, emptied


async def test_the_right_store_passes() -> None:
    assert [name async for name in _failures(MemoryStore)] == []


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_store_fails(name: str) -> None:
    assert [failure async for failure in _failures(BROKEN[name])], f"nothing noticed {name}"


RACES = [
    StoreRaces.test_of_fifty_takers_one_wins,
    StoreRaces.test_of_fifty_takers_who_leave_a_tombstone_one_wins,
    StoreRaces.test_of_fifty_swappers_one_wins,
    StoreRaces.test_of_fifty_adders_one_wins,
    StoreRaces.test_of_fifty_rotations_one_wins_and_leaves_one_successor,
]


@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
async def test_a_store_that_reads_and_then_writes_loses_every_race(race: Any, valkey_server: Server) -> None:
    store = RedisStore(Lines(Address(emptied(valkey_server).url, seconds=PATIENT)))
    with pytest.raises(AssertionError, match="were told that they had won"):
        await race(StoreRaces(), [ReadsThenWrites(store)])
    await store.close()


async def test_a_library_that_sends_again_is_noticed(valkey_server: Server) -> None:
    """`library-retries`: its winner is told that he lost."""
    address = ("127.0.0.1", emptied(valkey_server).port)
    direct, suite = LibraryRetries(*address), StoreLossSuite()
    async with LossyProxy(*address) as proxy:
        store = LibraryRetries("127.0.0.1", proxy.port)
        with pytest.raises(AssertionError):
            await suite.test_the_winner_learns_it_although_the_answer_was_lost(
                store, direct, proxy, [Add("lb:a:{t}", b"mine", 100)], "cut"
            )
        assert proxy.sent(b"EVAL") == 2
        await store.close()
    await direct.close()


async def _failures(kind: type[MemoryStore]) -> AsyncIterator[str]:
    """The names of the suite's tests that fail for this store; ends with the first."""
    for name, test in inspect.getmembers(StoreSuite, inspect.isfunction):
        if not name.startswith("test_"):
            continue
        for arguments in _cases(test):
            try:
                await _run(test, kind, arguments)
            except (Exception, pytest.fail.Exception):  # noqa: BLE001  any failure will do
                yield name
                return


async def _run(test: Callable[..., Any], kind: type[MemoryStore], arguments: dict[str, Any]) -> None:
    hands = Hands()
    store: Store = kind(hands)
    suite = StoreSuite()

    async def wait(seconds: float) -> None:
        hands.move(seconds)

    suite.wait = wait  # type: ignore[method-assign]
    fixtures: dict[str, Store | Sequence[Store]] = {"store": store, "rivals": [store]}
    wanted = inspect.signature(test).parameters
    await test(suite, **{name: value for name, value in (fixtures | arguments).items() if name in wanted})


def _cases(test: Callable[..., Any]) -> Iterator[dict[str, Any]]:
    """What `pytest.mark.parametrize` would hand in."""
    tables = [mark.args for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"]
    for values in product(*(table[1] for table in tables)):
        yield dict(zip((table[0] for table in tables), values, strict=True))
