"""What must have its audit row or not happen at all: the change and its rows in one transaction — security §30.

    async def work(deed: Deed) -> Account | NoAccount:
        return await accounts.close(deed, number)       # a verb that takes a deed writes its rows itself

    outcome = await ledger.do(caller.visit(), work)

A change that is not SQL's (a token in the store) is written down first: `do(visit, lambda deed: deed.record(…))`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

import msgspec

from bridge.database.database import Database, Tx
from bridge.database.versions import Published, bump
from bridge.errors import Unavailable
from bridge.events.audit import AuditLog
from bridge.events.event import Event, EventKind, Events
from bridge.types import ClientId, UserId, Visit

Result = TypeVar("Result")


class Deed:
    """One write transaction, who asked for it, and what is written down of it.  Made by `Ledger.do`."""

    def __init__(self, tx: Tx, visit: Visit, *, events: Events, audit: AuditLog) -> None:
        self.tx = tx
        self.visit = visit
        self.recorded: list[Event] = []
        self.outdated: set[str] = set()
        self._events = events
        self._audit = audit

    @property
    def actor(self) -> str:
        """Who does it, where it is not the person himself: the API credential's name."""
        return self.visit.caller or ""

    async def record(
        self,
        kind: EventKind,
        *,
        user: UserId | None = None,
        client: str | None = None,
        reason: str = "",
        **details: str,
    ) -> None:
        """Write one audit row; every listener hears of it once the transaction is committed."""
        told = ClientId(client) if client is not None else None
        made = self._events.make(kind, self.visit, user=user, client=told, reason=reason)
        event = msgspec.structs.replace(made, details=details)
        self.recorded.append(await self._audit.write(self.tx, event))

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """What is done within is undone by an exception, and what was recorded of it; the rest of the deed goes on."""
        before = len(self.recorded)
        try:
            async with self.tx.begin_nested():
                yield
        except BaseException:
            del self.recorded[before:]
            raise

    def outdates(self, name: str) -> None:
        """Caches of that name are wrong from now on (security §20): bumped with the transaction, published after it."""
        self.outdated.add(name)


class Ledger:
    """Does it and writes it down, or neither."""

    def __init__(self, *, db: Database, audit: AuditLog, events: Events, versions: Published) -> None:
        self._db = db
        self._audit = audit
        self._events = events
        self._versions = versions

    async def do(self, visit: Visit, work: Callable[[Deed], Awaitable[Result]]) -> Result:
        """`work` in a write transaction, with the rows of all that it recorded; an exception undoes both.

        `work` does nothing but SQL, and may be called again when the database sacrificed its transaction to end a
        deadlock.  An outcome that refuses is a value: whoever returns one has written nothing.  Raises Unavailable.
        """

        async def once(tx: Tx) -> tuple[Result, Deed]:
            deed = Deed(tx, visit, events=self._events, audit=self._audit)
            result = await work(deed)
            for name in sorted(deed.outdated):  # late, and in one order: whoever bumps the same name waits
                await bump(tx, name)
            return result, deed

        result, deed = await self._db.transaction(once)
        for event in deed.recorded:
            self._events.announce(event)
        for name in sorted(deed.outdated):
            with suppress(Unavailable):  # it has happened; the reconciler publishes it again
                await self._versions.publish(name)
        return result
