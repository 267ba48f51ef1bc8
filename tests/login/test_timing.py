"""No stopwatch tells why somebody was refused — sessions-and-accounts A5."""

import asyncio
import time
from statistics import median

import pytest

from bridge.errors import Busy
from bridge.login.options import LoginOptions
from bridge.login.outcome import Refused
from bridge.secret import Secret
from bridge.types import Visit
from bridge.users.options import UserOptions
from tests.databases import opened
from tests.login.house import PASSWORD, WRONG, House

ROUNDS = 30
UNLIMITED = LoginOptions(
    floor_ms=0,
    account_per_5_minutes=10_000,
    account_per_hour=10_000,
    legacy_account_per_hour=10_000,
    address_per_minute=10_000,
    address_per_hour=10_000,
    network_per_hour=10_000,
)


@pytest.mark.slow
@pytest.mark.parametrize("door", ["pages", "legacy"])
async def test_a5_medians_of_refusals_are_within_ten_percent(sqlite_url: str, door: str) -> None:
    async with opened(sqlite_url) as db:
        house = House(db, options=UNLIMITED, hashing=UserOptions(threads=1))
        await house.open()
        await house.ada(email="here@example.com")
        await house.users.disable((await house.ada(email="former@example.com")).id)
        await house.users.create(email="bare@example.com")
        await house.users.create(email="far@example.com", password=PASSWORD, authority="whmcs")
        attempts = {
            "wrong": ("here@example.com", WRONG),
            "unknown": ("nobody@example.com", PASSWORD),
            "disabled": ("former@example.com", PASSWORD),
            "no password": ("bare@example.com", PASSWORD),
            "elsewhere": ("far@example.com", PASSWORD),
            "too long": ("here@example.com", Secret("x" * 5000)),
        }
        visit = Visit("legacy", caller="portal") if door == "legacy" else Visit("pages")
        times: dict[str, list[float]] = {kind: [] for kind in attempts}
        spreads: list[float] = []
        while not spreads or (spreads[-1] >= 1.1 and len(spreads) < 8):
            await _measure(times, house, attempts, visit)
            medians = [median(taken) for taken in times.values()]
            spreads.append(max(medians) / min(medians))
        assert spreads[-1] < 1.1, spreads  # a difference that is ours stays; others' load is evened out


async def _measure(
    times: dict[str, list[float]], house: House, attempts: dict[str, tuple[str, Secret]], visit: Visit
) -> None:
    """Interleaved, so that a busy machine disturbs all of them alike."""
    for _ in range(ROUNDS):
        for kind, (email, typed) in attempts.items():
            before = time.perf_counter()
            assert await house.attempt(typed, email=email, visit=visit) == Refused()
            times[kind].append(time.perf_counter() - before)


async def test_a_flood_of_logins_is_answered_and_leaves_the_loop_awake(sqlite_url: str) -> None:
    """Busy for whom there is no room; nobody waits for minutes, and everybody else's requests go on."""
    async with opened(sqlite_url) as db:
        house = House(db, options=UNLIMITED, hashing=UserOptions(threads=2, queue=8))
        await house.open()
        await house.ada()
        emails = [f"u{n}@example.com" for n in range(150)]
        flood = asyncio.gather(*(house.attempt(WRONG, email=email) for email in emails), return_exceptions=True)
        held: list[float] = []
        while not flood.done():
            before = time.thread_time()  # what the loop's own thread does meanwhile, however busy the machine is
            await asyncio.sleep(0.005)
            held.append(time.thread_time() - before)
        kinds = [type(answer) for answer in await flood]
        assert set(kinds) == {Refused, Busy} and kinds.count(Refused) >= 10
        assert median(held) < 0.01  # less than half a hash
