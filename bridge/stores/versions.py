"""Caches of what lies in SQL, never more than two seconds behind it — security §20.

A change raises the version of its kind in SQL (`bridge.database.versions.bump`), then in the store.  Every worker reads
the versions twice a second and believes what it read for one second, so a cache is wrong for at most one second after
the publication, and two where a worker died before it and the reconciler had to publish (once a second).
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final, Generic, Protocol, TypeVar

from bridge.errors import ConfigError, Unavailable
from bridge.stores.publish import publish, step_to
from bridge.stores.store import LONGEST_TTL, Store
from bridge.tokens import Names
from bridge.types import Key

NAMES: Final[tuple[str, ...]] = ("users", "clients", "credentials", "keys", "accounts", "profiles")
POLL_SECONDS: Final = 0.5
BELIEVED_SECONDS: Final = 1.0

K = TypeVar("K")
V = TypeVar("V")


class Truth(Protocol):
    """What SQL says."""

    async def current(self) -> Mapping[str, int]:
        """Name → version, from a new transaction on the primary; a name that was never bumped is absent."""
        ...


class Bumped(Protocol):
    """What the reconciler was told of versions."""

    @property
    def versions(self) -> Mapping[str, int]: ...


class Versions:
    """The versions of all kinds of things that are cached, as this worker last saw them in the store."""

    def __init__(
        self, store: Store, names: Names, truth: Truth, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._names = names
        self._truth = truth
        self._monotonic = monotonic
        self._seen: dict[str, bytes | None] = dict.fromkeys(NAMES)
        self._published: dict[str, int] = dict.fromkeys(NAMES, 0)
        self._asked = float("-inf")

    @property
    def _keys(self) -> dict[str, Key]:
        return {name: self._names.version(name) for name in NAMES}

    def token(self, name: str) -> bytes | None:
        """What stands for the version of `name` now; None: not known well enough to believe any cache."""
        if self._monotonic() - self._asked >= BELIEVED_SECONDS:
            return None
        return self._seen[name]

    async def poll(self) -> None:
        """Read all versions from the store.  Raises Unavailable; what was read before lapses by itself."""
        asked = self._monotonic()  # the age counts from the question: the answer may have been long on its way
        published = dict(self._published)
        values = await self._store.read(*self._keys.values())
        for name, value in zip(self._keys, values, strict=True):
            if self._published[name] == published[name]:  # else this answer may be older than our own publication
                self._seen[name] = value
        self._asked = asked

    async def refuse_an_older_truth(self) -> None:
        """Nothing, unless the store was told of changes of which SQL knows nothing: then the database was restored from
        a backup, and what it has forgotten may live on in the store.

        Raises ConfigError then, and `Unavailable`.
        """
        values = await self._store.read(*self._keys.values())  # before SQL, where a version is before it is here
        current = await self._truth.current()
        said = zip(self._keys, values, strict=True)
        if older := [name for name, value in said if _number(value) > current.get(name, 0)]:
            raise ConfigError(
                f"the database is older than the store ({', '.join(older)}): was it restored from a backup? "
                "Then empty the store, as docs/operating.md says"
            )

    async def run(self) -> None:
        """Poll until cancelled."""
        while True:
            with suppress(Unavailable):
                await self.poll()
            await asyncio.sleep(POLL_SECONDS)

    async def publish(self, name: str) -> None:
        """Bring SQL's version of `name` into the store, after the transaction that bumped it.  Raises Unavailable."""

        async def truth() -> bytes:
            return _value((await self._truth.current()).get(name, 0))

        self._seen[name] = await publish(self._store, self._keys[name], truth, LONGEST_TTL)
        self._published[name] += 1

    async def republish(self, recent: Bumped | None = None) -> None:
        """A step of the reconciler: whatever version the store has not, it gets, all of them at once.

        As `publish` does for one.  Raises Unavailable.  Where the store says what the reconciler was told a moment
        ago, SQL is not asked again; what was told is good for nothing else, since it is older than what is read here.
        """
        if recent is not None and not self._behind(await self._store.read(*self._keys.values()), recent.versions):
            return
        late: set[str] = set()
        for _ in range(6):
            values = await self._store.read(*self._keys.values())
            current = await self._truth.current()
            behind = self._behind(values, current)
            if not behind:
                for name in late:
                    self._seen[name] = _value(current.get(name, 0))
                    self._published[name] += 1
                return
            late.update(behind)
            await self._store.commit(*(step_to(self._keys[name], *of, LONGEST_TTL) for name, of in behind.items()))
        raise Unavailable("publishing the versions met too many others")

    def _behind(
        self, values: Sequence[bytes | None], current: Mapping[str, int]
    ) -> dict[str, tuple[bytes | None, bytes]]:
        """Those of which the store says something else: what it says, and what SQL does."""
        found = ((name, value, _value(current.get(name, 0))) for name, value in zip(self._keys, values, strict=True))
        return {name: (seen, wanted) for name, seen, wanted in found if seen != wanted}


class Cached(Generic[K, V]):
    """What `load` gave for a key, until its version changes or cannot be told.  Keeps the `size` last used.

    What was not there is remembered too: whoever asks for made-up keys does not ask SQL each time.
    """

    def __init__(
        self, load: Callable[[K], Awaitable[V | None]], version: Callable[[], bytes | None], size: int = 10_000
    ) -> None:
        self._load = load
        self._version = version
        self._size = size
        self._held: OrderedDict[K, tuple[bytes, V | None]] = OrderedDict()

    async def get(self, key: K) -> V | None:
        """The value, no older than the version allows; None: there is none.  Raises what `load` raises."""
        version = self._version()
        held = self._held.get(key)
        if held is not None and held[0] == version:
            self._held.move_to_end(key)
            return held[1]
        value = await self._load(key)
        if version is not None:  # the one from before loading: what changed meanwhile will have another
            self._keep(key, version, value)
        return value

    def holds(self, key: K, value: V) -> bool:
        """Whether that very object is what `get` would give now, without loading it."""
        held = self._held.get(key)
        if held is None or held[1] is not value or held[0] != self._version():
            return False
        self._held.move_to_end(key)
        return True

    def _keep(self, key: K, version: bytes, value: V | None) -> None:
        self._held[key] = (version, value)
        self._held.move_to_end(key)
        if len(self._held) > self._size:
            self._held.popitem(last=False)


def _value(version: int) -> bytes:
    return str(version).encode()


def _number(value: bytes | None) -> int:
    """0 where it is none: the store is anybody's who can write there."""
    return int(value) if value is not None and len(value) < 20 and value.isdigit() else 0
