"""An instance's part of a store belongs to it: another issuer or slot key is refused — security §6, §19."""

from contextlib import suppress
from typing import Final

from bridge.errors import ConfigError, Unavailable
from bridge.stores.store import LONGEST_TTL, Add, Store, Swap
from bridge.tokens import Names, Slots

_TRIES: Final = 3


async def claim(store: Store, names: Names, slots: Slots) -> None:
    """Write who owns this part of the store, or see that it is us, for another 400 days.

    Raises ConfigError where it is somebody else, and `Unavailable`.
    """
    key, mine = names.owner(), f"{names.issuer} {slots.fingerprint}".encode()
    for _ in range(_TRIES):
        (owner,) = await store.read(key)
        if owner == mine:
            with suppress(Unavailable):  # a store that is full says no; we are its owner all the same
                await store.commit(Swap(key, mine, mine, LONGEST_TTL))
            return
        if owner is not None:
            raise ConfigError(
                "store.url: this store is in use under another issuer or slot key (secrets.slot); "
                "a slot key never changes in the life of an instance"
            )
        if await store.commit(Add(key, mine, LONGEST_TTL)):
            return
    raise Unavailable("contended")
