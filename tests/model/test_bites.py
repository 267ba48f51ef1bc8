"""The model must notice each rule of store §2 that is broken, or it proves nothing — style §8."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from bridge.login import challenge, passkeys, remembering, second_factor, series, sso
from bridge.sessions import birth, ending, sessions, ticket
from bridge.sessions.birth import placed, rotation
from bridge.sessions.reconciler import Reconciler
from bridge.sessions.record import Ended, SessionRecord, encode_trace
from bridge.sessions.stamp import stamp_value
from bridge.stores.decide import Decision
from bridge.stores.store import Add, Change, Drop, Expect, Put, Store, Swap, Tag, Untag
from bridge.tokens import LoginToken
from tests.model.scenarios import SESSIONS
from tests.model.sql import ModelSql
from tests.model.test_sessions import ADVERSARIES, play

Patch = pytest.MonkeyPatch
ENOUGH = 400


async def _nothing(*_: Any, **__: Any) -> None:
    """Done without doing it."""


def no_sql_row_for_an_ended_session(patch: Patch) -> None:
    patch.setattr(ModelSql, "end_session", _nothing)


def no_sql_row_for_a_replaced_token(patch: Patch) -> None:
    patch.setattr(ModelSql, "end_key", _nothing)


def no_sql_row_read_before_the_password(patch: Patch) -> None:
    """The stamp is taken from the row as it is after the check."""
    original = sessions.Sessions.start

    async def start(self: sessions.Sessions, standing: Any, *args: Any, **more: Any) -> Any:
        stamp = await self.publish_stamp(standing.user, standing.tag)
        return await original(self, type(standing)(standing.user, standing.tag, stamp), *args, **more)

    patch.setattr(sessions.Sessions, "start", start)


def sql_is_read_before_the_store_when_publishing(patch: Patch) -> None:
    async def publish(store: Store, key: str, truth: Callable[[], Awaitable[bytes]], ttl: float) -> bytes:
        wanted = await truth()
        (seen,) = await store.read(key)
        await store.commit(Add(key, wanted, ttl) if seen is None else Swap(key, seen, wanted, ttl))
        return wanted

    patch.setattr(ending, "publish", publish)


def the_stamp_is_put(patch: Patch) -> None:
    async def publish(store: Store, key: str, truth: Callable[[], Awaitable[bytes]], ttl: float) -> bytes:
        wanted = await truth()
        await store.commit(Put(key, wanted, ttl))
        return wanted

    patch.setattr(ending, "publish", publish)


def ended_is_dropped(patch: Patch) -> None:
    patch.setattr(ending, "Put", lambda key, value, ttl: Drop(key))


def the_end_lists_once(patch: Patch) -> None:
    async def end(store: Store, tools: Any, user: Any, tag: Any, session_id: str, **more: Any) -> ending.Over:
        members = await store.members(tools.names.born_under(tag, session_id))
        value = encode_trace(Ended(id=session_id, uid=user, reason="you", at=0))
        await store.commit(*(Put(key, value, 600) for key in members))
        return ending.Over(frozenset(), [])

    patch.setattr(ending, "end_born_under", end)


def others_are_ended_without_compare_and_swap(patch: Patch) -> None:
    original = ModelSql.restamp

    async def restamp(self: ModelSql, user: Any, new: Any, *, expected: Any = None) -> bool:
        row = self.rows[user]
        return await original(self, user, new, expected=row.user.stamp)

    patch.setattr(ModelSql, "restamp", restamp)


def the_kept_session_takes_whatever_stamp(patch: Patch) -> None:
    def kept(raw: bytes | None, raw_stamp: bytes | None, *, alive: Any, new: Any, now: float, tools: Any) -> Any:
        record = tools.codec.decode(alive.key, raw)
        if raw is None or not isinstance(record, SessionRecord):
            return Decision((), None)
        moved = msgspec.structs.replace(record, stamp=new)
        value = tools.codec.encode(alive.key, moved)
        stamp = Put(tools.names.stamp(alive.token.tag), stamp_value(record.uid, new), 600)
        return Decision((Swap(alive.key, raw, value, 600), stamp), type(alive)(alive.token, alive.key, value, moved))

    patch.setattr(ending, "kept", kept)


def a_touch_writes_blindly(patch: Patch) -> None:
    patch.setattr(sessions, "Swap", lambda key, seen, value, ttl: Put(key, value, ttl))


def a_rotation_writes_over_the_old_record_blindly(patch: Patch) -> None:
    def blind(*args: Any, **more: Any) -> Any:
        born = rotation(*args, **more)
        changes = [Put(c.key, c.value, c.ttl) if isinstance(c, Swap) else c for c in born.changes]
        return birth.Born(born.token, born.key, born.record, born.child, tuple(changes))

    patch.setattr(sessions, "rotation", blind)


def a_rotation_is_not_listed_under_its_session(patch: Patch) -> None:
    def unlisted(*args: Any) -> Any:
        token, key, changes = placed(*args)
        return token, key, tuple(c for c in changes if not (isinstance(c, Tag | Untag) and ":x:" in c.index))

    patch.setattr(birth, "placed", unlisted)


def a_child_does_not_expect_its_parent(patch: Patch) -> None:
    patch.setattr(sessions, "new_child", _orphan)


def _orphan(parent: Any, **more: Any) -> Any:
    born = birth.new_child(parent, **more)
    changes: tuple[Change, ...] = tuple(c for c in born.changes if not (isinstance(c, Expect) and c.key == parent.key))
    return birth.Born(born.token, born.key, born.record, born.child, changes)


def a_pending_login_is_used_blindly(patch: Patch) -> None:
    patch.setattr(second_factor, "Swap", lambda key, seen, value, ttl: Put(key, value, ttl))
    patch.setattr(second_factor, "Add", _put_marks(Add))


def a_recovery_code_is_used_up_by_whoever_says_so(patch: Patch) -> None:
    original = ModelSql.spend_code

    async def spend(self: ModelSql, deed: object, user: Any, code: int) -> int:
        await original(self, deed, user, code)
        return 0

    patch.setattr(ModelSql, "spend_code", spend)


def the_epoch_is_not_raised(patch: Patch) -> None:
    async def raise_epoch(self: ModelSql, identity: str) -> int:
        return self.epoch

    patch.setattr(ModelSql, "raise_epoch", raise_epoch)


def a_ticket_is_used_blindly(patch: Patch) -> None:
    patch.setattr(ticket, "Swap", lambda key, seen, value, ttl: Put(key, value, ttl))


def the_child_of_a_ticket_does_not_expect_its_parent(patch: Patch) -> None:
    patch.setattr(ticket, "new_child", _orphan)


def a_ticket_of_before_a_loss_is_taken(patch: Patch) -> None:
    original = ticket._refusal

    def lenient(found: Any, *args: Any, at: Any, **more: Any) -> Any:
        return original(found, *args, at=replace(at, epoch=found.epoch), **more)

    patch.setattr(ticket, "_refusal", lenient)


def a_link_is_used_blindly(patch: Patch) -> None:
    patch.setattr(sso, "Swap", lambda key, seen, value, ttl: Put(key, value, ttl))


def links_know_no_epoch(patch: Patch) -> None:
    original = sso.SingleSignOn.__init__

    def timeless(self: Any, *, epoch: Any, **rooms: Any) -> None:
        original(self, epoch=lambda: 1, **rooms)

    patch.setattr(sso.SingleSignOn, "__init__", timeless)


def a_link_outlives_the_end_of_all(patch: Patch) -> None:
    """Whose row it is now is good enough, whatever the stamp under which it was made."""
    original = sso.SingleSignOn.look

    async def look(self: Any, text: str) -> Any:
        found = await original(self, text)
        if not isinstance(found, sso.SsoRefused) or found.why != "signed-out":
            return found
        token = LoginToken.parse(text)
        assert token is not None
        key = self._names.sso(token)
        (raw,) = await self._store.read(key)
        record = self._seal.decode(key, raw)
        return found if record is None else sso.Offer(token, key, raw, await self._users.by_id(record.uid), record.wish)

    patch.setattr(sso.SingleSignOn, "look", look)


def a_challenge_leaves_no_mark(patch: Patch) -> None:
    original = passkeys.Passkeys._mark
    patch.setattr(passkeys.Passkeys, "_mark", lambda *of: replace_key(original(*of)))


def replace_key(mark: Add) -> Add:
    """A mark of its own for each who shows it."""
    return Add(f"{mark.key}:{mark.value.hex()}", mark.value, mark.ttl)


def who_comes_in_by_a_passkey_does_not_expect_its_mark(patch: Patch) -> None:
    """A store that was set back between the mark and the birth let two in: found by this model."""
    patch.setattr(passkeys, "Expect", lambda key, value: None)


def challenges_know_no_epoch(patch: Patch) -> None:
    original = challenge.Challenges.__init__

    def timeless(self: Any, *, epoch: Any, **rooms: Any) -> None:
        original(self, epoch=lambda: 1, **rooms)

    patch.setattr(challenge.Challenges, "__init__", timeless)


def a_passkey_is_taken_under_whatever_stamp(patch: Patch) -> None:
    no_sql_row_read_before_the_password(patch)


def a_device_is_used_blindly(patch: Patch) -> None:
    patch.setattr(series, "Swap", lambda key, seen, value, ttl: Put(key, value, ttl))


def a_device_is_not_listed_under_its_session(patch: Patch) -> None:
    original = series.Series.begun

    def unlisted(*args: Any) -> Any:
        return [change for change in original(*args) if not isinstance(change, Tag)]

    patch.setattr(series.Series, "begun", unlisted)


def a_device_takes_whatever_stamp(patch: Patch) -> None:
    original = series.judge

    def lenient(device: Any, shown: Any, stamp: Any, now: float) -> Any:
        return original(device, shown, device.stamp if device is not None else stamp, now)

    patch.setattr(remembering, "judge", lenient)


def the_reconciler_ends_no_sessions(patch: Patch) -> None:
    patch.setattr(Reconciler, "_publish_ends", _nothing)


def the_reconciler_looks_at_no_replaced_tokens(patch: Patch) -> None:
    patch.setattr(Reconciler, "_end_those_back", _nothing)


def the_reconciler_publishes_no_stamps(patch: Patch) -> None:
    patch.setattr(Reconciler, "_publish_stamps", _nothing)


def _put_marks(add: Any) -> Callable[..., Change]:
    return lambda key, value, ttl: Put(key, value, ttl) if ":m:" in key else add(key, value, ttl)


BROKEN: Mapping[Callable[[Patch], None], tuple[str, str]] = {
    no_sql_row_for_an_ended_session: ("end_meets_birth_of_a_child", "rollback"),
    no_sql_row_for_a_replaced_token: ("two_rotations", "rollback"),
    no_sql_row_read_before_the_password: ("login_meets_end_all", "plain"),
    sql_is_read_before_the_store_when_publishing: ("a_publication_is_overtaken", "plain"),
    the_stamp_is_put: ("a_publication_is_overtaken", "plain"),
    ended_is_dropped: ("login_then_end", "late"),
    the_end_lists_once: ("end_meets_rotation", "plain"),
    others_are_ended_without_compare_and_swap: ("others_meet_others", "plain"),
    the_kept_session_takes_whatever_stamp: ("others_meet_end_all", "plain"),
    a_touch_writes_blindly: ("end_meets_birth_of_a_child", "plain"),
    a_rotation_writes_over_the_old_record_blindly: ("end_meets_rotation", "plain"),
    a_rotation_is_not_listed_under_its_session: ("end_meets_rotation", "plain"),
    a_child_does_not_expect_its_parent: ("end_meets_birth_of_a_child", "plain"),
    a_ticket_is_used_blindly: ("one_ticket_is_brought_twice", "plain"),
    the_child_of_a_ticket_does_not_expect_its_parent: ("end_meets_a_ticket", "plain"),
    a_ticket_of_before_a_loss_is_taken: ("one_ticket_is_brought_twice", "rollback"),
    a_pending_login_is_used_blindly: ("one_code_is_given_twice", "plain"),
    a_recovery_code_is_used_up_by_whoever_says_so: ("one_recovery_code_for_two_logins", "plain"),
    a_device_is_used_blindly: ("one_device_comes_back_twice", "plain"),
    a_device_is_not_listed_under_its_session: ("end_meets_a_device_that_comes_back", "plain"),
    a_device_takes_whatever_stamp: ("end_all_meets_a_device_that_comes_back", "plain"),
    the_epoch_is_not_raised: ("one_code_is_given_twice", "rollback"),
    a_link_is_used_blindly: ("one_link_is_followed_twice", "plain"),
    links_know_no_epoch: ("one_link_is_followed_twice", "rollback"),
    a_link_outlives_the_end_of_all: ("end_all_meets_a_link", "plain"),
    a_challenge_leaves_no_mark: ("one_passkeys_response_is_shown_twice", "plain"),
    who_comes_in_by_a_passkey_does_not_expect_its_mark: ("one_passkeys_response_is_shown_twice", "rollback"),
    challenges_know_no_epoch: ("one_passkeys_response_is_shown_twice", "rollback"),
    a_passkey_is_taken_under_whatever_stamp: ("end_all_meets_a_passkeys_response", "plain"),
    the_reconciler_ends_no_sessions: ("end_meets_birth_of_a_child", "rollback"),
    the_reconciler_looks_at_no_replaced_tokens: ("two_rotations", "rollback"),
    the_reconciler_publishes_no_stamps: ("others_meet_end_all", "rollback"),
}


@pytest.mark.slow
@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
async def test_a_broken_rule_is_noticed(broken: Callable[[Patch], None], monkeypatch: Patch) -> None:
    broken(monkeypatch)
    name, adversary = BROKEN[broken]
    for number in range(ENOUGH):
        _, wrong = await play(SESSIONS[name], ADVERSARIES[adversary], f"{broken.__name__} {number}")
        if wrong:
            return
    pytest.fail(f"{ENOUGH} schedules, and nothing was noticed")
