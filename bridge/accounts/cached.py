"""The accounts of users from a cache that is never more than two seconds behind — security §20.

For what a login tells of a user (`clientid`, a claim).  Whether somebody may do something with an account is asked of
`Members`.
"""

from collections.abc import Sequence

from bridge.accounts.members import VERSION, Members
from bridge.accounts.membership import Membership
from bridge.stores.versions import Cached, Versions
from bridge.types import AccountId, UserId


class CachedAccounts:
    """The memberships of users, remembered."""

    def __init__(self, members: Members, versions: Versions, *, size: int = 10_000) -> None:
        """`size`: how many users at most, those without accounts too."""
        self._cached = Cached[UserId, Sequence[Membership]](members.of_user, lambda: versions.token(VERSION), size)

    async def of_user(self, user: UserId) -> Sequence[Membership]:
        """His accounts by number, at most two seconds old.  Raises `Unavailable`."""
        return await self._cached.get(user) or ()

    async def owned_by(self, user: UserId) -> AccountId | None:
        """The first account that he owns (whmcs-api §4.3); None: he owns none."""
        return next((each.account for each in await self.of_user(user) if each.owner), None)
