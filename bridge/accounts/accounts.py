"""Customer accounts: made with their owner, found, changed, closed, removed — whmcs-api §3.6, security §30.

    owner = await users.draft(email=…, password=…)       # hashes; before any transaction
    outcome = await ledger.do(visit, lambda deed: accounts.create(deed, profile, owner=owner))

What changes an account takes a `Deed`, writes its audit row in the same transaction, and answers by a value.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import Column, ColumnElement, Select, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from bridge.accounts.account import Account, Profile, Status
from bridge.accounts.hold import hold_account, hold_user
from bridge.accounts.members import VERSION, membership_values
from bridge.accounts.options import AccountOptions
from bridge.accounts.outcomes import EmailTaken, NoAccount, NoUser, UserExists
from bridge.accounts.permissions import EVERY_PERMISSION
from bridge.accounts.rows import account_of, profile_values
from bridge.clock import Chance, Clock, chance
from bridge.database.database import Database, Tx
from bridge.database.lookup import LookUp
from bridge.database.search import Page, Span, begins_with, read_page
from bridge.database.tables import accounts, memberships
from bridge.database.text import fold
from bridge.events.ledger import Deed
from bridge.types import AccountId, UserId
from bridge.users.email import email_key, key_beginnings
from bridge.users.upkeep import UserUpkeep
from bridge.users.user import AddressTaken, NewUser, User

Order = Literal["id", "firstname", "lastname", "companyname", "email", "groupid", "datecreated", "status"]
"""What a list may be sorted by, in the words of GetClients' `orderby`."""

_COLUMNS: Final[dict[Order, Column[Any]]] = {
    "id": accounts.c.id,
    "firstname": accounts.c.first_name_key,
    "lastname": accounts.c.last_name_key,
    "companyname": accounts.c.company_name_key,
    "email": accounts.c.email_key,
    "groupid": accounts.c.group_id,
    "datecreated": accounts.c.created_at,
    "status": accounts.c.status,
}

PROFILES: Final = "profiles"
"""The name under which caches of accounts themselves hear of a change (security §20)."""

_BY_ID: Final = LookUp(select(accounts).where(accounts.c.id == bindparam("id")))
_BY_EMAIL: Final = LookUp(select(accounts).where(accounts.c.email_key == bindparam("key")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """What there was."""

    account: Account
    users: tuple[User, ...]
    """Who was removed with it: whoever calls publishes the stamps of these (`Sessions.publish_stamp`)."""


class _Undone(Exception):
    """Back to the savepoint, with this answer."""

    def __init__(self, outcome: EmailTaken | UserExists) -> None:
        self.outcome = outcome


class Accounts:
    """Reads on the primary.  Every call raises `Unavailable` when the database does not answer."""

    def __init__(
        self,
        *,
        db: Database,
        upkeep: UserUpkeep,
        clock: Clock,
        options: AccountOptions,
        draw: Chance = chance,
    ) -> None:
        self._db = db
        self._upkeep = upkeep
        self._clock = clock
        self._options = options
        self._draw = draw

    async def by_id(self, account: AccountId) -> Account | None:
        """The account of that number."""
        return _found(await self._db.first(_BY_ID, id=account))

    async def by_email(self, email: str) -> Account | None:
        """The account of exactly that address (security §10)."""
        key = email_key(email)
        return _found(await self._db.first(_BY_EMAIL, key=key)) if key else None

    async def page(
        self, span: Span | None = None, *, search: str = "", status: Status | None = None, order_by: Order = "id"
    ) -> Page[Account]:
        """Accounts in that order; with `search`, those whose address, first, last, full or company name begins so.

        Case, accents and blanks around make no difference to names, case none to addresses; nothing is a wildcard.
        """
        found = await read_page(
            self._db,
            accounts,
            span or Span(),
            where=[accounts.c.status == status] if status is not None else [],
            any_of=_beginning(search),
            order_by=_COLUMNS[order_by],
        )
        return Page(items=[account_of(row) for row in found.items], total=found.total, start=found.start)

    async def create(
        self, deed: Deed, profile: Profile, *, owner: UserId | NewUser
    ) -> Account | NoUser | EmailTaken | UserExists:
        """A new account and its owner: somebody who is there, or a new user in the same transaction."""
        if not isinstance(owner, NewUser) and await hold_user(deed.tx, owner) is None:
            return NoUser()
        try:
            async with deed.savepoint():
                account = await self._create(deed, profile, owner)
        except _Undone as undone:
            return undone.outcome
        deed.outdates(VERSION)
        return account

    async def update(
        self, deed: Deed, account: AccountId, change: Callable[[Profile], Profile]
    ) -> Account | NoAccount | EmailTaken:
        """`change` of the profile as it is now: `lambda p: replace(p, city="Bonn")`.

        An address that was changed is no longer verified.  `change` may raise InvalidField, and nothing is written.
        """
        held = await hold_account(deed.tx, account)
        if held is None:
            return NoAccount()
        before = profile_values(held.profile, currency=self._options.currency)
        values = profile_values(change(held.profile), currency=self._options.currency)
        changed = sorted(name for name in values if values[name] != before[name] and not name.endswith("_key"))
        if "email" in changed:
            values["email_verified"] = False
        try:
            async with deed.savepoint():
                await deed.tx.execute(_one(account).values(**values, updated_at=self._now()))
        except IntegrityError:
            return EmailTaken()
        await deed.record("account.changed", account=str(account), fields=" ".join(changed))
        deed.outdates(PROFILES)
        return await _read(deed.tx, account)

    async def close(self, deed: Deed, account: AccountId) -> Account | NoAccount:
        """Its status is Closed from now on: no SSO by it.  Its members may still sign in."""
        if await hold_account(deed.tx, account) is None:
            return NoAccount()
        await deed.tx.execute(_one(account).values(status="Closed", updated_at=self._now()))
        await deed.record("account.closed", account=str(account))
        deed.outdates(PROFILES)
        return await _read(deed.tx, account)

    async def remove(self, deed: Deed, account: AccountId, *, with_users: bool = False) -> Removed | NoAccount:
        """Forget it, its memberships, invites and contacts.

        `with_users`: and those of its members who belong to no other account, unless another authority keeps them.
        """
        held = await hold_account(deed.tx, account)
        if held is None:
            return NoAccount()
        theirs = select(memberships.c.user_id).where(memberships.c.account_id == account)
        users = (await deed.tx.execute(theirs.order_by(memberships.c.user_id))).scalars().all()
        await deed.tx.execute(delete(accounts).where(accounts.c.id == account))
        await deed.record("account.removed", account=str(account), users=",".join(map(str, users)))
        deed.outdates(VERSION)
        deed.outdates(PROFILES)
        gone = [await self._upkeep.remove(deed, UserId(user)) for user in users] if with_users else []
        return Removed(account=held, users=tuple(user for user in gone if user is not None))

    async def _create(self, deed: Deed, profile: Profile, owner: UserId | NewUser) -> Account:
        """Both or none.  Raises _Undone."""
        number = await self._owner(deed, owner)
        now = self._now()
        values = {
            "uuid": str(uuid.UUID(bytes=self._draw(16), version=4)),
            "owner_id": number,
            **profile_values(profile, currency=self._options.currency),
            "created_at": now,
            "updated_at": now,
        }
        try:
            key = (await deed.tx.execute(insert(accounts).values(values))).inserted_primary_key
        except IntegrityError:
            raise _Undone(EmailTaken()) from None
        assert key is not None
        account = AccountId(key[0])
        first = membership_values(number, account, EVERY_PERMISSION, now)
        await deed.tx.execute(insert(memberships).values(first))
        await deed.record("account.created", user=number, account=str(account))
        return await _read(deed.tx, account)

    async def _owner(self, deed: Deed, owner: UserId | NewUser) -> UserId:
        if not isinstance(owner, NewUser):
            return owner
        made = await self._upkeep.add(deed, owner)
        if isinstance(made, AddressTaken):
            raise _Undone(UserExists())
        return made.id

    def _now(self) -> int:
        return int(self._clock.now())


def _found(row: Any) -> Account | None:
    return account_of(row) if row is not None else None


def _one(account: AccountId) -> Any:
    return update(accounts).where(accounts.c.id == account)


async def _read(tx: Tx, account: AccountId) -> Account:
    wanted: Select[Any] = select(accounts).where(accounts.c.id == account)
    return account_of((await tx.execute(wanted)).one())


def _beginning(search: str) -> list[ColumnElement[bool]]:
    name = fold(search)
    if not name:
        return []
    names = (accounts.c.first_name_key, accounts.c.last_name_key, accounts.c.full_name_key, accounts.c.company_name_key)
    return [
        *(begins_with(column, name) for column in names),
        *(begins_with(accounts.c.email_key, key) for key in key_beginnings(search)),
    ]
