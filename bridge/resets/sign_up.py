"""Somebody asks for an account of his own, and makes it by the link that came to him — sessions-and-accounts §6.2.

As with a reset link the form learns nothing: its answer is given before anything is looked at.  What is written then is
the same for every address, and only the sender of the letter looks whether somebody has it already.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from bridge.database.database import Database, Tx
from bridge.errors import ConfigError, Unavailable
from bridge.events.event import Events
from bridge.events.ledger import Deed, Ledger
from bridge.resets.ask import MOST_AT_ONCE
from bridge.ring import Ring
from bridge.secret import Secret, mac
from bridge.stores.guard import Guard, Window
from bridge.tokens import Names
from bridge.types import IPAddress, UserId, Visit
from bridge.users.backend import Capability
from bridge.users.email import email_key
from bridge.users.options import UserOptions
from bridge.users.sign_ups import SIGN_UP, SignUp, SignUps
from bridge.users.sql import SqlUsers
from bridge.users.upkeep import UserUpkeep
from bridge.users.user import AddressTaken, NewUser, User

_HOUR: Final = 3_600.0
_log: Final = logging.getLogger(__name__)


class Queue(Protocol):
    """The outbox."""

    async def put(self, tx: Tx, purpose: str, user: UserId | None, payload: Mapping[str, str]) -> object: ...


class Visitors(Protocol):
    """Counts how often something is begun from one address."""

    async def admit(self, ip: IPAddress | None) -> int: ...


@dataclass(frozen=True, slots=True)
class Over:
    """No such link, or it was used, or is too old, or somebody got an account of that address meanwhile.

    Nothing was written.
    """


class _Undone(Exception):
    """Nothing of it shall have happened."""


class SigningUp:
    """Takes requests for accounts, and makes them.  Raises ConfigError where the users cannot be added to."""

    def __init__(
        self,
        *,
        rows: SignUps,
        users: SqlUsers,
        upkeep: UserUpkeep,
        ledger: Ledger,
        db: Database,
        outbox: Queue,
        visitors: Visitors,
        guard: Guard,
        names: Names,
        ring: Ring,
        events: Events,
        options: UserOptions,
    ) -> None:
        if Capability.CREATE not in users.capabilities:
            raise ConfigError(f"users.sign_up: no user can be added to {users.name!r}")
        self._rows = rows
        self._users = users
        self._upkeep = upkeep
        self._ledger = ledger
        self._db = db
        self._outbox = outbox
        self._guard = guard
        self._names = names
        self._limiter = ring.newest.derive("limiter")
        self._visitors = visitors
        self._events = events
        self._per_address = options.sign_ups_per_address
        self._in_all = options.sign_ups_in_all
        self._running: set[asyncio.Task[None]] = set()

    def ask(self, email: str, visit: Visit, *, binding: str, interaction: str | None) -> bool:
        """The form: returns at once, the same for everybody; all else happens after the answer.

        False: that is no address, whoever has an account; nothing happens.
        """
        key = email_key(email)
        if key is None:
            return False
        if len(self._running) >= MOST_AT_ONCE:
            self._events.tell("sign-up.refused", visit, reason="busy")
            return True
        task = asyncio.create_task(self._ask(key, email, visit, binding, interaction))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return True

    async def look(self, token: Secret) -> SignUp | None:
        """What waits for that token.  Changes nothing, however often."""
        return await self._rows.by_token(token)

    async def make(
        self, token: Secret, *, first_name: str, last_name: str, password: Secret, language: str, visit: Visit
    ) -> User | Over:
        """The user, and the end of the link: both or none.  Raises InvalidField, Busy, Unavailable."""
        waiting = await self._rows.by_token(token)
        if waiting is None:
            return Over()
        new = await self._users.draft(
            email=waiting.email,
            email_verified=True,
            password=password,
            first_name=first_name,
            last_name=last_name,
            language=language,
        )
        try:
            return await self._ledger.do(visit, lambda deed: self._make(deed, token, new))
        except _Undone:
            return Over()

    async def close(self) -> None:
        """Wait for what was asked before the process ends."""
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _make(self, deed: Deed, token: Secret, new: NewUser) -> User:
        if not await self._rows.take(deed, token):
            raise _Undone
        made = await self._upkeep.add(deed, new, reason=SIGN_UP)
        if isinstance(made, AddressTaken):
            raise _Undone
        return made

    async def _ask(self, key: str, email: str, visit: Visit, binding: str, interaction: str | None) -> None:
        try:
            if await self._visitors.admit(visit.ip) or await self._guard.admit(self._letters_to(key)) > 0:
                self._events.tell("sign-up.refused", visit, reason="limit")
                return
            async with self._db.begin() as tx:
                number = await self._rows.ask(tx, email, binding=binding, interaction=interaction)
                await self._outbox.put(tx, SIGN_UP, None, {"sign_up": str(number), "language": visit.language})
            self._events.tell("sign-up.requested", visit)
        except Unavailable as error:
            _log.error("a request for an account was lost: %s", error)  # he was told to try again if no mail comes

    def _letters_to(self, key: str) -> list[Window]:
        return [
            self._window("sign-up-address", key, self._per_address),
            self._window("sign-up-all", "", self._in_all),
        ]

    def _window(self, purpose: str, value: str, limit: int) -> Window:
        name = mac(self._limiter, purpose, value).hex()[:32]
        return Window(self._names.limiter(name), limit, _HOUR)
