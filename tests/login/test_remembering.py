"""A browser that stays signed in: born, used, used by fifty at once, copied, forgotten — sessions-and-accounts §4.4,
S12, S14, S15; security §3, §14.
"""

import asyncio
from collections import Counter

import msgspec
import pytest
from sqlalchemy import text

from bridge.errors import Unavailable
from bridge.login.outcome import SecondFactorNeeded
from bridge.login.remembering import Known, Over, Remembering, Resumed
from bridge.login.series import GRACE
from bridge.login.shown import Code
from bridge.secret import Secret
from bridge.sessions.judge import Alive, Dead, in_person
from bridge.stores.store import Change, Drop, Put
from bridge.tokens import LoginToken
from bridge.types import StampReason, Visit
from bridge.users.user import User
from tests.login.house import BROWSER, EMAIL, IP, PASSWORD, House, born

ELSEWHERE = Visit("pages", ip=IP, user_agent="Chrome", language="en")
REASONS: list[StampReason] = ["user", "admin", "password", "second-factor", "email", "disabled"]


class Ada:
    """She signed in and asked to stay signed in; `secret`: what her browser holds."""

    def __init__(self, house: House, user: User, secret: str, session: str) -> None:
        self.house = house
        self.user = user
        self.secret = secret
        self.session = session

    @property
    def remembering(self) -> Remembering:
        assert self.house.login.remembering is not None
        return self.house.login.remembering

    async def resume(self, secret: str | None = None) -> Resumed | Over:
        return await self.remembering.resume(secret or self.secret, ELSEWHERE)

    async def comes_back(self) -> Resumed:
        """And holds what she is given."""
        resumed = await self.resume()
        assert isinstance(resumed, Resumed)
        self.secret = resumed.secret.text.reveal()
        return resumed

    async def alive(self, token: LoginToken) -> bool:
        return isinstance(await self.house.alive(token), Alive)

    @property
    def told(self) -> list[str]:
        return [kind for kind, _ in self.house.heard.told("device.resumed", "device.copied", "device.forgotten")]


async def keeping(house: House) -> Ada:
    user = await house.ada()
    wish = msgspec.structs.replace(house.wish, keep=True)
    new = born(await house.login.attempt(EMAIL, PASSWORD, wish=wish, visit=BROWSER))
    assert new.device is not None
    return Ada(house, user, new.device.reveal(), new.record.id)


@pytest.fixture
async def ada(house: House) -> Ada:
    return await keeping(house)


async def test_nobody_stays_signed_in_who_did_not_ask(house: House) -> None:
    await house.ada()
    assert born(await house.attempt()).device is None


async def test_s14_who_comes_back_has_a_session_that_says_so_and_no_new_time_of_sign_in(ada: Ada) -> None:
    signed_in = int(ada.house.clock.now())
    ada.house.clock.move(5 * 86_400)
    resumed = await ada.comes_back()
    found = await ada.house.alive(resumed.token)
    assert isinstance(found, Alive)
    record = found.record
    assert (record.amr, record.acr, record.auth_time, record.id) == (("rem",), None, signed_in, ada.session)
    assert (record.iat, record.last) == (signed_in + 5 * 86_400,) * 2 and not in_person(record.amr)
    assert resumed.child is not None
    child = await ada.house.sessions.resolve(resumed.child, "middleware", IP)
    assert isinstance(child, Alive) and (child.record.amr, child.record.auth_time) == (("rem",), signed_in)
    assert child.record.last == record.last
    assert ada.house.arrivals.noted == [(ada.user.id, IP)], "that was the sign-in; this is none"


async def test_a_look_replaces_nothing_and_gives_nothing(ada: Ada) -> None:
    for _ in range(3):
        known = await ada.remembering.look(ada.secret, ELSEWHERE)
        assert isinstance(known, Known) and known.user.id == ada.user.id and known.secret is None
    assert ada.told == [] and (await ada.comes_back()).session == ada.session


async def test_each_use_replaces_the_secret(ada: Ada) -> None:
    seen = {ada.secret}
    for _ in range(3):
        ada.house.clock.move(3_600)
        await ada.comes_back()
        seen.add(ada.secret)
    assert len(seen) == 4 and ada.told == ["device.resumed"] * 3


async def test_it_is_over_its_time_after_the_sign_in_however_often_it_was_used(ada: Ada) -> None:
    ada.house.clock.move(29 * 86_400)
    await ada.comes_back()
    ada.house.clock.move(86_400 - 1)
    await ada.comes_back()
    ada.house.clock.move(1)
    assert await ada.resume() == Over() and ada.house.letters.purposes == []


@pytest.mark.parametrize("reason", REASONS)
async def test_whatever_ends_all_sessions_forgets_the_device_without_alarm(ada: Ada, reason: StampReason) -> None:
    old = ada.secret
    await ada.comes_back()
    await ada.house.sessions.end_all(ada.user.id, ada.user.tag, reason)
    ada.house.clock.move(GRACE + 1)
    for secret in (ada.secret, old):
        assert await ada.remembering.look(secret, ELSEWHERE) == Over()
        assert await ada.resume(secret) == Over()
    assert ada.house.letters.purposes == []


async def test_a_stamp_that_only_sql_knows_yet_forgets_it_too(ada: Ada) -> None:
    """Store §2, rule 3: the row is read, and not the store's word taken."""
    await ada.house.endings.restamp(ada.user.id, msgspec.structs.replace(ada.user).stamp.__class__("uNEW"))
    assert await ada.resume() == Over()


async def test_a_stamp_that_the_store_does_not_know_is_asked_of_sql(ada: Ada) -> None:
    await ada.house.store.commit(Drop(ada.house.names.stamp(ada.user.tag)))
    resumed = await ada.comes_back()
    assert await ada.alive(resumed.token)


async def test_the_end_of_the_session_forgets_the_device(ada: Ada) -> None:
    """Signing out is signing out."""
    await ada.house.sessions.end(ada.user.id, ada.user.tag, ada.session, "you")
    assert await ada.resume() == Over() and ada.house.letters.purposes == []


async def test_the_end_of_the_session_ends_what_came_after_it(ada: Ada) -> None:
    resumed = await ada.comes_back()
    await ada.house.sessions.end(ada.user.id, ada.user.tag, ada.session, "you")
    assert not await ada.alive(resumed.token) and await ada.resume() == Over()
    assert resumed.child is not None
    assert isinstance(await ada.house.sessions.resolve(resumed.child, "middleware", IP), Dead)


@pytest.mark.parametrize(("change", "value"), [("disabled_at", "1"), ("second_factor_state", "'re-enrol'")])
async def test_whoever_may_not_sign_in_does_not_come_back_either(ada: Ada, change: str, value: str) -> None:
    """Whatever has ended nothing yet: the row alone says it."""
    async with ada.house.db.begin() as tx:
        await tx.execute(text(f"UPDATE users SET {change} = {value}"))
    assert await ada.remembering.look(ada.secret, ELSEWHERE) == Over() == await ada.resume()


async def test_a_forgotten_device_is_nobodys(ada: Ada) -> None:
    resumed = await ada.comes_back()
    await ada.remembering.forget(ada.secret, ELSEWHERE)
    assert await ada.resume() == Over() and not await ada.alive(resumed.token)
    assert ada.told == ["device.resumed", "device.forgotten"]


async def test_its_owner_sees_when_it_was_made_and_last_used_until_it_is_over(ada: Ada) -> None:
    made, remembering = int(ada.house.clock.now()), ada.remembering
    (seen,) = await remembering.list_of(ada.user)
    assert (seen.session, seen.since, seen.last, seen.until) == (ada.session, made, made, made + 30 * 86_400)
    assert (seen.ip, seen.user_agent) == (str(IP), BROWSER.user_agent)
    ada.house.clock.move(5 * 86_400)
    await ada.comes_back()
    (seen,) = await remembering.list_of(ada.user)
    assert (seen.since, seen.last, seen.user_agent) == (made, made + 5 * 86_400, ELSEWHERE.user_agent)
    ada.house.clock.move(25 * 86_400)
    assert await remembering.list_of(ada.user) == []


async def test_a_list_shows_no_device_that_has_ended_and_looks_for_it_once(ada: Ada) -> None:
    index = ada.house.names.devices_of(ada.user.tag)
    assert len(await ada.house.store.members(index)) == 1
    await ada.house.sessions.end(ada.user.id, ada.user.tag, ada.session, "you")
    assert await ada.remembering.list_of(ada.user) == []
    assert await ada.house.store.members(index) == []


@pytest.mark.parametrize("reason", REASONS)
async def test_a_list_shows_none_of_another_stamp(ada: Ada, reason: StampReason) -> None:
    stamp = await ada.house.sessions.end_all(ada.user.id, ada.user.tag, reason)
    assert stamp is not None
    assert await ada.remembering.list_of(msgspec.structs.replace(ada.user, stamp=stamp)) == []


async def test_a_list_made_with_an_old_row_hides_no_newer_device(ada: Ada) -> None:
    """Who read the row before all ended, and the store after somebody signed in again."""
    before = msgspec.structs.replace(ada.user, stamp=ada.user.stamp.__class__("uOLD"))
    assert await ada.remembering.list_of(before) == []
    assert len(await ada.remembering.list_of(ada.user)) == 1


async def test_only_a_device_of_his_is_forgotten(ada: Ada) -> None:
    forget = ada.remembering.forget_one
    other = msgspec.structs.replace(ada.user, id=ada.user.id.__class__(ada.user.id + 1))
    assert not await forget(ada.user, "x", ELSEWHERE) and not await forget(other, ada.session, ELSEWHERE)
    resumed = await ada.comes_back()
    assert await forget(ada.user, ada.session, ELSEWHERE)
    assert not await forget(ada.user, ada.session, ELSEWHERE)
    assert not await ada.alive(resumed.token) and await ada.resume() == Over()
    assert ada.told == ["device.resumed", "device.forgotten"]


async def test_a_lost_reply_locks_nobody_out_and_alarms_nobody(ada: Ada) -> None:
    """Within the grace who shows the secret once more is given the same."""
    lost = await ada.resume()
    ada.house.clock.move(GRACE)
    known = await ada.remembering.look(ada.secret, ELSEWHERE)
    again = await ada.resume()
    assert isinstance(lost, Resumed) and isinstance(again, Resumed) and isinstance(known, Known)
    assert known.secret is not None and known.secret.digest == again.secret.digest == lost.secret.digest
    assert (again.token.sid, again.session) == (lost.token.sid, lost.session)
    ada.house.clock.move(3_600)
    ada.secret = known.secret.text.reveal()
    await ada.comes_back()
    assert ada.house.letters.purposes == []


@pytest.mark.parametrize("thief_first", [False, True])
async def test_a_copied_secret_ends_the_series_and_what_was_made_from_it(ada: Ada, *, thief_first: bool) -> None:
    stolen = ada.secret
    first = await ada.comes_back()
    ada.house.clock.move(GRACE + 1)
    second = await ada.comes_back() if thief_first else first
    assert await ada.resume(stolen) == Over("copied")
    assert not await ada.alive(first.token) and not await ada.alive(second.token)
    assert await ada.resume() == Over(), "the good one is good for nothing any more"
    assert await ada.house.alive(second.token) == Dead("device-copied")
    assert ada.house.letters.purposes == ["device-copied"]
    assert ada.told[-1] == "device.copied"
    assert await ada.house.endings.ended_session(ada.session) == "copied"


async def test_a_copy_is_noticed_by_a_look_too(ada: Ada) -> None:
    """Else nobody would notice it, where nobody is asked whether it is he."""
    stolen = ada.secret
    await ada.comes_back()
    ada.house.clock.move(GRACE + 1)
    assert await ada.remembering.look(stolen, ELSEWHERE) == Over("copied")
    assert await ada.resume() == Over() and ada.house.letters.purposes == ["device-copied"]


async def test_fifty_copies_at_once_are_one_letter(ada: Ada) -> None:
    stolen = ada.secret
    await ada.comes_back()
    ada.house.clock.move(GRACE + 1)
    answers = await asyncio.gather(*(ada.resume(stolen) for _ in range(50)))
    assert {type(each) for each in answers} == {Over} and Over("copied") in answers
    assert ada.house.letters.purposes == ["device-copied"] and ada.told.count("device.copied") == 1


async def test_no_more_letters_in_a_day_than_of_other_kinds(ada: Ada) -> None:
    most = ada.house.options.notices_per_day
    for _ in range(most + 2):
        wish = msgspec.structs.replace(ada.house.wish, keep=True)
        new = born(await ada.house.login.attempt(EMAIL, PASSWORD, wish=wish, visit=BROWSER))
        assert new.device is not None
        stolen = ada.secret = new.device.reveal()
        await ada.comes_back()
        ada.house.clock.move(GRACE + 1)
        assert await ada.resume(stolen) == Over("copied")
    assert ada.house.letters.purposes.count("device-copied") == most


async def test_one_changed_character_is_no_alarm(ada: Ada) -> None:
    for at in range(len(ada.secret)):
        other = "0" if ada.secret[at] != "0" else "1"
        assert await ada.resume(ada.secret[:at] + other + ada.secret[at + 1 :]) == Over()
    assert (await ada.comes_back()).session == ada.session and ada.house.letters.purposes == []


async def test_fifty_uses_at_once_make_no_fork_and_no_alarm(racing: House) -> None:
    """On each store: one successor, one session, whoever is asked."""
    ada = await keeping(racing)
    for _ in range(3):
        racing.clock.move(60)
        answers = await asyncio.gather(*(ada.resume() for _ in range(50)))
        given = [each for each in answers if isinstance(each, Resumed)]
        assert len(given) == 50
        assert len(Counter(each.secret.digest for each in given)) == 1
        assert len(Counter(each.token.sid for each in given)) == 1
        assert await ada.alive(given[0].token)
        ada.secret = given[0].secret.text.reveal()
    assert racing.letters.purposes == []
    views = await racing.sessions.list_of(ada.user.id, ada.user.tag)
    assert [view.id for view in views] == [ada.session], "one device is one line"


async def test_who_is_asked_for_a_code_stays_signed_in_all_the_same(house: House) -> None:
    """The choice waits with the password, under our seal; the second page cannot add it."""
    await house.ada(totp=True)
    for asked in (True, False):
        wish = msgspec.structs.replace(house.wish, keep=asked)
        outcome = await house.login.attempt(EMAIL, PASSWORD, wish=wish, visit=BROWSER)
        assert isinstance(outcome, SecondFactorNeeded) and outcome.pending is not None
        wrong = await house.login.finish(outcome.pending, Code(house.wrong_code()), wish=house.wish, visit=BROWSER)
        assert not hasattr(wrong, "born")
        wish = msgspec.structs.replace(house.wish, keep=not asked)
        done = await house.login.finish(outcome.pending, Code(house.code()), wish=wish, visit=BROWSER)
        assert (born(done).device is not None) is asked
        house.clock.move(30)


async def test_a_device_is_born_with_the_stamp_of_before_the_check(house: House) -> None:
    """Store §2, rule 3: what ends all between the check and the birth ends the device too."""
    user = await house.ada()

    async def end_all() -> None:
        await house.sessions.end_all(user.id, user.tag, "user")

    house.backend.then = end_all
    wish = msgspec.structs.replace(house.wish, keep=True)
    new = born(await house.login.attempt(EMAIL, PASSWORD, wish=wish, visit=BROWSER))
    assert house.backend.checks == 2, "the password was checked again"
    assert new.device is not None and new.record.stamp == (await house.row(user)).stamp


async def test_after_the_store_went_back_in_time_neither_secret_is_taken(ada: Ada) -> None:
    """A secret that we gave away and the store does not know is no copy; but the older one is alive again (§3)."""
    series = ada.remembering.series
    shown = series.parse(ada.secret)
    assert shown is not None
    old = ada.secret
    (snapshot,) = await ada.house.store.read(series.key(shown))
    assert snapshot is not None
    await ada.comes_back()
    await ada.house.store.commit(Put(series.key(shown), snapshot, 3_600))
    assert await ada.resume() == Over()
    assert await ada.resume(old) == Over() and ada.house.letters.purposes == []


async def test_what_only_writes_to_the_store_makes_no_device(ada: Ada) -> None:
    """Security §11: a record that is moved to another series, or changed, is none."""
    other = ada.remembering.series.draw(ada.user.tag)
    shown = ada.remembering.series.parse(ada.secret)
    assert shown is not None
    (raw,) = await ada.house.store.read(ada.remembering.series.key(shown))
    assert raw is not None
    await ada.house.store.commit(Put(ada.remembering.series.key(other), raw, 3_600))
    assert await ada.resume(other.text.reveal()) == Over()
    changed = raw.replace(b'"turn":0', b'"turn":1')
    assert changed != raw
    await ada.house.store.commit(Put(ada.remembering.series.key(shown), changed, 3_600))
    assert await ada.resume() == Over()


async def test_the_store_holds_no_secret_right_after_a_use(ada: Ada, monkeypatch: pytest.MonkeyPatch) -> None:
    """Security §5, §9."""
    written: list[Change] = []
    commit = ada.house.store.commit

    async def noted(*changes: Change) -> bool:
        written.extend(changes)
        return await commit(*changes)

    monkeypatch.setattr(ada.house.store, "commit", noted)
    old = ada.secret
    resumed = await ada.comes_back()
    dump = repr(written).encode()
    assert resumed.child is not None
    for secret in (Secret(old), resumed.secret.text, resumed.token.text, resumed.child.text):
        assert secret.reveal().encode() not in dump
    for device in (old, resumed.secret.text.reveal()):  # what stands in it beside slot, series and turn
        assert device[39:61].encode() not in dump


async def test_a_store_that_is_down_is_no_over(ada: Ada, monkeypatch: pytest.MonkeyPatch) -> None:
    async def down(*_: object) -> list[bytes | None]:
        raise Unavailable("down")

    monkeypatch.setattr(ada.house.store, "read", down)
    with pytest.raises(Unavailable):
        await ada.resume()
