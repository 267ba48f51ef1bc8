"""Worlds for this room: one on a store in memory, and one on each kind of store."""

import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bridge.database.database import Database
from bridge.stores.memory import MemoryStore
from bridge.stores.store import Store
from bridge.stores.url import open_store
from bridge.testing.hands import Hands
from tests.databases import sqlite_template
from tests.oidc.world import World, furnish

__all__ = ["sqlite_template"]


@pytest.fixture(scope="session")
async def furnished(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with keys, people and clients in it, to be copied."""
    file = tmp_path_factory.mktemp("furnished") / "bridge.db"
    shutil.copy(sqlite_template, file)
    clock = Hands(time.time())
    async with _database(file, clock) as db:
        await furnish(db, MemoryStore(clock))
    return file


@pytest.fixture
async def world(furnished: Path, tmp_path: Path) -> AsyncIterator[World]:
    """On a store in memory."""
    clock = Hands(time.time())
    async with _world(furnished, tmp_path, MemoryStore(clock), clock) as world:
        yield world


@pytest.fixture(params=["memory", "sqlite", "redis"])
async def any_world(request: pytest.FixtureRequest, furnished: Path, tmp_path: Path) -> AsyncIterator[World]:
    """On each kind of store."""
    clock = Hands(time.time())
    match request.param:
        case "redis":
            url = request.getfixturevalue("redis_url")
        case "sqlite":
            url = f"sqlite:///{tmp_path / 'store.db'}"
        case _:
            url = "memory://"
    async with _world(furnished, tmp_path, open_store(url, clock=clock), clock) as world:
        yield world


@asynccontextmanager
async def _world(furnished: Path, folder: Path, store: Store, clock: Hands) -> AsyncIterator[World]:
    file = Path(shutil.copy(furnished, folder / "bridge.db"))
    await store.open()
    try:
        async with _database(file, clock) as db:
            world = await World(db, store, clock).open()
            yield world
            await world.http.aclose()
    finally:
        await store.close()


@asynccontextmanager
async def _database(file: Path, clock: Hands) -> AsyncIterator[Database]:
    db = Database(f"sqlite:///{file}", clock)
    await db.open()
    try:
        yield db
    finally:
        await db.close()
