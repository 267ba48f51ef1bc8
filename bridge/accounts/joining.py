"""An invite is followed, and accepted by whom it is for: somebody signed in, or a new user — whmcs-api §3.5.

Looking at it changes nothing, however often.  A new user's address is the invite's own: that the letter came there is
what confirms it.
"""

from dataclasses import dataclass

from bridge.accounts.account import Account
from bridge.accounts.accounts import Accounts
from bridge.accounts.invites import Invite, Invites
from bridge.accounts.membership import Membership
from bridge.accounts.outcomes import AlreadyMember, InviteGone, NoUser, OtherAddress, UserExists
from bridge.events.ledger import Deed, Ledger
from bridge.secret import Secret
from bridge.types import UserId, Visit
from bridge.users.sql import SqlUsers
from bridge.users.upkeep import UserUpkeep
from bridge.users.user import AddressTaken, NewUser, User


@dataclass(frozen=True, slots=True, kw_only=True)
class Invited:
    """An invite that can be accepted, to what, and the user of its address, if there is one."""

    invite: Invite
    account: Account
    user: User | None


class _Undone(Exception):
    """Nothing of it shall have happened; this is the answer."""

    def __init__(self, outcome: InviteGone | UserExists) -> None:
        self.outcome = outcome


class Joining:
    """Every call raises `Unavailable` when the database does not answer."""

    def __init__(
        self, *, invites: Invites, accounts: Accounts, users: SqlUsers, upkeep: UserUpkeep, ledger: Ledger
    ) -> None:
        self._invites = invites
        self._accounts = accounts
        self._users = users
        self._upkeep = upkeep
        self._ledger = ledger

    async def look(self, token: Secret) -> Invited | InviteGone:
        """What the token invites to."""
        invite = await self._invites.by_token(token)
        account = await self._accounts.by_id(invite.account) if invite is not None else None
        if invite is None or account is None:
            return InviteGone()
        return Invited(invite=invite, account=account, user=await self._users.by_email(invite.email))

    async def accept(
        self, token: Secret, user: UserId, visit: Visit
    ) -> Membership | InviteGone | NoUser | OtherAddress | AlreadyMember:
        """By somebody who is signed in."""
        return await self._ledger.do(visit, lambda deed: self._invites.accept(deed, token, user))

    async def register(
        self, token: Secret, *, first_name: str, last_name: str, password: Secret, language: str, visit: Visit
    ) -> Membership | InviteGone | UserExists:
        """By somebody who becomes a user by it: both or none.  Raises InvalidField, ValueError, Busy."""
        invite = await self._invites.by_token(token)
        if invite is None:
            return InviteGone()
        new = await self._users.draft(
            email=invite.email,
            email_verified=True,
            password=password,
            first_name=first_name,
            last_name=last_name,
            language=language,
        )
        try:
            return await self._ledger.do(visit, lambda deed: self._join(deed, token, new))
        except _Undone as undone:
            return undone.outcome

    async def _join(self, deed: Deed, token: Secret, new: NewUser) -> Membership:
        made = await self._upkeep.add(deed, new)
        if isinstance(made, AddressTaken):
            raise _Undone(UserExists())
        joined = await self._invites.accept(deed, token, made.id)
        if not isinstance(joined, Membership):  # somebody was first; a user whom nobody asked for shall not be left
            raise _Undone(InviteGone())
        return joined
