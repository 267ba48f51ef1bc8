"""Every byte of what the actions about clients answer, in each form — whmcs-api §3.6.  GOLDEN=write makes them anew."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest

from bridge.accounts.contacts import Contact
from bridge.legacy.options import LegacyOptions
from bridge.legacy.wire import Format, reply
from bridge.testing.hands import Hands
from tests.accounts.world import World
from tests.databases import opened, sqlite_template, sqlite_url
from tests.legacy.customers import JOHN, Customers

__all__ = ["sqlite_template", "sqlite_url"]

GOLDEN: Final = Path(__file__).parent / "golden_clients"
FORMS: Final[tuple[Format, ...]] = ("json", "xml", "nvp")
ASKED: Final[dict[str, tuple[str, dict[str, str | int]]]] = {
    "get_clients_details": ("GetClientsDetails", {"clientid": 1, "stats": "1"}),
    "get_clients_details_none": ("GetClientsDetails", {"email": "nobody@example.com"}),
    "get_clients": ("GetClients", {}),
    "get_clients_none": ("GetClients", {"search": "nobody"}),
    "get_contacts": ("GetContacts", {"userid": 1}),
    "add_client": ("AddClient", {**JOHN}),
    "add_client_nothing": ("AddClient", {}),
    "update_client": ("UpdateClient", {"clientid": 1, "city": "Bonn"}),
    "update_client_none": ("UpdateClient", {"clientid": 9}),
    "close_client": ("CloseClient", {"clientid": 1}),
    "close_client_none": ("CloseClient", {"clientid": 9}),
    "delete_client": ("DeleteClient", {"clientid": 1, "deleteusers": "true"}),
    "delete_client_none": ("DeleteClient", {"clientid": 9}),
}


@pytest.fixture
async def customers(sqlite_url: str) -> AsyncIterator[Customers]:
    async with opened(sqlite_url) as database:
        world = World(database, Hands())
        world.accounts._draw = bytes
        owner = await world.user("owner", first_name="J\u00fcrgen; \u4e2d", last_name='<O"Hara> & Co/')
        member = await world.user("member", first_name="")
        account = await world.account("acme", owner.id, company_name="Acme; <Inc>", notes="one\ntwo", country="DE")
        await world.join(member.id, account.id)
        await world.ask(world.contacts.add, Contact(account=account.id, first_name="Sue", email="sue@example.com"))
        yield Customers(world)


@pytest.mark.parametrize("name", ASKED)
async def test_the_answer_is_the_golden_one(customers: Customers, name: str) -> None:
    action, given = ASKED[name]
    content = await customers.ask(action, **given)
    for form in FORMS:
        body, kept = reply(action, content, form, LegacyOptions()).body, GOLDEN / f"{name}.{form}"
        if os.environ.get("GOLDEN") == "write":
            kept.write_bytes(body)
        assert body == kept.read_bytes(), kept.name


def test_every_golden_file_is_compared() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == {f"{name}.{form}" for name in ASKED for form in FORMS}
