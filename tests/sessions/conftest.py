"""Sessions on every store."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.clock import SystemClock
from bridge.stores.memory import MemoryStore
from bridge.stores.store import Store
from bridge.stores.url import open_store
from tests.sessions.world import World
from tests.stores.servers import patient


@pytest.fixture(params=["memory", "sqlite", "redis"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """An empty part of each of the three stores, whose own time is the real one."""
    match request.param:
        case "memory":
            url = "memory://"
        case "sqlite":
            url = f"sqlite:///{tmp_path / 'store.db'}"
        case _:
            url = request.getfixturevalue("redis_url")
    opened = patient(open_store(url, clock=SystemClock()))
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
def world(store: Store) -> World:
    """One instance on each store."""
    return World(store)


@pytest.fixture
def small() -> World:
    """One instance in memory, where what is tested does not touch the store."""
    return World(MemoryStore(SystemClock()))
