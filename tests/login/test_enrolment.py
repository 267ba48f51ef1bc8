"""A person sets up and removes his second factor — A7, A8, A9, S3, S9; store §2, rule 4; security §30."""

import asyncio
import json

import pytest
from pyotp import parse_uri
from pyotp import totp as authenticator
from sqlalchemy import func, select, update

from bridge.database.tables import audit, outbox, second_factors, users
from bridge.errors import Unavailable
from bridge.login import enrolment
from bridge.login.enrolment import Done, NotDone, Offer
from bridge.login.outcome import Refused
from bridge.login.totp import draw_secret, otpauth_uri
from bridge.secret import Secret
from bridge.sessions.birth import Born
from bridge.sessions.judge import Alive, Dead
from bridge.types import UserId
from bridge.users.backend import Capability
from bridge.users.user import User
from tests.login.house import BROWSER, PASSWORD, TOTP, House, born


async def here(house: House, *, totp: bool = False) -> tuple[User, Alive]:
    """Ada, who has just signed in."""
    user = await house.users.by_email("ada@example.com") or await house.ada(totp=totp)
    if totp:
        session = born(await house.finish(await house.pending(), house.code()))
        house.clock.move(30)
    else:
        session = born(await house.attempt())
    return user, session.alive(house.codec)


def shown(house: House, offer: Offer, *, later: float = 0) -> str:
    return authenticator.TOTP(offer.secret.reveal()).at(int(house.clock.now() + later))


async def confirmed(house: House, user: User, alive: Alive) -> Done:
    offer = house.enrolment.offer_totp(alive)
    done = await house.enrolment.confirm_totp(user, alive, offer, shown(house, offer), BROWSER)
    assert isinstance(done, Done), done
    return done


async def letters(house: House) -> list[dict[str, str]]:
    async with house.db.read() as tx:
        wanted = select(outbox.c.payload).where(outbox.c.purpose == "second-factor-changed").order_by(outbox.c.id)
        return [json.loads(each) for each in (await tx.execute(wanted)).scalars()]


def session_of(done: Done | NotDone) -> Born:
    assert isinstance(done, Done) and isinstance(done.session, Born), done
    return done.session


# --- the offer


def test_a_new_secret_has_160_random_bits_and_is_what_apps_read() -> None:
    secret = draw_secret(lambda size: bytes(range(size)))
    assert secret.reveal() == "AAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQT"
    uri = otpauth_uri(secret, account="ada@example.com", issuer="Acme: Hosting & more").reveal()
    read = parse_uri(uri)
    assert (read.secret, read.name, read.issuer) == (secret.reveal(), "ada@example.com", "Acme  Hosting & more")
    assert "Acme" not in repr(otpauth_uri(secret, account="ada@example.com", issuer="Acme"))


async def test_an_offer_is_good_for_its_session_alone_and_for_half_an_hour(house: House) -> None:
    user, alive = await here(house)
    _, another = await here(house)
    bob = await house.ada(email="bob@example.com")
    bobs = born(await house.login.attempt(bob.email, PASSWORD, wish=house.wish, visit=BROWSER)).alive(house.codec)
    offer = house.enrolment.offer_totp(alive)
    assert offer.secret.reveal() not in offer.sealed
    found = house.enrolment.offered(alive, offer.sealed)
    assert found is not None and found.secret.matches(offer.secret)
    assert house.enrolment.offered(another, offer.sealed) is None
    assert house.enrolment.offered(bobs, offer.sealed) is None
    for text in ("", "!", "x" * 5_000, offer.sealed[:-8], "A" + offer.sealed[1:], "ü", user.email):
        assert house.enrolment.offered(alive, text) is None
    house.clock.move(1_799)
    assert house.enrolment.offered(alive, offer.sealed) is not None
    house.clock.move(1)
    assert house.enrolment.offered(alive, offer.sealed) is None


# --- set up


async def test_whoever_shows_a_code_of_the_new_secret_owes_one_from_now_on(house: House) -> None:
    user, alive = await here(house)
    offer = house.enrolment.offer_totp(alive)
    done = await house.enrolment.confirm_totp(user, alive, offer, shown(house, offer), BROWSER)
    assert isinstance(done, Done) and done.user.second_factor == "totp" and len(done.codes) == 10
    stored = await house.factors.totp_secret(user.id)
    assert stored is not None and stored.matches(offer.secret)
    pending = await house.pending()
    house.clock.move(30)
    born(await house.finish(pending, shown(house, offer)))


@pytest.mark.parametrize("code", ["", "000000", "12345", "no code"])
async def test_a_wrong_code_sets_nothing_up(house: House, code: str) -> None:
    user, alive = await here(house)
    offer = house.enrolment.offer_totp(alive)
    if shown(house, offer) == code:
        offer = house.enrolment.offer_totp(alive)
    assert await house.enrolment.confirm_totp(user, alive, offer, code, BROWSER) == NotDone("wrong")
    assert await house.row(user) == user and await letters(house) == []


async def test_a7_the_code_that_set_it_up_opens_no_login(house: House) -> None:
    user, alive = await here(house)
    offer = house.enrolment.offer_totp(alive)
    code = shown(house, offer)
    assert isinstance(await house.enrolment.confirm_totp(user, alive, offer, code, BROWSER), Done)
    assert await house.finish(await house.pending(), code) == Refused("used")


async def test_a7_a_code_that_opened_a_login_moves_no_authenticator(house: House) -> None:
    user, _ = await here(house, totp=True)
    again = born(await house.finish(await house.pending(), house.code())).alive(house.codec)
    offer = Offer(Secret(TOTP), "")
    assert await house.enrolment.confirm_totp(user, again, offer, house.code(), BROWSER) == NotDone("used")


# --- what every change does


CHANGES = ["set up", "removed", "codes"]


async def changed(house: House, how: str, user: User, alive: Alive) -> Done | NotDone:
    match how:
        case "set up":
            offer = house.enrolment.offer_totp(alive)
            return await house.enrolment.confirm_totp(user, alive, offer, shown(house, offer), BROWSER)
        case "removed":
            return await house.enrolment.remove_totp(user, alive, BROWSER)
        case _:
            return await house.enrolment.renew_codes(user, alive, BROWSER)


@pytest.mark.parametrize("how", CHANGES)
async def test_s9_s3_every_other_session_ends_and_this_one_goes_on_under_new_tokens(house: House, how: str) -> None:
    user, other = await here(house, totp=True)
    _, alive = await here(house, totp=True)
    pending = await house.pending()
    house.clock.move(60)
    session = session_of(await changed(house, how, user, alive))
    assert isinstance(await house.alive(session.token), Alive) and session.child is not None
    assert isinstance(await house.sessions.resolve(session.child, "middleware", None), Alive)
    assert session.record.id == alive.record.id
    assert await house.alive(other.token) == Dead("second-factor-changed", other.record)
    assert await house.alive(alive.token) == Dead("rotated"), "whoever had copied it is out"
    assert await house.finish(pending, house.code()) == Refused("stale")


@pytest.mark.parametrize("how", CHANGES)
async def test_s15_a_change_does_not_make_anybody_fresh(house: House, how: str) -> None:
    user, alive = await here(house, totp=True)
    house.clock.move(200)
    session = session_of(await changed(house, how, user, alive))
    assert session.record.auth_time == alive.record.auth_time and session.record.amr == alive.record.amr
    assert session.record.last == int(house.clock.now())


@pytest.mark.parametrize(
    ("how", "change", "alone"),
    [("set up", "totp-added", False), ("removed", "totp-removed", True), ("codes", "codes-renewed", False)],
)
async def test_a9_the_letter_and_the_audit_row_are_part_of_the_change(
    house: House, how: str, change: str, alone: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, alive = await here(house, totp=True)

    async def fails(*args: object) -> int:
        raise Unavailable("database")

    for broken, verb in ((house.outbox, "put"), (house.ledger._audit, "write")):
        with monkeypatch.context() as patched:
            patched.setattr(broken, verb, fails)
            with pytest.raises(Unavailable):
                await changed(house, how, user, alive)
        house.clock.move(30)
    assert await house.row(user) == user and await letters(house) == []
    assert isinstance(await changed(house, how, user, alive), Done)
    (letter,) = await letters(house)
    assert letter["change"] == change and ("alone" in letter) == alone and letter["ip"] == str(BROWSER.ip)
    async with house.db.read() as tx:
        rows = select(audit.c.reason, audit.c.ip).where(audit.c.kind == "second-factor.changed")
        assert (await tx.execute(rows)).all() == [(change, str(BROWSER.ip))]


@pytest.mark.parametrize("how", CHANGES)
async def test_rule_4_a_session_that_ended_meanwhile_changes_nothing(house: House, how: str) -> None:
    user, alive = await here(house, totp=True)
    await house.sessions.end_all(user.id, user.tag, "user")
    before = await house.row(user)
    assert await changed(house, how, user, alive) == NotDone("stale")
    assert await house.row(user) == before and await letters(house) == []


@pytest.mark.parametrize("how", CHANGES)
async def test_a_user_of_another_authority_keeps_his_factors_there(house: House, how: str) -> None:
    user, alive = await here(house, totp=True)
    assert house.enrolment.kept_here(user)
    async with house.db.begin() as tx:
        await tx.execute(update(users).values(authority="whmcs"))
    elsewhere = await house.row(user)
    assert not house.enrolment.kept_here(elsewhere)
    assert await changed(house, how, elsewhere, alive) == NotDone("stale")
    house.clock.move(30)
    assert await changed(house, how, user, alive) == NotDone("stale"), "nor if the page did not know it yet"
    assert await letters(house) == []


async def test_an_authority_that_has_no_second_factors_is_asked_for_none(house: House) -> None:
    user, alive = await here(house, totp=True)

    class Without:
        name = "bridge"
        capabilities = Capability.SET_PASSWORD

    house.enrolment._authority = Without()
    assert not house.enrolment.kept_here(user)
    assert await changed(house, "removed", user, alive) == NotDone("stale")


async def test_of_ten_who_set_up_at_once_one_does(house: House) -> None:
    user, alive = await here(house)
    offers = [house.enrolment.offer_totp(alive) for _ in range(10)]
    done = await asyncio.gather(
        *(house.enrolment.confirm_totp(user, alive, each, shown(house, each), BROWSER) for each in offers)
    )
    assert sum(isinstance(each, Done) for each in done) == 1
    async with house.db.read() as tx:
        assert (await tx.execute(select(func.count()).select_from(second_factors))).scalar_one() == 1


async def test_a_store_that_fails_afterwards_costs_the_session_and_nothing_else(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, alive = await here(house)

    async def fails(*args: object, **more: object) -> None:
        raise Unavailable("store")

    monkeypatch.setattr(enrolment, "renewed", fails)
    done = await confirmed(house, user, alive)
    assert isinstance(done.session, Dead) and len(done.codes) == 10
    assert (await house.row(user)).second_factor == "totp"


async def test_nothing_is_removed_twice(house: House) -> None:
    user, alive = await here(house, totp=True)
    done = await house.enrolment.remove_totp(user, alive, BROWSER)
    again = session_of(done).alive(house.codec)
    assert await house.enrolment.remove_totp(await house.row(user), again, BROWSER) == NotDone("stale")
    assert await house.enrolment.renew_codes(await house.row(user), again, BROWSER) == NotDone("stale")
    assert len(await letters(house)) == 1 and user.id == UserId(1)
