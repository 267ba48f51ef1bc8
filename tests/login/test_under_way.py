"""Attempts that wait for one another — the throttle counts before the check, and a burst of right ones is no attack."""

import asyncio

import pytest

from bridge.errors import Unavailable
from bridge.login.under_way import UnderWay
from tests.patience import until


class Places:
    """A window of so many places."""

    def __init__(self, free: int) -> None:
        self.free = free
        self.asked = 0

    async def ask(self) -> float:
        self.asked += 1
        await asyncio.sleep(0)
        if self.free <= 0:
            return 7.0
        self.free -= 1
        return 0.0


async def one(under_way: UnderWay, places: Places, *, right: bool, keys: tuple[str, ...] = ("a", "b")) -> float:
    wait = await under_way.admit(keys, places.ask)
    if not wait:
        await asyncio.sleep(0.001)
        places.free += right
        under_way.land(keys, freed=right)
    return wait


async def test_right_ones_wait_for_one_another() -> None:
    under_way, places = UnderWay(), Places(3)
    assert await asyncio.gather(*(one(under_way, places, right=True) for _ in range(60))) == [0.0] * 60
    assert places.free == 3
    assert not under_way._active and not under_way._waiting and not under_way._waiters


async def test_behind_wrong_ones_nobody_waits_for_long() -> None:
    under_way, places = UnderWay(), Places(3)
    waits = await asyncio.gather(*(one(under_way, places, right=False) for _ in range(60)))
    assert sorted(waits) == [0.0] * 3 + [7.0] * 57
    assert places.asked < 60 * 3
    assert not under_way._active and not under_way._waiting and not under_way._waiters


async def test_with_nobody_under_way_the_answer_is_there_at_once() -> None:
    under_way, places = UnderWay(), Places(0)
    assert await under_way.admit(["a"], places.ask) == 7.0
    assert places.asked == 1


async def test_who_shares_no_window_is_not_waited_for() -> None:
    under_way, full = UnderWay(), Places(0)
    assert await under_way.admit(["a"], Places(1).ask) == 0
    assert await under_way.admit(["b"], full.ask) == 7.0
    under_way.land(["a"], freed=True)


async def test_patience_ends() -> None:
    under_way = UnderWay(patience=0.02)
    assert await under_way.admit(["a"], Places(1).ask) == 0
    assert await under_way.admit(["a"], Places(0).ask) == 7.0


async def test_only_so_many_wait() -> None:
    under_way, places = UnderWay(most=2), Places(1)
    assert await under_way.admit(["a"], places.ask) == 0
    waiting = [asyncio.create_task(under_way.admit(["a"], places.ask)) for _ in range(3)]
    await until(waiting[2].done)
    assert [task.done() for task in waiting] == [False, False, True]
    places.free += 1
    under_way.land(["a"], freed=True)
    await until(waiting[0].done)
    assert [task.done() for task in waiting] == [True, False, True]
    under_way.land(["a"], freed=False)
    assert await waiting[1] == 7.0


async def test_an_answer_that_is_still_on_its_way_counts() -> None:
    """The later one's refusal arrives before the earlier one's admission."""
    under_way, on_its_way = UnderWay(), asyncio.Event()
    free = [1]

    async def slow() -> float:
        free[0] -= 1
        await on_its_way.wait()
        return 0.0

    async def quick() -> float:
        free[0] -= 1
        return 0.0 if free[0] >= 0 else 7.0

    early = asyncio.create_task(under_way.admit(["a"], slow))
    await asyncio.sleep(0)
    late = asyncio.create_task(under_way.admit(["a"], quick))
    await until(lambda: under_way._waiters == 1)
    assert not late.done()
    on_its_way.set()
    assert await early == 0
    free[0] = 1
    under_way.land(["a"], freed=True)
    assert await late == 0


async def test_an_ask_that_fails_leaves_nobody_waiting() -> None:
    under_way = UnderWay()

    async def fails() -> float:
        await asyncio.sleep(0.01)
        raise Unavailable("guard")

    first = asyncio.create_task(under_way.admit(["a"], fails))
    await asyncio.sleep(0)
    assert await under_way.admit(["a"], Places(0).ask) == 7.0
    with pytest.raises(Unavailable):
        await first
    assert not under_way._active and not under_way._waiting


async def test_refusals_among_themselves_ask_once_each() -> None:
    """No storm: where nothing was freed nobody asks again."""
    under_way, places = UnderWay(), Places(0)
    waits = await asyncio.gather(*(one(under_way, places, right=True) for _ in range(200)))
    assert waits == [7.0] * 200 and places.asked == 200


async def test_who_gives_up_waiting_takes_nobodys_turn() -> None:
    under_way, places = UnderWay(), Places(1)
    assert await under_way.admit(["a"], places.ask) == 0
    first, second = (asyncio.create_task(under_way.admit(["a"], places.ask)) for _ in range(2))
    await until(lambda: under_way._waiters == 2)
    first.cancel()
    await asyncio.sleep(0)
    places.free += 1
    under_way.land(["a"], freed=True)
    assert await second == 0
    under_way.land(["a"], freed=True)
    assert first.cancelled() and not under_way._waiting and not under_way._waiters
