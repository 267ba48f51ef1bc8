"""The members of accounts and the accounts of users — whmcs-api §3.5, §4.3.

Every account has one owner, by a column that is never empty, and the owner is a member: whoever changes members holds
the account's row meanwhile.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Select, delete, insert, select, update

from bridge.accounts.hold import hold_account, hold_user, is_member
from bridge.accounts.membership import Member, Membership
from bridge.accounts.outcomes import AlreadyMember, IsOwner, NoAccount, NoPermissions, NotAMember, NoUser
from bridge.accounts.permissions import EVERY_PERMISSION, Permissions, in_order, parse_permissions
from bridge.clock import Clock
from bridge.database.database import Database
from bridge.database.tables import accounts, memberships, users
from bridge.events.event import EventKind
from bridge.events.ledger import Deed
from bridge.types import AccountId, UserId

VERSION: Final = "accounts"
"""The name under which caches of memberships hear of a change (security §20)."""

_AT_ONCE: Final = 500


class Members:
    """Reads on the primary.  Every call raises `Unavailable` when the database does not answer."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def of_account(self, account: AccountId) -> Sequence[Member]:
        """Its members by number; empty: there is no such account."""
        wanted = _memberships().add_columns(
            users.c.first_name, users.c.last_name, users.c.email, users.c.last_login_at, users.c.last_login_ip
        )
        wanted = wanted.join(users, users.c.id == memberships.c.user_id).where(memberships.c.account_id == account)
        async with self._db.read() as tx:
            rows = (await tx.execute(wanted.order_by(memberships.c.user_id))).all()
        return [_member_of(row) for row in rows]

    async def exist(self) -> bool:
        """Whether there is any account: each has a member."""
        async with self._db.read() as tx:
            return (await tx.execute(select(memberships.c.account_id).limit(1))).first() is not None

    async def of_user(self, user: UserId) -> Sequence[Membership]:
        """His accounts by number."""
        return (await self.of_users([user]))[user]

    async def of_users(self, wanted: Iterable[UserId]) -> Mapping[UserId, Sequence[Membership]]:
        """The accounts of each of these users, by number; who has none, and who is none, has an empty list."""
        found: dict[UserId, list[Membership]] = {user: [] for user in wanted}
        numbers = list(found)
        async with self._db.read() as tx:
            for start in range(0, len(numbers), _AT_ONCE):
                these = memberships.c.user_id.in_(numbers[start : start + _AT_ONCE])
                rows = await tx.execute(_memberships().where(these).order_by(memberships.c.account_id))
                for row in rows:
                    found[UserId(row.user_id)].append(_membership_of(row))
        return found

    async def permissions(self, user: UserId, account: AccountId) -> Permissions | NoUser | NoAccount | NotAMember:
        """What he may do with it; an owner everything."""
        known = select(users.c.id).where(users.c.id == user, users.c.removed_at.is_(None))
        mine = _memberships().where(memberships.c.account_id == account, memberships.c.user_id == user)
        async with self._db.read() as tx:
            if (await tx.execute(known)).first() is None:
                return NoUser()
            if (await tx.execute(select(accounts.c.id).where(accounts.c.id == account))).first() is None:
                return NoAccount()
            row = (await tx.execute(mine)).first()
        return _membership_of(row).permissions if row is not None else NotAMember()

    async def add(
        self, deed: Deed, user: UserId, account: AccountId, permissions: Permissions
    ) -> Membership | NoUser | NoAccount | AlreadyMember:
        """Make him a member; `permissions` may be none."""
        held = await hold_account(deed.tx, account)
        if await hold_user(deed.tx, user) is None:
            return NoUser()
        if held is None:
            return NoAccount()
        if await is_member(deed.tx, user, account):
            return AlreadyMember()
        await self._write(deed, user, account, permissions)
        await _note(deed, "member.added", user, account, permissions=",".join(in_order(permissions)))
        return Membership(account=account, user=user, owner=False, permissions=in_order(permissions))

    async def set_permissions(
        self, deed: Deed, user: UserId, account: AccountId, permissions: Permissions
    ) -> Membership | NoUser | NoAccount | IsOwner | NoPermissions | NotAMember:
        """Let him do this and nothing else with it.  At least one: who shall do nothing is removed."""
        refusal = await self._refusal(deed, user, account)
        if isinstance(refusal, NoUser | NoAccount | IsOwner):
            return refusal
        if not permissions:
            return NoPermissions()
        if refusal is not None:
            return refusal
        await self._rewrite(deed, user, account, permissions)
        await _note(deed, "member.changed", user, account, permissions=",".join(in_order(permissions)))
        return Membership(account=account, user=user, owner=False, permissions=in_order(permissions))

    async def remove(
        self, deed: Deed, user: UserId, account: AccountId
    ) -> Membership | NoUser | NoAccount | NotAMember | IsOwner:
        """Let him have nothing to do with it any more; returns what he was.  Never its owner."""
        refusal = await self._refusal(deed, user, account)
        if refusal is not None:
            return refusal
        mine = (memberships.c.account_id == account) & (memberships.c.user_id == user)
        was = _membership_of((await deed.tx.execute(_memberships().where(mine))).one())
        await deed.tx.execute(delete(memberships).where(mine))
        await _note(deed, "member.removed", user, account)
        return was

    async def transfer(self, deed: Deed, account: AccountId, to: UserId) -> Membership | NoUser | NoAccount:
        """Make him its owner, a member or not.  Who was it stays a member, and may do everything still."""
        held = await hold_account(deed.tx, account)
        if await hold_user(deed.tx, to) is None:
            return NoUser()
        if held is None:
            return NoAccount()
        if await is_member(deed.tx, to, account):
            await self._rewrite(deed, to, account, EVERY_PERMISSION)
        else:
            await self._write(deed, to, account, EVERY_PERMISSION)
        change = update(accounts).where(accounts.c.id == account)
        await deed.tx.execute(change.values(owner_id=to, updated_at=self._now()))
        await _note(deed, "owner.changed", to, account, before=str(held.owner))
        return Membership(account=account, user=to, owner=True, permissions=EVERY_PERMISSION)

    async def _refusal(
        self, deed: Deed, user: UserId, account: AccountId
    ) -> NoUser | NoAccount | IsOwner | NotAMember | None:
        held = await hold_account(deed.tx, account)
        if await hold_user(deed.tx, user) is None:
            return NoUser()
        if held is None:
            return NoAccount()
        if held.owner == user:
            return IsOwner()
        return None if await is_member(deed.tx, user, account) else NotAMember()

    async def _write(self, deed: Deed, user: UserId, account: AccountId, permissions: Permissions) -> None:
        await deed.tx.execute(insert(memberships).values(membership_values(user, account, permissions, self._now())))

    @staticmethod
    async def _rewrite(deed: Deed, user: UserId, account: AccountId, permissions: Permissions) -> None:
        mine = (memberships.c.account_id == account) & (memberships.c.user_id == user)
        await deed.tx.execute(update(memberships).where(mine).values(permissions=",".join(in_order(permissions))))

    def _now(self) -> int:
        return int(self._clock.now())


def membership_values(user: UserId, account: AccountId, permissions: Permissions, now: int) -> dict[str, Any]:
    """The row of a new member."""
    return {"account_id": account, "user_id": user, "permissions": ",".join(in_order(permissions)), "created_at": now}


async def _note(deed: Deed, kind: EventKind, user: UserId, account: AccountId, **details: str) -> None:
    await deed.record(kind, user=user, account=str(account), **details)
    deed.outdates(VERSION)


def _memberships() -> Select[Any, Any, Any, Any]:
    columns = (memberships.c.account_id, memberships.c.user_id, memberships.c.permissions, accounts.c.owner_id)
    return select(*columns).join(accounts, accounts.c.id == memberships.c.account_id)


def _membership_of(row: Any) -> Membership:
    owner = row.owner_id == row.user_id
    return Membership(
        account=AccountId(row.account_id),
        user=UserId(row.user_id),
        owner=owner,
        permissions=EVERY_PERMISSION if owner else parse_permissions(row.permissions),
    )


def _member_of(row: Any) -> Member:
    name = " ".join(part for part in (row.first_name, row.last_name) if part)
    return Member(
        membership=_membership_of(row),
        name=name or row.email,
        email=row.email,
        last_login_at=row.last_login_at,
        last_login_ip=row.last_login_ip,
    )
