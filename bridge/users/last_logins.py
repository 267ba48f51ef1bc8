"""Who came in last: noted at once, written in batches — DESIGN §5, "SQL is never on a hot path"."""

from collections.abc import Awaitable, Callable, Sequence

import anyio

from bridge.clock import Clock
from bridge.errors import Unavailable
from bridge.types import IPAddress, UserId

EVERY = 1.0
"""Seconds between two batches."""

Write = Callable[[Sequence[tuple[UserId, int, str | None]]], Awaitable[None]]


class LastLogins:
    """Collects logins; the last one of each user is written."""

    def __init__(self, write: Write, clock: Clock) -> None:
        """`write`: `SqlUsers.write_logins`."""
        self._write = write
        self._clock = clock
        self._noted: dict[UserId, tuple[int, str | None]] = {}

    def note(self, user: UserId, ip: IPAddress | None) -> None:
        """He came in now, from there."""
        self._noted[user] = (int(self._clock.now()), str(ip) if ip is not None else None)

    async def flush(self) -> None:
        """Write what was noted.  A database that does not answer is tried again with the next batch."""
        noted, self._noted = self._noted, {}
        try:
            if noted:
                await self._write([(user, at, ip) for user, (at, ip) in noted.items()])
        except Unavailable:
            self._noted = noted | self._noted

    async def run(self) -> None:
        """Flush once a second, and once more when it is cancelled."""
        try:
            while True:
                await anyio.sleep(EVERY)
                await self.flush()
        finally:
            with anyio.CancelScope(shield=True):
                await self.flush()
