"""A database, a store and a ring for the rooms of clients and credentials."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.database.database import Database
from bridge.database.tables import metadata
from bridge.database.versions import VersionTable
from bridge.ring import Ring
from bridge.stores.memory import MemoryStore
from bridge.stores.versions import Versions
from bridge.testing.hands import Hands
from bridge.tokens import Names


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def ring() -> Ring:
    return Ring.parse(Ring.new_line("m1"))


@pytest.fixture
async def db(tmp_path: Path, clock: Hands) -> AsyncIterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/bridge.db", clock)
    await database.open()
    async with database.begin() as tx:
        await tx.run_sync(metadata.create_all)
    yield database
    await database.close()


@pytest.fixture
def store(clock: Hands) -> MemoryStore:
    return MemoryStore(clock)


@pytest.fixture
def versions(db: Database, store: MemoryStore) -> Versions:
    return Versions(store, Names("https://login.example.com"), VersionTable(db))
