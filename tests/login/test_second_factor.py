"""The second step — A7, store §2 "pending second factor / finish", security §7, §14, §5; RFC 6238."""

import asyncio
import base64
import hmac
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyotp import totp as authenticator
from sqlalchemy import text

from bridge.clock import chance
from bridge.errors import Unavailable
from bridge.login.options import LoginOptions
from bridge.login.outcome import LoggedIn, Outcome, Refused, SecondFactorNeeded, TooMany
from bridge.login.pending import Pending, pending_codec
from bridge.login.shown import Code, shown_by
from bridge.login.totp import step_of
from bridge.ring import MasterKey, Ring
from bridge.secret import Secret
from bridge.sessions.judge import Alive, Dead
from bridge.sessions.sealed import used
from bridge.stores.store import Put
from bridge.testing.user_backend_suite import HOSTILE
from bridge.tokens import LoginToken
from bridge.types import Key, Stamp, UserId
from tests.databases import opened
from tests.login.house import BROWSER, EMAIL, NEW, PASSWORD, PORTAL, TOTP, WRONG, House, born

# RFC 6238, appendix B, the SHA-1 column, cut to six digits.
RFC_SECRET = Secret("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")
RFC_6238 = [
    (59, "287082"),
    (1111111109, "081804"),
    (1111111111, "050471"),
    (1234567890, "005924"),
    (2000000000, "279037"),
    (20000000000, "353130"),
]


@pytest.mark.parametrize(("now", "code"), RFC_6238)
def test_codes_are_those_of_rfc_6238(now: int, code: str) -> None:
    assert step_of(RFC_SECRET, code, now=now, skew=0) == now // 30


@pytest.mark.parametrize(("skew", "steps"), [(0, [0]), (1, [-1, 0, 1])])
def test_a7_a_code_may_be_a_step_early_or_late_as_set(skew: int, steps: list[int]) -> None:
    now, code = RFC_6238[1]
    good = [step for step in range(-4, 5) if step_of(RFC_SECRET, code, now=now - 30 * step, skew=skew) is not None]
    assert good == steps


@pytest.mark.parametrize("typed", ["081 804", " 081804\n", "081-804", "０８１８０４"])
def test_a_code_may_be_typed_as_it_is_shown(typed: str) -> None:
    assert step_of(RFC_SECRET, typed, now=1111111109, skew=0) is not None


@pytest.mark.parametrize("typed", ["", "81804", "0818040", "081805", "07081804", "None", *HOSTILE])
def test_anything_else_is_no_code(typed: str) -> None:
    assert step_of(RFC_SECRET, typed, now=1111111109, skew=1) is None


@given(st.text(max_size=60), st.text(max_size=20))
def test_neither_a_secret_nor_a_code_raises(secret: str, typed: str) -> None:
    assert step_of(Secret(secret), typed, now=1111111109, skew=1) in (None, *range(37037035, 37037039))


# --- nobody gets in by the password alone


async def test_the_password_alone_gives_a_pending_login_and_no_session(house: House) -> None:
    user = await house.ada(totp=True)
    outcome = await house.attempt()
    assert isinstance(outcome, SecondFactorNeeded) and outcome.user == user and outcome.pending is not None
    assert house.heard.told("session.created", "login.ok") == [("login.ok", "second-factor-owed")]
    assert house.arrivals.noted == []
    for place in ("issuer", "middleware", "host"):
        assert await house.sessions.resolve(outcome.pending, place, None) == Dead("unknown")


@pytest.mark.parametrize("state", ["totp", "re-enrol"])
async def test_programs_are_told_that_a_factor_is_owed_and_get_nothing(house: House, state: str) -> None:
    user = await house.users.create(email=EMAIL, password=PASSWORD, second_factor=state)  # type: ignore[arg-type]
    assert await house.attempt(visit=PORTAL) == SecondFactorNeeded(user, None)
    assert await house.login.attempt(EMAIL, PASSWORD, wish=None, visit=BROWSER) == SecondFactorNeeded(user, None)
    assert await house.attempt(WRONG, visit=PORTAL) == Refused()


async def test_s7_who_must_enrol_again_has_no_way_in_by_his_password(house: House) -> None:
    user = await house.users.create(email=EMAIL, password=PASSWORD, second_factor="re-enrol")
    assert await house.attempt() == SecondFactorNeeded(user, None)
    assert house.heard.told("session.created") == []


async def test_the_code_finishes_the_login(house: House) -> None:
    user = await house.ada(totp=True)
    outcome = await house.finish(await house.pending(), house.code())
    session = born(outcome)
    assert session.record.amr == ("pwd", "otp", "mfa") and session.record.stamp == user.stamp
    assert isinstance(await house.alive(session.token), Alive)
    assert [noted for noted, _ in house.arrivals.noted] == [user.id]
    assert house.heard.told("second-factor.ok", "second-factor.fail") == [("second-factor.ok", "")]


async def test_a7_each_code_is_good_once(house: House) -> None:
    await house.ada(totp=True)
    born(await house.finish(await house.pending(), house.code()))
    assert await house.finish(await house.pending(), house.code()) == Refused("used")
    house.clock.move(30)
    assert await house.finish(await house.pending(), house.code(later=-30)) == Refused("used")  # within the skew still
    born(await house.finish(await house.pending(), house.code()))


async def test_a_pending_login_is_good_once(house: House) -> None:
    await house.ada(totp=True)
    pending = await house.pending()
    born(await house.finish(pending, house.code()))
    house.clock.move(30)
    assert await house.finish(pending, house.code()) == Refused("stale")


async def test_a7_five_wrong_codes_end_the_pending_login(house: House) -> None:
    await house.ada(totp=True)
    pending = await house.pending()
    assert [await house.finish(pending, house.wrong_code()) for _ in range(5)] == [Refused("wrong")] * 5
    house.clock.move(300)  # past the window of codes, within the ten minutes of the pending login
    assert await house.finish(pending, house.code()) == Refused("stale")


async def test_a7_wrong_codes_count_for_the_account_over_all_its_logins(house: House) -> None:
    await house.ada(totp=True)
    answers = [await house.finish(await house.pending(), house.wrong_code()) for _ in range(7)]
    assert answers[:5] == [Refused("wrong")] * 5 and all(isinstance(answer, TooMany) for answer in answers[5:])
    assert isinstance(await house.finish(await house.pending(), house.code()), TooMany)
    house.clock.move(600)
    born(await house.finish(await house.pending(), house.code()))


async def test_a7_codes_and_passwords_are_counted_apart(house: House) -> None:
    await house.ada(totp=True)
    pending = await house.pending()
    for _ in range(5):
        await house.attempt(WRONG)
    born(await house.finish(pending, house.code()))


async def test_right_codes_never_count(house: House) -> None:
    await house.ada(totp=True)
    for _ in range(12):
        born(await house.finish(await house.pending(), house.code()))
        house.clock.move(30)


async def test_a_login_waits_ten_minutes_for_its_code(house: House) -> None:
    await house.ada(totp=True)
    early, late = await house.pending(), await house.pending()
    house.clock.move(599)
    born(await house.finish(early, house.code()))
    house.clock.move(1)
    assert await house.finish(late, house.code()) == Refused("stale")


async def test_a_second_step_over_the_same_persons_session_turns_it(house: House) -> None:
    await house.ada(totp=True)
    first = born(await house.finish(await house.pending(), house.code()))
    house.clock.move(60)
    second = born(await house.finish(await house.pending(), house.code(), over=first.alive(house.codec)))
    assert second.record.id == first.record.id
    assert await house.alive(first.token) == Dead("rotated")


# --- §14: whatever ends the user's sessions ends the pending login


@pytest.mark.parametrize(
    "how", ["all ended", "password", "disabled", "new authenticator", "factor removed", "told late"]
)
async def test_s14_a_pending_login_dies_with_the_stamp_it_was_given(house: House, how: str) -> None:
    user = await house.ada(totp=True)
    pending = await house.pending()
    match how:
        case "all ended":
            await house.sessions.end_all(user.id, user.tag, "user")
        case "password":
            await house.users.set_password(user, NEW)
        case "disabled":
            await house.users.disable(user.id)
        case "new authenticator":
            await house.set_totp(user)
        case "factor removed":
            await house.done(lambda deed: house.factors.remove_totp(deed, user.id))
        case _:  # SQL knows, the store was not told
            await house.endings.restamp(user.id, Stamp("u" + "x" * 22))
    assert await house.finish(pending, house.code()) == Refused("stale")
    assert house.heard.told("session.created") == []


async def test_s14_a_row_that_says_disabled_is_believed_whatever_its_stamp(house: House) -> None:
    user = await house.ada(totp=True)
    pending = await house.pending()
    async with house.db.begin() as tx:
        await tx.execute(text("UPDATE users SET disabled_at = 1"))
    assert await house.finish(pending, house.code()) == Refused("stale")
    assert (await house.row(user)).stamp == user.stamp


async def test_rule_3_a_pending_login_is_born_under_the_stamp_of_the_checked_row_only(house: House) -> None:
    user = await house.ada(totp=True)
    await house.pending()
    house.backend.then, house.backend.checks = lambda: house.sessions.end_all(user.id, user.tag, "user"), 0
    born(await house.finish(await house.pending(), house.code()))
    assert house.backend.checks == 2


async def test_s14_also_when_it_happens_between_the_check_of_the_code_and_the_birth(house: House) -> None:
    user = await house.ada(totp=True)
    pending = await house.pending()
    start = house.sessions.start

    async def late(*arguments: object, **more: object) -> object:
        house.sessions.start = start  # type: ignore[method-assign]
        await house.sessions.end_all(user.id, user.tag, "user")
        return await start(*arguments, **more)  # type: ignore[arg-type]

    house.sessions.start = late  # type: ignore[assignment, method-assign]
    assert await house.finish(pending, house.code()) == Refused("stale")


async def test_rule_9_a_pending_login_from_before_a_loss_is_refused(house: House) -> None:
    await house.ada(totp=True)
    pending = await house.pending()
    await house.endings.raise_epoch("another server")
    await house.endings.recent(None)
    assert await house.finish(pending, house.code()) == Refused("stale")
    born(await house.finish(await house.pending(), house.code()))


async def test_the_store_lost_the_stamp_and_sql_says_that_nothing_changed(house: House) -> None:
    user = await house.ada(totp=True)
    pending = await house.pending()
    await house.store.commit(Put(house.names.stamp(user.tag), b"1.nothing", 1000))
    born(await house.finish(pending, house.code()))


# --- what lies in the store


async def test_s11_whoever_writes_to_the_store_cannot_say_that_a_password_was_right(house: House) -> None:
    ada, bob = await house.ada(totp=True), await house.ada(email="bob@example.com", totp=True)
    pending = await house.pending()
    (real,) = await house.store.read(house.names.pending(ada.tag, pending))
    assert real is not None
    for tag, value in [
        (bob.tag, real),  # at another key
        (ada.tag, real.replace(b'"tries":0', b'"tries":1')),
        (ada.tag, pending_codec(Ring([MasterKey("k1", Secret(b"x" * 32))])).encode(Key("x"), house_pending(ada.id))),
        (ada.tag, b"1.k1." + b"0" * 64 + b".{}"),
        (ada.tag, used("x")),
        (ada.tag, b""),
    ]:
        forged = LoginToken.draw(tag)
        await house.store.commit(Put(house.names.pending(tag, forged), value, 600))
        assert await house.finish(forged, house.code()) == Refused("stale")


def house_pending(user: UserId) -> Pending:
    return Pending(uid=user, stamp=Stamp("n"), epoch=1, until=2**40, nonce="n")


async def test_s5_neither_token_nor_secret_nor_code_lies_in_the_store(house: House) -> None:
    await house.ada(totp=True)
    pending, code = await house.pending(), house.code()
    token = born(await house.finish(pending, code)).token
    dump = repr(house.store.__dict__)
    for secret in (pending.text.reveal(), token.text.reveal(), TOTP, PASSWORD.reveal()):
        assert secret not in dump


async def test_a_login_token_is_no_pending_login(house: House) -> None:
    await house.ada(totp=True)
    session = born(await house.finish(await house.pending(), house.code()))
    house.clock.move(30)
    assert await house.finish(session.token, house.code()) == Refused("stale")


# --- trouble


async def test_trouble_in_between_costs_neither_the_login_nor_an_attempt(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.ada(totp=True)
    pending = await house.pending()

    async def fails(user: UserId) -> Secret:
        raise Unavailable("database")

    with monkeypatch.context() as patched:
        patched.setattr(house.factors, "totp_secret", fails)
        for _ in range(20):
            with pytest.raises(Unavailable):
                await house.finish(pending, house.wrong_code())
    born(await house.finish(pending, house.code()))


@settings(max_examples=40)
@given(st.text(max_size=200))
async def test_no_code_that_is_typed_raises(house: House, typed: str) -> None:
    if await house.users.by_email(EMAIL) is None:
        await house.ada(totp=True)
    outcome = await house.finish(await house.pending(), typed)
    assert isinstance(outcome, Refused | TooMany)


# --- many at once


def tally(outcomes: list[Outcome]) -> Counter[str]:
    return Counter(outcome.why if isinstance(outcome, Refused) else type(outcome).__name__ for outcome in outcomes)


@pytest.fixture
def open_guard(racing: House) -> House:
    """Counters out of the way: what is left is the one commit."""
    racing.login.second_factor._options = replace(racing.options, code_tries=1000)
    racing.login.second_factor._throttle._options = LoginOptions(codes_per_5_minutes=1000, codes_per_hour=1000)
    return racing


async def test_of_fifty_logins_with_one_code_one_gets_in(open_guard: House) -> None:
    house = open_guard
    await house.ada(totp=True)
    pending = [await house.pending() for _ in range(50)]
    code = house.code()
    outcomes = await asyncio.gather(*(house.finish(each, code) for each in pending))
    assert tally(list(outcomes)) == {"LoggedIn": 1, "used": 49}


async def test_of_fifty_who_finish_one_login_one_gets_in(open_guard: House) -> None:
    house = open_guard
    await house.ada(totp=True)
    pending, code = await house.pending(), house.code()
    outcomes = await asyncio.gather(*(house.finish(pending, code) for _ in range(50)))
    assert tally(list(outcomes)) == {"LoggedIn": 1, "stale": 49}


async def test_a7_fifty_wrong_codes_at_once_are_answered_five_times(racing: House) -> None:
    await racing.ada(totp=True)
    pending = await racing.pending()
    # Without the account's windows: the pending login's own counter.
    racing.login.second_factor._throttle._options = LoginOptions(codes_per_5_minutes=1000, codes_per_hour=1000)
    wrong = racing.wrong_code()
    outcomes = await asyncio.gather(*(racing.finish(pending, wrong) for _ in range(50)), return_exceptions=True)
    judged = [outcome for outcome in outcomes if outcome == Refused("wrong")]
    assert 1 <= len(judged) <= 5  # the others: stale, or contended and not judged at all
    assert all(isinstance(outcome, Refused | Unavailable) for outcome in outcomes)


async def test_a7_the_accounts_window_holds_under_fifty_at_once(racing: House) -> None:
    await racing.ada(totp=True)
    pending = [await racing.pending() for _ in range(50)]
    wrong = racing.wrong_code()
    outcomes = await asyncio.gather(*(racing.finish(each, wrong) for each in pending))
    assert tally(list(outcomes)) == {"wrong": 5, "TooMany": 45}


def test_every_change_of_a_pending_login_writes_other_bytes() -> None:
    codec = pending_codec(Ring([MasterKey("k1", Secret(b"m" * 32))]))
    key = Key("lb:1:p:{x}:y")
    one = house_pending(UserId(1))
    assert codec.decode(key, codec.encode(key, one)) == one
    assert codec.encode(key, one) != codec.encode(key, replace_nonce(one, chance(4).hex()))


def test_what_is_sealed_but_not_understood_is_no_pending_login() -> None:
    """Written by a later version, say."""
    codec, key = pending_codec(Ring([MasterKey("k1", Secret(b"m" * 32))])), Key("lb:1:p:{x}:y")
    later = codec.encode(key, {"uid": "one"})  # type: ignore[arg-type]
    assert later.startswith(b"1.k1.")
    assert codec.decode(key, later) is None


def replace_nonce(pending: Pending, nonce: str) -> Pending:
    return Pending(uid=pending.uid, stamp=pending.stamp, epoch=pending.epoch, until=pending.until, nonce=nonce)


async def test_a_skew_of_zero_takes_the_present_code_only(sqlite_url: str) -> None:
    async with opened(sqlite_url) as db:
        house = House(db, options=LoginOptions(floor_ms=0, code_skew=0))
        await house.open()
        await house.ada(totp=True)
        assert await house.finish(await house.pending(), house.code(later=-30)) == Refused("wrong")
        assert isinstance(await house.finish(await house.pending(), house.code()), LoggedIn)


def test_a7_a_secret_of_eighty_bits_as_most_authenticators_have_is_good() -> None:
    assert step_of(Secret("JBSWY3DPEHPK3PXP"), "282760", now=0, skew=0) == 0


def test_a7_a_secret_of_less_than_eighty_bits_opens_nothing() -> None:
    digest = hmac.digest(base64.b32decode("JBSWY3DPEHPK3==="), bytes(8), "sha1")
    start = digest[-1] & 15  # RFC 4226 §5.3
    code = (int.from_bytes(digest[start : start + 4], "big") & 0x7FFFFFFF) % 10**6
    assert step_of(Secret("JBSWY3DPEHPK3"), f"{code:06}", now=0, skew=0) is None


# --- in the same call as the password: programs have no second step (whmcs-api §3.1)


async def at_once(house: House, code: str, password: Secret = PASSWORD) -> Outcome:
    """What ValidateLogin does with `second_factor`."""
    wish, shown = house.legacy_wish, shown_by(Secret(code))
    return await house.login.attempt(EMAIL, password, wish=wish, visit=PORTAL, shown=shown)


async def test_a_program_shows_the_code_with_the_password(house: House) -> None:
    user = await house.ada(totp=True)
    session = born(await at_once(house, house.code()))
    assert (session.record.kind, session.record.via, session.record.amr) == ("legacy", "portal", ("pwd", "otp", "mfa"))
    assert session.record.stamp == user.stamp and [noted for noted, _ in house.arrivals.noted] == [user.id]
    assert isinstance(await house.sessions.resolve(session.token, "middleware", None), Alive)
    at_the_issuer = await house.alive(session.token)
    assert isinstance(at_the_issuer, Dead) and at_the_issuer.reason == "wrong-place", "security §2"


async def test_a7_a_code_that_a_program_used_is_used_at_every_door(house: House) -> None:
    await house.ada(totp=True)
    born(await at_once(house, house.code()))
    assert await at_once(house, house.code()) == Refused("used")
    assert await house.finish(await house.pending(), house.code()) == Refused("used")
    house.clock.move(30)
    born(await house.finish(await house.pending(), house.code()))
    assert await at_once(house, house.code()) == Refused("used")


async def test_of_fifty_programs_with_one_code_one_gets_a_session(house: House) -> None:
    await house.ada(totp=True)
    outcomes = await asyncio.gather(*(at_once(house, house.code()) for _ in range(50)))
    assert sum(isinstance(outcome, LoggedIn) for outcome in outcomes) == 1
    assert len(house.heard.told("session.created")) == 1


async def test_a_recovery_code_does_it_too_and_once(house: House) -> None:
    changed = await house.set_totp(await house.ada())
    code = changed.codes[0].reveal()
    born(await at_once(house, code))
    assert await at_once(house, code) == Refused("used")


async def test_a_code_is_not_looked_at_before_the_password_is_right(house: House) -> None:
    await house.ada(totp=True)
    assert await at_once(house, house.code(), WRONG) == Refused("wrong")
    assert house.heard.told("second-factor.fail") == []
    born(await at_once(house, house.code()))


async def test_a7_wrong_codes_have_a_counter_of_their_own_which_both_doors_share(house: House) -> None:
    user = await house.ada(totp=True)
    for _ in range(5):
        assert await at_once(house, house.wrong_code()) == Refused("wrong")
    assert house.heard.told("second-factor.fail") == [("second-factor.fail", "wrong")] * 5
    assert isinstance(await at_once(house, house.code()), TooMany)
    assert isinstance(await house.finish(await house.pending(), house.code()), TooMany)
    assert await house.attempt(visit=PORTAL) == SecondFactorNeeded(user, None), "the password is not blocked by it"


async def test_who_owes_nothing_is_not_asked_for_what_he_shows(house: House) -> None:
    await house.ada()
    session = born(await at_once(house, "000000"))
    assert session.record.amr == ("pwd",)


@pytest.mark.parametrize("state", ["re-enrol", "passkey"])
async def test_what_cannot_be_shown_to_a_program_opens_nothing(house: House, state: str) -> None:
    user = await house.users.create(email=EMAIL, password=PASSWORD, second_factor=state)  # type: ignore[arg-type]
    told = SecondFactorNeeded(user, None) if state == "re-enrol" else Refused("stale")
    assert await at_once(house, house.code()) == told
    assert house.heard.told("session.created") == []


async def test_somebody_elses_code_opens_nothing(house: House) -> None:
    await house.ada(totp=True)
    bob = await house.users.create(email="bob@example.com", password=PASSWORD, totp=Secret("KRSXG5CTMVRXEZLU"))
    shown = shown_by(Secret(authenticator.TOTP("KRSXG5CTMVRXEZLU").at(int(house.clock.now()))))
    assert isinstance(shown, Code)
    assert await at_once(house, shown.text) == Refused("wrong")
    outcome = await house.login.attempt(bob.email, PASSWORD, wish=house.legacy_wish, visit=PORTAL, shown=shown)
    assert born(outcome).record.uid == bob.id


async def test_rule_3_the_password_is_checked_again_when_the_row_changed_before_the_code(house: House) -> None:
    user = await house.ada(totp=True)
    house.backend.then = lambda: house.sessions.end_all(user.id, user.tag, "user")
    born(await at_once(house, house.code()))
    assert house.backend.checks == 2
