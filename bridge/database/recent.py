"""What ended or changed since some moment, and what numbers stand now: one question each second — security §3, §20.

One statement, because it is the statement that costs and not its rows; and so all of it is of one moment.  It goes by
when something happened, as whoever did it wrote, and a transaction may commit later than that: hence whoever asks each
second asks for more than a second (docs/decisions/0241).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import BigInteger, ColumnElement, Select, String, Table, bindparam, literal_column, select, union_all

from bridge.database.lookup import LookUp
from bridge.database.once import NO_SESSION
from bridge.database.tables import consents, ended_families, ended_keys, ended_sessions, store_epoch, users, versions
from bridge.types import ClientId, FamilyId, Key, SlotTag, Standing, UserId


class EndedSession(Struct, frozen=True, kw_only=True):
    """A session that was ended, by its `id`."""

    user: UserId
    tag: SlotTag
    session_id: str
    reason: str


class EndedKey(Struct, frozen=True, kw_only=True):
    """A record whose token was replaced: if it is found alive, the whole session ends (store §2, rule 8)."""

    key: Key
    session_id: str
    user: UserId
    tag: SlotTag


@dataclass(frozen=True, slots=True, kw_only=True)
class Recent:
    """What ended, or changed, since some moment."""

    epoch: int
    """The store's, now (store §2, rule 9)."""
    versions: Mapping[str, int]
    """Of what is cached, now; a name that was never bumped is absent."""
    users: list[Standing]
    """Whose stamp changed, and what it is."""
    sessions: list[EndedSession]
    keys: list[EndedKey]
    families: list[tuple[SlotTag, FamilyId]]
    consents: list[tuple[UserId, SlotTag, ClientId]]
    """Which were withdrawn."""


def read_recent(rows: Iterable[Any]) -> Recent:
    """What the rows of `RECENT` say."""
    told: defaultdict[str, list[tuple[Any, Any, Any, Any]]] = defaultdict(list)
    for what, number, name, tag, more in rows:  # by place: in a busy minute there are thousands
        told[what].append((number, name, tag, more))
    ((epoch, *_),) = told["epoch"]
    return Recent(
        epoch=epoch,
        versions={name: version for version, name, *_ in told["version"]},
        users=[Standing(user, tag, stamp) for user, stamp, tag, _ in told["user"]],
        sessions=[
            EndedSession(user=user, tag=tag, session_id=session_id, reason=reason)
            for user, session_id, tag, reason in told["session"]
        ],
        keys=[
            EndedKey(key=key, session_id=session_id, user=user, tag=tag) for user, key, tag, session_id in told["key"]
        ],
        families=[(tag, family) for _, family, tag, _ in told["family"]],
        consents=[(user, tag, client) for user, client, tag, _ in told["consent"]],
    )


_NOTHING: Final[ColumnElement[str]] = literal_column("''", String)
_NO_NUMBER: Final[ColumnElement[int]] = literal_column("0", BigInteger)
_CHANGED, _ENDED, _NOW = (bindparam(name, type_=BigInteger) for name in ("changed", "ended", "now"))


def _told(
    what: str,
    number: ColumnElement[int] = _NO_NUMBER,
    name: ColumnElement[str] = _NOTHING,
    *,
    tag: ColumnElement[str] = _NOTHING,
    more: ColumnElement[str] = _NOTHING,
) -> Select[str, int, str, str, str]:
    """A row of that kind: the columns are the same for all kinds."""
    return select(
        literal_column(f"'{what}'", String).label("what"),
        number.label("number"),
        name.label("name"),
        tag.label("tag"),
        more.label("more"),
    )


def _still_matters(ended: Table) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Since that time, and not yet so long ago that nothing of it could live.

    By the index of the first, which is some rows: that of the second is nearly all that ever ended, and SQLite takes
    it where it may.
    """
    return ended.c.ended_at >= _ENDED, ended.c.until + 0 > _NOW


_S, _K, _F = ended_sessions.c, ended_keys.c, ended_families.c

RECENT: Final = LookUp(
    union_all(
        _told("epoch", store_epoch.c.epoch).where(store_epoch.c.id == 1),
        _told("version", versions.c.version, versions.c.name),
        _told("user", users.c.id, users.c.stamp, tag=users.c.tag).where(users.c.stamp_changed_at >= _CHANGED),
        _told("session", _S.user_id, _S.session_id, tag=_S.tag, more=_S.reason).where(*_still_matters(ended_sessions)),
        _told("key", _K.user_id, _K.key, tag=_K.tag, more=_K.session_id).where(
            *_still_matters(ended_keys), _K.session_id != NO_SESSION
        ),
        _told("family", name=_F.family, tag=_F.tag).where(*_still_matters(ended_families)),
        _told("consent", users.c.id, consents.c.client_id, tag=users.c.tag)
        .join_from(consents, users, consents.c.user_id == users.c.id)
        .where(consents.c.changed_at >= _CHANGED, consents.c.granted.is_(False)),
    )
)
"""With `changed` and `ended`, since when stamps and consents changed and the rest ended, and `now`: Unix seconds."""
