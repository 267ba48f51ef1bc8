"""Every byte of what the actions about users answer, in each form — whmcs-api §3.5.  GOLDEN=write makes them anew."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest

from bridge.legacy.options import LegacyOptions
from bridge.legacy.wire import Format, reply
from bridge.testing.hands import Hands
from tests.accounts.world import World
from tests.databases import opened, sqlite_template, sqlite_url
from tests.legacy.people import People

__all__ = ["sqlite_template", "sqlite_url"]

GOLDEN: Final = Path(__file__).parent / "golden_users"
FORMS: Final[tuple[Format, ...]] = ("json", "xml", "nvp")
NEW: Final = {"firstname": "New", "lastname": "<Person>", "email": "new@example.com", "password2": "a good password"}
ASKED: Final[dict[str, tuple[str, dict[str, str | int]]]] = {
    "add_user": ("AddUser", {**NEW}),
    "add_user_again": ("AddUser", {**NEW, "email": "OWNER@example.com"}),
    "get_users": ("GetUsers", {}),
    "get_users_none": ("GetUsers", {"email": "nobody@example.com"}),
    "update_user": ("UpdateUser", {"user_id": 1, "firstname": "Ana"}),
    "update_user_nothing": ("UpdateUser", {"user_id": 1}),
    "get_permissions_list": ("GetPermissionsList", {}),
    "get_user_permissions": ("GetUserPermissions", {"user_id": 2, "client_id": 1}),
    "update_user_permissions": ("UpdateUserPermissions", {"user_id": 2, "client_id": 1, "permissions": "orders"}),
    "update_user_permissions_owner": ("UpdateUserPermissions", {"user_id": 1, "client_id": 1, "permissions": "orders"}),
    "create_client_invite": ("CreateClientInvite", {"client_id": 1, "email": "x@example.com", "permissions": "orders"}),
    "delete_user_client": ("DeleteUserClient", {"user_id": 2, "client_id": 1}),
    "delete_user_client_owner": ("DeleteUserClient", {"user_id": 1, "client_id": 1}),
}


@pytest.fixture
async def people(sqlite_url: str) -> AsyncIterator[People]:
    async with opened(sqlite_url) as database:
        world = World(database, Hands())
        owner = await world.user("owner", first_name="J\u00fcrgen; \u4e2d", last_name='<O"Hara> & Co/')
        member = await world.user("member", first_name="")
        account = await world.account("acme", owner.id)
        await world.join(member.id, account.id)
        yield People(world)


@pytest.mark.parametrize("name", ASKED)
async def test_the_answer_is_the_golden_one(people: People, name: str) -> None:
    action, given = ASKED[name]
    content = await people.ask(action, **given)
    for form in FORMS:
        body, kept = reply(action, content, form, LegacyOptions()).body, GOLDEN / f"{name}.{form}"
        if os.environ.get("GOLDEN") == "write":
            kept.write_bytes(body)
        assert body == kept.read_bytes(), kept.name


def test_every_golden_file_is_compared() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == {f"{name}.{form}" for name in ASKED for form in FORMS}
