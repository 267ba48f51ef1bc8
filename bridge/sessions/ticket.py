"""A ticket: how a browser takes a session of its own to an app on another host — DESIGN §6, docs/decisions/0125.

What app, issuer and middleware must know of one another, and the two pure decisions: to issue and to redeem.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal, get_args

from msgspec import Struct

from bridge.clock import Chance
from bridge.sessions.birth import Born, Parent, Tools, new_child
from bridge.sessions.judge import Alive, Dead, judge_anywhere, refusal
from bridge.sessions.options import SHORTEST_MEMORY
from bridge.sessions.record import SessionRecord
from bridge.sessions.sealed import Sealed, used, was_used
from bridge.sessions.stamp import read_stamp, stamp_value
from bridge.stores.decide import Decision, More
from bridge.stores.store import Add, Expect, Swap
from bridge.tokens import LoginToken, digest
from bridge.types import Key, Stamp, UserId

SIGN_IN: Final = "/login-bridge/sign-in"
"""On the app's host: there a sign-in begins."""
ARRIVAL: Final = "/login-bridge/ticket"
"""On the app's host: there the ticket comes to."""
AT_ISSUER: Final = "/login/ticket"
"""Below the issuer: from the one to the other."""

TicketRefusal = Literal["unknown", "used", "too-old", "other-app", "other-browser", "signed-out"]
"""unknown: never ours, or of before the store lost data; other-app: issued for another host, or for one that may get
none any more; signed-out: the session that it was issued under is no more, or has another token."""

_HASH: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


class TicketWish(Struct, frozen=True, kw_only=True):
    """For whom a ticket is to be."""

    origin: str
    """The app's."""
    binding: str
    """SHA-256 of what the browser that began there holds."""
    next: str
    """The path on the app's host where the person wanted to be."""


class Ticket(Struct, frozen=True, kw_only=True):
    """As it lies in the store, once, until it is used.  Times are Unix seconds."""

    session: str
    """The `id` of the session that it was issued under."""
    op: Key
    """Where its record lay."""
    uid: UserId
    stamp: Stamp
    epoch: int
    """`store_epoch` at its birth: unequal after a loss, and then refused (store §2, rule 9)."""
    wish: TicketWish
    until: int


@dataclass(frozen=True, slots=True)
class Redeemed:
    """The browser may have this session, and goes there."""

    token: LoginToken
    next: str


@dataclass(frozen=True, slots=True)
class Refused:
    """It gets nothing; nothing was used up."""

    why: TicketRefusal
    user: UserId | None = None
    """Whose ticket it was, where it was one."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """The session is alive once its changes, and the use of the ticket, are committed."""

    born: Born
    next: str


@dataclass(frozen=True, slots=True)
class StampAbsent:
    """The store does not know the user's stamp: absent means, ask SQL."""

    user: UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What both decisions stand on."""

    now: float
    epoch: int
    tools: Tools
    seal: Sealed[Ticket]


def known_refusal(text: str) -> TicketRefusal:
    """The reason that the text spells; one that we do not know is `unknown`."""
    return next((why for why in get_args(TicketRefusal) if why == text), "unknown")


def is_binding_hash(text: str) -> bool:
    """Whether it can be a `TicketWish.binding`."""
    return _HASH.fullmatch(text) is not None


def issue(
    raw: bytes | None, raw_stamp: bytes | None, *, parent: LoginToken, token: LoginToken, wish: TicketWish, at: Moment
) -> Decision[Alive | Dead]:
    """A ticket under a session at the issuer's pages, which it expects as it was read."""
    names, options = at.tools.names, at.tools.options
    alive = judge_anywhere(parent, names.session(parent), raw, raw_stamp, now=at.now, codec=at.tools.codec)
    if isinstance(alive, Dead):
        return Decision((), alive)
    record = alive.record
    if record.kind != "op":
        return Decision((), Dead("wrong-place", record))
    ticket = Ticket(
        session=record.id,
        op=alive.key,
        uid=record.uid,
        stamp=record.stamp,
        epoch=at.epoch,
        wish=wish,
        until=int(at.now) + options.ticket_lifetime,
    )
    key = names.ticket(token)
    changes = (
        Add(key, at.seal.encode(key, ticket), float(options.ticket_lifetime + SHORTEST_MEMORY)),
        Expect(alive.key, alive.seen),
        Expect(names.stamp(parent.tag), stamp_value(record.uid, record.stamp)),
    )
    return Decision(changes, alive)


def redeem(
    raw: bytes | None,
    raw_stamp: bytes | None,
    *raw_op: bytes | None,
    token: LoginToken,
    origin: str,
    binding: str,
    via: str,
    draw: Chance,
    at: Moment,
) -> Decision[Arrived | Refused | StampAbsent] | More:
    """The ticket against a child session.  Its use, and what could end the child, are in the commit that bears it."""
    key = at.tools.names.ticket(token)
    ticket = at.seal.decode(key, raw)
    if ticket is None or raw is None:
        return Decision((), Refused("used" if was_used(raw) else "unknown"))
    if raw_stamp is None:
        return Decision((), StampAbsent(ticket.uid))
    why = _refusal(ticket, raw_stamp, origin=origin, binding=binding, at=at)
    if why is not None:
        return Decision((), Refused(why, ticket.uid))
    if not raw_op:
        return More(ticket.op)
    record = at.tools.codec.decode(ticket.op, raw_op[0])
    if raw_op[0] is None or not isinstance(record, SessionRecord) or not _vouches(record, ticket, raw_stamp, at.now):
        return Decision((), Refused("signed-out", ticket.uid))
    parent = Parent(token.tag, ticket.op, raw_op[0], record)
    born = new_child(parent, via=via, now=at.now, draw=draw, tools=at.tools)
    use = Swap(key, raw, used(born.token.sid), float(SHORTEST_MEMORY))
    return Decision((*born.changes, use), Arrived(born, ticket.wish.next))


def _refusal(ticket: Ticket, raw_stamp: bytes, *, origin: str, binding: str, at: Moment) -> TicketRefusal | None:
    if ticket.wish.origin != origin or origin not in at.tools.options.ticket_origins:
        return "other-app"
    # Compared as hashes: how far a guess is right cannot be measured.
    if ticket.wish.binding != digest(binding):
        return "other-browser"
    if at.now >= ticket.until:
        return "too-old"
    if ticket.epoch != at.epoch:
        return "unknown"
    return None if read_stamp(raw_stamp) == (ticket.uid, ticket.stamp) else "signed-out"


def _vouches(record: SessionRecord, ticket: Ticket, raw_stamp: bytes, now: float) -> bool:
    """Whether the session that the ticket was issued under is still there, alive, and under the same token."""
    same = record.kind == "op" and (record.id, record.uid) == (ticket.session, ticket.uid)
    return same and refusal(record, raw_stamp, now) is None
