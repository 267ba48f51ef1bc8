"""A Redis that makes room for itself ends sessions by chance — store §1."""

from bridge.stores.redis import RedisStore
from bridge.stores.store import Store


async def drops(store: Store) -> str | None:
    """What is wrong with a store that drops something when it is full; None: it refuses writes then, as it must.

    Raises `Unavailable`, also where the server does not say.
    """
    if not isinstance(store, RedisStore):
        return None
    policy = await store.eviction_policy()
    if policy == "noeviction":
        return None
    return f"store: maxmemory-policy is {policy}, which drops sessions; it must be noeviction"
