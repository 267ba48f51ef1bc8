"""Of fifty who want one thing, one gets it: tests to inherit — spec/store.md §3, §8.

Connections are opened before each race; else they open one after another and nothing ever meets.
"""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from bridge.stores.store import Add, Change, Put, Store, Swap, Take

LONG = 100.0
ROUNDS = 20
RACERS = 50

CONTESTED, WON = "lb:contested:{t}", "lb:won:{t}"

Attempt = Callable[[int], Sequence[Change]]
"""What racer number i commits."""


class StoreRaces:
    """Needs the fixture `store`; give `rivals` too where several processes would share the data."""

    pytestmark: pytest.MarkDecorator = pytest.mark.anyio

    @pytest.fixture
    async def rivals(self, store: Store) -> Sequence[Store]:
        """Stores on the same data, each with connections of its own."""
        return [store]

    async def test_of_fifty_takers_one_wins(self, rivals: Sequence[Store]) -> None:
        await _race(rivals, lambda _: [Take(CONTESTED, b"held")], held=b"held")

    async def test_of_fifty_takers_who_leave_a_tombstone_one_wins(self, rivals: Sequence[Store]) -> None:
        """The tombstone must not satisfy the next (§3, 1)."""
        await _race(rivals, lambda i: [Take(CONTESTED, b"held"), Put(CONTESTED, b"%d" % i, LONG)], held=b"held")

    async def test_of_fifty_swappers_one_wins(self, rivals: Sequence[Store]) -> None:
        await _race(rivals, lambda i: [Swap(CONTESTED, b"held", b"%d" % i, LONG)], held=b"held")

    async def test_of_fifty_adders_one_wins(self, rivals: Sequence[Store]) -> None:
        await _race(rivals, lambda i: [Add(CONTESTED, b"%d" % i, LONG)], held=None)

    async def test_of_fifty_equal_adders_one_wins(self, rivals: Sequence[Store]) -> None:
        await _race(rivals, lambda _: [Add(CONTESTED, b"1", LONG)], held=None)

    async def test_of_fifty_rotations_one_wins_and_leaves_one_successor(self, rivals: Sequence[Store]) -> None:
        def rotation(i: int) -> Sequence[Change]:
            return [
                Add(f"lb:new:{{t}}:{i}", b"%d" % i, LONG),
                Swap(CONTESTED, b"held", b"rotated to %d" % i, LONG),
                Put(WON, b"%d" % i, LONG),
            ]

        for _ in range(ROUNDS):
            winner = await _round(rivals, rotation, held=b"held")
            names = [f"lb:new:{{t}}:{i}" for i in range(RACERS)]
            successors = [value for value in await rivals[0].read(*names) if value is not None]
            rotated, won = await rivals[0].read(CONTESTED, WON)
            assert (successors, rotated, won) == ([b"%d" % winner], b"rotated to %d" % winner, b"%d" % winner)
            await rivals[0].commit(*(Take(names[i], b"%d" % i) for i in [winner]))

    async def test_fifty_adders_of_many_keys_do_not_mix(self, rivals: Sequence[Store]) -> None:
        """All of it or nothing, also while others write the same keys in another order."""
        names = [f"lb:{i}:{{t}}" for i in range(5)]
        for turn in range(ROUNDS):
            keys = [f"{name}:{turn}" for name in names]

            def attempt(i: int, keys: Sequence[str] = keys) -> Sequence[Change]:
                return [Add(key, b"%d" % i, LONG) for key in (keys if i % 2 else keys[::-1])]

            winner = await _round(rivals, attempt, held=None)
            assert list(await rivals[0].read(*keys)) == [b"%d" % winner] * len(keys)


async def _race(rivals: Sequence[Store], attempt: Attempt, *, held: bytes | None) -> None:
    for _ in range(ROUNDS):
        await _round(rivals, attempt, held=held)


async def _round(rivals: Sequence[Store], attempt: Attempt, *, held: bytes | None) -> int:
    """One race over `CONTESTED`, which holds `held` before; returns the number of the one winner."""
    before, *_ = await rivals[0].read(CONTESTED)
    if before is not None:
        assert await rivals[0].commit(Take(CONTESTED, before))
    if held is not None:
        assert await rivals[0].commit(Add(CONTESTED, held, LONG))
    racers = [rivals[i % len(rivals)] for i in range(RACERS)]
    await asyncio.gather(*(racer.read(CONTESTED) for racer in racers))
    outcomes = await asyncio.gather(*(racer.commit(*attempt(i)) for i, racer in enumerate(racers)))
    winners = [i for i, won in enumerate(outcomes) if won]
    assert len(winners) == 1, f"{len(winners)} of {RACERS} were told that they had won"
    return winners[0]
