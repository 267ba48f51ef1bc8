"""The accounts of users from a cache that is never more than two seconds behind — security §20.

For what a login tells of a user (`clientid`, a claim).  Whether somebody may do something with an account is asked of
`Members`.
"""

from collections.abc import Sequence
from typing import Protocol

from bridge.accounts.account import Account, Profile
from bridge.accounts.accounts import PROFILES
from bridge.accounts.members import VERSION, Members
from bridge.accounts.membership import Membership
from bridge.stores.versions import Cached, Versions
from bridge.types import AccountId, UserId


class ById(Protocol):
    """The rows (`bridge.accounts.accounts.Accounts`).  Raises `Unavailable`."""

    async def by_id(self, account: AccountId) -> Account | None: ...


class CachedAccounts:
    """The memberships of users, and the accounts that they own, remembered."""

    def __init__(self, members: Members, accounts: ById, versions: Versions, *, size: int = 10_000) -> None:
        """`size`: how many users at most, those without accounts too."""
        self._cached = Cached[UserId, Sequence[Membership]](members.of_user, lambda: versions.token(VERSION), size)
        self._profiles = Cached[AccountId, Account](accounts.by_id, lambda: versions.token(PROFILES), size)

    async def of_user(self, user: UserId) -> Sequence[Membership]:
        """His accounts by number, at most two seconds old.  Raises `Unavailable`."""
        return await self._cached.get(user) or ()

    async def profile_of(self, user: UserId) -> Profile | None:
        """Of the first account that he owns, unless it is closed; None: there is none.  Raises `Unavailable`."""
        number = await self.owned_by(user)
        account = await self._profiles.get(number) if number is not None else None
        return account.profile if account is not None and not account.closed else None

    async def owned_by(self, user: UserId) -> AccountId | None:
        """The first account that he owns (whmcs-api §4.3); None: he owns none."""
        return next((each.account for each in await self.of_user(user) if each.owner), None)
