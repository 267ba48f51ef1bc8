"""How a session ends in the store, after SQL knows of it — store §2, rules 1, 2, 4 and 8.

`ended` is terminal, and so the one thing that may be put without looking at what was there.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from bridge.errors import Unavailable
from bridge.sessions.birth import Tools, lifetime
from bridge.sessions.judge import Alive
from bridge.sessions.options import SHORTEST_MEMORY
from bridge.sessions.record import Ended, EndReason, SessionRecord, Trace, encode_trace
from bridge.sessions.stamp import GONE, read_stamp, stamp_value
from bridge.sessions.truth import Truth
from bridge.stores.decide import Decision
from bridge.stores.publish import publish
from bridge.stores.store import Expect, Put, Store, Swap
from bridge.types import ClientId, Key, SlotTag, Stamp, UserId

MOST_AT_ONCE = 200
MOST_LISTINGS = 8

Found = tuple[str, SessionRecord | Trace | None]


class Over(NamedTuple):
    """A session that is over, with everything that was born under it."""

    keys: frozenset[str]
    """All of them.  Ended, nothing can be born there any more: whoever gives birth expects one of them alive."""
    records: list[SessionRecord]
    """Those that were still alive."""


async def end_born_under(
    store: Store, tools: Tools, user: UserId, tag: SlotTag, session_id: str, *, reason: EndReason, at: int
) -> Over:
    """Put `ended` over a session, its children and its families.

    Lists again until nothing new was born under it.  Raises `Unavailable`.
    """
    value = encode_trace(Ended(id=session_id, uid=user, reason=reason, at=at))
    index = tools.names.born_under(tag, session_id)
    done: set[str] = set()
    ended: list[SessionRecord] = []
    for _ in range(MOST_LISTINGS):
        members = [member for member in await store.members(index) if member not in done]
        if not members:
            return Over(frozenset(done), ended)
        # Parents first: whoever still reads one of them alive may be giving birth under it.
        found = sorted(await look(store, tools, members), key=_is_no_parent)
        ended += [record for _, record in found if isinstance(record, SessionRecord)]
        keys = [key for key, record in found if not isinstance(record, Ended)]
        for start in range(0, len(keys), MOST_AT_ONCE):
            chunk = keys[start : start + MOST_AT_ONCE]
            await store.commit(*(Put(key, value, tools.options.ended_ttl) for key in chunk))
        done.update(members)
    raise Unavailable("more is born under the session than can be ended")


async def before_the_end(
    store: Store, tools: Tools, tag: SlotTag, session_id: str, *, now: float
) -> tuple[float, dict[ClientId, str]]:
    """When nothing of the session could live any more, in whatever old state the store comes back: until then SQL must
    remember that it ended.  And the clients that it is known to.

    A store that does not answer is no reason not to end it: then it is remembered for the longest, and its clients are
    told by whoever ends it in the store.
    """
    try:
        found = await look(store, tools, await store.members(tools.names.born_under(tag, session_id)))
    except Unavailable:
        return now + tools.options.ended_ttl, {}
    records = [record for _, record in found if isinstance(record, SessionRecord)]
    if not records or any(record is None for _, record in found):  # families have their own, longer, times
        return now + tools.options.ended_ttl, known_to(records)
    return float(max(record.abs + SHORTEST_MEMORY for record in records)), known_to(records)


def known_to(records: Iterable[SessionRecord]) -> dict[ClientId, str]:
    """The clients that were there under these sessions, and what they know them by."""
    return {client: sid for record in records for client, sid in record.clients.items()}


async def publish_stamp(store: Store, tools: Tools, truth: Truth, user: UserId, tag: SlotTag) -> Stamp | None:
    """Make the store say what SQL says of the user's stamp, and return it; None: there is no such user."""

    async def said() -> bytes:
        return stamp_value(user, await truth.stamp_of(user) or GONE)

    known = read_stamp(await publish(store, tools.names.stamp(tag), said, tools.options.stamp_ttl))
    return known[1] if known is not None and known[1] != GONE else None


async def look(store: Store, tools: Tools, keys: Sequence[str]) -> list[Found]:
    """What lies at these keys, those that hold no session included."""
    found: list[Found] = []
    for start in range(0, len(keys), MOST_AT_ONCE):
        chunk = keys[start : start + MOST_AT_ONCE]
        values = await store.read(*chunk)
        found += [(key, tools.codec.decode(Key(key), raw)) for key, raw in zip(chunk, values, strict=True)]
    return found


def kept(
    raw: bytes | None, raw_stamp: bytes | None, *, alive: Alive, new: Stamp, now: float, tools: Tools
) -> Decision[Alive | None]:
    """One step of "end all but this", once SQL says `new` (rule 4): the record and the stamp move together.

    None: somebody else's stamp is there, or this session has ended too.
    """
    record = tools.codec.decode(alive.key, raw)
    if raw is None or not isinstance(record, SessionRecord):
        return Decision((), None)
    if record.stamp == new:  # our own first copy won, and perhaps somebody touched it since (rule 5)
        return Decision((), Alive(alive.token, alive.key, raw, record))
    before, after = (stamp_value(record.uid, stamp) for stamp in (alive.record.stamp, new))
    if record.stamp != alive.record.stamp or raw_stamp not in {before, after}:
        return Decision((), None)
    moved = msgspec.structs.replace(record, stamp=new)
    value = tools.codec.encode(alive.key, moved)
    v = tools.names.stamp(alive.token.tag)
    move = Expect(v, after) if raw_stamp == after else Swap(v, before, after, tools.options.stamp_ttl)
    changes = (Swap(alive.key, raw, value, lifetime(moved, now, tools.options)), move)
    return Decision(changes, Alive(alive.token, alive.key, value, moved))


def _is_no_parent(found: Found) -> bool:
    record = found[1]
    return not (isinstance(record, SessionRecord) and record.parent is None)
