"""A door with one good credential, over a scripted login."""

from collections.abc import AsyncIterator

import pytest

from bridge.clients.credentials import Credentials
from bridge.clock import SystemClock
from bridge.database.database import Database
from bridge.database.versions import VersionTable
from bridge.legacy.options import LegacyOptions
from bridge.ring import Ring
from bridge.secret import Secret
from bridge.stores.memory import MemoryStore
from bridge.stores.versions import Versions
from bridge.tokens import Names
from bridge.users.options import UserOptions
from bridge.users.passwords import Passwords
from tests.accounts.conftest import clock, world
from tests.databases import opened, sqlite_template, sqlite_url
from tests.legacy.desk import IDENTIFIER, ISSUER, RIGHTS, SECRET, Desk, desk

__all__ = ["clock", "sqlite_template", "sqlite_url", "world"]


@pytest.fixture
async def sqlite(sqlite_url: str) -> AsyncIterator[Database]:
    async with opened(sqlite_url) as database:
        yield database


@pytest.fixture
async def credentials(sqlite: Database) -> Credentials:
    """With the credential `portal`, which may call what the tests call."""
    clock = SystemClock()
    made = Credentials(
        db=sqlite,
        ring=Ring.parse(Ring.new_line("m1")),
        versions=Versions(MemoryStore(clock), Names(ISSUER), VersionTable(sqlite)),
        hasher=Passwords(UserOptions(argon2_memory=8, argon2_passes=1)),
        clock=clock,
    )
    await made.create("portal", RIGHTS, identifier=IDENTIFIER, secret=Secret(SECRET))
    return made


@pytest.fixture
def door(credentials: Credentials) -> Desk:
    """As it comes: every option at its default."""
    return desk(credentials, LegacyOptions())
