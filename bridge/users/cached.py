"""Users by number, from a cache that is never more than two seconds behind — security §20.

For what people may see (name, address, groups).  Whether somebody may come in is never decided by it: hash, disabled
and second factor come from the row, at the moment of the login (store §2, rule 3).
"""

from functools import partial

from bridge.stores.versions import Cached, Versions
from bridge.types import Stamp, UserId
from bridge.users.backend import UserBackend
from bridge.users.user import User


class CachedUsers:
    """The users of one backend, remembered."""

    def __init__(self, users: UserBackend, versions: Versions, *, size: int = 10_000) -> None:
        """`size`: how many users at most, unknown ones too."""
        self._users = users
        self._cached = Cached[UserId, User](users.by_id, partial(versions.token, "users"), size)

    async def by_id(self, user: UserId, *, stamp: Stamp | None = None) -> User | None:
        """The user, at most two seconds old.  Raises `Unavailable`.

        `stamp`: what the store said of him in the read that this decision stands on.  A row with another stamp is not
        believed but read anew; what comes back may still carry another one: then it is the store that is behind.
        """
        found = await self._cached.get(user)
        if stamp is None or (found is not None and found.stamp == stamp):
            return found
        return await self._users.by_id(user)
