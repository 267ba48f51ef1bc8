"""Everything that customer accounts stand on, over one database."""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeVar

from sqlalchemy import func, select

from bridge.accounts.account import Account, Profile
from bridge.accounts.accounts import Accounts
from bridge.accounts.contacts import Contacts
from bridge.accounts.invites import Invites
from bridge.accounts.members import Members
from bridge.accounts.membership import Membership
from bridge.accounts.options import AccountOptions
from bridge.accounts.permissions import Permissions, parse_permissions
from bridge.clock import chance
from bridge.database.database import Database
from bridge.database.tables import audit
from bridge.events.audit import AuditLog
from bridge.events.event import Event, Events
from bridge.events.ledger import Deed, Ledger
from bridge.events.options import EventsOptions
from bridge.outbox.outbox import Outbox
from bridge.ring import MasterKey, Ring
from bridge.secret import Secret
from bridge.testing.hands import Hands
from bridge.types import AccountId, Stamp, StampReason, UserId, Visit
from bridge.users.directory import UserDirectory
from bridge.users.email_changes import EmailChanges
from bridge.users.factors import SqlFactors
from bridge.users.sql import SqlUsers
from bridge.users.upkeep import UserUpkeep
from bridge.users.user import User
from tests.users.conftest import Told, draw_stamp, users_of

VISIT = Visit("legacy", caller="portal")
RING = Ring([MasterKey("m1", Secret(b"r" * 32))])
GHOST = UserId(999_999)
NOWHERE = AccountId(999_999)
SOME: Permissions = parse_permissions("tickets,invoices")

Result = TypeVar("Result")


class World:
    """The rooms, and what was heard and told."""

    def __init__(self, db: Database, clock: Hands) -> None:
        self.db = db
        self.clock = clock
        self.heard: list[Event] = []
        self.told = Told()
        self.hashed: Counter[str] = Counter()
        self.stamps: Callable[[StampReason], Stamp] = draw_stamp
        events = Events(clock, self)
        log = AuditLog(db, clock, EventsOptions())
        self.ledger = Ledger(db=db, audit=log, events=events, versions=self.told)
        self.users: SqlUsers = users_of(db, self.hashed, self.told, clock)
        self.upkeep = UserUpkeep(users=self.users, clock=clock, draw_stamp=self.stamps)
        self.factors = SqlFactors(
            db=db, ring=RING, clock=clock, chance=chance, draw_stamp=self.stamps, authority=self.users.name
        )
        self.directory = UserDirectory(db)
        self.changes = EmailChanges(
            db=db, users=self.users, ring=RING, clock=clock, draw_stamp=self.stamps, lifetime=3_600, draw=chance
        )
        self.members = Members(db, clock)
        self.accounts = Accounts(db=db, upkeep=self.upkeep, clock=clock, options=AccountOptions(currency="EUR"))
        self.outbox = Outbox(db, clock)
        self.invites = Invites(db=db, members=self.members, outbox=self.outbox, ring=RING, clock=clock, lifetime=3_600)
        self.contacts = Contacts(db, clock)

    def hear(self, event: Event) -> None:
        self.heard.append(event)

    @property
    def kinds(self) -> list[str]:
        return [event.kind for event in self.heard]

    async def do(self, work: Callable[[Deed], Awaitable[Result]]) -> Result:
        """As a caller's action does."""
        return await self.ledger.do(VISIT, work)

    async def ask(self, verb: Callable[..., Awaitable[Any]], *arguments: Any, **named: Any) -> Any:
        """One verb, by itself."""
        return await self.do(lambda deed: verb(deed, *arguments, **named))

    async def user(self, name: str, **facts: Any) -> User:
        """A user called `name`."""
        given: Any = {"email": f"{name}@example.com", "first_name": name} | facts
        return await self.users.create(**given)

    async def account(self, name: str, owner: UserId | None = None, **profile: Any) -> Account:
        """An account called `name`, of that user or a new one."""
        number = owner if owner is not None else (await self.user(f"owner.of.{name}")).id
        made = replace(Profile(first_name=name, email=f"{name}@accounts.example"), **profile)
        account = await self.do(lambda deed: self.accounts.create(deed, made, owner=number))
        assert isinstance(account, Account)
        return account

    async def join(self, user: UserId, account: AccountId, permissions: Permissions = SOME) -> Membership:
        """Let him be a member."""
        made = await self.do(lambda deed: self.members.add(deed, user, account, permissions))
        assert isinstance(made, Membership)
        return made

    async def owners(self, account: AccountId) -> list[UserId]:
        """Who owns it, as its members say."""
        return [m.membership.user for m in await self.members.of_account(account) if m.membership.owner]

    async def rows(self) -> list[tuple[str, int | None]]:
        """Kind and user of all audit rows."""
        async with self.db.read() as tx:
            found = await tx.execute(select(audit.c.kind, audit.c.user_id).order_by(audit.c.id))
            return [(kind, user) for kind, user in found]

    async def count(self, table: Any) -> int:
        """How many rows the table has."""
        async with self.db.read() as tx:
            return (await tx.execute(select(func.count()).select_from(table))).scalar_one()
