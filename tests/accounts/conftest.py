"""Customer accounts on SQLite, and on each of the three databases."""

from collections.abc import AsyncIterator

import pytest

from bridge.database.database import Database
from bridge.testing.hands import Hands
from tests.accounts.world import World
from tests.databases import database_url, db, opened, sqlite_template, sqlite_url

__all__ = ["database_url", "db", "sqlite_template", "sqlite_url"]


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
async def world(sqlite_url: str, clock: Hands) -> AsyncIterator[World]:
    """On SQLite: for what SQL does not decide."""
    async with opened(sqlite_url) as database:
        yield World(database, clock)


@pytest.fixture
def everywhere(db: Database, clock: Hands) -> World:
    """On each of the three databases."""
    return World(db, clock)
