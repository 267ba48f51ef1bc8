"""How a session is born, replaced and given a child: pure, and every birth expects what could end it — store §2.

A birth `Add`s its record under a fresh name, `Tag`s it into the index of everything born under one session id and into
the index of the user's sessions, and expects the user's stamp, all in one commit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import msgspec
from msgspec import Struct

from bridge.clock import Chance
from bridge.secret import Secret
from bridge.sessions.judge import Alive
from bridge.sessions.options import SHORTEST_MEMORY, SessionOptions
from bridge.sessions.record import RecordCodec, Rotated, SessionRecord, encode_trace
from bridge.sessions.stamp import stamp_value
from bridge.stores.store import Add, Change, Expect, Swap, Tag, Untag
from bridge.tokens import LoginToken, Names, new_id
from bridge.types import IPAddress, Key, SessionKind, SlotTag, Standing, Visit

MOST_USER_AGENT = 200


class Birth(Struct, frozen=True, kw_only=True):
    """What shall be born.  Durations in seconds."""

    kind: SessionKind
    via: str
    """The door, or the API credential, that makes it."""
    idle: int
    absolute: int
    cap: int
    child: bool = False
    """Whether an `app` session for the same origin is born with it."""
    bind_ip: IPAddress | None = None
    """The only address (`sessions.ip_check`) it shall be good for."""
    keep: bool = False
    """Whether the browser shall stay signed in when this session is over."""
    unused: int | None = None
    """A session that is not used within this time lapses."""

    @classmethod
    def browser(cls, options: SessionOptions, *, ip: IPAddress | None = None, keep: bool = False) -> Self:
        """A person at the login page: an `op` session and its child.  Bound to `ip` only where the options say so."""
        return cls(
            kind="op",
            via="pages",
            child=True,
            idle=options.idle,
            absolute=options.absolute,
            cap=options.cap,
            bind_ip=ip if options.bind_browser_ip else None,
            keep=keep,
        )

    @classmethod
    def legacy(
        cls,
        options: SessionOptions,
        *,
        via: str,
        idle: int | None = None,
        absolute: int | None = None,
        cap: int | None = None,
        bind_ip: IPAddress | None = None,
    ) -> Self:
        """ValidateLogin for the credential `via`; what it does not decide is as for everybody."""
        lifetime = min(absolute or options.absolute, options.longest)
        return cls(
            kind="legacy",
            via=via,
            idle=min(idle or options.idle, lifetime),
            absolute=lifetime,
            cap=cap or options.cap,
            bind_ip=bind_ip,
            unused=options.unused,
        )

    @classmethod
    def sso(
        cls,
        options: SessionOptions,
        *,
        via: str,
        idle: int | None = None,
        absolute: int | None = None,
        cap: int | None = None,
    ) -> Self:
        """What a link of the credential `via` gives (security §8); what that does not decide is as for everybody."""
        lifetime = min(absolute or options.absolute, options.longest)
        return cls(
            kind="sso", via=via, idle=min(idle or options.idle, lifetime), absolute=lifetime, cap=cap or options.cap
        )


class Earlier(Struct, frozen=True):
    """A sign-in that is gone on with by who need not show again who he is."""

    id: str
    """Its session's."""
    auth_time: int
    """When he showed who he is."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What names and seals a record."""

    names: Names
    codec: RecordCodec
    options: SessionOptions


class Born(Struct, frozen=True):
    """A session that is alive once `changes` are committed, in one step and in this order.

    The tokens are shown to their owner once and never again.
    """

    token: LoginToken
    key: Key
    record: SessionRecord
    child: LoginToken | None
    changes: tuple[Change, ...]
    device: Secret | None = None
    """What the browser shows when this session is over, if it stays signed in."""

    def alive(self, codec: RecordCodec) -> Alive:
        """The session as a reader would find it."""
        return Alive(self.token, self.key, codec.encode(self.key, self.record), self.record)


@dataclass(frozen=True, slots=True)
class Parent:
    """A living session under which another is born, as it was read; its token may be unknown here."""

    tag: SlotTag
    key: Key
    seen: bytes
    record: SessionRecord


def birth(
    standing: Standing,
    wish: Birth,
    visit: Visit,
    *,
    amr: Sequence[str],
    acr: str | None = None,
    earlier: Earlier | None = None,
    now: float,
    draw: Chance,
    tools: Tools,
) -> Born:
    """A new session of the user who stands there.  `now` is when he proved who he is, unless that was `earlier`."""
    at = int(now)
    ip = wish.bind_ip or visit.ip
    record = SessionRecord(
        id=earlier.id if earlier else new_id(draw),
        iss=tools.names.issuer,
        uid=standing.user,
        kind=wish.kind,
        via=wish.via,
        stamp=standing.stamp,
        iat=at,
        auth_time=earlier.auth_time if earlier else at,
        last=_first_last(at, wish),
        idle=wish.idle,
        abs=at + wish.absolute,
        amr=tuple(amr),
        acr=acr,
        ip=str(ip) if ip else None,
        bound=wish.bind_ip is not None,
        ua=visit.user_agent[:MOST_USER_AGENT],
    )
    token, key, changes = placed(LoginToken.draw(standing.tag, draw), record, now, tools)
    child = None
    if wish.child:
        child, _, more = placed(LoginToken.draw(standing.tag, draw), child_of(record, draw, at=at), now, tools)
        changes += more
    expected = Expect(tools.names.stamp(standing.tag), stamp_value(standing.user, standing.stamp))
    return Born(token, key, record, child, (*changes, expected))


def rotation(
    alive: Alive,
    child: Alive | None,
    visit: Visit,
    *,
    amr: Sequence[str],
    acr: str | None,
    auth_time: int | None = None,
    now: float,
    draw: Chance,
    tools: Tools,
) -> Born:
    """The same session under a new token, after its owner proved again who he is: now, or at `auth_time`.

    A `child` that came along is replaced in the same step; an `op` session without one is given one.  What it expects
    is that nobody changed the records that were read, and the stamp.
    """
    old, at = alive.record, int(now)
    record = msgspec.structs.replace(
        old,
        auth_time=at if auth_time is None else auth_time,
        last=at,
        amr=tuple(amr),
        acr=acr,
        ip=old.ip if old.bound or visit.ip is None else str(visit.ip),
        ua=visit.user_agent[:MOST_USER_AGENT] or old.ua,
    )
    token, key, changes = placed(LoginToken.draw(alive.token.tag, draw), record, now, tools)
    changes += replaced(alive, token, now, tools)
    fresh = None
    if child is not None or record.kind == "op":
        young = child_of(record, draw, at=at)
        if child is not None:
            young = msgspec.structs.replace(young, id=child.record.id, via=child.record.via, iat=child.record.iat)
        fresh, _, more = placed(LoginToken.draw(alive.token.tag, draw), young, now, tools)
        changes += more + (replaced(child, fresh, now, tools) if child is not None else ())
    return Born(token, key, record, fresh, (*changes, Expect(*_stamp_of(alive.token.tag, old, tools))))


def new_child(parent: Parent, *, via: str, now: float, draw: Chance, tools: Tools) -> Born:
    """An `app` session of that `op` session; it expects its parent exactly as it was read."""
    record = child_of(parent.record, draw, via=via, at=int(now))
    token, key, changes = placed(LoginToken.draw(parent.tag, draw), record, now, tools)
    stamp = Expect(*_stamp_of(parent.tag, parent.record, tools))
    return Born(token, key, record, None, (*changes, Expect(parent.key, parent.seen), stamp))


def child_of(parent: SessionRecord, draw: Chance, *, via: str = "", at: int | None = None) -> SessionRecord:
    """The record of a child: who, how, and until when are its parent's."""
    moment = parent.auth_time if at is None else at
    return msgspec.structs.replace(
        parent,
        id=new_id(draw),
        parent=parent.id,
        kind="app",
        via=via or parent.via,
        iat=moment,
        last=moment,
        clients={},
    )


def placed(
    token: LoginToken, record: SessionRecord, now: float, tools: Tools
) -> tuple[LoginToken, Key, tuple[Change, ...]]:
    """The token, where its record lies, and the changes that put it there and into its indexes."""
    key, names = tools.names.session(token), tools.names
    keep = record.abs - now + max(SHORTEST_MEMORY, tools.options.remember)
    born_under = [names.born_under(token.tag, name) for name in (record.parent, record.id) if name is not None]
    return (
        token,
        key,
        (
            Add(key, tools.codec.encode(key, record), lifetime(record, now, tools.options)),
            *(Tag(index, key, keep) for index in born_under),
            Tag(names.sessions_of(token.tag), key, keep),
        ),
    )


def replaced(old: Alive, by: LoginToken, now: float, tools: Tools) -> tuple[Change, ...]:
    """The old token becomes a trace: it is nobody from now on, and remembered until it could not live any more."""
    trace = Rotated(id=old.record.id, uid=old.record.uid, at=int(now), by=by.sid)
    ttl = max(old.record.abs - now, 0.0) + SHORTEST_MEMORY
    return (
        Swap(old.key, old.seen, encode_trace(trace), ttl),
        Untag(tools.names.sessions_of(old.token.tag), old.key),
    )


def lifetime(record: SessionRecord, now: float, options: SessionOptions) -> float:
    """For how many seconds the record stays in the store.  Longer than it is good for, so that a person who comes back
    is told why; a reader goes by the times inside."""
    good_for = min(record.last + record.idle, record.abs) - now
    return max(good_for, 0.0) + (SHORTEST_MEMORY if record.kind == "legacy" else max(SHORTEST_MEMORY, options.remember))


def _first_last(at: int, wish: Birth) -> int:
    # A reader knows one rule, now − last ≥ idle.  So what must be used soon is born with a `last` in the past, which
    # every reader in every language enforces; the first touch sets it right.
    return at if wish.unused is None else at - max(wish.idle - wish.unused, 1)


def _stamp_of(tag: SlotTag, record: SessionRecord, tools: Tools) -> tuple[Key, bytes]:
    return tools.names.stamp(tag), stamp_value(record.uid, record.stamp)
