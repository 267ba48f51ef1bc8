"""Servers that are there to be broken, and bridges on them."""

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.databases import sqlite_template
from tests.faults.machines import RedisMachine, redis_machine
from tests.flows.conftest import database, house, mailbox, visit
from tests.flows.mailbox import Mailbox
from tests.running import Furnished, Given, Site, in_process

__all__ = ["database", "house", "mailbox", "sqlite_template", "visit"]


@pytest.fixture
def machine() -> Iterator[RedisMachine]:
    """A Redis of this test's own."""
    with redis_machine() as machine:
        yield machine


@pytest.fixture
async def site(
    request: pytest.FixtureRequest, database: Furnished, mailbox: Mailbox, machine: RedisMachine
) -> AsyncIterator[Site]:
    """A bridge on it, which has little patience where the test (a slow one) is about a Redis that does not answer."""
    node: pytest.Item = request.node
    slow = node.get_closest_marker("slow") is not None
    more: Given = {("mail", "url"): f"file:{mailbox.folder}", ("store", "url"): machine.url}
    async with in_process(database, more=more, impatient=slow) as site:
        yield site


@pytest.fixture
def kept(tmp_path: Path, database: Furnished) -> Path:
    """Where a test may keep a copy of the database."""
    return Path(shutil.copy(database.file, tmp_path / "kept.db"))
