"""The login guard's windows: parallel guesses do not slip through — sessions-and-accounts.md §8.1, §8.2."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from bridge.errors import ConfigError, Unavailable
from bridge.stores import redis_guard
from bridge.stores.gate import Gate
from bridge.stores.guard import FallbackGuard, Guard, MemoryGuard, Window
from bridge.stores.memory import MemoryStore
from bridge.stores.scripts import Script
from bridge.stores.sqlite import SqliteStore
from bridge.stores.sqlite_guard import SqliteGuard
from bridge.stores.url import guard_on, open_store
from bridge.testing.hands import Hands
from tests.servers import Server
from tests.stores.servers import early_in_a_slot, emptied, opened, patient, say

HOUR = Window("lb:i:rl:{account}", 5, 3600)
OTHER = Window("lb:i:rl:{address}", 3, 3600)
TIGHT = Window("lb:i:rl:{tight}", 1, 3600)
BEGINNING = 1_800_000_000 // 3600 * 3600
"""Of an hour."""


class GuardSuite:
    """Needs the fixture `guard`, with nothing counted."""

    async def test_the_limit_is_admitted_and_no_more(self, guard: Guard) -> None:
        assert [await guard.admit([HOUR]) for _ in range(5)] == [0.0] * 5
        assert 0 < await guard.admit([HOUR]) <= 3600

    async def test_refused_in_one_window_is_counted_in_none(self, guard: Guard) -> None:
        assert await guard.admit([TIGHT, HOUR]) == 0
        for _ in range(10):
            assert await guard.admit([HOUR, TIGHT]) > 0
        assert [await guard.admit([HOUR]) for _ in range(4)] == [0.0] * 4
        assert await guard.admit([HOUR]) > 0

    async def test_a_refund_gives_back_one_in_every_window(self, guard: Guard) -> None:
        for _ in range(20):
            assert await guard.admit([HOUR, TIGHT]) == 0
            await guard.refund([HOUR, TIGHT])

    async def test_a_refund_never_gives_credit(self, guard: Guard) -> None:
        for _ in range(3):
            await guard.refund([TIGHT])
        assert await guard.admit([TIGHT]) == 0
        await guard.refund([TIGHT])
        await guard.refund([TIGHT])
        assert [bool(await guard.admit([TIGHT])) for _ in range(2)] == [False, True]

    async def test_what_is_counted_can_be_asked_for(self, guard: Guard) -> None:
        assert await guard.count(HOUR) == 0
        await guard.admit([HOUR, OTHER])
        await guard.admit([HOUR])
        assert [await guard.count(window) for window in (HOUR, OTHER, HOUR)] == [2, 1, 2]
        await guard.refund([OTHER])
        await guard.clear(HOUR.key)
        assert [await guard.count(window) for window in (HOUR, OTHER)] == [0, 0]

    async def test_clearing_forgets_one_window(self, guard: Guard) -> None:
        assert await guard.admit([TIGHT, OTHER]) == 0
        await guard.clear(TIGHT.key)
        assert [bool(await guard.admit([TIGHT, OTHER])) for _ in range(2)] == [False, True]

    async def test_no_window_is_no_limit(self, guard: Guard) -> None:
        assert await guard.admit([]) == 0

    async def test_a_full_cap_turns_nobody_away_and_says_so(self, guard: Guard) -> None:
        assert await guard.admit([HOUR], TIGHT) == 0
        for _ in range(4):
            assert -3600 <= await guard.admit([HOUR], TIGHT) < 0
        assert await guard.admit([HOUR], TIGHT) > 0, "they were counted all the same"
        await guard.refund([TIGHT])
        assert await guard.admit([OTHER], TIGHT) == 0, "and not in the cap"

    async def test_a_cap_counts_only_whom_the_windows_admit(self, guard: Guard) -> None:
        assert await guard.admit([TIGHT], OTHER) == 0
        for _ in range(10):
            assert await guard.admit([TIGHT], OTHER) > 0
        assert [bool(await guard.admit([OTHER])) for _ in range(3)] == [False, False, True]

    async def test_of_fifty_parallel_guesses_the_limit_is_admitted(self, guards: Sequence[Guard]) -> None:
        for turn in range(20):
            windows = [Window(f"lb:i:rl:{{account {turn}}}", 5, 3600), Window(f"lb:i:rl:{{all {turn}}}", 50, 3600)]
            await asyncio.gather(*(guard.refund(windows) for guard in guards))
            waits = await asyncio.gather(*(guards[i % len(guards)].admit(windows) for i in range(50)))
            assert waits.count(0) == 5


class MovedGuardSuite(GuardSuite):
    """A guard whose time is moved by hand, too: needs `hands`, which stand at the beginning of an hour."""

    @pytest.fixture
    def hands(self) -> Hands:
        return Hands(BEGINNING)

    async def test_the_wait_is_the_rest_of_the_slot(self, guard: Guard, hands: Hands) -> None:
        hands.move(600)
        await guard.admit([TIGHT])
        assert await guard.admit([TIGHT]) == pytest.approx(3000)

    async def test_what_was_counted_fades_in_the_next_slot(self, guard: Guard, hands: Hands) -> None:
        for _ in range(5):
            await guard.admit([HOUR])
        hands.move(3600)
        assert await guard.admit([HOUR]) > 0
        hands.move(720)  # a fifth of the window: one of five has faded
        assert await guard.count(HOUR) == 4
        assert [bool(await guard.admit([HOUR])) for _ in range(2)] == [False, True]

    async def test_a_part_of_one_is_none(self, guard: Guard, hands: Hands) -> None:
        two = Window("lb:i:rl:{two}", 2, 3600)
        assert [await guard.admit([two]) for _ in range(2)] == [0.0, 0.0]
        hands.move(3600 + 2520)
        assert await guard.count(two) == 0
        assert [bool(await guard.admit([two])) for _ in range(2)] == [False, True]

    async def test_two_slots_later_nothing_is_left(self, guard: Guard, hands: Hands) -> None:
        for _ in range(5):
            await guard.admit([HOUR])
        hands.move(7200)
        assert [bool(await guard.admit([HOUR])) for _ in range(6)] == [False] * 5 + [True]

    async def test_a_refund_after_the_slot_ended_gives_back_what_was_counted_there(
        self, guard: Guard, hands: Hands
    ) -> None:
        for _ in range(5):
            await guard.admit([HOUR])
        hands.move(3600)
        await guard.refund([HOUR])
        assert [bool(await guard.admit([HOUR])) for _ in range(2)] == [False, True]

    async def test_a_clock_set_back_blocks_nobody(self, guard: Guard, hands: Hands) -> None:
        for _ in range(5):
            await guard.admit([HOUR])
        hands.move(-7200)
        assert await guard.admit([HOUR]) == 0


class TestMemoryGuard(MovedGuardSuite):
    @pytest.fixture
    async def guard(self, hands: Hands) -> Guard:
        return guard_on(MemoryStore(hands), clock=hands)

    @pytest.fixture
    async def guards(self, guard: Guard) -> Sequence[Guard]:
        return [guard]

    async def test_spraying_names_does_not_fill_the_memory(self, hands: Hands) -> None:
        guard = MemoryGuard(hands, most=100)
        for number in range(1000):
            await guard.admit([Window(str(number), 1, 3600)])
            assert len(guard._counts) <= 100
        assert await guard.admit([Window("999", 1, 3600)]) > 0


class TestSqliteGuard(MovedGuardSuite):
    @pytest.fixture
    async def guards(self, hands: Hands, tmp_path: Path) -> AsyncIterator[Sequence[Guard]]:
        stores = [SqliteStore(tmp_path / "store.db", hands) for _ in range(4)]
        for store in stores:
            await store.open()
        yield [guard_on(store, clock=hands, workers=4) for store in stores]
        for store in stores:
            await store.close()

    @pytest.fixture
    async def guard(self, guards: Sequence[Guard]) -> Guard:
        return guards[0]

    async def test_a_swept_count_is_gone_from_the_file(self, hands: Hands, tmp_path: Path) -> None:
        store = SqliteStore(tmp_path / "swept.db", hands)
        await store.open()
        await SqliteGuard(store).admit([HOUR])
        hands.move(7201)
        await store.commit()
        assert store._opened().execute("SELECT count(*) FROM counted").fetchone() == (0,)
        await store.close()


class ServedGuardSuite(GuardSuite):
    """A guard on a real server."""

    @pytest.fixture
    async def guards(self, server: Server) -> AsyncIterator[Sequence[Guard]]:
        stores = [patient(open_store(server.url, clock=Hands())) for _ in range(4)]
        yield [guard_on(store, clock=Hands(), workers=4) for store in stores]
        for store in stores:
            await store.close()

    @pytest.fixture
    async def guard(self, guards: Sequence[Guard]) -> Guard:
        await early_in_a_slot(3600)
        return guards[0]

    async def test_the_time_is_the_server_s(self, guard: Guard) -> None:
        await guard.admit([TIGHT])
        assert await guard.admit([TIGHT]) == pytest.approx(3600 - time.time() % 3600, abs=60)

    async def test_a_count_ends_after_two_windows(self, guard: Guard, server: Server) -> None:
        await guard.admit([HOUR])
        left = int(say(server.port, "PTTL", HOUR.key)[1:])
        assert 7_140_000 < left <= 7_200_000


class TestRedisGuard(ServedGuardSuite):
    @pytest.fixture
    def server(self, redis_server: Server) -> Server:
        return emptied(redis_server)


class TestValkeyGuard(ServedGuardSuite):
    @pytest.fixture
    def server(self, valkey_server: Server) -> Server:
        return emptied(valkey_server)


class Told(Hands):
    """A clock that a server goes by too, whose scripts ask a key for the time."""

    def __init__(self, server: Server, start: float) -> None:
        super().__init__(start)
        self._server = server
        self.move(0)

    def move(self, seconds: float) -> None:
        super().move(seconds)
        assert say(self._server.port, "SET", "lb:hands", str(self.now())) == b"+OK\r\n"


class TestMovedServerGuard(MovedGuardSuite):
    """Lua counts as the others do."""

    @pytest.fixture
    def hands(self, valkey_server: Server, monkeypatch: pytest.MonkeyPatch) -> Hands:
        for name in ("_ADMIT", "_REFUND", "_COUNT"):
            text: str = getattr(redis_guard, name).text
            assert text.count("redis.call('TIME')") == 1
            moved = text.replace("redis.call('TIME')", "{redis.call('GET', 'lb:hands'), '0'}")
            monkeypatch.setattr(redis_guard, name, Script(moved))
        return Told(emptied(valkey_server), BEGINNING)

    @pytest.fixture
    async def guards(self, hands: Hands, valkey_server: Server) -> AsyncIterator[Sequence[Guard]]:
        async with opened(valkey_server.url) as store:
            yield [guard_on(store, clock=hands)]

    @pytest.fixture
    async def guard(self, guards: Sequence[Guard]) -> Guard:
        return guards[0]


class Down:
    """A guard whose server may be gone."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.down = True

    async def admit(self, windows: Sequence[Window], cap: Window | None = None) -> float:
        return await self._reached().admit(windows, cap)

    async def refund(self, windows: Sequence[Window]) -> None:
        await self._reached().refund(windows)

    async def count(self, window: Window) -> int:
        return await self._reached().count(window)

    async def clear(self, key: str) -> None:
        await self._reached().clear(key)

    def _reached(self) -> Guard:
        if self.down:
            raise Unavailable("gone")
        return self.guard


async def test_without_the_store_each_worker_admits_its_share() -> None:
    guard = FallbackGuard(Down(MemoryGuard(Hands())), Hands(), workers=2)
    assert [bool(await guard.admit([HOUR, OTHER])) for _ in range(2)] == [False, True]


async def test_a_share_is_never_nothing() -> None:
    guard = FallbackGuard(Down(MemoryGuard(Hands())), Hands(), workers=64)
    assert [bool(await guard.admit([HOUR])) for _ in range(2)] == [False, True]


async def test_without_the_store_a_cap_is_a_share_too() -> None:
    guard = FallbackGuard(Down(MemoryGuard(Hands())), Hands(), workers=2)
    assert await guard.admit([HOUR], OTHER) == 0
    assert await guard.admit([Window("lb:i:rl:{b}", 5, 3600)], OTHER) < 0


async def test_without_the_store_a_refund_and_a_clearing_still_count() -> None:
    guard = FallbackGuard(Down(MemoryGuard(Hands())), Hands(), workers=1)
    for _ in range(3):
        assert await guard.admit([TIGHT]) == 0
        await guard.refund([TIGHT])
    assert [bool(await guard.admit([TIGHT])) for _ in range(2)] == [False, True]
    await guard.clear(TIGHT.key)
    assert await guard.admit([TIGHT]) == 0


async def test_without_the_store_its_own_count_is_told() -> None:
    shared = Down(MemoryGuard(Hands()))
    guard = FallbackGuard(shared, Hands(), workers=1)
    await guard.admit([HOUR])
    assert await guard.count(HOUR) == 1
    shared.down = False
    assert await guard.count(HOUR) == 0


async def test_with_the_store_its_counts_decide() -> None:
    shared = Down(MemoryGuard(Hands()))
    shared.down = False
    first, second = (FallbackGuard(shared, Hands(), workers=2) for _ in range(2))
    assert [await first.admit([HOUR]) for _ in range(5)] == [0.0] * 5
    assert await second.admit([HOUR]) > 0
    await first.refund([HOUR])
    assert await second.admit([HOUR]) == 0
    await second.clear(HOUR.key)
    assert await first.admit([HOUR]) == 0


async def test_a_dead_server_is_a_share_and_not_an_error() -> None:
    store = open_store("redis://127.0.0.1:1/0", clock=Hands())
    guard = guard_on(store, clock=Hands(), workers=2)
    assert [bool(await guard.admit([HOUR])) for _ in range(3)] == [False, False, True]
    await store.close()


async def test_a_gate_is_not_what_a_guard_counts_in() -> None:
    with pytest.raises(ConfigError, match="Gate"):
        guard_on(Gate(MemoryStore(Hands())), clock=Hands())
