"""Somebody asks for a reset link — sessions-and-accounts §6.2, R1, R8.

The public form learns nothing: not whether the address is known, not whether the limit is reached.  Its answer is
given before anything is looked at, so it takes as long for everybody.  Only afterwards is the account looked up:
made-up addresses fill neither the outbox nor the limit that all accounts share.  What is queued names an account, never
a token: the link is made when the mail is sent.
"""

import asyncio
import ipaddress
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from bridge.errors import Unavailable
from bridge.events.event import Events
from bridge.resets.options import ResetOptions
from bridge.ring import Ring
from bridge.secret import mac
from bridge.stores.guard import Guard, Window
from bridge.tokens import Names
from bridge.types import IPAddress, UserId, Visit
from bridge.users.backend import Capability
from bridge.users.email import email_key
from bridge.users.user import User

PURPOSE = "reset"
MOST_AT_ONCE = 1_000
"""Requests of the public form that may be under way; whoever sends more is not heard, and cannot tell."""
_HOUR = 3_600.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Queued:
    """A mail will go out, unless the limit of this account is reached: callers do not learn that."""


@dataclass(frozen=True, slots=True)
class UnknownUser:
    """No such user.  Told to the legacy API's authenticated callers only, as its documentation has it."""


class Users(Protocol):
    """Who has an account here."""

    @property
    def name(self) -> str: ...
    @property
    def capabilities(self) -> Capability: ...
    async def by_id(self, user: UserId) -> User | None: ...
    async def by_email(self, email: str) -> User | None: ...


class Queue(Protocol):
    """The outbox."""

    async def put(self, tx: None, purpose: str, user: UserId | None, payload: Mapping[str, str]) -> object: ...


class ResetRequests:
    """Takes requests for reset links."""

    def __init__(
        self,
        *,
        users: Users,
        outbox: Queue,
        guard: Guard,
        names: Names,
        ring: Ring,
        events: Events,
        options: ResetOptions,
    ) -> None:
        self._users = users
        self._outbox = outbox
        self._guard = guard
        self._names = names
        self._limiter = ring.newest.derive("limiter")
        self._events = events
        self._options = options
        self._running: set[asyncio.Task[None]] = set()

    def ask(self, email: str, visit: Visit) -> bool:
        """The public form: returns at once, the same for everybody; all else happens after the answer.

        False: that is no address, whoever has an account; nothing happens.
        """
        key = email_key(email)
        if key is None:
            return False
        if len(self._running) >= MOST_AT_ONCE:
            self._events.tell("reset.refused", visit, reason="busy")
            return True
        task = asyncio.create_task(self._ask(key, visit))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return True

    async def ask_for(self, who: UserId | str, visit: Visit) -> Queued | UnknownUser:
        """An API caller: by user id or e-mail address.  Raises `Unavailable`."""
        user = await (self._users.by_email(who) if isinstance(who, str) else self._users.by_id(who))
        if user is None:
            return UnknownUser()
        await self._queue(email_key(user.email) or user.email, user.id, visit, self._account(user.email))
        return Queued()

    async def close(self) -> None:
        """Wait for what was asked before the process ends."""
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _ask(self, key: str, visit: Visit) -> None:
        try:
            await self._ask_of(key, visit)
        except Unavailable as error:
            _log.error("a reset request was lost: %s", error)  # the person was told to try again if no mail comes

    async def _ask_of(self, key: str, visit: Visit) -> None:
        if not await self._within([*self._account(key), *self._sender(visit.ip)], visit):
            return
        user = await self._users.by_email(key)
        if user is None:
            self._events.tell("reset.refused", visit, reason="no-account")
            return
        await self._queue(key, user.id, visit, [self._window("reset-all", "", self._options.in_all)])

    async def _within(self, windows: Sequence[Window], visit: Visit, user: UserId | None = None) -> bool:
        within = await self._guard.admit(windows) <= 0
        if not within:
            self._events.tell("reset.refused", visit, user=user, reason="limit")
        return within

    async def _queue(self, key: str, user: UserId, visit: Visit, windows: Sequence[Window]) -> None:
        if not await self._within(windows, visit, user):
            return
        payload = {"email_key": key, "language": visit.language, "ip": str(visit.ip or "")}
        await self._outbox.put(None, PURPOSE, user, payload)
        self._events.tell("reset.requested", visit, user=user)

    def _account(self, email: str) -> list[Window]:
        return [self._window("reset-account", email_key(email) or email, self._options.per_account)]

    def _sender(self, ip: IPAddress | None) -> list[Window]:
        if ip is None:
            return []
        one, wide = (64, 48) if ip.version == 6 else (32, 24)
        return [
            self._window("reset-address", _around(ip, one), self._options.per_address),
            self._window("reset-network", _around(ip, wide), self._options.per_network),
        ]

    def _window(self, purpose: str, value: str, limit: int) -> Window:
        name = mac(self._limiter, purpose, value).hex()[:32]
        return Window(self._names.limiter(name), limit, _HOUR)


def _around(ip: IPAddress, prefix: int) -> str:
    return str(ipaddress.ip_network(f"{ip}/{prefix}", strict=False))
