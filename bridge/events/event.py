"""One typed stream of what happened — sessions-and-accounts §9, A12.

Every room tells; the audit table and the log listen, metrics too.  An event never holds a secret: a session shows as
the first 8 characters of its hash or as its `id`, a token not at all.
"""

from collections.abc import Callable, Mapping
from typing import Literal, Protocol

from msgspec import Struct

from bridge.clock import Clock
from bridge.types import ClientId, Door, IPAddress, UserId, Visit

EventKind = Literal[
    "login.ok",
    "login.fail",
    "login.blocked",
    "second-factor.ok",
    "second-factor.fail",
    "second-factor.changed",
    "recovery-code.used",
    "session.created",
    "session.rotated",
    "session.ended",
    "session.expired",
    "sessions.ended-all",
    "session.refused",
    "device.resumed",
    "device.forgotten",
    "device.copied",
    "password.changed",
    "password.rehashed",
    "reset.requested",
    "reset.done",
    "reset.refused",
    "user.created",
    "user.changed",
    "user.disabled",
    "user.enabled",
    "user.removed",
    "email.requested",
    "email.changed",
    "email.cancelled",
    "email.undone",
    "email.refused",
    "sign-up.requested",
    "sign-up.refused",
    "account.created",
    "account.changed",
    "account.closed",
    "account.removed",
    "member.added",
    "member.changed",
    "member.removed",
    "owner.changed",
    "invite.created",
    "invite.accepted",
    "invite.cancelled",
    "contact.created",
    "sso.created",
    "sso.redeemed",
    "sso.refused",
    "client.changed",
    "credential.changed",
    "credential.refused",
    "role.changed",
    "consent.granted",
    "consent.withdrawn",
    "ticket.issued",
    "ticket.redeemed",
    "ticket.refused",
    "code.issued",
    "token.issued",
    "token.in-query",
    "token.refused",
    "token.replay",
    "token.revoked",
    "key.changed",
    "logout.delivered",
    "logout.failed",
    "mail.sent",
    "mail.failed",
    "outbox.retried",
    "store.lost",
    "store.regained",
    "upstream.down",
    "legacy.call",
    "audit.lost",
]


class Event(Struct, frozen=True, kw_only=True):
    """One thing that happened."""

    kind: EventKind
    at: float = 0.0
    """Unix seconds; set by the stream."""
    user: UserId | None = None
    """Whom it concerns."""
    actor: str = ""
    """Who did it, where it is not the user himself: a credential, a client, "command", "reconciler"."""
    client: ClientId | None = None
    door: Door | None = None
    ip: IPAddress | None = None
    sid: str | None = None
    """First 8 characters of the hash of the token."""
    session: str | None = None
    """The session's `id`."""
    amr: tuple[str, ...] = ()
    reason: str = ""
    details: Mapping[str, str] = {}
    kept: bool = False
    """Its audit row was written in the transaction of what happened (security §30)."""


class Listener(Protocol):
    """Hears every event, in the event loop, and must not block nor raise."""

    def hear(self, event: Event) -> None: ...


class Events:
    """The stream.  `tell` sets the time and lets every listener hear, at once.

    What must have its audit row or not happen at all is done by `bridge.events.ledger.Ledger`: the event is `made`
    with the change, written in its transaction, and `announced` after it.
    """

    def __init__(self, clock: Clock, *listeners: Listener) -> None:
        self._clock = clock
        self._hear: list[Callable[[Event], None]] = [listener.hear for listener in listeners]

    def listen(self, listener: Listener) -> None:
        """One more from now on."""
        self._hear.append(listener.hear)

    def tell(
        self,
        kind: EventKind,
        visit: Visit | None = None,
        *,
        user: UserId | None = None,
        actor: str = "",
        client: ClientId | None = None,
        sid: str | None = None,
        session: str | None = None,
        amr: tuple[str, ...] = (),
        reason: str = "",
        **details: str,
    ) -> Event:
        """It happened; `visit` gives door, address and caller."""
        told = self.make(
            kind,
            visit,
            user=user,
            actor=actor,
            client=client,
            sid=sid,
            session=session,
            amr=amr,
            reason=reason,
            **details,
        )
        return self.announce(told)

    def make(
        self,
        kind: EventKind,
        visit: Visit | None = None,
        *,
        user: UserId | None = None,
        actor: str = "",
        client: ClientId | None = None,
        sid: str | None = None,
        session: str | None = None,
        amr: tuple[str, ...] = (),
        reason: str = "",
        **details: str,
    ) -> Event:
        """The event, which nobody has heard of yet."""
        return Event(
            kind=kind,
            at=self._clock.now(),
            user=user,
            actor=actor or (visit.caller or "" if visit else ""),
            client=client,
            door=visit.door if visit else None,
            ip=visit.ip if visit else None,
            sid=sid[:8] if sid else None,
            session=session,
            amr=amr,
            reason=reason,
            details=details,
        )

    def announce(self, event: Event) -> Event:
        """Let every listener hear it."""
        for hear in self._hear:
            hear(event)
        return event
