"""The second step by a recovery code — A7, A8, A9, security §14, §23."""

import asyncio
import json
from collections import Counter
from dataclasses import replace

import pytest
from sqlalchemy import select

from bridge.database.tables import audit, outbox
from bridge.errors import Unavailable
from bridge.login.options import LoginOptions
from bridge.login.outcome import LoggedIn, Refused, SecondFactorNeeded, TooMany
from bridge.secret import Secret
from bridge.sessions.judge import Alive
from bridge.types import UserId
from tests.login.house import BROWSER, PASSWORD, House, born


@pytest.fixture
async def codes(house: House) -> list[str]:
    return await codes_of(house)


async def codes_of(house: House) -> list[str]:
    """Ada's, who has a second factor."""
    changed = await house.set_totp(await house.ada())
    return [code.reveal() for code in changed.codes]


async def letters(house: House) -> list[tuple[str, dict[str, str]]]:
    async with house.db.read() as tx:
        rows = (await tx.execute(select(outbox).order_by(outbox.c.id))).all()
    return [(row.purpose, json.loads(row.payload)) for row in rows]


async def test_a8_a_recovery_code_finishes_the_login_once(house: House, codes: list[str]) -> None:
    session = born(await house.recover(await house.pending(), codes[0]))
    assert session.record.amr == ("pwd", "otp", "mfa") and isinstance(await house.alive(session.token), Alive)
    assert await house.recover(await house.pending(), codes[0]) == Refused("used")
    born(await house.recover(await house.pending(), codes[1].upper().replace("-", " ")))


async def test_a9_its_owner_is_told_in_the_transaction_that_uses_it_up(house: House, codes: list[str]) -> None:
    born(await house.recover(await house.pending(), codes[0]))
    ((purpose, facts),) = await letters(house)
    assert purpose == "recovery-code-used" and facts["left"] == "9" and facts["ip"] == str(BROWSER.ip)
    async with house.db.read() as tx:
        assert "recovery-code.used" in list((await tx.execute(select(audit.c.kind))).scalars())
    ok = [event for event in house.heard.events if event.kind == "second-factor.ok"]
    assert [event.details["way"] for event in ok] == ["recovery-code"]


async def test_a_letter_that_cannot_be_queued_uses_no_code_up(
    house: House, codes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*args: object) -> int:
        raise Unavailable("database")

    pending = await house.pending()
    with monkeypatch.context() as patched:
        patched.setattr(house.outbox, "put", fails)
        with pytest.raises(Unavailable):
            await house.recover(pending, codes[0])
    born(await house.recover(pending, codes[0]))


@pytest.mark.parametrize("typed", ["", "0000-0000-0000-0000", "000000", "x" * 5000])
async def test_a7_what_is_no_code_of_his_counts_like_a_wrong_code(house: House, codes: list[str], typed: str) -> None:
    answers = [await house.recover(await house.pending(), typed) for _ in range(7)]
    assert answers[:5] == [Refused("wrong")] * 5 and all(isinstance(each, TooMany) for each in answers[5:])
    assert isinstance(await house.finish(await house.pending(), house.code()), TooMany), "one count for all ways"
    assert await letters(house) == []


async def test_a7_used_codes_end_the_pending_login_like_wrong_ones(house: House, codes: list[str]) -> None:
    born(await house.recover(await house.pending(), codes[0]))
    pending = await house.pending()
    assert [await house.recover(pending, codes[0]) for _ in range(5)] == [Refused("used")] * 5
    house.clock.move(300)
    assert await house.recover(pending, codes[1]) == Refused("stale")


async def test_another_persons_code_is_none(house: House, codes: list[str]) -> None:
    bob = await house.ada(email="bob@example.com", totp=True)
    await house.done(lambda deed: house.factors.renew_codes(deed, bob.id))
    pending = await house.login.attempt("bob@example.com", PASSWORD, wish=house.wish, visit=BROWSER)
    assert isinstance(pending, SecondFactorNeeded) and pending.pending is not None
    assert await house.recover(pending.pending, codes[0]) == Refused("wrong")
    born(await house.recover(await house.pending(), codes[0]))


async def test_a_totp_code_is_no_recovery_code_and_the_other_way_round(house: House, codes: list[str]) -> None:
    assert await house.recover(await house.pending(), house.code()) == Refused("wrong")
    assert await house.finish(await house.pending(), codes[0]) == Refused("wrong")


async def test_s14_a_code_opens_nothing_when_everything_has_ended(house: House, codes: list[str]) -> None:
    pending = await house.pending()
    user = await house.users.by_id(UserId(1))
    assert user is not None
    await house.sessions.end_all(user.id, user.tag, "user")
    assert await house.recover(pending, codes[0]) == Refused("stale")
    known = await house.factors.recovery_code(user.id, Secret(codes[0]))
    assert known is not None and not known.used


async def test_s14_nor_when_it_ends_between_its_use_and_the_birth(
    house: House, codes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pending, real = await house.pending(), house.factors.spend_code

    async def late(*args: object) -> object:
        spent = await real(*args)  # type: ignore[arg-type]
        house.sessions.start, start = start_late, house.sessions.start  # type: ignore[method-assign, assignment]
        starts.append(start)
        return spent

    async def start_late(*args: object, **more: object) -> object:
        user = await house.users.by_id(UserId(1))
        assert user is not None
        house.sessions.start = starts[0]  # type: ignore[method-assign, assignment]
        await house.sessions.end_all(user.id, user.tag, "user")
        return await starts[0](*args, **more)  # type: ignore[operator]

    starts: list[object] = []
    monkeypatch.setattr(house.factors, "spend_code", late)
    assert await house.recover(pending, codes[0]) == Refused("stale")
    assert house.heard.told("session.created") == []


async def test_rule_5_a_lost_race_for_the_store_does_not_cost_the_code(
    house: House, codes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pending login was counted up by a wrong guess after the code was used up: it is ours, we go on."""
    pending, real = await house.pending(), house.factors.spend_code

    async def late(*args: object) -> object:
        spent = await real(*args)  # type: ignore[arg-type]
        assert await house.finish(pending, house.wrong_code()) == Refused("wrong")
        return spent

    monkeypatch.setattr(house.factors, "spend_code", late)
    born(await house.recover(pending, codes[0]))


async def test_the_page_is_told_which_ways_are_open(house: House, codes: list[str]) -> None:
    pending = await house.pending()
    assert await house.login.ways(pending) == ("totp", "recovery-code")
    born(await house.finish(pending, house.code()))
    assert await house.login.ways(pending) is None
    await house.ada(email="bob@example.com", totp=True)  # enrolled elsewhere, without codes
    bobs = await house.login.attempt("bob@example.com", PASSWORD, wish=house.wish, visit=BROWSER)
    assert isinstance(bobs, SecondFactorNeeded) and bobs.pending is not None
    assert await house.login.ways(bobs.pending) == ("totp",)


# --- many at once


def tally(outcomes: list[object]) -> Counter[str]:
    return Counter(outcome.why if isinstance(outcome, Refused) else type(outcome).__name__ for outcome in outcomes)


@pytest.fixture
def open_guard(racing: House) -> House:
    racing.login.second_factor._options = replace(racing.options, code_tries=1000)
    racing.login.second_factor._throttle._options = LoginOptions(codes_per_5_minutes=1000, codes_per_hour=1000)
    return racing


async def test_of_twenty_logins_with_one_recovery_code_one_gets_in(open_guard: House) -> None:
    house = open_guard
    codes = await codes_of(house)
    pending = [await house.pending() for _ in range(20)]
    outcomes = await asyncio.gather(*(house.recover(each, codes[0]) for each in pending))
    assert tally(list(outcomes)) == {"LoggedIn": 1, "used": 19}


async def test_of_twenty_who_finish_one_login_with_one_code_one_gets_in(open_guard: House) -> None:
    house = open_guard
    codes = await codes_of(house)
    pending = await house.pending()
    outcomes = await asyncio.gather(*(house.recover(pending, codes[0]) for _ in range(20)), return_exceptions=True)
    assert sum(isinstance(outcome, LoggedIn) for outcome in outcomes) == 1
    assert all(isinstance(outcome, LoggedIn | Refused | Unavailable) for outcome in outcomes)
