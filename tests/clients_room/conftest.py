"""Databases, a store and a ring for the rooms of clients and credentials."""

import pytest

from bridge.database.database import Database
from bridge.database.versions import VersionTable
from bridge.ring import Ring
from bridge.stores.memory import MemoryStore
from bridge.stores.versions import Versions
from bridge.testing.hands import Hands
from bridge.tokens import Names
from tests.databases import database_url, db, sqlite_template

__all__ = ["database_url", "db", "sqlite_template"]


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def ring() -> Ring:
    return Ring.parse(Ring.new_line("m1"))


@pytest.fixture
def store(clock: Hands) -> MemoryStore:
    return MemoryStore(clock)


@pytest.fixture
def versions(db: Database, store: MemoryStore) -> Versions:
    return Versions(store, Names("https://login.example.com"), VersionTable(db))
