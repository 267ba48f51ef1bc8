"""How often somebody may guess — sessions-and-accounts A4, §8.1; security §23."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from ipaddress import ip_address
from typing import Any

import pytest
from msgspec.structs import replace

from bridge.errors import ConfigError
from bridge.login.options import LoginOptions
from bridge.login.outcome import LoggedIn, Outcome, Refused, TooMany
from bridge.stores.guard import MemoryGuard, Window
from bridge.types import IPAddress, Visit
from tests.databases import opened
from tests.login.house import BROWSER, EMAIL, PORTAL, WRONG, House
from tests.patience import until


def at(address: str) -> IPAddress:
    return ip_address(address)


def browser(address: str | None = None, device: str | None = None) -> Visit:
    return replace(BROWSER, ip=at(address) if address else None, device=device)


def portal(address: str | None = None, caller: str = "portal") -> Visit:
    return replace(PORTAL, ip=at(address) if address else None, caller=caller)


async def guesses(house: House, count: int, visit: Visit, email: str = EMAIL) -> list[str]:
    """What comes of so many wrong passwords."""
    return [type(await house.attempt(WRONG, visit=visit, email=email)).__name__ for _ in range(count)]


async def gets_in(house: House, visit: Visit, email: str = EMAIL) -> bool:
    return isinstance(await house.attempt(visit=visit, email=email), LoggedIn)


@pytest.fixture
async def tight(sqlite_url: str) -> AsyncIterator[House]:
    """Only the windows of addresses bind."""
    options = LoginOptions(
        floor_ms=0,
        address_per_minute=3,
        address_per_hour=6,
        network_per_hour=8,
        account_per_5_minutes=99,
        account_per_hour=99,
    )
    async with opened(sqlite_url) as db:
        house = House(db, options=options)
        await house.open()
        yield house


async def test_five_wrong_passwords_close_an_account_to_unknown_browsers_for_a_while(house: House) -> None:
    await house.ada()
    assert await guesses(house, 7, browser()) == ["Refused"] * 5 + ["TooMany"] * 2
    outcome = await house.attempt(visit=browser("198.51.100.1"))
    assert isinstance(outcome, TooMany) and 0 < outcome.retry_after <= 300
    assert house.heard.told("login.blocked")[-1] == ("login.blocked", "throttled")
    house.clock.move(600)
    assert await gets_in(house, browser())


async def test_twenty_within_an_hour_close_it_for_longer(house: House) -> None:
    await house.ada()
    answers: list[str] = []
    for _ in range(8):
        answers += await guesses(house, 5, browser())
        house.clock.move(600)
    assert answers.count("Refused") <= 20 + 5  # a sliding window of two slots
    assert answers[:20] == ["Refused"] * 20


async def test_a4_never_more_than_a_hundred_failures_in_a_row_without_a_pause(house: House) -> None:
    await house.ada()
    for visit in (browser(), portal()):
        answers = await guesses(house, 150, visit)
        assert answers.count("Refused") <= 100


async def test_an_unknown_account_closes_in_the_same_way(house: House) -> None:
    await house.ada()
    for email in ("nobody@example.com", "no address", EMAIL):
        assert await guesses(house, 7, browser(), email) == ["Refused"] * 5 + ["TooMany"] * 2


async def test_the_spellings_of_an_address_are_one_account(house: House) -> None:
    await house.ada()
    for spelled in (EMAIL, EMAIL.lower(), EMAIL.upper(), f" {EMAIL} ", "ａda@example.com"):
        await guesses(house, 1, browser(), spelled)
    assert await guesses(house, 1, browser()) == ["TooMany"]


async def test_right_passwords_never_count(house: House) -> None:
    await house.ada()
    for _ in range(30):
        assert await gets_in(house, BROWSER)
        assert await gets_in(house, PORTAL)
    assert await guesses(house, 6, browser()) == ["Refused"] * 5 + ["TooMany"]


async def test_a_password_that_was_right_when_it_was_checked_is_no_guess_whatever_came_between(house: House) -> None:
    user = await house.ada()
    assert await gets_in(house, browser())

    async def disable() -> None:
        await house.users.disable(user.id)
        await house.sessions.publish_stamp(user.id, user.tag)

    for _ in range(7):
        house.backend.then = disable
        assert await house.attempt(visit=browser()) == Refused()
        await house.users.enable(user.id)
        await house.sessions.publish_stamp(user.id, user.tag)
    assert await guesses(house, 6, browser()) == ["Refused"] * 5 + ["TooMany"]


async def test_a_closed_account_costs_no_hash(house: House) -> None:
    await house.ada()
    await guesses(house, 5, browser())
    house.hashes.clear()
    assert await guesses(house, 20, browser()) == ["TooMany"] * 20
    assert house.hashes.total() == 0


# --- the owner's own device


async def test_a_browser_that_signed_in_before_has_attempts_of_its_own(house: House) -> None:
    await house.ada()
    mark = house.devices.mark(EMAIL)
    await guesses(house, 9, browser("198.51.100.1"))
    assert not await gets_in(house, browser())
    assert await gets_in(house, browser(device=mark))
    assert await guesses(house, 6, browser(device=mark)) == ["Refused"] * 5 + ["TooMany"]
    assert await gets_in(house, browser(device=house.devices.mark(EMAIL)))  # another of hers


async def test_a_mark_for_one_account_is_nothing_at_another(house: House) -> None:
    await house.ada()
    await guesses(house, 5, browser())
    for mark in (house.devices.mark("mallory@example.com"), "", "1.k1.1.x.y", house.devices.mark(EMAIL) + "0"):
        assert not await gets_in(house, browser(device=mark))


async def test_a_mark_fades(house: House) -> None:
    await house.ada()
    mark = house.devices.mark(EMAIL)
    house.clock.move(house.devices.seconds + 1)
    assert house.devices.device(mark, EMAIL) is None
    house.clock.move(-2)
    assert house.devices.device(mark, EMAIL) is not None
    house.clock.move(-house.devices.seconds - 60)
    assert house.devices.device(mark, EMAIL) is None  # from the future


async def test_marks_are_sealed(house: House) -> None:
    mark = house.devices.mark(EMAIL)
    device = house.devices.device(mark, EMAIL.upper())
    assert device is not None and EMAIL not in mark
    for position in range(len(mark)):
        other = "0" if mark[position] != "0" else "1"
        assert house.devices.device(mark[:position] + other + mark[position + 1 :], EMAIL) is None


# --- addresses


async def test_one_address_may_not_try_many_accounts(tight: House) -> None:
    visit = browser("192.0.2.1")
    assert await guesses(tight, 4, visit) == ["Refused"] * 3 + ["TooMany"]
    assert isinstance(await tight.attempt(visit=visit, email="other@example.com"), TooMany)
    assert await guesses(tight, 1, browser("192.0.2.2")) == ["Refused"]


async def test_one_network_may_not_either(tight: House) -> None:
    answers = [(await guesses(tight, 1, browser(f"192.0.2.{n}")))[0] for n in range(1, 11)]
    assert answers == ["Refused"] * 8 + ["TooMany"] * 2
    assert await guesses(tight, 1, browser("192.0.3.1")) == ["Refused"]


async def test_an_ipv6_network_is_one_address(tight: House) -> None:
    answers = [(await guesses(tight, 1, browser(f"2001:db8:0:1::{n:x}")))[0] for n in range(1, 5)]
    assert answers == ["Refused"] * 3 + ["TooMany"]
    assert await guesses(tight, 1, browser("2001:db8:0:2::1")) == ["Refused"]


async def test_many_ipv6_networks_of_one_site_are_one_network(tight: House) -> None:
    answers = [(await guesses(tight, 1, browser(f"2001:db8:1:{n:x}::1")))[0] for n in range(1, 11)]
    assert answers == ["Refused"] * 8 + ["TooMany"] * 2
    assert await guesses(tight, 1, browser("2001:db8:2:1::1")) == ["Refused"]


# --- the legacy door: the limiter is not a weapon


async def test_s23_the_callers_own_address_is_never_a_key(tight: House) -> None:
    """A portal without `clientip`: all its users come from nowhere."""
    await tight.ada()
    accounts = [f"u{n}@example.com" for n in range(30)]
    assert [(await guesses(tight, 1, portal(), email))[0] for email in accounts] == ["Refused"] * 30


async def test_s23_guesses_through_one_network_leave_the_account_open_elsewhere(house: House) -> None:
    await house.ada()
    assert await guesses(house, 7, portal("198.51.100.1")) == ["Refused"] * 5 + ["TooMany"] * 2
    assert not await gets_in(house, portal("198.51.100.99"))
    for visit in (portal("203.0.113.1"), portal(), portal("198.51.100.1", "another portal"), browser("198.51.100.1")):
        assert await gets_in(house, visit), visit


async def test_s23_guesses_from_browsers_leave_the_account_open_to_portals(house: House) -> None:
    await house.ada()
    await guesses(house, 9, browser())
    assert await gets_in(house, portal("192.0.2.7")) and await gets_in(house, portal())


async def test_s23_a_client_address_only_adds_a_window(tight: House) -> None:
    await tight.ada()
    visit = portal("198.51.100.1")
    assert await guesses(tight, 4, visit) == ["Refused"] * 3 + ["TooMany"]
    assert isinstance(await tight.attempt(visit=visit, email="other@example.com"), TooMany)
    for elsewhere in (
        portal("198.51.100.1", "another portal"),
        browser("198.51.100.1"),
    ):  # no credential blocks it there
        assert await gets_in(tight, elsewhere)


async def test_s23_beyond_the_cap_an_account_is_slow_and_not_closed(sqlite_url: str) -> None:
    async with opened(sqlite_url) as db:
        house = House(db, options=LoginOptions(floor_ms=0, legacy_account_per_hour=10, legacy_delay=2))
        await house.open()
        await house.ada()
        for n in range(20):
            assert await guesses(house, 1, portal(f"10.{n}.0.1")) == ["Refused"]
        assert house.pauses == [2] * 10
        assert await gets_in(house, portal("203.0.113.1"))
        assert house.pauses == [2] * 11
        assert await gets_in(house, browser())


class Slow(House):
    """Its pauses last until they are allowed to end."""

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self.allowed = asyncio.Event()

    async def _pause(self, seconds: float) -> None:
        await super()._pause(seconds)
        await self.allowed.wait()


@pytest.fixture
async def slow(sqlite_url: str) -> AsyncIterator[Slow]:
    """The cap of Ada's account has been reached."""
    async with opened(sqlite_url) as db:
        house = Slow(db, options=LoginOptions(floor_ms=0, legacy_account_per_hour=10, legacy_delay=2))
        await house.open()
        await house.ada()
        for n in range(10):
            assert await guesses(house, 1, portal(f"10.{n}.0.1")) == ["Refused"]
        yield house


async def test_s23_beyond_the_cap_fifty_at_once_stand_in_one_line(slow: Slow) -> None:
    tasks = [asyncio.create_task(slow.attempt(WRONG, visit=portal(f"10.{n}.1.1"))) for n in range(50)]
    await until(lambda: slow.pauses and sum(task.done() for task in tasks) >= 29)
    await asyncio.sleep(0.05)
    refused = [task.result() for task in tasks if task.done()]
    assert slow.pauses == [2], "one at a time"
    assert len(refused) == 29 and all(isinstance(each, TooMany) and each.retry_after >= 40 for each in refused)
    other = asyncio.create_task(slow.attempt(WRONG, visit=portal("10.99.1.1"), email="other@example.com"))
    assert isinstance(await other, Refused), "the line is one account's"
    slow.allowed.set()
    outcomes = await asyncio.gather(*tasks)
    assert outcomes.count(Refused()) == 21 and slow.pauses == [2] * 21
    assert await gets_in(slow, portal("203.0.113.1"))
    throttle = slow.login._throttle
    assert not throttle._lines._lines and not throttle._under_way._active


async def test_who_hangs_up_leaves_the_line(slow: Slow) -> None:
    tasks = [asyncio.create_task(slow.attempt(WRONG, visit=portal(f"10.{n}.1.1"))) for n in range(21)]
    await until(lambda: slow.pauses)
    for task in tasks:
        task.cancel()
    assert all(
        isinstance(each, asyncio.CancelledError) for each in await asyncio.gather(*tasks, return_exceptions=True)
    )
    throttle = slow.login._throttle
    assert not throttle._lines._lines and not throttle._under_way._active
    slow.allowed.set()
    assert await gets_in(slow, portal("203.0.113.1"))


async def test_a_right_password_gives_the_cap_back(sqlite_url: str) -> None:
    async with opened(sqlite_url) as db:
        house = House(db, options=LoginOptions(floor_ms=0, legacy_account_per_hour=3))
        await house.open()
        await house.ada()
        assert all([await gets_in(house, PORTAL) for _ in range(10)])
        assert house.pauses == []


async def test_in_an_attack_on_everybody_only_unknown_browsers_stay_outside(sqlite_url: str) -> None:
    async with opened(sqlite_url) as db:
        house = House(db, options=LoginOptions(floor_ms=0, unknown_browsers_per_minute=10))
        await house.open()
        await house.ada()
        answers = [(await guesses(house, 1, browser(f"10.{n}.0.1"), f"u{n}@example.com"))[0] for n in range(12)]
        assert answers == ["Refused"] * 10 + ["TooMany"] * 2
        assert not await gets_in(house, browser("203.0.113.1"))
        assert await gets_in(house, browser("203.0.113.1", device=house.devices.mark(EMAIL)))
        assert await gets_in(house, PORTAL)


# --- what the store learns


async def test_counters_name_nobody(house: House) -> None:
    keys: list[str] = []

    class Listening(MemoryGuard):
        async def admit(self, windows: Sequence[Window], cap: Window | None = None) -> float:
            keys.extend(window.key for window in (*windows, *([cap] if cap else [])))
            return 0.0

    house.login._throttle._guard = Listening(house.clock)
    await house.attempt(WRONG)
    await house.attempt(WRONG, visit=PORTAL)
    assert keys and all(key.startswith(f"{house.names.prefix}rl:") for key in keys)
    assert not [key for key in keys if "ada" in key.lower() or "192" in key or "portal" in key]


# --- many at once


async def test_fifty_parallel_guesses_never_exceed_the_window(racing: House) -> None:
    await racing.ada()
    outcomes = await asyncio.gather(*(racing.attempt(WRONG, visit=browser()) for _ in range(50)))
    kinds = [type(outcome).__name__ for outcome in outcomes]
    assert (kinds.count("Refused"), kinds.count("TooMany")) == (5, 45)
    assert isinstance(await racing.attempt(visit=browser()), TooMany)


async def test_fifty_right_and_fifty_wrong_at_once_the_right_ones_are_not_punished(racing: House) -> None:
    """Through a window that the wrong ones do not share: two portals."""
    await racing.ada()
    right = [racing.attempt(visit=portal("192.0.2.1")) for _ in range(50)]
    wrong = [racing.attempt(WRONG, visit=portal("198.51.100.1")) for _ in range(50)]
    outcomes: list[Outcome] = await asyncio.gather(*(each for pair in zip(right, wrong, strict=True) for each in pair))
    assert all(isinstance(outcome, LoggedIn) for outcome in outcomes[::2])
    assert [outcome for outcome in outcomes[1::2] if isinstance(outcome, Refused)] == [Refused()] * 5


async def test_who_hangs_up_has_guessed_all_the_same(house: House) -> None:
    await house.ada()

    hanging = asyncio.Event()

    async def hang() -> None:
        hanging.set()
        await asyncio.sleep(60)

    for _ in range(5):
        house.backend.then = hang
        guess = asyncio.create_task(house.attempt(WRONG, visit=browser()))
        await until(hanging.is_set)
        hanging.clear()
        guess.cancel()
        with pytest.raises(asyncio.CancelledError):
            await guess
    assert await guesses(house, 1, browser()) == ["TooMany"]


def test_windows_are_told_apart_by_what_they_count() -> None:
    assert Window("a", 1, 60) != Window("b", 1, 60)


@pytest.mark.parametrize(
    "wrong", [{"account_per_hour": 0}, {"code_skew": 2}, {"pending_seconds": 10}, {"floor_ms": -1}]
)
def test_settings_that_cannot_be_used_are_named(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        LoginOptions(**wrong)  # type: ignore[arg-type]
