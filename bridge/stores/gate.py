"""A store that is closed while what it says may be out of date — security.md §3."""

from collections.abc import Sequence

from bridge.errors import Unavailable
from bridge.stores.store import Change, Store


class Gate:
    """Everybody's `Store` but the reconciler's, who holds the one behind it.

    What a verb brought back while the loss was noticed is refused too: it came from the server that had lost.  And it
    is shut while the server can be read but not written (full, read-only, without its replicas): an ending that SQL
    knows could not be told to it, and whoever was ended would live on.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._shut = False

    def shut(self) -> None:
        """Endings wait that the store does not take."""
        self._shut = True

    def unshut(self) -> None:
        """All of them are in the store."""
        self._shut = False

    @property
    def lost(self) -> bool:
        return self._store.lost

    def regained(self, identity: str | None = None) -> None:
        """Open the gate: what SQL knows has been published again."""
        self._store.regained(identity)

    async def open(self) -> None:
        await self._store.open()

    async def close(self) -> None:
        await self._store.close()

    async def identity(self) -> str:
        return await self._store.identity()

    async def read(self, *keys: str) -> Sequence[bytes | None]:
        self._refuse_if_lost()
        values = await self._store.read(*keys)
        self._refuse_if_lost()
        return values

    async def commit(self, *changes: Change) -> bool:
        self._refuse_if_lost()
        done = await self._store.commit(*changes)
        self._refuse_if_lost()
        return done

    async def members(self, index: str) -> list[str]:
        self._refuse_if_lost()
        names = await self._store.members(index)
        self._refuse_if_lost()
        return names

    def _refuse_if_lost(self) -> None:
        if self._shut:
            raise Unavailable("the store takes no writes, and endings wait to be published")
        if self._store.lost:
            raise Unavailable("the store may have lost data; endings are being published again")
