"""Users in a real database, with passwords that cost nothing."""

from collections import Counter
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

from bridge.clock import chance
from bridge.database.database import Database
from bridge.ring import MasterKey, Ring
from bridge.secret import Secret
from bridge.testing.hands import Hands
from bridge.tokens import Slots, base62
from bridge.types import Stamp, StampReason
from bridge.users.options import UserOptions
from bridge.users.passwords import Passwords
from bridge.users.sql import SqlUsers
from tests.databases import database_url, db, opened, sqlite_template, sqlite_url

if TYPE_CHECKING:
    from tests.accounts.world import World

__all__ = ["database_url", "db", "sqlite_template", "sqlite_url"]

CHEAP = UserOptions(argon2_memory=8, argon2_passes=1)
RING = Ring([MasterKey("k1", Secret(b"m" * 32))])
SLOTS = Slots(Secret(b"s" * 32))


class Told:
    """Collects the names of what was published."""

    def __init__(self) -> None:
        self.names: list[str] = []

    async def publish(self, name: str) -> None:
        self.names.append(name)


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
