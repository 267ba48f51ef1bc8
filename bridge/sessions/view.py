"""A user's sessions as he, or whoever helps him, may see them; and which of them are too many — S10, S11."""

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.sessions.ending import Found
from bridge.sessions.judge import unused
from bridge.sessions.record import Ended, SessionRecord
from bridge.stores.store import Change, Untag
from bridge.types import ClientId, Index, SessionKind, Stamp

KEPT_DEAD = 16
"""How many sessions that are no more stay listed, so that somebody can be told why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionView:
    """One living session, without anything that could be used as one.  Times are Unix seconds."""

    id: str
    kind: SessionKind
    via: str
    since: int
    last: int | None
    """None: never used."""
    until: int
    ip: str | None
    user_agent: str
    amr: tuple[str, ...]
    clients: tuple[ClientId, ...]


def view(record: SessionRecord) -> SessionView:
    """What may be shown of a record."""
    return SessionView(
        id=record.id,
        kind=record.kind,
        via=record.via,
        since=record.iat,
        last=None if unused(record) else record.last,
        until=min(record.last + record.idle, record.abs),
        ip=record.ip,
        user_agent=record.ua,
        amr=record.amr,
        clients=tuple(record.clients),
    )


def living(found: Sequence[Found], stamp: Stamp | None, now: float) -> list[SessionRecord]:
    """The sessions of that stamp whose times are not over, children left out, the newest first.

    Each once: a device that stays signed in goes on with a session whose last token may be good still.
    """
    records = [record for _, record in found if isinstance(record, SessionRecord)]
    alive = [r for r in records if r.stamp == stamp and r.parent is None and not over(r, now)]
    newest = {record.id: record for record in sorted(alive, key=lambda record: record.iat)}
    return sorted(newest.values(), key=lambda record: record.iat, reverse=True)


def over(record: SessionRecord, now: float) -> bool:
    """Whether its times are over."""
    return now >= record.abs or now - record.last >= record.idle


def too_many(alive: Sequence[SessionRecord], born: SessionRecord, cap: int) -> list[SessionRecord]:
    """Which of the sessions (newest first) must go for `born`: those beyond the cap that came through the same door
    or credential.  A portal's sessions never push out the person's own."""
    same = [record for record in alive if record.via == born.via and record.id != born.id]
    return same[max(cap - 1, 0) :]


def tidied(index: Index, found: Sequence[Found], now: float) -> list[Change]:
    """The index of a user's sessions without most of what is no more, so that a script which signs in and out all day
    does not fill it."""
    dead = [key for key, record in found if not isinstance(record, SessionRecord) or over(record, now)]
    told = [key for key, record in found if isinstance(record, Ended | SessionRecord) and key in set(dead)][-KEPT_DEAD:]
    return [Untag(index, key) for key in dead if key not in set(told)]
