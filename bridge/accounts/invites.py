"""Invites to an account: made, mailed, accepted once — whmcs-api §3.5 (CreateClientInvite).

    waiting ──accept──▶ accepted        cancelled: by somebody, or by a newer invite to the same address

The letter is the outbox's: its job names the invite, and its sender asks `token_of` for the rest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

from sqlalchemy import BindParameter, ColumnElement, bindparam, delete, insert, select, update

from bridge.accounts.hold import hold_account, hold_user, is_member
from bridge.accounts.members import Members
from bridge.accounts.membership import Membership
from bridge.accounts.outcomes import (
    AlreadyMember,
    InviteGone,
    NoAccount,
    NoAddress,
    NoPermissions,
    NoUser,
    OtherAddress,
)
from bridge.accounts.permissions import Permissions, in_order, parse_permissions
from bridge.clock import Chance, Clock, chance
from bridge.database.database import Database, Tx
from bridge.database.lookup import LookUp
from bridge.database.mailed import MailedTokens, hash_of
from bridge.database.tables import invites, memberships, users
from bridge.events.ledger import Deed
from bridge.ring import Ring
from bridge.secret import Secret
from bridge.types import AccountId, UserId
from bridge.users.email import email_key

InviteState = Literal["waiting", "accepted", "cancelled"]

PURPOSE: Final = "invite"
"""Of the outbox's job; its payload's `invite` is the number."""
KEPT_SECONDS: Final = 30 * 86_400
"""How long an invite is remembered when nothing can come of it any more."""


class Queue(Protocol):
    """The outbox."""

    async def put(self, tx: Tx, purpose: str, user: UserId | None, payload: Mapping[str, str]) -> object: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Invite:
    """One invite."""

    id: int
    account: AccountId
    email: str
    """As it was given: the letter goes there."""
    permissions: Permissions
    state: InviteState
    invited_by: str
    """The API credential; "": the account's owner."""
    accepted_by: UserId | None = None
    created_at: int
    expires_at: int
    finished_at: int | None = None


class Invites:
    """Every call raises `Unavailable` when the database does not answer."""

    def __init__(
        self,
        *,
        db: Database,
        members: Members,
        outbox: Queue,
        ring: Ring,
        clock: Clock,
        lifetime: int,
        draw: Chance = chance,
    ) -> None:
        """`lifetime`: seconds for which an invite waits."""
        self._db = db
        self._members = members
        self._outbox = outbox
        self._clock = clock
        self._lifetime = lifetime
        self._tokens = MailedTokens("invites", ring, draw)

    async def create(
        self, deed: Deed, account: AccountId, email: str, permissions: Permissions
    ) -> Invite | NoAccount | NoAddress | NoPermissions | AlreadyMember:
        """Let the address be invited, in place of an earlier invite to it that waits; the letter goes out after."""
        key = email_key(email)
        if await hold_account(deed.tx, account) is None:
            return NoAccount()
        if key is None:
            return NoAddress()
        if not permissions:
            return NoPermissions()
        if await _is_members_address(deed.tx, key, account):
            return AlreadyMember()
        earlier = (invites.c.account_id == account) & (invites.c.email_key == key) & (invites.c.state == "waiting")
        await deed.tx.execute(update(invites).where(earlier).values(self._over("cancelled")))
        now = self._now()
        values = {
            "account_id": account,
            "email": email.strip(),
            "email_key": key,
            "permissions": ",".join(in_order(permissions)),
            "state": "waiting",
            "invited_by": deed.actor,
            "created_at": now,
            "expires_at": now + self._lifetime,
            **self._tokens.new(),
        }
        made = (await deed.tx.execute(insert(invites).values(values))).inserted_primary_key
        assert made is not None
        await self._outbox.put(deed.tx, PURPOSE, None, {"invite": str(made[0])})
        await deed.record(
            "invite.created", account=str(account), invite=str(made[0]), permissions=values["permissions"]
        )
        return _invite_of((await deed.tx.execute(select(invites).where(invites.c.id == made[0]))).one())

    async def of_account(self, account: AccountId) -> Sequence[Invite]:
        """All that are remembered, by number."""
        wanted = select(invites).where(invites.c.account_id == account).order_by(invites.c.id)
        async with self._db.read() as tx:
            return [_invite_of(row) for row in await tx.execute(wanted)]

    async def by_token(self, token: Secret) -> Invite | None:
        """The invite of that token, for a page that asks, if it can still be accepted."""
        row = await self._db.first(_BY_TOKEN, hash=hash_of(token) or "", now=self._now())
        return _invite_of(row) if row is not None else None

    async def token_of(self, invite: int) -> tuple[Invite, Secret] | None:
        """For the letter: the invite and its token; None: nothing can come of it any more."""
        row = await self._db.first(_WAITING, id=invite, now=self._now())
        token = self._tokens.open(row) if row is not None else None
        return (_invite_of(row), token) if token is not None else None

    async def accept(
        self, deed: Deed, token: Secret, user: UserId
    ) -> Membership | InviteGone | NoUser | OtherAddress | AlreadyMember:
        """Make him the member that the invite says.  It is his if it went to his address: a link may go astray.

        However often it is shown at once, it is accepted once.
        """
        seen = (await deed.tx.execute(select(invites).where(self._open(token)))).first()
        if seen is None:
            return InviteGone()
        account = AccountId(seen.account_id)
        await hold_account(deed.tx, account)
        key = await hold_user(deed.tx, user)
        if key is None:
            return NoUser()
        if key != seen.email_key:
            return OtherAddress()
        if await is_member(deed.tx, user, account):
            return AlreadyMember()
        taken = update(invites).where(self._open(token)).values(**self._over("accepted"), accepted_by=user)
        if (await deed.tx.execute(taken)).rowcount != 1:  # somebody was first, between the first look and this
            return InviteGone()
        await deed.record("invite.accepted", user=user, account=str(account), invite=str(seen.id))
        made = await self._members.add(deed, user, account, parse_permissions(seen.permissions))
        return InviteGone() if isinstance(made, NoAccount) else made

    async def cancel(self, deed: Deed, invite: int) -> Invite | InviteGone:
        """Let it not be accepted any more."""
        wanted = select(invites).where(invites.c.id == invite)
        seen = (await deed.tx.execute(wanted)).first()
        if seen is None:
            return InviteGone()
        await hold_account(deed.tx, AccountId(seen.account_id))
        over = update(invites).where(invites.c.id == invite, invites.c.state == "waiting")
        if (await deed.tx.execute(over.values(self._over("cancelled")))).rowcount != 1:
            return InviteGone()
        await deed.record("invite.cancelled", account=str(seen.account_id), invite=str(invite))
        return _invite_of((await deed.tx.execute(wanted)).one())

    async def forget(self) -> int:
        """Delete what nothing can come of since thirty days; says how many rows that were."""
        old = invites.c.expires_at < self._now() - KEPT_SECONDS
        async with self._db.begin() as tx:
            return (await tx.execute(delete(invites).where(old))).rowcount

    def _open(self, token: Secret) -> ColumnElement[bool]:
        return (invites.c.token_hash == (hash_of(token) or "")) & _waiting(self._now())

    def _over(self, state: InviteState) -> dict[str, Any]:
        return {"state": state, "finished_at": self._now(), "token_enc": None}

    def _now(self) -> int:
        return int(self._clock.now())


def _waiting(now: int | BindParameter[int]) -> ColumnElement[bool]:
    return (invites.c.state == "waiting") & (invites.c.expires_at > now)


_WAITING: Final = LookUp(select(invites).where(invites.c.id == bindparam("id"), _waiting(bindparam("now"))))
_BY_TOKEN: Final = LookUp(select(invites).where(invites.c.token_hash == bindparam("hash"), _waiting(bindparam("now"))))


async def _is_members_address(tx: Tx, key: str, account: AccountId) -> bool:
    theirs = select(memberships.c.user_id).join(users, users.c.id == memberships.c.user_id)
    found = await tx.execute(theirs.where(memberships.c.account_id == account, users.c.email_key == key))
    return found.first() is not None


def _invite_of(row: Any) -> Invite:
    return Invite(
        id=row.id,
        account=AccountId(row.account_id),
        email=row.email,
        permissions=parse_permissions(row.permissions),
        state=row.state,
        invited_by=row.invited_by,
        accepted_by=None if row.accepted_by is None else UserId(row.accepted_by),
        created_at=row.created_at,
        expires_at=row.expires_at,
        finished_at=row.finished_at,
    )
