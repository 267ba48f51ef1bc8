"""Whole bridges to be attacked."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.databases import sqlite_template
from tests.flows.conftest import database, house, mailbox, visit
from tests.flows.mailbox import Mailbox
from tests.running import Furnished, Given, Site, in_process

__all__ = ["database", "house", "mailbox", "sqlite_template", "visit"]


@pytest.fixture
async def site(database: Furnished, mailbox: Mailbox) -> AsyncIterator[Site]:
    """A bridge of the production profile, with every source of tokens and every event enabled."""
    more: Given = {
        ("mail", "url"): f"file:{mailbox.folder}",
        ("sessions", "sources"): ["cookie", "bearer", "host-session"],
        ("sessions", "ticket_lifetime"): 120,  # a ticket is shown in a hundred wrong places first
        ("oidc", "registrations_per_hour"): 1_000,
        ("users", "sign_up"): True,
        ("events", "counted_only"): [],
        ("events", "log_level"): "debug",
        ("login", "codes_per_5_minutes"): 1_000,
        ("login", "codes_per_hour"): 1_000,
        ("store", "url"): f"sqlite:///{_store_of(database)}",
    }
    async with in_process(database, more=more) as site:
        yield site


def _store_of(database: Furnished) -> Path:
    return database.file.with_name("store.db")
