"""Users in a real database, with passwords that cost nothing."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import pytest

from bridge.clock import chance
from bridge.database.database import Database
from bridge.events.audit import AuditLog
from bridge.events.event import Event, Events
from bridge.events.ledger import Deed, Ledger
from bridge.events.options import EventsOptions
from bridge.ring import MasterKey, Ring
from bridge.secret import Secret
from bridge.testing.hands import Hands
from bridge.tokens import Slots, base62
from bridge.types import Stamp, StampReason, UserId, Visit
from bridge.users.factors import FactorsChanged, SqlFactors
from bridge.users.options import UserOptions
from bridge.users.passkey import NewPasskey
from bridge.users.passwords import Passwords
from bridge.users.sql import SqlUsers
from tests.databases import database_url, db, opened, sqlite_template, sqlite_url

if TYPE_CHECKING:
    from tests.accounts.world import World

__all__ = ["database_url", "db", "sqlite_template", "sqlite_url"]

Result = TypeVar("Result")

CHEAP = UserOptions(argon2_memory=8, argon2_passes=1)
RING = Ring([MasterKey("k1", Secret(b"m" * 32))])
SLOTS = Slots(Secret(b"s" * 32))


class Told:
    """Collects the names of what was published, and knows no version: whoever caches asks each time."""

    def __init__(self) -> None:
        self.names: list[str] = []

    async def publish(self, name: str) -> None:
        self.names.append(name)

    def token(self, _: str) -> None:
        return None


def draw_stamp(reason: StampReason) -> Stamp:
    return Stamp(reason[0] + base62(int.from_bytes(chance(16), "big"), 22))


def users_of(db: Database, counted: Counter[str], told: Told, clock: Hands, slots: Slots = SLOTS) -> SqlUsers:
    """`SqlUsers` with cheap hashes that are counted."""
    return SqlUsers(
        db=db,
        passwords=Passwords(CHEAP, count=lambda name: counted.update([name])),
        ring=RING,
        slots=slots,
        clock=clock,
        chance=chance,
        draw_stamp=draw_stamp,
        versions=told,
    )


@pytest.fixture
def counted() -> Counter[str]:
    return Counter()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
async def sqlite(sqlite_url: str) -> AsyncIterator[Database]:
    async with opened(sqlite_url) as database:
        yield database


@pytest.fixture
def users(sqlite: Database, counted: Counter[str], told: Told, clock: Hands) -> SqlUsers:
    """On SQLite: for what SQL does not decide."""
    return users_of(sqlite, counted, told, clock)


@pytest.fixture
def everywhere(db: Database, counted: Counter[str], told: Told, clock: Hands) -> SqlUsers:
    """On each of the three databases."""
    return users_of(db, counted, told, clock)


@pytest.fixture
def on_each(db: Database, clock: Hands) -> "World":
    """All that a caller's action stands on, on each of the three databases."""
    from tests.accounts.world import World  # it stands on this file

    return World(db, clock)


class Factors:
    """`SqlFactors` of the users of `everywhere`, with a ledger whose events are heard."""

    def __init__(self, db: Database, told: Told, clock: Hands) -> None:
        self.heard: list[Event] = []
        self.sql = SqlFactors(db=db, ring=RING, clock=clock, chance=chance, draw_stamp=draw_stamp, authority="bridge")
        audit = AuditLog(db, clock, EventsOptions())
        self.ledger = Ledger(db=db, audit=audit, events=Events(clock, self), versions=told)

    def hear(self, event: Event) -> None:
        self.heard.append(event)

    async def do(self, work: Callable[[Deed], Awaitable[Result]]) -> Result:
        return await self.ledger.do(Visit("pages"), work)

    async def set_totp(self, user: UserId, secret: str, *, keep: Stamp | None = None) -> FactorsChanged | None:
        return await self.do(lambda deed: self.sql.set_totp(deed, user, Secret(secret), keep=keep))

    async def remove_totp(self, user: UserId, *, keep: Stamp | None = None) -> FactorsChanged | None:
        return await self.do(lambda deed: self.sql.remove_totp(deed, user, keep=keep))

    async def renew_codes(self, user: UserId, *, keep: Stamp | None = None) -> FactorsChanged | None:
        return await self.do(lambda deed: self.sql.renew_codes(deed, user, keep=keep))

    async def add_passkey(self, user: UserId, new: NewPasskey, *, keep: Stamp | None = None) -> FactorsChanged | None:
        return await self.do(lambda deed: self.sql.add_passkey(deed, user, new, "laptop", keep=keep))

    async def remove_passkey(self, user: UserId, id: int, *, keep: Stamp | None = None) -> FactorsChanged | None:
        return await self.do(lambda deed: self.sql.remove_passkey(deed, user, id, keep=keep))

    async def remove_all(self, user: UserId) -> FactorsChanged | None:
        return await self.do(lambda deed: self.sql.remove_all(deed, user))

    async def spend(self, user: UserId, code: int) -> int | None:
        return await self.do(lambda deed: self.sql.spend_code(deed, user, code))


@pytest.fixture
def factors(db: Database, told: Told, clock: Hands) -> Factors:
    """On each of the three databases."""
    return Factors(db, told, clock)
