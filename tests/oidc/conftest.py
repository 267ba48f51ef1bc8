"""Worlds for this room: one on a store in memory, and one on each kind of store."""

import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from bridge.database.database import Database
from bridge.keys.keyring import Keyring
from bridge.oidc.options import OidcOptions
from bridge.oidc.registration import Who
from bridge.stores.memory import MemoryStore
from bridge.stores.store import Store
from bridge.stores.url import open_store
from bridge.testing.hands import Hands
from tests.databases import sqlite_template
from tests.oidc.world import EVERY_FLOW, World, furnish
from tests.stores.servers import patient

__all__ = ["sqlite_template"]

Furnished = tuple[Path, Keyring]


@pytest.fixture(scope="session")
async def furnished(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Furnished:
    """A database with keys, people and clients in it, to be copied, and its keyring: opening an RSA key takes 50 ms."""
    file = tmp_path_factory.mktemp("furnished") / "bridge.db"
    shutil.copy(sqlite_template, file)
    clock = Hands(time.time())
    async with _database(file, clock) as db:
        return file, await furnish(db, MemoryStore(clock))


@pytest.fixture
async def world(furnished: Furnished, tmp_path: Path) -> AsyncIterator[World]:
    """On a store in memory."""
    clock = Hands(time.time())
    async with _world(furnished, tmp_path, MemoryStore(clock), clock) as world:
        yield world


@pytest.fixture
def registering(furnished: Furnished, tmp_path: Path) -> Callable[[Who], AbstractAsyncContextManager[World]]:
    """On a store in memory, where apps register themselves."""
    clock = Hands(time.time())
    return lambda who: _world(furnished, tmp_path, MemoryStore(clock), clock, registration=who)


@pytest.fixture
async def open_world(furnished: Furnished, tmp_path: Path) -> AsyncIterator[World]:
    """One that offers every flow."""
    clock = Hands(time.time())
    async with _world(furnished, tmp_path, MemoryStore(clock), clock, oidc=EVERY_FLOW) as world:
        yield world


@pytest.fixture(params=["redis", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("memory", "sqlite"))])
async def any_world(request: pytest.FixtureRequest, furnished: Furnished, tmp_path: Path) -> AsyncIterator[World]:
    """On each kind of store; `world` is on one in memory."""
    clock = Hands(time.time())
    match request.param:
        case "redis":
            url = request.getfixturevalue("redis_url")
        case "sqlite":
            url = f"sqlite:///{tmp_path / 'store.db'}"
        case _:
            url = "memory://"
    async with _world(furnished, tmp_path, patient(open_store(url, clock=clock)), clock) as world:
        yield world


@asynccontextmanager
async def _world(
    furnished: Furnished,
    folder: Path,
    store: Store,
    clock: Hands,
    *,
    registration: Who | None = None,
    oidc: OidcOptions | None = None,
) -> AsyncIterator[World]:
    file = Path(shutil.copy(furnished[0], folder / "bridge.db"))
    await store.open()
    try:
        async with _database(file, clock) as db:
            world = World(db, store, clock, keyring=furnished[1], registration=registration, oidc=oidc)
            await world.open()
            yield world
            await world.http.aclose()
    finally:
        await store.close()


@asynccontextmanager
async def _database(file: Path, clock: Hands) -> AsyncIterator[Database]:
    db = Database(f"sqlite:///{file}", clock, patience=30.0)  # fifty writers on a busy machine are no outage
    await db.open()
    try:
        yield db
    finally:
        await db.close()
