"""Passkeys: added, as second factor, and alone — WebAuthn §7.1, §7.2; A8, security §14, §26; store §2, rules 3, 9."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyotp import totp as authenticator
from sqlalchemy import text
from webauthn import generate_authentication_options, options_to_json
from webauthn.helpers.structs import AuthenticatorTransport, UserVerificationRequirement

from bridge.errors import Unavailable
from bridge.login.ceremonies import _described as described
from bridge.login.challenge import SECONDS, Challenges
from bridge.login.enrolment import Done, NotDone
from bridge.login.entry import Arrival
from bridge.login.outcome import LoggedIn, Outcome, Refused, SecondFactorNeeded, TooMany
from bridge.login.relying_party import TRANSPORTS, RelyingParty
from bridge.login.shown import Assertion
from bridge.ring import MasterKey, Ring
from bridge.secret import Secret
from bridge.sessions.birth import Born
from bridge.sessions.judge import Alive, Dead
from bridge.testing.hands import Hands
from bridge.tokens import LoginToken
from bridge.types import UserId
from bridge.users.passkey import Passkey
from bridge.users.user import User
from tests.authenticator import UP, UV, Authenticator, b64, plain
from tests.login.house import BROWSER, PORTAL, House, born

ISSUER = "https://login.example.com"
PRE, OTHER_PRE = "the browser's own binding", "another browser's"
REASONS = ("login.fail", "second-factor.fail")


@dataclass
class Person:
    """Ada, with a passkey."""

    house: House
    user: User
    key: Authenticator

    async def request(self, pending: LoginToken, browser: str = PRE) -> str:
        asked = await self.house.login.passkey_request(pending, browser)
        assert asked is not None
        return asked

    async def second(self, response: str, pending: LoginToken, *, browser: str = PRE) -> Outcome:
        return await self.house.login.finish(pending, Assertion(response, browser), wish=self.house.wish, visit=BROWSER)

    async def alone(self, response: str, *, browser: str = PRE, over: Alive | None = None) -> Outcome:
        assert self.house.login.passwordless is not None
        arrival = Arrival(wish=self.house.wish, visit=BROWSER, over=over)
        return await self.house.login.passwordless.attempt(Assertion(response, browser), arrival)

    def asked(self, browser: str = PRE) -> str:
        """The options of the sign-in page."""
        assert self.house.login.passwordless is not None
        return self.house.login.passwordless.request(browser)


async def add(house: House, user: User, alive: Alive, key: Authenticator, *, browser: str = PRE) -> Done | NotDone:
    options = await house.enrolment.passkey_request(user, alive, browser)
    assert options is not None
    return await house.enrolment.add_passkey(
        user, alive, key.make(options), label="laptop", browser=browser, visit=BROWSER
    )


async def here(house: House, email: str = "Ada@Example.com") -> tuple[User, Alive]:
    user = await house.users.by_email(email) or await house.ada(email=email)
    return user, born(await house.attempt(email=email)).alive(house.codec)


@pytest.fixture
async def ada(house: House) -> Person:
    return await person(house)


async def person(house: House, email: str = "Ada@Example.com") -> Person:
    user, alive = await here(house, email)
    key = Authenticator(ISSUER)
    done = await add(house, user, alive, key)
    assert isinstance(done, Done), done
    return Person(house, done.user, key)


# --- challenges


def challenges(clock: Hands, epoch: list[int], key: bytes = b"m" * 32) -> Challenges:
    ring = Ring([MasterKey("k1", Secret(key))])
    return Challenges(ring=ring, clock=clock, chance=bytes, epoch=lambda: epoch[0])


def test_a_challenge_is_good_for_its_purpose_its_browser_and_ten_minutes() -> None:
    clock, epoch = Hands(), [1]
    ours = challenges(clock, epoch)
    made = ours.make("sign-in", PRE, "x")
    assert len(made) == 60 and ours.good(made, "sign-in", PRE, "x")
    for purpose, bound in (("second-step", (PRE, "x")), ("sign-in", (PRE,)), ("sign-in", (PRE + "x",)), ("add", ())):
        assert not ours.good(made, purpose, *bound)  # type: ignore[arg-type]
    assert not challenges(clock, epoch, b"n" * 32).good(made, "sign-in", PRE, "x")
    assert not any(ours.good(each, "sign-in", PRE, "x") for each in (b"", made[:-1], made + b"x"))
    for at in range(len(made)):
        assert not ours.good(made[:at] + bytes([made[at] ^ 1]) + made[at + 1 :], "sign-in", PRE, "x")
    clock.move(SECONDS - 1)
    assert ours.good(made, "sign-in", PRE, "x")
    epoch[0] = 2  # rule 9: with the store the marks of used ones may be lost
    assert not ours.good(made, "sign-in", PRE, "x")
    epoch[0] = 1
    clock.move(1)
    assert not ours.good(made, "sign-in", PRE, "x")


async def test_a8_no_two_challenges_are_the_same_and_each_has_128_random_bits(ada: Person) -> None:
    seen = {json.loads(ada.asked())["challenge"] for _ in range(50)}
    assert len(seen) == 50


# --- who we are


@pytest.mark.parametrize(
    ("base_url", "id", "origin"),
    [
        ("https://login.example.com", "login.example.com", "https://login.example.com"),
        ("https://Login.Example.com:443/sso", "login.example.com", "https://login.example.com"),
        ("https://login.example.com:8443", "login.example.com", "https://login.example.com:8443"),
        ("http://localhost:8000", "localhost", "http://localhost:8000"),
    ],
)
def test_name_and_origin_come_from_the_configured_address(base_url: str, id: str, origin: str) -> None:
    assert RelyingParty.at(base_url, "Acme") == RelyingParty(id=id, origin=origin, name="Acme")


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:8000", "http://[::1]:8000", "https://192.0.2.7"])
def test_an_address_that_is_a_number_has_no_passkeys(base_url: str) -> None:
    assert RelyingParty.at(base_url, "Acme") is None


async def test_what_a_browser_is_asked_for(house: House, ada: Person) -> None:
    user, alive = await here_with(ada)
    options = await house.enrolment.passkey_request(user, alive, PRE)
    assert options is not None
    asked = json.loads(options)
    assert asked["rp"] == {"id": "login.example.com", "name": "Acme"} and asked["attestation"] == "none"
    assert asked["user"]["id"] == b64(user.tag.encode()) and asked["user"]["name"] == user.email
    assert asked["authenticatorSelection"]["residentKey"] == "preferred"
    assert [each["id"] for each in asked["excludeCredentials"]] == [b64(ada.key.id)]
    assert {each["alg"] for each in asked["pubKeyCredParams"]} == {-8, -7, -257}
    alone = json.loads(ada.asked())
    assert alone["userVerification"] == "required" and alone["allowCredentials"] == [], "nobody's keys are named"
    second = json.loads(await ada.request(await house.pending()))
    assert [each["id"] for each in second["allowCredentials"]] == [b64(ada.key.id)]
    assert second["allowCredentials"][0]["transports"] == ["internal", "hybrid"]


async def here_with(ada: Person) -> tuple[User, Alive]:
    """Ada, signed in by her passkey alone."""
    session = born(await ada.alone(ada.key.sign(ada.asked())))
    return await ada.house.row(ada.user), session.alive(ada.house.codec)


# --- a new one


async def test_a_passkey_is_added_and_owed_from_then_on(house: House) -> None:
    user, alive = await here(house)
    done = await add(house, user, alive, Authenticator(ISSUER))
    assert isinstance(done, Done) and isinstance(done.session, Born) and len(done.codes) == 10
    assert done.user.second_factor == "passkey"
    (known,) = (await house.factors.enrolled(user.id)).passkeys
    assert (known.label, known.last_used_at) == ("laptop", None)
    assert await house.attempt(visit=PORTAL) == SecondFactorNeeded(done.user, None), "no hash for programs"
    assert await house.login.ways(await house.pending()) == ("passkey", "recovery-code")


LIES: dict[str, dict[str, Any]] = {
    "another origin": {"origin": "https://login.example.com.evil.example"},
    "the same host by http": {"origin": "http://login.example.com"},
    "another port": {"origin": "https://login.example.com:8443"},
    "another name": {"rp_id": "example.com"},
    "another challenge": {"challenge": b64(b"x" * 60)},
    "a frame in another page": {"cross_origin": True},
    "nobody was there": {"flags": 0},
}


@pytest.mark.parametrize("lie", [*LIES, "another kind of response"])
async def test_what_is_not_as_it_must_be_is_not_added(house: House, lie: str) -> None:
    user, alive = await here(house)
    key, options = Authenticator(ISSUER), await house.enrolment.passkey_request(user, alive, PRE)
    assert options is not None
    response = key.make(options, **LIES.get(lie, {"type": "webauthn.get"}))
    done = await house.enrolment.add_passkey(user, alive, response, label="x", browser=PRE, visit=BROWSER)
    assert done == NotDone("wrong") and (await house.row(user)).second_factor == "none"


@pytest.mark.parametrize(
    "attestation", [{"fmt": "packed", "attStmt": {"alg": -7, "sig": b"x", "x5c": [b"x"]}}, {"fmt": "tpm"}, {"fmt": 1}]
)
async def test_certificates_that_nobody_asked_for_are_not_looked_into(house: House, attestation: object) -> None:
    user, alive = await here(house)
    options = await house.enrolment.passkey_request(user, alive, PRE)
    assert options is not None
    response = Authenticator(ISSUER).make(options, attestation=attestation)
    done = await house.enrolment.add_passkey(user, alive, response, label="x", browser=PRE, visit=BROWSER)
    assert done == NotDone("wrong")


async def test_a_response_is_added_once_by_its_session_in_its_browser(house: House) -> None:
    user, alive = await here(house)
    _, second = await here(house)
    key, options = Authenticator(ISSUER), await house.enrolment.passkey_request(user, alive, PRE)
    assert options is not None
    response = key.make(options)

    async def adding(to: Alive, browser: str = PRE) -> Done | NotDone:
        return await house.enrolment.add_passkey(user, to, response, label="x", browser=browser, visit=BROWSER)

    assert await adding(alive, OTHER_PRE) == NotDone("wrong") == await adding(second)
    done = await adding(alive)
    assert isinstance(done, Done) and isinstance(done.session, Born)
    again = done.session.alive(house.codec)
    assert await adding(again) == NotDone("used")
    assert len((await house.factors.enrolled(user.id)).passkeys) == 1


async def test_nobody_adds_a_passkey_that_is_somebodys(house: House, ada: Person) -> None:
    bob, alive = await here(house, "bob@example.com")
    assert await add(house, bob, alive, ada.key) == NotDone("stale")
    assert (await house.row(bob)).second_factor == "none"
    found = await house.factors.passkey(ada.key.id)
    assert found is not None and found.user == ada.user.id


async def test_nobody_has_more_than_twenty(house: House) -> None:
    user, alive = await here(house)
    for _ in range(20):
        done = await add(house, user, alive, Authenticator(ISSUER))
        assert isinstance(done, Done) and isinstance(done.session, Born)
        user, alive = done.user, done.session.alive(house.codec)
    assert await add(house, user, alive, Authenticator(ISSUER)) == NotDone("stale")


async def test_s9_adding_and_removing_end_the_other_sessions(house: House) -> None:
    user, other = await here(house)
    _, alive = await here(house)
    done = await add(house, user, alive, key := Authenticator(ISSUER))
    assert isinstance(done, Done) and isinstance(done.session, Born)
    assert await house.alive(other.token) == Dead("second-factor-changed", other.record)
    ada = Person(house, done.user, key)
    third = born(await ada.alone(key.sign(ada.asked())))
    (known,) = (await house.factors.enrolled(user.id)).passkeys
    gone = await house.enrolment.remove_passkey(done.user, done.session.alive(house.codec), known.id, BROWSER)
    assert isinstance(gone, Done) and gone.user.second_factor == "none"
    assert await house.alive(third.token) == Dead("second-factor-changed", third.record)
    assert await ada.alone(key.sign(ada.asked())) == Refused("wrong"), "a removed one opens nothing"
    assert (await house.factors.enrolled(user.id)).codes_left == 0


async def test_nobody_removes_another_persons(house: House, ada: Person) -> None:
    bob, alive = await here(house, "bob@example.com")
    (known,) = (await house.factors.enrolled(ada.user.id)).passkeys
    assert await house.enrolment.remove_passkey(bob, alive, known.id, BROWSER) == NotDone("stale")
    assert await house.enrolment.remove_passkey(bob, alive, 10**17, BROWSER) == NotDone("stale")


async def test_an_app_and_a_passkey_stand_beside_one_another(house: House, ada: Person) -> None:
    user, alive = await here_with(ada)
    offer = house.enrolment.offer_totp(alive)
    shown = authenticator.TOTP(offer.secret.reveal()).at(int(house.clock.now()))
    done = await house.enrolment.confirm_totp(user, alive, offer, shown, BROWSER)
    assert isinstance(done, Done) and done.codes == () and done.user.second_factor == "totp"
    pending = await house.pending()
    assert await house.login.ways(pending) == ("totp", "passkey", "recovery-code")
    session = born(await ada.second(ada.key.sign(await ada.request(pending)), pending)).alive(house.codec)
    removed = await house.enrolment.remove_totp(done.user, session, BROWSER)
    assert isinstance(removed, Done) and removed.user.second_factor == "passkey"
    assert (await house.factors.enrolled(user.id)).codes_left == 10


# --- signing with it: both ways


Way = Callable[[Person], Awaitable[tuple[str, Callable[[str], Awaitable[Outcome]]]]]


async def by_second_step(ada: Person) -> tuple[str, Callable[[str], Awaitable[Outcome]]]:
    pending = await ada.house.pending()

    async def show(response: str) -> Outcome:
        return await ada.second(response, pending)

    return await ada.request(pending), show


async def by_itself(ada: Person) -> tuple[str, Callable[[str], Awaitable[Outcome]]]:
    async def show(response: str) -> Outcome:
        return await ada.alone(response)

    return ada.asked(), show


both = pytest.mark.parametrize("way", [by_second_step, by_itself])


@pytest.mark.parametrize(("way", "amr"), [(by_second_step, ("pwd", "pop", "mfa")), (by_itself, ("pop", "mfa"))])
async def test_a_passkey_signs_in(ada: Person, way: Way, amr: tuple[str, ...]) -> None:
    options, show = await way(ada)
    session = born(await show(ada.key.sign(options)))
    assert session.record.amr == amr and session.record.uid == ada.user.id and session.child is not None
    assert isinstance(await ada.house.alive(session.token), Alive)
    (known,) = (await ada.house.factors.enrolled(ada.user.id)).passkeys
    assert known.last_used_at == int(ada.house.clock.now())


@both
@pytest.mark.parametrize("lie", [*LIES, "another kind of response", "a signature of nothing", "somebody else's key"])
async def test_what_is_not_as_it_must_be_opens_nothing(ada: Person, way: Way, lie: str) -> None:
    options, show = await way(ada)
    lies = {
        **LIES,
        "another kind of response": {"type": "webauthn.create"},
        "a signature of nothing": {"signature": b"x" * 70},
    }
    signer = ada.key.twin()
    if lie == "somebody else's key":
        signer.key = Authenticator(ISSUER).key
    outcome = await show(signer.sign(options, **lies.get(lie, {})))
    assert outcome in (Refused("wrong"), Refused("stale")), outcome
    assert ada.house.heard.told("session.created")[1:] == []
    born(await show(ada.key.sign(options)))


@both
async def test_a_passkey_that_we_do_not_know_opens_nothing(ada: Person, way: Way) -> None:
    options, show = await way(ada)
    stranger = Authenticator(ISSUER, handle=ada.user.tag.encode(), rp_id="login.example.com")
    assert await show(stranger.sign(options)) == Refused("wrong")
    assert await show(stranger.sign(options, id=ada.key.id)) == Refused("wrong")


@both
async def test_another_persons_passkey_opens_nothing_of_hers(ada: Person, way: Way) -> None:
    bob = await person(ada.house, "bob@example.com")
    options, show = await way(ada)
    response = bob.key.sign(options, handle=ada.user.tag.encode())
    assert await show(response) == Refused("wrong")
    assert await show(bob.key.sign(options, id=ada.key.id, handle=ada.user.tag.encode())) == Refused("wrong")


@both
async def test_security_26_a_response_of_another_browser_opens_nothing(ada: Person, way: Way) -> None:
    if way is by_itself:
        options = ada.asked(OTHER_PRE)
        assert await ada.alone(ada.key.sign(options)) == Refused("stale")
        assert isinstance(await ada.alone(ada.key.sign(options), browser=OTHER_PRE), LoggedIn)
        return
    pending = await ada.house.pending()
    options = await ada.request(pending, OTHER_PRE)
    assert await ada.second(ada.key.sign(options), pending) == Refused("wrong")


async def test_each_challenge_is_for_its_own_step(ada: Person) -> None:
    pending, other = await ada.house.pending(), await ada.house.pending()
    _, alive = await here_with(ada)
    adding = await ada.house.enrolment.passkey_request(ada.user, alive, PRE)
    assert adding is not None
    challenge = {"challenge": json.loads(adding)["challenge"]}
    assert await ada.alone(ada.key.sign(await ada.request(pending))) == Refused("stale")
    assert await ada.alone(ada.key.sign(ada.asked(), **challenge)) == Refused("stale")
    assert await ada.second(ada.key.sign(ada.asked()), pending) == Refused("wrong")
    assert await ada.second(ada.key.sign(await ada.request(other)), pending) == Refused("wrong")
    born(await ada.second(ada.key.sign(await ada.request(pending)), pending))


@both
async def test_a8_a_response_is_good_once(ada: Person, way: Way) -> None:
    options, show = await way(ada)
    response = ada.key.sign(options)
    born(await show(response))
    assert await show(response) in (Refused("used"), Refused("stale"))
    assert await ada.alone(response) in (Refused("used"), Refused("stale"))


@both
async def test_a8_of_twenty_who_show_one_response_one_gets_in(ada: Person, way: Way) -> None:
    options, show = await way(ada)
    response = ada.key.sign(options)
    outcomes = await asyncio.gather(*(show(response) for _ in range(20)), return_exceptions=True)
    assert sum(isinstance(outcome, LoggedIn) for outcome in outcomes) == 1
    assert all(isinstance(outcome, LoggedIn | Refused | TooMany | Unavailable) for outcome in outcomes)
    assert ada.house.letters.purposes.count("passkey-copied") == 0, "a click too many is no copy"


@both
async def test_a_challenge_from_before_a_loss_of_the_store_is_refused(ada: Person, way: Way) -> None:
    options, show = await way(ada)
    await ada.house.endings.raise_epoch("another server")
    await ada.house.endings.recent(None)
    assert await show(ada.key.sign(options)) == Refused("stale")


async def test_alone_it_must_have_asked_for_a_pin_a_finger_or_a_face(ada: Person) -> None:
    assert await ada.alone(ada.key.sign(ada.asked(), flags=UP)) == Refused("wrong")
    born(await ada.alone(ada.key.sign(ada.asked(), flags=UP | UV)))
    pending = await ada.house.pending()
    born(await ada.second(ada.key.sign(await ada.request(pending), flags=UP), pending))


@pytest.mark.parametrize("handle", [None, b"", b"x", b"0" * 11])
async def test_alone_it_must_say_whose_it_is(ada: Person, handle: bytes | None) -> None:
    assert await ada.alone(ada.key.sign(ada.asked(), handle=handle)) == Refused("wrong")
    pending = await ada.house.pending()
    born(await ada.second(ada.key.sign(await ada.request(pending), handle=handle), pending))


# --- a copy of it


@both
async def test_an_authenticator_whose_count_does_not_grow_is_refused_and_its_owner_told(ada: Person, way: Way) -> None:
    thief = ada.key.twin()
    for _ in range(3):
        born(await ada.alone(ada.key.sign(ada.asked())))
    options, show = await way(ada)
    assert await show(thief.sign(options)) == Refused("copied")
    assert ada.house.letters.purposes == ["passkey-copied"]
    assert ada.house.heard.told(*REASONS)[-1][1] in ("copied", "passkey-copied")
    options, show = await way(ada)
    born(await show(ada.key.sign(options)))


@both
async def test_whoever_used_the_copy_first_is_noticed_when_the_owner_comes(ada: Person, way: Way) -> None:
    thief = ada.key.twin()
    for _ in range(3):
        born(await ada.alone(thief.sign(ada.asked())))
    options, show = await way(ada)
    assert await show(ada.key.sign(options)) == Refused("copied")


async def test_one_that_never_counts_is_no_copy_and_one_that_stops_counting_is(house: House) -> None:
    user, alive = await here(house)
    key = Authenticator(ISSUER, counts=False)
    done = await add(house, user, alive, key)
    assert isinstance(done, Done)
    ada = Person(house, done.user, key)
    for _ in range(3):
        born(await ada.alone(key.sign(ada.asked())))
    born(await ada.alone(key.sign(ada.asked(), count=9)))
    assert await ada.alone(key.sign(ada.asked(), count=0)) == Refused("copied")


# --- who may


@pytest.mark.parametrize(
    ("change", "value"), [("disabled_at", "1"), ("authority", "'whmcs'"), ("second_factor_state", "'none'")]
)
async def test_whoever_may_not_sign_in_does_not_by_a_passkey_either(ada: Person, change: str, value: str) -> None:
    async with ada.house.db.begin() as tx:
        await tx.execute(text(f"UPDATE users SET {change} = {value}"))
    assert await ada.alone(ada.key.sign(ada.asked())) == Refused("wrong")


async def test_s7_whoever_has_to_enrol_again_gets_in_by_no_passkey(ada: Person) -> None:
    async with ada.house.db.begin() as tx:
        await tx.execute(text("UPDATE users SET second_factor_state = 're-enrol'"))
    assert await ada.alone(ada.key.sign(ada.asked())) == Refused("wrong")


@pytest.mark.parametrize("when", ["passkey", "use_passkey"])
@pytest.mark.parametrize("what", ["removed", "all ended", "disabled"])
async def test_rule_3_what_ends_meanwhile_lets_nobody_in(
    ada: Person, when: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, real = ada.house, getattr(ada.house.factors, when)

    async def late(*args: object) -> object:
        monkeypatch.setattr(house.factors, when, real)
        found = await real(*args)
        match what:
            case "removed":
                await house.done(lambda deed: house.factors.remove_all(deed, ada.user.id))
            case "all ended":
                await house.sessions.end_all(ada.user.id, ada.user.tag, "user")
            case _:
                await house.users.disable(ada.user.id)
        return found

    monkeypatch.setattr(house.factors, when, late)
    outcome = await ada.alone(ada.key.sign(ada.asked()))
    if what == "all ended" and when == "passkey":  # before his row was read: he signs in under the new stamp
        born(outcome)
        return
    await house.sessions.publish_stamp(ada.user.id, ada.user.tag)  # as whoever ends it does
    if isinstance(outcome, LoggedIn) and outcome.born is not None:
        assert isinstance(await house.alive(outcome.born.token), Dead)
    else:
        assert outcome in (Refused("wrong"), Refused("stale"))


async def test_over_her_own_session_it_turns_and_is_fresh(ada: Person) -> None:
    first = born(await ada.alone(ada.key.sign(ada.asked())))
    ada.house.clock.move(1_000)
    again = born(await ada.alone(ada.key.sign(ada.asked()), over=first.alive(ada.house.codec)))
    assert again.record.id == first.record.id and again.record.auth_time == int(ada.house.clock.now())
    assert await ada.house.alive(first.token) == Dead("rotated")


async def test_over_somebody_elses_session_that_one_ends(ada: Person) -> None:
    _, bobs = await here(ada.house, "bob@example.com")
    session = born(await ada.alone(ada.key.sign(ada.asked()), over=bobs))
    assert session.record.uid == ada.user.id and isinstance(await ada.house.alive(bobs.token), Dead)


async def test_failures_count_for_the_address_and_successes_do_not(ada: Person) -> None:
    for _ in range(25):
        born(await ada.alone(ada.key.sign(ada.asked())))
    stranger = Authenticator(ISSUER, handle=b"x", rp_id="login.example.com")
    answers = [await ada.alone(stranger.sign(ada.asked())) for _ in range(22)]
    assert answers[:20] == [Refused("wrong")] * 20 and all(isinstance(each, TooMany) for each in answers[20:])


async def test_a7_wrong_passkeys_end_the_pending_login_like_wrong_codes(ada: Person) -> None:
    pending = await ada.house.pending()
    stranger = Authenticator(ISSUER, handle=b"x", rp_id="login.example.com")
    options = await ada.request(pending)
    assert [await ada.second(stranger.sign(options), pending) for _ in range(5)] == [Refused("wrong")] * 5
    ada.house.clock.move(300)
    assert await ada.second(ada.key.sign(options), pending) == Refused("stale")


# --- whatever is sent


HOSTILE = [
    "",
    "null",
    "[]",
    "{}",
    "[" * 4_000,
    '{"rawId":"","response":{}}',
    '{"rawId":1,"response":{"clientDataJSON":2}}',
    '{"rawId":"ü","response":{"clientDataJSON":"ü"}}',
    '{"rawId":"QQ","response":{"clientDataJSON":"' + b64(b"[" * 3_000) + '"}}',
    '{"rawId":"QQ","response":{"clientDataJSON":"' + b64(b'{"challenge":"!"}') + '"}}',
    "\x00",
    "{" * 100,
]


@pytest.mark.parametrize("response", HOSTILE)
async def test_no_response_raises(ada: Person, response: str) -> None:
    pending = await ada.house.pending()
    _, alive = await here_with(ada)
    assert await ada.alone(response) == Refused("stale")
    assert await ada.second(response, pending) == Refused("wrong")
    done = await ada.house.enrolment.add_passkey(ada.user, alive, response, label="x", browser=PRE, visit=BROWSER)
    assert done == NotDone("wrong")


PARTS = ("clientDataJSON", "authenticatorData", "signature", "userHandle")


@settings(max_examples=80)
@given(st.sampled_from(PARTS), st.binary(min_size=1, max_size=200).map(b64) | st.sampled_from(["", "=", "A" * 3_000]))
async def test_no_response_that_is_nearly_right_opens_anything(ada: Person, part: str, noise: str) -> None:
    response = json.loads(ada.key.sign(ada.asked()))
    response["response"][part] = noise
    assert isinstance(await ada.alone(json.dumps(response)), Refused)
    ada.house.clock.move(600)


@settings(max_examples=80)
@given(st.binary(min_size=1, max_size=80), st.integers(0, 300))
async def test_no_attestation_that_is_nearly_right_raises(noise: bytes, at: int) -> None:
    party, key = RelyingParty(id="login.example.com", origin=ISSUER, name="Acme"), Authenticator(ISSUER)
    asked = {"rp": {"id": party.id}, "user": {"id": "QQ"}, "challenge": b64(b"c")}
    response = json.loads(key.make(json.dumps(asked)))
    assert party.registered(json.dumps(response), b"c") is not None
    whole = bytearray(plain(response["response"]["attestationObject"]))
    whole[at % len(whole) : at % len(whole) + len(noise)] = noise
    response["response"]["attestationObject"] = b64(bytes(whole))
    party.registered(json.dumps(response), b"c")


@pytest.mark.parametrize("verified", [True, False])
@pytest.mark.parametrize("transports", [None, (), ("usb", "hybrid", "carrier-pigeon")])
def test_a_sign_in_is_asked_for_as_the_library_would(transports: tuple[str, ...] | None, *, verified: bool) -> None:
    """It is written without it, so that a worker whose sign-in page offers passkeys need not load it."""
    party = RelyingParty(id="login.example.com", origin="https://login.example.com", name="Login")
    key = None if transports is None else Passkey(
        id=1,
        user=UserId(1),
        credential_id=b"\xff\xfe key",
        public_key=b"",
        transports=transports,
        label="",
        created_at=0,
        last_used_at=None,
    )  # fmt: skip
    theirs = generate_authentication_options(
        rp_id=party.id,
        challenge=b"\xfb challenge",
        timeout=600_000,
        allow_credentials=[described(key)] if key is not None else [],
        user_verification=UserVerificationRequirement("required" if verified else "discouraged"),
    )
    ours = party.request(b"\xfb challenge", [key] if key is not None else [], verified=verified)
    assert json.loads(ours) == json.loads(options_to_json(theirs))
    assert {each.value for each in AuthenticatorTransport} == TRANSPORTS
