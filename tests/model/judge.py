"""What must hold when everything has settled, and what must hold the moment something was acknowledged.

Alive is what the project's own readers say of the store as it lies there.
"""

from collections.abc import Iterable

from bridge.sessions.judge import Alive, judge_anywhere
from bridge.sessions.record import SessionRecord
from bridge.sessions.stamp import stamp_value
from bridge.stores.store import slot
from bridge.types import Key, SlotTag
from tests.model.world import Handed, Told, World


def alive(world: World) -> list[Handed]:
    """The login tokens that a reader takes for somebody now."""
    return [each for each in world.handed if _lives(world, each)]


def at_once(world: World, told: Told) -> None:
    """What was acknowledged is so at that moment, without any reconciler."""
    if world.store.rolled_back or world.store.in_flight:
        return  # until the reconciler, or the copy, has come
    for each in alive(world):
        if told.what == "ended" and each.session == told.about:
            world.wrong.append("a session lives on after its end was acknowledged")
        if told.what == "rotated" and each.token.sid == told.about:
            world.wrong.append("a token lives on after it was replaced")
        if told.what == "all ended" and each.user == told.user and each.checked_at < _sql_said(world, told):
            world.wrong.append("a session lives on after all were said to be ended")


def settled(world: World) -> list[str]:
    """Everything that is wrong at the end."""
    return sorted({*world.wrong, *_sessions(world), *_stamps(world), *_kept(world), *_used_twice(world)})


def _sessions(world: World) -> Iterable[str]:
    living, parents = alive(world), _parents(world)
    ended, replaced = ({told.about for told in world.told if told.what == what} for what in ("ended", "rotated"))
    for each in living:
        whose = "child" if each.child else "session"
        for row in world.sql.happened:
            if row.user != each.user or row.step <= each.checked_at:
                continue
            if row.what == "all ended":
                yield f"a {whose} of before all were ended lives"
            if row.what == "others ended" and (each.child or each.session != world.asked.get(row.about)):
                yield f"a {whose} of before the others were ended lives"
        if world.sql.rows[each.user].user.disabled:
            yield f"a {whose} of a disabled user lives"
        if each.session in world.sql.sessions:
            yield f"a {whose} lives whose end is in SQL"
        if each.session in ended:
            yield f"a {whose} lives whose end was acknowledged"
        if each.child and each.session not in parents:
            yield "a child lives without its parent"
        if each.token.sid in replaced:
            yield f"a {whose} lives under a token that was replaced"


def _stamps(world: World) -> Iterable[str]:
    for user, row in world.sql.rows.items():
        (value,) = world.store.seen(world.names.stamp(row.user.tag))
        if value is not None and value != stamp_value(user, row.user.stamp):
            yield "the store's stamp is not SQL's"


def _kept(world: World) -> Iterable[str]:
    """Who ended the others stays, if nobody else ended anything and nothing was lost; of several, one."""
    endings = [told for told in world.told if told.what != "rotated"]
    if world.store.rolled_back or world.turns.broken or world.sql.sessions or len(endings) != len(world.told):
        return
    if {row.what for row in world.sql.happened} != {"others ended"} or len(endings) != len(world.asked):
        return
    if not _parents(world) & set(world.asked.values()):
        yield "of those who ended the others none is left"
    if len(endings) != 1:
        return
    for told in endings:
        if told.what == "kept lost":
            yield "the session that ended the others did not survive it"
        if told.what == "others ended" and told.about not in {each.token.sid for each in alive(world)}:
            yield "the session that ended the others is dead"


def _used_twice(world: World) -> Iterable[str]:
    for thing, gave in world.used.items():
        kind = thing.partition(" ")[0]
        if len([key for key in gave if world.store.seen(key) != [None]]) > 1:  # absent: undone by a rollback
            yield f"two successes from one {kind}"
    for thing in world.again:
        yield f"a {thing} that was used works again"


def _lives(world: World, handed: Handed) -> bool:
    names, token = world.names, handed.token
    raw, raw_stamp = world.store.seen(names.session(token), names.stamp(token.tag))
    verdict = judge_anywhere(token, names.session(token), raw, raw_stamp, now=world.clock.now(), codec=world.codec)
    return isinstance(verdict, Alive)


def _parents(world: World) -> set[str]:
    """The ids of living sessions that are no children, also of those whose token was lost on its way."""
    found = set()
    for key in list(world.store.inner._values):
        raw, raw_stamp = world.store.seen(key, world.names.stamp(SlotTag(slot(key))))
        record = world.codec.decode(Key(key), raw)
        if isinstance(record, SessionRecord) and raw_stamp == stamp_value(record.uid, record.stamp):
            found |= {record.id} if record.parent is None else set()
    return found


def _sql_said(world: World, told: Told) -> int:
    steps = [row.step for row in world.sql.happened if row.what == "all ended" and row.user == told.user]
    return max((step for step in steps if step <= told.step), default=0)
