"""The store of tests and demonstrations: plain dictionaries in one process — spec/store.md §1."""

from collections.abc import Sequence

from bridge.clock import Clock
from bridge.stores.store import Add, Change, Drop, Expect, Put, Swap, Tag, Take, Untag, check

SWEEP_EVERY = 60.0


class MemoryStore:
    """A `Store` that ends with its process and is not shared with any other."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._values: dict[str, tuple[bytes, float]] = {}
        self._indexes: dict[str, dict[str, float]] = {}
        self._swept = clock.now()

    @property
    def lost(self) -> bool:
        return False

    def regained(self, identity: str | None = None) -> None:
        """Nothing was lost: data and reader end together."""

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    async def identity(self) -> str:
        return "memory"

    async def read(self, *keys: str) -> Sequence[bytes | None]:
        now = self._clock.now()
        return [self._get(key, now) for key in keys]

    async def commit(self, *changes: Change) -> bool:
        check(changes)
        now = self._clock.now()
        if not all(self._holds(change, now) for change in changes):
            return False
        for change in changes:
            self._write(change, now)
        self._sweep(now)
        return True

    async def members(self, index: str) -> list[str]:
        now = self._clock.now()
        return sorted(member for member, end in self._indexes.get(index, {}).items() if end > now)

    def _get(self, key: str, now: float) -> bytes | None:
        value, end = self._values.get(key, (None, 0.0))
        return value if end > now else None

    def _holds(self, change: Change, now: float) -> bool:
        match change:
            case Add(key):
                return self._get(key, now) is None
            case Take(key, seen) | Swap(key, seen) | Expect(key, seen):
                return self._get(key, now) == seen
            case _:
                return True

    def _write(self, change: Change, now: float) -> None:
        match change:
            case Add(key, value, ttl) | Put(key, value, ttl) | Swap(key, _, value, ttl):
                self._values[key] = (value, now + ttl)
            case Take(key) | Drop(key):
                self._values.pop(key, None)
            case Tag(index, member, ttl):
                ends = self._indexes.setdefault(index, {})
                ends[member] = max(ends.get(member, 0.0), now + ttl)
            case Untag(index, member):
                self._indexes.get(index, {}).pop(member, None)
            case Expect():
                pass

    def _sweep(self, now: float) -> None:
        if now - self._swept < SWEEP_EVERY:
            return
        self._swept = now
        self._values = {key: held for key, held in self._values.items() if held[1] > now}
        pruned = {
            index: {member: end for member, end in ends.items() if end > now} for index, ends in self._indexes.items()
        }
        self._indexes = {index: ends for index, ends in pruned.items() if ends}
