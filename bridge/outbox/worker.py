"""Delivers what the outbox holds: now, or after 1 min, 5 min, 30 min and 2 h, or never — sessions-and-accounts §6.3."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Final

from bridge.clock import Chance, Clock, chance
from bridge.database.database import Database
from bridge.errors import Unavailable
from bridge.events.event import Events
from bridge.events.redact import redact
from bridge.outbox.jobs import Claimed, Jobs
from bridge.outbox.message import Undeliverable
from bridge.outbox.options import MailOptions
from bridge.outbox.outbox import Delivery

Sender = Callable[[Delivery], Awaitable[None]]
"""Delivers: returns when it is done, raises `Undeliverable` when it never can be, anything else to be called again."""

PAUSES: Final = (60.0, 300.0, 1_800.0, 7_200.0)
"""Seconds before the second, third, fourth and fifth try."""
POLL_SECONDS: Final = 1.0
SEND_SECONDS: Final = 60.0
LEASE_SECONDS: Final = 120.0
COUNT_EVERY: Final = 30
"""Polls between two looks at how much waits."""

_log = logging.getLogger("bridge.outbox")


class OutboxWorker:
    """One of any number of workers over one table.

    A job is sent by one of them, once; twice only where a worker died, or lost the database, between sending and
    noting it: then after the lease, with the same Message-ID.
    """

    def __init__(
        self,
        db: Database,
        senders: Mapping[str, Sender],
        clock: Clock,
        events: Events,
        options: MailOptions,
        *,
        draw: Chance = chance,
    ) -> None:
        self._jobs = Jobs(db, clock, draw)
        self._senders = senders
        self._clock = clock
        self._events = events
        self._options = options
        self._stopped = asyncio.Event()
        self.waiting: int = 0
        """Jobs that wait, as last counted: a gauge."""
        self.dead: int = 0
        """Jobs that were given up and not yet forgotten, as last counted: a gauge."""

    async def run(self) -> None:
        """Work until `stop`, or until cancelled; a database that does not answer is asked again."""
        polls = 0
        while not self._stopped.is_set():
            with suppress(Unavailable):
                if polls % COUNT_EVERY == 0:
                    await self.count()
                while await self.work() and not self._stopped.is_set():
                    pass
            polls += 1
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), POLL_SECONDS)

    def stop(self) -> None:
        """Let `run` finish what it has begun, and return."""
        self._stopped.set()

    async def work(self) -> int:
        """Claim what is due, deliver it, note what came of it; says how many jobs that were.  Raises Unavailable."""
        jobs = await self._jobs.claim(self._options.at_once, LEASE_SECONDS)
        await asyncio.gather(*(self._deliver(job) for job in jobs))
        return len(jobs)

    async def count(self) -> None:
        """Bring the gauges up to date.  Raises Unavailable."""
        self.waiting, self.dead = await self._jobs.count("waiting"), await self._jobs.count("dead")

    async def forget(self) -> int:
        """Delete what was finished long enough ago; says how many rows.  Raises Unavailable."""
        now, day = self._clock.now(), 86_400
        return await self._jobs.forget(
            sent_before=now - self._options.keep_sent_days * day, dead_before=now - self._options.keep_dead_days * day
        )

    async def _deliver(self, job: Claimed) -> None:
        error = await self._send(job.delivery)
        with suppress(Unavailable):  # not noted: it is sent again after the lease, as the same message
            await self._note(job, error)

    async def _send(self, delivery: Delivery) -> Exception | None:
        if delivery.attempt > len(PAUSES) + 1:
            return Undeliverable("every try ended without an answer")
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._senders[delivery.purpose](delivery)
        except Exception as error:  # noqa: BLE001  whatever a sender raises is this job's failure, not the worker's
            return error
        return None

    async def _note(self, job: Claimed, error: Exception | None) -> None:
        if error is None:
            await self._jobs.finish(job, "sent")
            return
        attempt, shown = job.delivery.attempt, redact(f"{type(error).__name__}: {error}"[:200])
        if attempt <= len(PAUSES) and not isinstance(error, Undeliverable):
            _log.warning("job %d (%s), try %d: %s", job.delivery.id, job.delivery.purpose, attempt, shown)
            await self._jobs.put_off(job, PAUSES[attempt - 1], shown)
            return
        await self._jobs.finish(job, "dead", shown)
        self.dead += 1
        self._events.tell(
            "mail.failed",
            user=job.delivery.user,
            actor="outbox",
            reason="undeliverable" if isinstance(error, Undeliverable) else "gave-up",
            purpose=job.delivery.purpose,
            job=str(job.delivery.id),
        )
