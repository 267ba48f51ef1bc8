"""May somebody be signed in by a link, for the sake of his accounts? — whmcs-api §3.3."""

from dataclasses import dataclass

from bridge.accounts.account import Account
from bridge.accounts.accounts import Accounts
from bridge.accounts.members import Members
from bridge.types import AccountId, UserId


@dataclass(frozen=True, slots=True)
class Closed:
    """The account is closed, or all of his are."""

    account: AccountId


@dataclass(frozen=True, slots=True)
class Blocked:
    """It, or each of his that is open, takes no single sign-on (`allowSingleSignOn`)."""

    account: AccountId


@dataclass(frozen=True, slots=True)
class NoMember:
    """He has nothing to do with that account, or there is none of that number."""


class SingleSignOnRules:
    """Reads on the primary.  Raises `Unavailable`."""

    def __init__(self, *, accounts: Accounts, members: Members) -> None:
        self._accounts = accounts
        self._members = members

    async def is_member(self, user: UserId, account: AccountId) -> bool:
        """Whether that account is one of his."""
        return any(each.account == account for each in await self._members.of_user(user))

    async def objection(self, user: UserId, account: AccountId | None) -> Closed | Blocked | NoMember | None:
        """Why he may not come in by a link for that account.  None of them named: one of his must take it, if he has
        any."""
        his = [each.account for each in await self._members.of_user(user)]
        if account is not None and account not in his:
            return NoMember()
        found = [await self._accounts.by_id(each) for each in (his if account is None else [account])]
        meant = [each for each in found if each is not None]
        return _objection(meant) if meant else None


def _objection(meant: list[Account]) -> Closed | Blocked | None:
    open_ones = [each for each in meant if not each.closed]
    if not open_ones:
        return Closed(meant[0].id)
    if not any(each.profile.allow_single_sign_on for each in open_ones):
        return Blocked(open_ones[0].id)
    return None
