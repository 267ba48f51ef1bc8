"""Bridges that nobody opened yet, on databases with people, clients and keys."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bridge.app import Bridge
from bridge.config import Config
from tests import servers
from tests.databases import sqlite_template
from tests.running import PRODUCTION, QUICK, SECRETS, Furnished, Told, furnished

__all__ = ["sqlite_template"]

Make = Callable[..., Bridge]


@pytest.fixture(scope="session")
async def house(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Furnished:
    """A database with people, clients and keys, to be copied."""
    return await furnished(sqlite_template, tmp_path_factory.mktemp("furnished"))


@pytest.fixture
def database(house: Furnished, tmp_path: Path) -> Path:
    """A copy of it for this test alone."""
    return house.copy(tmp_path).file


@pytest.fixture
def make(house: Furnished, database: Path) -> Make:
    """`make({("section", "key"): value}, **of Bridge)`: a bridge of the production profile, not opened."""

    def made(more: Mapping[tuple[str, ...], Any] | None = None, **arguments: Any) -> Bridge:
        settings = {
            **SECRETS,
            **QUICK,
            **PRODUCTION,
            ("database", "url"): f"sqlite:///{database}",
            ("store", "url"): "memory://",
            **(more or {}),
        }
        bridge = Bridge(Config.load(None, {}, settings), **arguments)
        bridge.rooms.keyring._keys = dict(house.keys)  # opened already: that takes 50 ms
        return bridge

    return made


@pytest.fixture
def own_redis() -> Iterator[servers.Server]:
    """A Redis that is this test's alone: it may be emptied, and told to be otherwise."""
    with servers.redis(servers.redis_binary()) as server:
        yield server


@pytest.fixture
def told() -> Told:
    """A listener, to be handed to a bridge."""
    return Told()
