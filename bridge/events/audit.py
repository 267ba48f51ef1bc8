"""The audit table: rows in batches within a second, or in the transaction of what they tell — security §30, A12."""

import asyncio
import logging
from collections import deque
from contextlib import suppress
from itertools import islice
from typing import Final

import msgspec
from sqlalchemy import delete, insert
from sqlalchemy.exc import SQLAlchemyError

from bridge.clock import Clock
from bridge.database.bulk import Bulk
from bridge.database.database import Database, Tx
from bridge.database.tables import audit
from bridge.errors import Unavailable
from bridge.events.budget import Budget
from bridge.events.event import Event
from bridge.events.options import EventsOptions
from bridge.events.rows import COLUMNS, row_of

BATCH_SECONDS: Final = 0.5
MOST_ROWS: Final = 500

_log = logging.getLogger("bridge.audit")


class AuditLog:
    """A listener that keeps every event in SQL.

    While the database does not answer the rows wait; what finds no room is counted, and the count is a row itself.  A
    batch whose commit got no answer is written again: an event may stand twice, but is not lost.  Of what anybody can
    cause without end, so many a minute have rows of their own, and one row tells how many more there were.
    """

    def __init__(self, db: Database, clock: Clock, options: EventsOptions) -> None:
        self._db = db
        self._clock = clock
        self._options = options
        self._waiting: deque[Event] = deque()
        self._flushing = asyncio.Lock()
        self._under_way: asyncio.Task[None] | None = None
        self._budget = Budget(options.audit_refusals)
        self._rows = Bulk.inserting(audit, COLUMNS, db.engine.dialect)
        self._untold = 0
        self.lost: int = 0
        """Events that found no room, since the start."""

    @property
    def waiting(self) -> int:
        """Events that are not yet in the database."""
        return len(self._waiting)

    def hear(self, event: Event) -> None:
        """Keep it for the next batch."""
        if event.kept or event.kind in self._options.counted_only:
            return
        if self._budget.admits(event.kind, self._clock.now()):
            self._keep(event)

    async def write(self, tx: Tx, event: Event) -> Event:
        """Write it in the transaction of what it tells, which fails with it; returns what to announce afterwards."""
        await tx.execute(insert(audit).values(**row_of(event)))
        return msgspec.structs.replace(event, kept=True)

    async def run(self) -> None:
        """Write a batch twice a second until cancelled.

        What is under way then goes on, and `close` waits for it: rows of which nobody hears that they are there would
        be written twice.
        """
        self._flushing = asyncio.Lock()  # a lock belongs to one loop, and this one may be another than before
        while True:
            await asyncio.sleep(BATCH_SECONDS)
            self._under_way = asyncio.create_task(self._flush_or_wait())
            await asyncio.shield(self._under_way)

    async def flush(self) -> None:
        """Write all that waits.  Raises Unavailable; what was not written still waits."""
        for event in self._budget.summary(self._clock.now()):
            self._keep(event)
        async with self._flushing:
            while self._waiting:
                batch = list(islice(self._waiting, MOST_ROWS))
                written = await self._insert(batch)
                for _ in batch:
                    self._waiting.popleft()
                if not written:
                    self._lose(len(batch))
            if told := self._untold:
                lost = Event(kind="audit.lost", at=self._clock.now(), details={"rows": str(told)})
                self._untold -= told if await self._insert([lost]) else 0

    async def close(self) -> None:
        """Write what waits, once more; what cannot be written is counted in the log."""
        for event in self._budget.rest(self._clock.now()):
            self._keep(event)
        try:
            await self.flush()
        except Unavailable:
            self._lose(len(self._waiting))
            self._waiting.clear()

    async def forget(self) -> int:
        """Delete rows older than `audit_days`; says how many."""
        if not self._options.audit_days:
            return 0
        oldest = self._clock.now() - self._options.audit_days * 86_400
        async with self._db.begin() as tx:
            return (await tx.execute(delete(audit).where(audit.c.at < oldest))).rowcount

    def _keep(self, event: Event) -> None:
        if len(self._waiting) < self._options.audit_queue:
            self._waiting.append(event)
        else:
            self._lose(1)

    async def _flush_or_wait(self) -> None:
        with suppress(Unavailable):
            await self.flush()

    async def _insert(self, events: list[Event]) -> bool:
        """False: the rows themselves are refused; kept, they would hold up all later ones."""
        try:
            async with self._db.begin() as tx:
                await self._rows.run(tx, [row_of(event) for event in events])
        except SQLAlchemyError as error:
            _log.error("audit rows were refused: %s", type(error).__name__)
            return False
        return True

    def _lose(self, rows: int) -> None:
        if rows and not self._untold:  # once, until a row could tell how many
            _log.error("audit rows are being lost")
        self.lost += rows
        self._untold += rows
