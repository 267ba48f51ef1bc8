"""Publishing what SQL knows into the store, by compare-and-swap — store §2, rule 6; security §3.

Reads the store, then SQL, then swaps, until equal.  The reverse order brings an old value back for a moment.
"""

from collections.abc import Awaitable, Callable

from bridge.errors import Unavailable
from bridge.stores.store import Add, Change, Store, Swap


async def publish(
    store: Store, key: str, truth: Callable[[], Awaitable[bytes | None]], ttl: float, tries: int = 6
) -> bytes | None:
    """Make `key` say what `truth` says, and return it.  None from `truth` (the row is gone) publishes nothing.

    `truth` must open a new transaction on the primary each time.  Raises `Unavailable` when others keep winning.
    """
    for _ in range(tries):
        (seen,) = await store.read(key)
        wanted = await truth()
        if wanted is None or seen == wanted:
            return wanted
        await store.commit(step_to(key, seen, wanted, ttl))
    raise Unavailable(f"publishing {key.split(':')[2]} met too many others")


def step_to(key: str, seen: bytes | None, wanted: bytes, ttl: float) -> Change:
    """What makes `wanted` of what was seen, unless somebody else was there meanwhile."""
    return Add(key, wanted, ttl) if seen is None else Swap(key, seen, wanted, ttl)
