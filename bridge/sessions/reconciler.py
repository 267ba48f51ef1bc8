"""Publishes again what SQL knows of endings, so that revocation survives a lying store — security §3; store §2, rule 8.

Every second what ended in the last minute, and every ten seconds what ended in the last ten; everything of which
something could still live as soon as the store may have lost data, before anybody else may read it again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final, Generic, Protocol, TypeVar

from bridge.clock import Clock
from bridge.errors import Unavailable
from bridge.events.event import Events
from bridge.sessions.birth import Tools
from bridge.sessions.ending import before_the_end, end_born_under, known_to, look, publish_stamp
from bridge.sessions.record import Ended, SessionRecord, known_reason
from bridge.sessions.stamp import stamp_value
from bridge.sessions.truth import EndedKey, EndedSession, RecentEndings, Truth
from bridge.stores.canary import try_writing
from bridge.stores.store import Store
from bridge.types import Standing

EVERY = 1.0
OFTEN = 60.0
WINDOW = 600.0
WIDE = 10
AT_ONCE = 200
MOST_KNOWN: Final = 30_000
"""Sessions of which it is remembered what to look at: fifty that end in each second of the window, about 15 MB."""

Recent = TypeVar("Recent", bound=RecentEndings)
Recent_co = TypeVar("Recent_co", bound=RecentEndings, covariant=True)
Step = Callable[[Recent], Awaitable[None]]


class Endings(Truth, Protocol[Recent_co]):
    """What the reconciler asks of SQL beyond `Truth`."""

    async def recent(self, since: float | None) -> Recent_co:
        """What ended since that Unix time; None: everything of which something could still live.

        Reads the epoch too: another worker may have raised it.
        """
        ...

    async def raise_epoch(self, identity: str) -> object:
        """One-time artefacts of before are refused from now on; once for each new identity (rule 9)."""
        ...


class Shuts(Protocol):
    """What stands between everybody else and the store (`bridge.stores.gate.Gate`)."""

    def shut(self) -> None: ...
    def unshut(self) -> None: ...


class Reconciler(Generic[Recent]):
    """One per worker.  Holds the store behind the gate, which it opens again; `steps` publish what grants and others
    have ended (families, consents), in their order, after the sessions."""

    def __init__(
        self,
        *,
        store: Store,
        truth: Endings[Recent],
        tools: Tools,
        clock: Clock,
        events: Events,
        gate: Shuts | None = None,
        steps: Sequence[Step[Recent]] = (),
    ) -> None:
        self._store = store
        self._gate = gate
        self._truth = truth
        self._tools = tools
        self._clock = clock
        self._events = events
        self._steps = tuple(steps)
        self._identity: str | None = None
        self._since: float | None = None
        self._ticks = 0
        self._over: dict[str, frozenset[str]] = {}
        """Of sessions that ended lately: all that was found under them, when nothing of it lived any more."""

    async def run(self) -> None:
        """Tick every second, until cancelled.  While store or SQL does not answer, what ended waits for the next."""
        while True:
            with suppress(Unavailable):
                await self.tick()
            await asyncio.sleep(EVERY)

    async def tick(self) -> None:
        """Once.  Raises `Unavailable`; the next tick then begins where this one did."""
        now = self._clock.now()
        identity = await self._store.identity()
        if self._store.lost or identity != self._identity or self._since is None:
            await self._everything(identity)
        else:
            self._ticks += 1
            wide = self._ticks % WIDE == 0
            recent = await self._truth.recent(min(now - (WINDOW if wide else OFTEN), self._since - OFTEN))
            await self._publish(recent)
            if wide:
                self._forget_all_but(recent)
        self._identity, self._since = identity, now

    async def _everything(self, identity: str) -> None:
        lost = self._store.lost
        if lost:
            self._events.tell("store.lost", actor="reconciler")
        await self._truth.raise_epoch(identity)
        self._over.clear()  # it was another store that was listed
        await self._publish(await self._truth.recent(None))
        self._store.regained(identity)
        if lost:
            self._events.tell("store.regained", actor="reconciler")

    def _forget_all_but(self, recent: Recent) -> None:
        named = ((ended.session_id, self._over.get(ended.session_id)) for ended in recent.sessions)
        self._over = {session_id: keys for session_id, keys in named if keys}

    async def _publish(self, recent: Recent) -> None:
        """All of it, or everybody else is shut out until it is: a store that can be read but not written would let
        live whoever was ended."""
        try:
            await self._publish_all(recent)
        except Unavailable:
            if self._gate is not None and not await self._writable():
                self._gate.shut()
            raise
        if self._gate is not None:
            self._gate.unshut()

    async def _writable(self) -> bool:
        try:
            await try_writing(self._store, self._tools.names)
        except Unavailable:
            return False
        return True

    async def _publish_all(self, recent: Recent) -> None:
        for start in range(0, len(recent.users), AT_ONCE):
            await self._publish_stamps(recent.users[start : start + AT_ONCE])
        for start in range(0, len(recent.sessions), AT_ONCE):
            await self._publish_ends(recent.sessions[start : start + AT_ONCE])
        for start in range(0, len(recent.keys), AT_ONCE):
            await self._end_those_back(recent.keys[start : start + AT_ONCE])
        for step in self._steps:
            await step(recent)

    async def _publish_stamps(self, users: Sequence[Standing]) -> None:
        """Only what the store says otherwise is asked of SQL again: nearly always that is nothing.

        A stamp that is absent is no lie, because absent means: ask SQL.
        """
        raws = await self._store.read(*(self._tools.names.stamp(one.tag) for one in users))
        found = zip(users, raws, strict=True)
        behind = [one for one, raw in found if raw not in (None, stamp_value(one.user, one.stamp))]
        await asyncio.gather(
            *(publish_stamp(self._store, self._tools, self._truth, one.user, one.tag) for one in behind)
        )

    async def _publish_ends(self, ended: Sequence[EndedSession]) -> None:
        """What the store still says is over, at each key that was listed, is over: nothing is born under it.  Whatever
        else it says, or was not listed yet, is listed and ended."""
        held = [(one, self._over.get(one.session_id)) for one in ended]
        keys = [key for _, known in held for key in known or ()]
        over = {key for key, record in await look(self._store, self._tools, keys) if isinstance(record, Ended)}
        await asyncio.gather(*(self._end(one) for one, known in held if not known or not over.issuperset(known)))

    async def _end(self, ended: EndedSession) -> None:
        """Mostly there is nothing; where there is, whoever ended it could not say to whom it was known."""
        reason, at = known_reason(ended.reason), int(self._clock.now())
        over = await end_born_under(
            self._store, self._tools, ended.user, ended.tag, ended.session_id, reason=reason, at=at
        )
        if ended.session_id in self._over or len(self._over) < MOST_KNOWN:
            self._over[ended.session_id] = over.keys
        if known := known_to(over.records):
            until = at + self._tools.options.ended_ttl
            await self._truth.end_session(ended.user, ended.tag, ended.session_id, reason, until, told=known)

    async def _end_those_back(self, replaced: Sequence[EndedKey]) -> None:
        """A token that was replaced is alive again: the store went back in time, and who holds it may be a thief."""
        found = await look(self._store, self._tools, [old.key for old in replaced])
        back = [old for old, (_, record) in zip(replaced, found, strict=True) if isinstance(record, SessionRecord)]
        await asyncio.gather(*(self._end_all_of(old) for old in back))

    async def _end_all_of(self, old: EndedKey) -> None:
        now, until = self._clock.now(), self._clock.now() + self._tools.options.ended_ttl
        _, known = await before_the_end(self._store, self._tools, old.tag, old.session_id, now=now)
        await self._truth.end_session(old.user, old.tag, old.session_id, "replaced", until, told=known)
        await end_born_under(
            self._store, self._tools, old.user, old.tag, old.session_id, reason="replaced", at=int(self._clock.now())
        )
