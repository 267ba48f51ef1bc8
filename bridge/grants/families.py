"""How an authorization ends: in SQL first, then in the store, and again after whatever the store forgot — store §2, 4.

What was `Add`ed is not removed: a late copy of the `Add` would bring it back.  Ending is a mark that stays.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from bridge.clock import Clock
from bridge.grants.options import MEMORY
from bridge.grants.records import EndedFamily, Family, encode_trace, read_family
from bridge.stores.store import Put, Store
from bridge.tokens import Names
from bridge.types import FamilyId, SlotTag

CHUNK: Final = 200


class EndedFamilies(Protocol):
    """The truth about ended families (`bridge.database.endings.Endings`).  Raises `Unavailable`."""

    async def end_family(self, tag: SlotTag, family: FamilyId, reason: str, until: float) -> None:
        """It has ended; remembered until that Unix time."""
        ...


class RecentFamilies(Protocol):
    """What the reconciler was told of families."""

    @property
    def families(self) -> Sequence[tuple[SlotTag, FamilyId]]: ...


class Families:
    """Ends them.  `store` is the raw one for the reconciler, the gate for everybody else."""

    def __init__(self, *, store: Store, names: Names, truth: EndedFamilies, clock: Clock) -> None:
        self._store = store
        self._names = names
        self._truth = truth
        self._clock = clock

    async def end(self, tag: SlotTag, family: Family, reason: str) -> None:
        """It and all its tokens are dead when this returns.  Raises `Unavailable`."""
        until = family.until + MEMORY
        await self._truth.end_family(tag, family.id, reason, until)
        await self._store.commit(self._mark(tag, family, reason))

    async def end_older(self, tag: SlotTag, index: str, version: int, reason: str) -> int:
        """End all in the index that stand on an earlier consent than `version`; says how many those were."""
        ended = 0
        for keys in _chunks(sorted(await self._store.members(index))):
            living = await self._living(keys)
            older = [family for family in living if family.consent < version]
            for family in older:
                await self._truth.end_family(tag, family.id, reason, family.until + MEMORY)
            if older:
                await self._store.commit(*(self._mark(tag, family, reason) for family in older))
            ended += len(older)
        return ended

    async def sids(self, index: str) -> set[str]:
        """What the client knows the sessions by under which those in the index were born."""
        living = [
            family for keys in _chunks(sorted(await self._store.members(index))) for family in await self._living(keys)
        ]
        return {family.sid for family in living if family.sid is not None}

    async def reconcile(self, recent: RecentFamilies) -> None:
        """What SQL says has ended and the store still holds alive: end it again (security §3)."""
        for start in range(0, len(recent.families), CHUNK):
            batch = recent.families[start : start + CHUNK]
            raws = await self._store.read(*(self._names.family(tag, family) for tag, family in batch))
            now = self._clock.now()
            found = [(tag, read_family(raw, family, now)) for (tag, family), raw in zip(batch, raws, strict=True)]
            alive = [(tag, family) for tag, family in found if family is not None]
            await asyncio.gather(*(self._store.commit(self._mark(tag, family, "reconciled")) for tag, family in alive))

    async def _living(self, keys: Sequence[str]) -> list[Family]:
        now = self._clock.now()
        raws = await self._store.read(*keys)
        found = (read_family(raw, FamilyId(key.rpartition(":")[2]), now) for key, raw in zip(keys, raws, strict=True))
        return [family for family in found if family is not None]

    def _mark(self, tag: SlotTag, family: Family, reason: str) -> Put:
        now = self._clock.now()
        trace = encode_trace(EndedFamily(reason=reason, at=int(now)))
        return Put(self._names.family(tag, family.id), trace, max(family.until - now, 0.0) + MEMORY)


def _chunks(keys: Sequence[str]) -> Iterable[Sequence[str]]:
    return (keys[start : start + CHUNK] for start in range(0, len(keys), CHUNK))
