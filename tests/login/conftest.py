"""A login for each test, on SQLite and in memory; for races also on the stores that others share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.clock import SystemClock, chance
from bridge.stores.url import guard_on, open_store
from tests.databases import opened, sqlite_template, sqlite_url
from tests.login.house import House
from tests.stores.servers import patient

__all__ = ["sqlite_template", "sqlite_url"]


@pytest.fixture
async def house(sqlite_url: str) -> AsyncIterator[House]:
    async with opened(sqlite_url) as db:
        house = House(db)
        await house.open()
        yield house


@pytest.fixture(params=["redis", "sqlite", pytest.param("memory", marks=pytest.mark.slow)])
async def racing(request: pytest.FixtureRequest, sqlite_url: str, tmp_path: Path) -> AsyncIterator[House]:
    """The same on each store, with counters that lie in it."""
    kind = request.param
    url = request.getfixturevalue("redis_url") if kind == "redis" else f"{kind}:///{tmp_path / 'store.db'}"
    store = patient(open_store("memory://" if kind == "memory" else url, clock=SystemClock()))
    await store.open()
    async with opened(sqlite_url) as db:
        house = House(
            db,
            store=store,
            guard=guard_on(store, clock=SystemClock()),
            issuer=f"https://{chance(8).hex()}.example.com",
        )
        await house.open()
        yield house
    await store.close()
