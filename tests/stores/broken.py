"""Stores that are wrong in one way each; the suite must notice every one — spec/store.md §8."""

import asyncio
import copy
from collections.abc import Sequence
from math import inf

import redis.asyncio

from bridge.clock import Clock
from bridge.stores.batch import witness
from bridge.stores.memory import MemoryStore
from bridge.stores.scripts import COMMIT, written
from bridge.stores.store import Add, Change, Drop, Expect, Put, Store, Swap, Tag, Take, Untag, check
from tests.stores.servers import PATIENT


class AddOverwrites(MemoryStore):
    def _holds(self, change: Change, now: float) -> bool:
        return isinstance(change, Add) or super()._holds(change, now)


class TakeIgnoresSeen(MemoryStore):
    def _holds(self, change: Change, now: float) -> bool:
        if isinstance(change, Take):
            return self._get(change.key, now) is not None
        return super()._holds(change, now)


class SwapIgnoresSeen(MemoryStore):
    def _holds(self, change: Change, now: float) -> bool:
        if isinstance(change, Swap):
            return self._get(change.key, now) is not None
        return super()._holds(change, now)


class AbsentIgnored(MemoryStore):
    def _holds(self, change: Change, now: float) -> bool:
        return (isinstance(change, Expect) and change.value is None) or super()._holds(change, now)


class ExpectIgnored(MemoryStore):
    def _holds(self, change: Change, now: float) -> bool:
        return isinstance(change, Expect) or super()._holds(change, now)


class OnePassGuards(MemoryStore):
    async def commit(self, *changes: Change) -> bool:
        check(changes)
        now, before = self._clock.now(), copy.deepcopy((self._values, self._indexes))
        for change in changes:
            if not self._holds(change, now):
                self._values, self._indexes = before
                return False
            self._write(change, now)
        return True


class NoRollback(MemoryStore):
    async def commit(self, *changes: Change) -> bool:
        check(changes)
        now = self._clock.now()
        held = [self._holds(change, now) for change in changes]
        for change, holds in zip(changes, held, strict=True):
            if not holds:
                return False
            self._write(change, now)
        return True


class ConflictSaysDone(MemoryStore):
    async def commit(self, *changes: Change) -> bool:
        await super().commit(*changes)
        return True


class DropNoop(MemoryStore):
    def _write(self, change: Change, now: float) -> None:
        if not isinstance(change, Drop):
            super()._write(change, now)


class UntagNoop(MemoryStore):
    def _write(self, change: Change, now: float) -> None:
        if not isinstance(change, Untag):
            super()._write(change, now)


class TtlForgotten(MemoryStore):
    def _write(self, change: Change, now: float) -> None:
        super()._write(change, now)
        if isinstance(change, Add | Put | Swap):
            self._values[change.key] = (change.value, inf)


class SwapKeepsOldTtl(MemoryStore):
    def _write(self, change: Change, now: float) -> None:
        _, end = self._values.get(getattr(change, "key", ""), (b"", inf))
        super()._write(change, now)
        if isinstance(change, Swap):
            self._values[change.key] = (change.value, end)


class MembersNotPruned(MemoryStore):
    async def members(self, index: str) -> list[str]:
        return sorted(self._indexes.get(index, {}))


class IndexExpiresEarly(MemoryStore):
    def _write(self, change: Change, now: float) -> None:
        super()._write(change, now)
        if isinstance(change, Tag):
            ends = self._indexes[change.index]
            self._indexes[change.index] = {member: min(end, now + change.ttl) for member, end in ends.items()}


class OneSpaceOfNames(MemoryStore):
    def _write(self, change: Change, now: float) -> None:
        super()._write(change, now)
        if isinstance(change, Drop | Take):
            self._indexes.pop(change.key, None)


class HalfCommitOnError(MemoryStore):
    async def commit(self, *changes: Change) -> bool:
        now = self._clock.now()
        if not all(self._holds(change, now) for change in changes):
            return False
        for number, change in enumerate(changes, 1):
            check([*changes[:number]])
            self._write(change, now)
        return True


class WitnessAlways(MemoryStore):
    async def commit(self, *changes: Change) -> bool:
        if await super().commit(*changes):
            return True
        found = witness(changes)
        return found is not None and (await self.read(found[0]))[0] == found[1]


class JudgesThenWrites(MemoryStore):
    async def commit(self, *changes: Change) -> bool:
        check(changes)
        now = self._clock.now()
        if not all(self._holds(change, now) for change in changes):
            return False
        await asyncio.sleep(0)
        for change in changes:
            self._write(change, now)
        return True


class CancelFailsAll(MemoryStore):
    """One cancelled commit takes the batch along."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._batch: asyncio.Future[None] | None = None

    async def commit(self, *changes: Change) -> bool:
        check(changes)
        batch = self._batch
        if batch is None or batch.done():
            batch = self._batch = asyncio.ensure_future(_some_ticks())
        await batch
        return await super().commit(*changes)


async def _some_ticks() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


BROKEN: dict[str, type[MemoryStore]] = {
    "add-overwrites": AddOverwrites,
    "take-ignores-seen": TakeIgnoresSeen,
    "swap-ignores-seen": SwapIgnoresSeen,
    "absent-ignored": AbsentIgnored,
    "expect-ignored": ExpectIgnored,
    "one-pass-guards": OnePassGuards,
    "no-rollback": NoRollback,
    "conflict-says-done": ConflictSaysDone,
    "drop-noop": DropNoop,
    "untag-noop": UntagNoop,
    "ttl-forgotten": TtlForgotten,
    "swap-keeps-old-ttl": SwapKeepsOldTtl,
    "members-not-pruned": MembersNotPruned,
    "index-expires-early": IndexExpiresEarly,
    "one-space-of-names": OneSpaceOfNames,
    "half-commit-on-error": HalfCommitOnError,
    "witness-always": WitnessAlways,
    "judges-then-writes": JudgesThenWrites,
    "cancel-fails-all": CancelFailsAll,
}


class LibraryRetries:
    """A store on the client library as it comes: it sends again on its own, and believes the second answer."""

    lost = False

    def __init__(self, host: str, port: int) -> None:
        self._client = redis.asyncio.Redis(host=host, port=port, socket_timeout=PATIENT)

    def regained(self, identity: str | None = None) -> None:
        pass

    async def open(self) -> None:
        await self._client.ping()

    async def close(self) -> None:
        await self._client.aclose()

    async def identity(self) -> str:
        return ""

    async def read(self, *keys: str) -> Sequence[bytes | None]:
        values: Sequence[bytes | None] = await self._client.execute_command("MGET", *keys)  # type: ignore[no-untyped-call]
        return values

    async def commit(self, *changes: Change) -> bool:
        check(changes)
        keys, arguments = written(changes)
        return bool(await self._client.eval(COMMIT.text, len(keys), *keys, *arguments))

    async def members(self, index: str) -> list[str]:
        return [index]


class ReadsThenWrites:
    """A store on a real server that judges in one step and writes in the next."""

    lost = False

    def __init__(self, store: Store) -> None:
        self._store = store

    def regained(self, identity: str | None = None) -> None:
        pass

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def identity(self) -> str:
        return ""

    async def read(self, *keys: str) -> Sequence[bytes | None]:
        return await self._store.read(*keys)

    async def commit(self, *changes: Change) -> bool:
        for change in changes:
            if isinstance(change, Take | Swap | Expect | Add):
                (value,) = await self._store.read(change.key)
                wanted = (
                    None if isinstance(change, Add) else change.value if isinstance(change, Expect) else change.seen
                )
                if value != wanted:
                    return False
        return await self._store.commit(*(_unguarded(change) for change in changes))

    async def members(self, index: str) -> list[str]:
        return await self._store.members(index)


def _unguarded(change: Change) -> Change:
    match change:
        case Add(key, value, ttl) | Swap(key, _, value, ttl):
            return Put(key, value, ttl)
        case Take(key):
            return Drop(key)
        case _:
            return change
