"""Letters whose cause has happened already: in the outbox at once, or as soon as the database takes them — A9.

Nothing that succeeded fails, or waits for long, because its letter cannot be written down; and the letter is not lost
but with this process, which says so.  Where the database took one and could not say it, there are two (decision 0101).
"""

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from typing import Final, NamedTuple, Protocol

from bridge.errors import Unavailable
from bridge.types import UserId

PATIENCE: Final = 1.0
"""Seconds for which somebody waits until the database has his letter."""
EVERY: Final = 1.0
"""Seconds between two tries of what waits."""
MOST: Final = 10_000

_log = logging.getLogger("bridge.outbox")


class Queue(Protocol):
    """The outbox."""

    async def put(self, tx: None, purpose: str, user: UserId | None, payload: Mapping[str, str]) -> object: ...


class Job(NamedTuple):
    """What is to be put there."""

    purpose: str
    user: UserId
    payload: Mapping[str, str]


class PatientOutbox:
    """Before the outbox: `run` brings there what waits here, `close` does so once more."""

    def __init__(self, outbox: Queue) -> None:
        self._outbox = outbox
        self._waiting: deque[Job] = deque()

    async def put(self, purpose: str, user: UserId, payload: Mapping[str, str]) -> None:
        """Leave a letter.  Never fails, and takes no longer than the patience; not even that where others wait."""
        job = Job(purpose, user, payload)
        if self._waiting or not await self._taken(job):
            self._keep(job)

    async def run(self) -> None:
        """Try once a second, until cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            await self.flush()

    async def flush(self) -> None:
        """Put what waits, the oldest first, until the database does not take one."""
        while self._waiting and await self._taken(self._waiting[0]):
            self._waiting.popleft()

    async def close(self) -> None:
        """Once more; what cannot be put now is lost, and counted in the log."""
        try:
            await self.flush()
        finally:
            if self._waiting:
                _log.error("%d letters are lost", len(self._waiting))
                self._waiting.clear()

    async def _taken(self, job: Job) -> bool:
        try:
            async with asyncio.timeout(PATIENCE):
                await self._outbox.put(None, *job)
        except (Unavailable, TimeoutError):
            return False
        return True

    def _keep(self, job: Job) -> None:
        if len(self._waiting) >= MOST:
            _log.error("user %d gets no letter (%s): too many wait for the database", job.user, job.purpose)
            return
        if not self._waiting:
            _log.error("letters wait for the database, the first (%s) to user %d", job.purpose, job.user)
        self._waiting.append(job)
