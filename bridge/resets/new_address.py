"""A person asks for another e-mail address at his own account page — sessions-and-accounts §6.2, security §24, §30.

He learns nothing about whoever has that address: it waits like any other, and takes as long.  Only the worker looks,
before it would send the letter.
"""

import math
from dataclasses import dataclass
from typing import Final, Protocol

from bridge.events.event import Events
from bridge.events.ledger import Deed, Ledger
from bridge.outbox.outbox import Outbox
from bridge.ring import Ring
from bridge.secret import mac
from bridge.stores.guard import Guard, Window
from bridge.tokens import Names
from bridge.types import Visit
from bridge.users.email import email_key
from bridge.users.email_changes import CONFIRM, EmailChange, EmailChanges, Unchanged
from bridge.users.options import UserOptions
from bridge.users.user import User

_HOUR: Final = 3_600.0


@dataclass(frozen=True, slots=True)
class NoAddress:
    """What was typed has not the form of one.  Nothing was written."""


@dataclass(frozen=True, slots=True)
class TooOften:
    """He, or somebody for that address, asked too often.  Nothing was written."""

    wait: int
    """Seconds."""


class Authority(Protocol):
    """Who keeps the users."""

    @property
    def name(self) -> str: ...


class NewAddresses:
    """Every call raises `Unavailable` when the database or the counters do not answer."""

    def __init__(
        self,
        *,
        changes: EmailChanges,
        authority: Authority,
        outbox: Outbox,
        ledger: Ledger,
        guard: Guard,
        names: Names,
        ring: Ring,
        events: Events,
        options: UserOptions,
    ) -> None:
        self._changes = changes
        self._authority = authority
        self._outbox = outbox
        self._ledger = ledger
        self._guard = guard
        self._names = names
        self._limiter = ring.newest.derive("limiter")
        self._events = events
        self._options = options

    def kept_here(self, user: User) -> bool:
        """Whether this user's address is ours to change; else another system owns him (DESIGN §8)."""
        return user.authority == self._authority.name

    async def waiting(self, user: User) -> EmailChange | None:
        """The address that waits for its confirmation, whoever asked for it."""
        return await self._changes.waiting(user.id)

    async def ask(self, user: User, email: str, visit: Visit) -> EmailChange | Unchanged | NoAddress | TooOften | None:
        """Let it wait, in place of any that waited, and mail the link that confirms; None: he is gone or not ours."""
        key = email_key(email)
        if key is None:
            return NoAddress()
        if (wait := await self._guard.admit(self._windows(user, key))) > 0:
            self._events.tell("email.refused", visit, user=user.id, reason="limit")
            return TooOften(math.ceil(wait))

        async def work(deed: Deed) -> EmailChange | Unchanged | None:
            done = await self._changes.ask(deed, user.id, email)
            if isinstance(done, EmailChange):
                payload = {"change": str(done.id), "language": visit.language}
                await self._outbox.put(deed.tx, CONFIRM, user.id, payload)
            return done

        return await self._ledger.do(visit, work)

    async def cancel(self, user: User, visit: Visit) -> bool:
        """Let it wait no longer.  False: nothing did."""
        return await self._ledger.do(visit, lambda deed: self._changes.cancel(deed, user.id))

    def _windows(self, user: User, key: str) -> list[Window]:
        return [
            self._window("email-change-account", str(user.id), self._options.email_changes_per_account),
            self._window("email-change-address", key, self._options.email_changes_per_address),
        ]

    def _window(self, purpose: str, value: str, limit: int) -> Window:
        return Window(self._names.limiter(mac(self._limiter, purpose, value).hex()[:32]), limit, _HOUR)
