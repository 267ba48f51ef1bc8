"""Whom a new stamp signed out, and which clients must hear of it — security §3; Back-Channel Logout 1.0 §2.5.

A password, a second factor, an address, a disabled user: whatever ends all sessions of somebody writes a new stamp into
his row, and that row is what is followed here.  So nothing that ends sessions can forget to say so, and nothing is
told of an ending that was not committed (docs/decisions/0211).
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol

from bridge.clock import Clock
from bridge.sessions.birth import Tools
from bridge.sessions.ending import look
from bridge.sessions.record import SessionRecord
from bridge.sessions.stamp import reason_of
from bridge.stores.store import Store
from bridge.types import ClientId, Stamp, Standing, UserId

EVERY: Final = 1.0
PATIENCE: Final = 3.0
"""Seconds in which the one session that shall survive a change gets its new stamp (store §2, rule 4)."""
OVERLAP: Final = 60.0
FIRST: Final = 86_400.0
"""How far the first look goes back: over the time in which no worker was there."""
MOST_REMEMBERED: Final = 10_000


class Stamps(Protocol):
    """The truth (`bridge.database.endings.Endings`).  Raises `Unavailable`."""

    async def stamp_of(self, user: UserId) -> Stamp | None: ...

    async def restamped(self, since: float, until: float) -> list[Standing]: ...


class Restamped:
    """One per worker.  Several may find the same; the outbox takes each farewell once."""

    def __init__(
        self,
        *,
        store: Store,
        tools: Tools,
        truth: Stamps,
        clock: Clock,
        leave: Callable[[UserId, Mapping[ClientId, str]], Awaitable[None]],
    ) -> None:
        self._store = store
        self._tools = tools
        self._truth = truth
        self._clock = clock
        self._leave = leave
        self._since: float | None = None
        self._done: dict[tuple[UserId, Stamp], None] = {}

    async def tick(self) -> None:
        """Once.  Raises `Unavailable`; the next tick then begins where this one did."""
        until = self._clock.now() - PATIENCE
        since = until - FIRST if self._since is None else self._since - OVERLAP
        for standing in await self._truth.restamped(since, until):
            first = reason_of(standing.stamp) in ("new", "import")  # nobody was there before
            if not first and (standing.user, standing.stamp) not in self._done:
                await self._say(standing)
        self._since = until

    async def _say(self, standing: Standing) -> None:
        members = await self._store.members(self._tools.names.sessions_of(standing.tag))
        found = [record for _, record in await look(self._store, self._tools, members)]
        # Asked after the look: whoever came in before it had this stamp, or one that is over.
        if await self._truth.stamp_of(standing.user) != standing.stamp:
            return  # it has changed again, and will be looked at again
        over = [
            record
            for record in found
            if isinstance(record, SessionRecord) and record.uid == standing.user and record.stamp != standing.stamp
        ]
        for record in over:
            if record.clients:
                await self._leave(standing.user, record.clients)
        self._remember(standing)

    def _remember(self, standing: Standing) -> None:
        if len(self._done) >= MOST_REMEMBERED:
            del self._done[next(iter(self._done))]
        self._done[standing.user, standing.stamp] = None
