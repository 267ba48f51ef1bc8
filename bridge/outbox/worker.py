"""Delivers what the outbox holds: now, or after 1 min, 5 min, 30 min and 2 h, or never — sessions-and-accounts §6.3."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from bridge.clock import Chance, Clock, chance
from bridge.database.database import Database
from bridge.errors import Unavailable
from bridge.events.event import EventKind, Events
from bridge.events.redact import redact
from bridge.outbox.jobs import Claimed, Jobs
from bridge.outbox.message import Undeliverable
from bridge.outbox.options import MailOptions
from bridge.outbox.outbox import Delivery
from bridge.types import ClientId

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
        only: Sequence[str] = (),
        but: Sequence[str] = (),
        pauses: Sequence[float] = PAUSES,
        at_once: int | None = None,
        given_up: EventKind = "mail.failed",
    ) -> None:
        """`only`, `but`: it delivers jobs of these purposes, or of all others.  `given_up`: what it tells of a job that
        it gave up."""
        self._jobs = Jobs(db, clock, draw, only=only, but=but)
        self._pauses = tuple(pauses)
        self._at_once = at_once or options.at_once
        self._given_up: EventKind = given_up
        self._hurried: set[asyncio.Task[None]] = set()
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
                async with asyncio.timeout(POLL_SECONDS):
                    await self._stopped.wait()

    def stop(self) -> None:
        """Let `run` finish what it has begun, and return."""
        self._stopped.set()

    async def work(self) -> int:
        """Claim what is due, deliver it, note what came of it; says how many jobs that were.  Raises Unavailable."""
        jobs = await self._jobs.claim(self._at_once, LEASE_SECONDS)
        if jobs:
            await asyncio.gather(*(self._deliver(job) for job in jobs))
        return len(jobs)

    async def hurry(self, once: Sequence[str], seconds: float) -> None:
        """Deliver the jobs of these names now, all at once, and wait for it so long.  What takes longer goes on; what
        fails is tried again as ever.  Raises Unavailable."""
        jobs = await self._jobs.claim_new(once, LEASE_SECONDS) if once else []
        tasks = {asyncio.create_task(self._deliver(job)) for job in jobs}
        self._hurried |= tasks
        for task in tasks:
            task.add_done_callback(self._hurried.discard)
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)

    async def settled(self) -> None:
        """Wait for what was hurried and goes on."""
        if self._hurried:
            await asyncio.wait(self._hurried)

    async def count(self) -> None:
        """Bring the gauges up to date.  Raises Unavailable."""
        counted = await self._jobs.count()
        self.waiting, self.dead = counted["waiting"], counted["dead"]

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
        if delivery.attempt > len(self._pauses) + 1:
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
        if attempt <= len(self._pauses) and not isinstance(error, Undeliverable):
            _log.warning("job %d (%s), try %d: %s", job.delivery.id, job.delivery.purpose, attempt, shown)
            await self._jobs.put_off(job, self._pauses[attempt - 1], shown)
            return
        await self._jobs.finish(job, "dead", shown)
        self.dead += 1
        client = job.delivery.payload.get("client")
        self._events.tell(
            self._given_up,
            user=job.delivery.user,
            actor="outbox",
            client=None if client is None else ClientId(client),
            reason="undeliverable" if isinstance(error, Undeliverable) else "gave-up",
            purpose=job.delivery.purpose,
            job=str(job.delivery.id),
        )
