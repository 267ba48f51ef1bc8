"""The one place where a password is checked — DESIGN §4; store §2, rule 3; sessions-and-accounts A5, A6, A12, S3."""

import asyncio

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bridge.clock import SystemClock, chance
from bridge.errors import Busy, Unavailable
from bridge.login.options import LoginOptions
from bridge.login.outcome import (
    LoggedIn,
    Refused,
    SecondFactorElsewhere,
    SecondFactorNeeded,
    TooMany,
    Unreachable,
)
from bridge.secret import Secret
from bridge.sessions.birth import Born
from bridge.sessions.judge import Alive, Dead
from bridge.sessions.sessions import Stale
from bridge.stores.batch import Item
from bridge.stores.redis import RedisStore
from bridge.stores.url import guard_on, open_store
from bridge.testing.user_backend_suite import HOSTILE
from bridge.types import Visit
from tests.databases import opened
from tests.login.house import BROWSER, EMAIL, IP, NEW, PASSWORD, PORTAL, WRONG, House, born
from tests.stores.servers import patient
from tests.users.scripted import ELSEWHERE_URL, ScriptedUsers


async def test_a_right_password_makes_the_session_that_was_wished_for(house: House) -> None:
    user = await house.ada()
    outcome = await house.attempt()
    session = born(outcome)
    assert isinstance(outcome, LoggedIn) and outcome.user == user
    assert (session.record.kind, session.record.amr, session.record.stamp) == ("op", ("pwd",), user.stamp)
    assert session.child is not None
    assert isinstance(await house.alive(session.token), Alive)
    assert house.arrivals.noted == [(user.id, IP)]
    assert house.heard.told("login.ok", "login.fail") == [("login.ok", "")]


async def test_the_legacy_door_gets_a_legacy_session(house: House) -> None:
    await house.ada()
    session = born(await house.attempt(visit=PORTAL))
    assert (session.record.kind, session.child) == ("legacy", None)
    assert await house.alive(session.token) == Dead("wrong-place", session.record)  # a portal is not the person (§2)


async def test_whoever_only_asks_gets_no_session(house: House) -> None:
    user = await house.ada()
    assert await house.login.attempt(EMAIL, PASSWORD, wish=None, visit=PORTAL) == LoggedIn(user, None)
    assert house.heard.told("session.created") == [] and house.arrivals.noted == []


async def test_every_login_makes_another_token(house: House) -> None:
    await house.ada()
    tokens = [born(await house.attempt()).token.sid for _ in range(3)]
    assert len(set(tokens)) == 3


@pytest.mark.parametrize(
    "kind", ["wrong", "unknown", "no address", "disabled", "no password", "elsewhere", "nul", "long"]
)
async def test_a5_every_refusal_is_one_answer_at_one_price(house: House, kind: str) -> None:
    user = await house.ada()
    await house.users.create(email="bare@example.com")
    await house.users.create(email="far@example.com", password=PASSWORD, authority="whmcs")
    former = await house.ada(email="former@example.com")
    await house.users.disable(former.id)
    email, typed, reason, concerned = {
        "wrong": (EMAIL, WRONG, "wrong", user.id),
        "unknown": ("nobody@example.com", PASSWORD, "unknown", None),
        "no address": ("nobody", PASSWORD, "unknown", None),
        "disabled": ("former@example.com", PASSWORD, "disabled", former.id),
        "no password": ("bare@example.com", PASSWORD, "no-password", 2),
        "elsewhere": ("far@example.com", PASSWORD, "elsewhere", 3),
        "nul": (EMAIL, Secret("correct horse battery\x00"), "wrong", user.id),
        "long": (EMAIL, Secret("x" * 100_000), "wrong", user.id),
    }[kind]
    for visit in (BROWSER, PORTAL):
        house.hashes.clear()
        house.heard.events.clear()
        assert await house.attempt(typed, email=email, visit=visit) == Refused()
        assert house.hashes == {"argon2": 1}
        assert house.heard.told("login.ok", "login.fail") == [("login.fail", reason)]
        assert house.heard.events[-1].user == concerned


async def test_a12_no_event_holds_a_password(house: House) -> None:
    await house.ada()
    for typed in (PASSWORD, WRONG):
        await house.attempt(typed)
    assert "horse" not in repr(house.heard.events)


async def test_a5_no_answer_comes_before_the_floor(sqlite_url: str) -> None:
    async with opened(sqlite_url) as db:
        house = House(db, options=LoginOptions(floor_ms=150))
        await house.open()
        await house.ada()
        for typed in (PASSWORD, WRONG):
            await house.attempt(typed)
        assert house.pauses == [0.15, 0.15]
        house.login._floor = 0.0
        await house.attempt(WRONG)
        assert len(house.pauses) == 2


# --- rule 3: one row, before the check


async def test_a_password_that_changed_after_its_check_is_checked_again(house: House) -> None:
    user = await house.ada()
    born(await house.attempt())

    async def change() -> None:
        changed = await house.users.set_password(await house.row(user), NEW)
        assert changed is not None
        await house.sessions.publish_stamp(changed.id, changed.tag)

    house.backend.then, house.backend.checks = change, 0
    assert await house.attempt(PASSWORD) == Refused()
    assert house.backend.checks == 2


async def test_it_is_checked_again_also_when_the_store_was_not_told_yet(house: House) -> None:
    """The first login finds no stamp in the store: what it publishes is SQL's, not its own row's."""
    user = await house.ada()

    async def change() -> None:
        await house.users.set_password(await house.row(user), NEW)

    house.backend.then = change
    assert await house.attempt(PASSWORD) == Refused()
    assert house.heard.told("session.created") == []


async def test_somebody_disabled_after_the_check_does_not_get_in(house: House) -> None:
    user = await house.ada()
    house.backend.then = lambda: house.users.disable(user.id)
    assert await house.attempt(PASSWORD) == Refused()


async def test_a_second_factor_set_after_the_check_is_owed(house: House) -> None:
    user = await house.ada()
    house.backend.then = lambda: house.set_totp(user)
    assert isinstance(await house.attempt(PASSWORD), SecondFactorNeeded)


async def test_an_end_of_all_sessions_during_the_check_lets_the_right_password_in_again(house: House) -> None:
    user = await house.ada()
    house.backend.then, house.backend.checks = lambda: house.sessions.end_all(user.id, user.tag, "user"), 0
    session = born(await house.attempt(PASSWORD))
    assert house.backend.checks == 2 and session.record.stamp == (await house.row(user)).stamp
    assert isinstance(await house.alive(session.token), Alive)


async def test_the_same_stamp_is_committed_again_without_another_check(house: House) -> None:
    """The store had lost the stamp (or never had it): SQL says that nothing changed."""
    await house.ada()
    house.hashes.clear()
    born(await house.attempt())
    assert house.backend.checks == 1 and house.hashes == {"argon2": 1}


async def test_who_always_loses_is_told_to_come_back(house: House) -> None:
    user = await house.ada()

    async def again() -> None:
        await house.sessions.end_all(user.id, user.tag, "user")
        house.backend.then = again

    house.backend.then = again
    with pytest.raises(Unavailable, match="contended"):
        await house.attempt()


async def test_who_cannot_write_to_the_store_is_told_to_come_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.ada()
    monkeypatch.setattr(house.sessions, "start", _always_late)
    with pytest.raises(Unavailable, match="contended"):
        await house.attempt()
    assert house.backend.checks == 1  # nothing changed, so nothing was checked again


async def _always_late(*arguments: object, **more: object) -> Stale:
    return Stale()


# --- over a session that is there already


async def test_s3_a_login_over_the_same_persons_session_turns_it(house: House) -> None:
    await house.ada()
    first = born(await house.attempt())
    second = born(await house.attempt(over=first.alive(house.codec)))
    assert second.record.id == first.record.id and second.token.sid != first.token.sid
    assert await house.alive(first.token) == Dead("rotated")
    assert isinstance(await house.alive(second.token), Alive)


async def test_a_login_over_another_persons_session_ends_it(house: House) -> None:
    await house.ada()
    await house.ada(email="bob@example.com")
    hers = born(await house.attempt())
    his = born(await house.attempt(email="bob@example.com", over=hers.alive(house.codec)))
    assert his.record.id != hers.record.id
    assert isinstance(await house.alive(hers.token), Dead)
    assert isinstance(await house.alive(his.token), Alive)


async def test_a_login_over_a_session_that_ended_meanwhile_makes_a_new_one(house: House) -> None:
    user = await house.ada()
    first = born(await house.attempt())
    over = first.alive(house.codec)
    await house.sessions.end(user.id, user.tag, first.record.id, "administrator")
    second = born(await house.attempt(over=over))
    assert second.record.id != first.record.id
    assert isinstance(await house.alive(second.token), Alive)
    assert isinstance(await house.alive(first.token), Dead)


# --- authorities elsewhere


def scripted(*, elsewhere: str = "") -> ScriptedUsers:
    return ScriptedUsers(PASSWORD.reveal(), [EMAIL], elsewhere=elsewhere)


async def test_a_second_factor_elsewhere_is_a_place_to_go_to(sqlite_url: str) -> None:
    async with opened(sqlite_url) as db:
        house = House(db, backend=scripted(elsewhere=EMAIL))
        assert await house.attempt() == SecondFactorElsewhere(ELSEWHERE_URL)
        assert await house.attempt(WRONG) == Refused()
        assert house.heard.told("session.created") == []


async def test_an_authority_out_of_reach_is_no_wrong_password_and_costs_no_attempt(sqlite_url: str) -> None:
    async with opened(sqlite_url) as db:
        backend = scripted()
        house = House(db, backend=backend)
        backend.reachable = False
        assert [await house.attempt(WRONG) for _ in range(30)] == [Unreachable()] * 30
        assert house.heard.told("login.fail", "login.blocked") == []
        assert house.heard.told("upstream.down") == [("upstream.down", "scripted")] * 30
        backend.reachable = True
        assert await house.attempt(WRONG) == Refused()


@pytest.mark.parametrize("error", [Busy("hashes"), Unavailable("database")])
async def test_our_own_trouble_costs_no_attempt_either(house: House, error: Exception) -> None:
    await house.ada()

    async def fail() -> None:
        raise error

    for _ in range(30):
        house.backend.then = fail
        with pytest.raises(type(error)):
            await house.attempt(WRONG)
    assert isinstance(born(await house.attempt()), Born)


# --- again: is it still him?


async def test_a_password_is_confirmed_without_a_new_session(house: House) -> None:
    user = await house.ada(totp=True)
    assert await house.login.confirm_password(user, PASSWORD, BROWSER) == LoggedIn(user, None)
    assert await house.login.confirm_password(user, WRONG, BROWSER) == Refused()
    await house.users.disable(user.id)
    assert await house.login.confirm_password(user, PASSWORD, BROWSER) == Refused()
    assert house.heard.told("session.created") == []


async def test_a_confirmation_counts_like_any_other_guess(house: House) -> None:
    user = await house.ada()
    for _ in range(5):
        assert await house.login.confirm_password(user, WRONG, BROWSER) == Refused()
    assert isinstance(await house.login.confirm_password(user, PASSWORD, BROWSER), TooMany)


async def test_a_confirmation_is_of_this_user_and_no_other(house: House) -> None:
    user = await house.ada()
    impostor = replace(user, id=type(user.id)(99))
    assert await house.login.confirm_password(impostor, PASSWORD, BROWSER) == Refused()


# --- hostile input


async def test_nothing_that_is_typed_is_an_error(house: House) -> None:
    await house.ada()
    for number, typed in enumerate(HOSTILE):
        visit = Visit("pages", device=typed[:1000], user_agent=typed[:1000])
        assert await house.attempt(Secret(typed), email=f"{number}{typed}", visit=visit) == Refused()
        house.clock.move(60)
        outcome = await house.attempt(Secret(typed), visit=visit)
        assert isinstance(outcome, Refused | TooMany)


@settings(max_examples=60)
@given(email=st.text(max_size=400), typed=st.one_of(st.text(max_size=1100), st.binary(max_size=1100)))
async def test_no_address_and_no_password_raises(house: House, email: str, typed: str | bytes) -> None:
    for visit in (Visit("pages"), Visit("legacy", caller=email)):
        outcome = await house.attempt(Secret(typed), email=email, visit=visit)
        assert isinstance(outcome, Refused | TooMany)


# --- many at once


async def test_fifty_logins_at_once_all_get_in(racing: House) -> None:
    await racing.ada()
    outcomes = await asyncio.gather(*(racing.attempt() for _ in range(50)))
    sessions = [born(outcome) for outcome in outcomes]
    assert len({session.token.sid for session in sessions}) == 50


async def test_a_password_change_amid_fifty_logins_leaves_no_session_of_the_old_one(racing: House) -> None:
    user = await racing.ada()

    async def change() -> None:
        changed = await racing.users.set_password(await racing.row(user), NEW)
        assert changed is not None
        await racing.sessions.publish_stamp(changed.id, changed.tag)

    logins = [racing.attempt(PASSWORD, visit=msgspec.structs.replace(BROWSER, ip=None)) for _ in range(25)]
    outcomes = await asyncio.gather(*logins[:12], change(), *logins[12:])
    alive = [
        isinstance(await racing.alive(outcome.born.token), Alive)
        for outcome in outcomes
        if isinstance(outcome, LoggedIn) and outcome.born is not None
    ]
    assert not any(alive)
    assert {type(outcome) for outcome in outcomes} <= {LoggedIn, Refused, TooMany, type(None)}


async def test_a_portals_login_is_three_writes_to_the_store(
    sqlite_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SystemClock()
    store = patient(open_store(redis_url, clock=clock))
    assert isinstance(store, RedisStore)
    await store.open()
    async with opened(sqlite_url) as db:
        issuer = f"https://{chance(8).hex()}.example.com"
        house = House(db, store=store, guard=guard_on(store, clock=clock), issuer=issuer)
        await house.open()
        await house.ada()
        born(await house.attempt(visit=PORTAL))  # the first publishes the stamp
        writes, deliver = list[int](), store._deliver

        async def noted(items: list[Item]) -> None:
            writes.append(len(items))
            await deliver(items)

        monkeypatch.setattr(store, "_deliver", noted)
        born(await house.attempt(visit=PORTAL))
        # the guard; the session, the refund and what failed before; whether he has too many sessions
        assert writes == [1, 3, 1]
        assert not isinstance(await house.attempt(WRONG, visit=PORTAL), LoggedIn)
    await store.close()
