"""The owner is told of a sign-in that may not be his: of these, as often as this, and of no others — A9."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

import pytest

from bridge.errors import Unavailable
from bridge.login.options import LoginOptions
from bridge.login.outcome import LoggedIn, SecondFactorNeeded, TooMany
from bridge.sessions.judge import Alive
from bridge.stores.guard import MemoryGuard, Window
from bridge.testing.hands import Hands
from bridge.types import IPAddress, UserId, Visit
from bridge.users.user import User
from tests.databases import opened
from tests.login.house import BROWSER, EMAIL, IP, PASSWORD, PORTAL, WRONG, House, born

GENEROUS = LoginOptions(
    floor_ms=0,
    many_failures=4,
    notices_per_day=3,
    account_per_5_minutes=1_000,
    account_per_hour=1_000,
    address_per_minute=1_000,
    address_per_hour=1_000,
    network_per_hour=1_000,
    codes_per_5_minutes=1_000,
    codes_per_hour=1_000,
)


@pytest.fixture
async def house(sqlite_url: str) -> AsyncIterator[House]:
    async with opened(sqlite_url) as db:
        house = House(db, options=GENEROUS)
        await house.open()
        yield house


async def ada_of_old(house: House, *, totp: bool = False, email: str = EMAIL) -> User:
    """Somebody who has signed in before."""
    user = await house.ada(totp=totp, email=email)
    await house.users.write_logins([(user.id, int(house.clock.now()) - 5, str(IP))])
    return user


def known(house: House, email: str = EMAIL) -> Visit:
    return Visit("pages", ip=IP, user_agent="Firefox", device=house.devices.mark(email))


async def fail(house: House, times: int, *, visit: Visit = BROWSER, email: str = EMAIL) -> None:
    for _ in range(times):
        await house.attempt(WRONG, visit=visit, email=email)


# --- a device that is not known


async def test_the_owner_is_told_of_a_browser_without_a_mark_and_of_none_that_has_one(house: House) -> None:
    ada = await ada_of_old(house)
    await house.attempt(visit=known(house))
    assert house.letters.left == []
    linux = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    await house.attempt(visit=Visit("pages", ip=IP, user_agent=linux, language="en"))
    ((purpose, user, facts),) = house.letters.left
    assert (purpose, user) == ("new-device", ada.id)
    assert facts == {"at": str(int(house.clock.now())), "ip": str(IP), "device": "Firefox · Linux", "language": "en"}


@pytest.mark.parametrize("mark", ["", "x", "somebody else's", "forged", "old"])
async def test_a_mark_that_is_not_good_is_none(house: House, mark: str) -> None:
    await ada_of_old(house)
    good = house.devices.mark(EMAIL)
    shown = {
        "somebody else's": house.devices.mark("mallory@example.com"),
        "forged": good[:-1] + ("0" if good[-1] != "0" else "1"),
        "old": good,
    }.get(mark, mark)
    if mark == "old":
        house.clock.move(house.devices.seconds)
    await house.attempt(visit=Visit("pages", ip=IP, device=shown))
    assert house.letters.purposes == ["new-device"]


async def test_the_first_sign_in_of_all_is_no_news(house: House) -> None:
    user = await house.ada()
    await house.attempt()
    assert house.letters.left == []
    await house.users.write_logins([(user.id, int(house.clock.now()), None)])
    await house.attempt()
    assert house.letters.purposes == ["new-device"]


async def test_a_browser_that_is_signed_in_as_him_is_known(house: House) -> None:
    """He is asked again, and his browser has lost the mark."""
    await ada_of_old(house)
    await ada_of_old(house, email="bob@example.com")
    over = await house.alive(born(await house.attempt(visit=known(house))).token)
    assert isinstance(over, Alive)
    await house.attempt(over=over)
    assert house.letters.left == []
    await house.attempt(email="bob@example.com", over=over)
    assert house.letters.purposes == ["new-device"], "known as another's is not known as his"


async def test_a_portal_has_no_device_to_be_known_by(house: House) -> None:
    await ada_of_old(house)
    await house.attempt(visit=PORTAL)
    assert house.letters.left == []


async def test_nobody_hears_of_a_password_without_its_code(house: House) -> None:
    await ada_of_old(house, totp=True)
    pending = await house.pending()
    assert house.letters.left == []
    assert isinstance(await house.finish(pending, house.code()), LoggedIn)
    assert house.letters.purposes == ["new-device"]
    house.clock.move(30)
    known_visit = known(house)
    outcome = await house.attempt(visit=known_visit)
    assert isinstance(outcome, SecondFactorNeeded) and outcome.pending is not None
    await house.finish(outcome.pending, house.code(), visit=known_visit)
    assert house.letters.purposes == ["new-device"]


# --- many failures, then success


@pytest.mark.parametrize("visit", [BROWSER, PORTAL], ids=["pages", "legacy"])
async def test_many_failures_then_a_success_are_told_once(house: House, visit: Visit) -> None:
    await house.ada()
    await fail(house, 3, visit=visit)
    await house.attempt(visit=visit)
    assert house.letters.left == [], "three are not many"
    await fail(house, 1, visit=visit)
    await house.attempt(visit=visit)
    ((purpose, _, facts),) = house.letters.left
    assert (purpose, facts["failures"]) == ("many-failures", "4")
    await house.attempt(visit=visit)
    await fail(house, 3, visit=visit)
    await house.attempt(visit=visit)
    assert len(house.letters.left) == 1, "of those he was told"


async def test_failures_at_every_door_are_one_count(house: House) -> None:
    """The owner's own browser hears of what was tried elsewhere, and the graver letter is the only one."""
    await ada_of_old(house)
    await fail(house, 2, visit=PORTAL)
    await fail(house, 1, visit=known(house))
    await fail(house, 1)
    await house.attempt()
    assert house.letters.purposes == ["many-failures"]


async def test_a_success_that_makes_no_session_is_one(house: House) -> None:
    await house.ada()
    await fail(house, 4, visit=PORTAL)
    await house.login.attempt(EMAIL, PASSWORD, wish=None, visit=PORTAL)
    assert house.letters.purposes == ["many-failures"]


async def test_wrong_codes_count_and_the_code_is_the_success(house: House) -> None:
    await house.ada(totp=True)
    await fail(house, 1)
    pending = await house.pending()
    for _ in range(3):
        await house.finish(pending, house.wrong_code())
    assert house.letters.left == []
    await house.finish(pending, house.code())
    assert [(purpose, facts["failures"]) for purpose, _, facts in house.letters.left] == [("many-failures", "4")]


async def test_what_fails_at_another_account_is_not_his(house: House) -> None:
    await house.ada()
    await house.ada(email="bob@example.com")
    await fail(house, 9, email="bob@example.com")
    await fail(house, 9, email="nobody@example.com")
    await house.attempt()
    assert house.letters.left == []


async def test_failures_fade_within_two_days(house: House) -> None:
    await house.ada()
    await fail(house, 4)
    house.clock.move(2 * 86_400)
    await house.attempt()
    assert house.letters.left == []


async def test_what_is_blocked_is_no_failure_of_his(house: House) -> None:
    """Nothing was checked: who is told to wait has not been wrong."""
    house = House(house.db, options=LoginOptions(floor_ms=0, many_failures=6))
    await house.open()
    await house.ada()
    await fail(house, 5)
    assert isinstance(await house.attempt(WRONG), TooMany)
    await house.attempt(visit=known(house))
    assert house.letters.left == []


# --- limits


async def test_so_many_letters_a_day_and_no_more(house: House) -> None:
    await ada_of_old(house)
    for _ in range(20):
        await house.attempt()
    assert house.letters.purposes == ["new-device"] * 3
    bob = await ada_of_old(house, email="bob@example.com")
    await house.attempt(email="bob@example.com")
    assert house.letters.left.pop()[1] == bob.id, "another's letters are not his"
    await fail(house, 4)
    for _ in range(20):
        await house.attempt()
    assert house.letters.purposes == ["new-device"] * 3 + ["many-failures"], "each kind has a limit of its own"
    house.clock.move(2 * 86_400)
    await house.attempt()
    assert house.letters.purposes[-1] == "new-device"


async def test_who_fails_to_use_up_one_kind_is_told_of_by_the_other(house: House) -> None:
    """An attacker makes the owner's own sign-ins tell of failures until the limit, then comes in himself."""
    await ada_of_old(house)
    for _ in range(4):
        await fail(house, 4)
        await house.attempt(visit=known(house))
    assert house.letters.purposes == ["many-failures"] * 3
    await fail(house, 4)
    await house.attempt()
    assert house.letters.purposes[-1] == "new-device"


async def test_of_fifty_at_once_no_more_letters_are_left_than_that(racing: House) -> None:
    user = await racing.ada()
    await racing.users.write_logins([(user.id, 5, None)])
    await asyncio.gather(*(racing.attempt() for _ in range(50)))
    assert racing.letters.purposes == ["new-device"] * racing.options.notices_per_day


async def test_none_at_all_where_the_operator_wants_none(house: House) -> None:
    house = House(house.db, options=LoginOptions(floor_ms=0, notices_per_day=0, many_failures=1))
    await house.open()
    await ada_of_old(house)
    await fail(house, 3)
    await house.attempt()
    assert house.letters.left == []


# --- what it costs, and what it must not break


class Listening(MemoryGuard):
    """Counts what is asked of it; may stop to answer what only the letters need."""

    def __init__(self) -> None:
        super().__init__(Hands())
        self.asked: list[str] = []
        self.down = False

    async def admit(self, windows: Sequence[Window], cap: Window | None = None) -> float:
        self.asked.append("admit")
        if self.down and len(windows) == 1:
            raise Unavailable("gone")
        return await super().admit(windows, cap)

    async def count(self, window: Window) -> int:
        self.asked.append("count")
        if self.down:
            raise Unavailable("gone")
        return await super().count(window)

    async def clear(self, key: str) -> None:
        if self.down:
            raise Unavailable("gone")
        await super().clear(key)


async def test_a5_a_failure_costs_the_same_whether_or_not_there_is_such_an_account(house: House) -> None:
    guard = Listening()
    house = House(house.db, guard=guard, options=GENEROUS)
    await house.open()
    await house.ada()
    asked = {}
    for email in (EMAIL, "nobody@example.com", "no address"):
        guard.asked.clear()
        await fail(house, 1, email=email)
        asked[email] = tuple(guard.asked)
    assert len(set(asked.values())) == 1, asked


async def test_counters_out_of_reach_let_everybody_in_and_the_letter_out(house: House) -> None:
    guard = Listening()
    house = House(house.db, guard=guard, options=GENEROUS)
    await house.open()
    await ada_of_old(house)
    guard.down = True
    await fail(house, 4)
    assert isinstance(await house.attempt(), LoggedIn)
    assert house.letters.purposes == ["new-device"]


async def test_told_though_its_count_cannot_be_forgotten(house: House) -> None:
    guard = Listening()
    house = House(house.db, guard=guard, options=GENEROUS)
    await house.open()
    await house.ada()
    await fail(house, 4)
    real = guard.count

    async def then_down(window: Window) -> int:
        counted = await real(window)
        guard.down = True
        return counted

    guard.count = then_down  # type: ignore[method-assign]
    assert isinstance(await house.attempt(), LoggedIn)
    assert house.letters.purposes == ["many-failures"]


async def test_the_letter_is_left_before_anybody_has_the_session(house: House) -> None:
    """Who stops us in between has nothing in his hands."""
    await ada_of_old(house)
    order: list[str] = []
    note, put = house.arrivals.note, house.letters.put

    def noted(user: UserId, ip: IPAddress | None) -> None:
        order.append("born")
        note(user, ip)

    async def left(purpose: str, user: UserId, payload: Mapping[str, str]) -> None:
        order.append("letter")
        await put(purpose, user, payload)

    house.arrivals.note, house.letters.put = noted, left  # type: ignore[method-assign]
    await house.attempt()
    order.append("answer")
    assert order == ["born", "letter", "answer"]


async def test_who_confirms_his_password_has_not_come_in(house: House) -> None:
    user = await ada_of_old(house)
    await fail(house, 4)
    assert isinstance(await house.login.confirm_password(user, PASSWORD, BROWSER), LoggedIn)
    assert house.letters.left == []
