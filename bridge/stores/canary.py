"""A store that answers need not take writes: one that is full lets nobody sign in, and none that ended be ended."""

from typing import Final

from bridge.stores.store import Put, Store
from bridge.tokens import Names

CANARY_SECONDS: Final = 60.0


async def try_writing(store: Store, names: Names) -> None:
    """Nothing, if the store takes writes.  Raises `Unavailable`."""
    await store.commit(Put(names.canary(), b"tweet", CANARY_SECONDS))
