"""The number of a user as a client, for callers that know clients alone — whmcs-api §4.3.

A client is an account, and a user's own is the first that he owns.  Where there is no account at all, everybody is a
client of his own number; from the first account on a number is never taken for one of the other kind: it might be
somebody else's.
"""

from bridge.accounts.accounts import Accounts
from bridge.accounts.cached import CachedAccounts
from bridge.accounts.members import VERSION, Members
from bridge.stores.versions import Cached, Versions
from bridge.types import AccountId, UserId


class ClientNumbers:
    """Every call raises `Unavailable` when the database does not answer."""

    def __init__(self, *, accounts: Accounts, cached: CachedAccounts, members: Members, versions: Versions) -> None:
        self._accounts = accounts
        self._of_users = cached
        self._any = Cached[None, bool](lambda _: members.exist(), lambda: versions.token(VERSION), 1)

    async def of_user(self, user: UserId) -> AccountId | None:
        """His number as a client, at most two seconds old; None: he owns no account, and others do."""
        owned = await self._of_users.owned_by(user)
        return owned if owned is not None or await self._any.get(None) else AccountId(user)

    async def owner_of(self, client: AccountId) -> UserId | None:
        """Whose number that is."""
        account = await self._accounts.by_id(client)
        if account is not None:
            return account.owner
        return None if await self._any.get(None) else UserId(client)
