"""Permissions, invites and removal of the users of a client — whmcs-api §3.5."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import select

from bridge.accounts.account import Account
from bridge.accounts.permissions import EVERY_PERMISSION
from bridge.database.tables import invites, outbox
from bridge.users.user import User
from tests.accounts.world import World
from tests.legacy.people import People


class Scene(People):
    """A client of an owner, with one member who is not: and somebody who has nothing to do with it."""

    owner: User
    member: User
    stranger: User
    client: Account

    @property
    def given(self) -> dict[str, str | int]:
        """Of the member."""
        return {"user_id": self.member.id, "client_id": self.client.id}


@pytest.fixture
async def scene(world: World) -> Scene:
    made = Scene(world)
    made.owner, made.member, made.stranger = [await world.user(name) for name in ("owner", "member", "stranger")]
    made.client = await world.account("acme", made.owner.id)
    await world.join(made.member.id, made.client.id)
    world.heard.clear()
    return made


async def letters(scene: Scene) -> list[Any]:
    async with scene.world.db.read() as tx:
        return list(await tx.execute(select(outbox).order_by(outbox.c.id)))


async def test_the_permissions_are_the_documented_ones_under_result_and_status(scene: Scene) -> None:
    assert await scene.ask("GetPermissionsList") == {
        "result": "success",
        "status": "success",
        "permissions": {
            "permission": [
                "profile", "contacts", "products", "manageproducts", "productsso", "domains", "managedomains",
                "invoices", "quotes", "tickets", "affiliates", "emails", "orders",
            ]
        },
    }  # fmt: skip


async def test_what_is_set_shows_at_once(scene: Scene) -> None:
    assert await scene.permissions(scene.member.id, scene.client.id) == ["invoices", "tickets"]
    given = {**scene.given, "permissions": " Orders,profile,nothing,orders"}
    assert await scene.ask("UpdateUserPermissions", **given) == {"result": "success"}
    assert await scene.permissions(scene.member.id, scene.client.id) == ["profile", "orders"]
    assert scene.world.kinds == ["member.changed"] and scene.world.heard[0].actor == "portal"


async def test_an_owner_may_do_everything(scene: Scene) -> None:
    assert await scene.permissions(scene.owner.id, scene.client.id) == list(EVERY_PERMISSION)


async def test_who_is_removed_is_gone_from_the_list_at_once_and_stays_a_user(scene: Scene) -> None:
    (before,) = await scene.found(email="member@example.com")
    assert before["clients"] == [{"id": scene.client.id, "isOwner": False}]
    assert await scene.ask("DeleteUserClient", **scene.given) == {"result": "success"}
    (after,) = await scene.found(email="member@example.com")
    assert after["clients"] == []
    assert await scene.says("GetUserPermissions", **scene.given) == "User is not associated with client"
    assert await scene.says("DeleteUserClient", **scene.given) == "User is not associated with client"
    assert scene.world.kinds == ["member.removed"]


@pytest.mark.parametrize("action", ["GetUserPermissions", "UpdateUserPermissions", "DeleteUserClient"])
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "Invalid user id"),
        ({"user_id": "0"}, "Invalid user id"),
        ({"user_id": "99999999999999999999"}, "Invalid user id"),
        ({"user_id": "9", "client_id": "9"}, "Invalid user id"),
        ({"user_id": "3"}, "Invalid client id"),
        ({"user_id": "3", "client_id": "9"}, "Invalid client id"),
        ({"user_id": "3", "client_id": "-1"}, "Invalid client id"),
        ({"user_id": "3", "client_id": "1"}, "User is not associated with client"),
    ],
)
async def test_they_refuse_in_the_documented_words_and_order(
    scene: Scene, action: str, given: dict[str, str], message: str
) -> None:
    named = {**given, "permissions": "orders"} if action == "UpdateUserPermissions" else given
    assert await scene.says(action, **named) == message
    assert scene.world.kinds == []


@pytest.mark.parametrize("permissions", ["", "orders", "nothing"])
async def test_an_owners_permissions_are_not_set_whatever_they_are(scene: Scene, permissions: str) -> None:
    given: dict[str, str | int] = {"user_id": scene.owner.id, "client_id": scene.client.id, "permissions": permissions}
    assert await scene.says("UpdateUserPermissions", **given) == "Permissions cannot be set on a client owner"
    assert await scene.permissions(scene.owner.id, scene.client.id) == list(EVERY_PERMISSION)


@pytest.mark.parametrize("permissions", ["", " , ", "nothing", "undefined"])
@pytest.mark.parametrize("who", ["member", "stranger"])
async def test_no_permission_at_all_is_missing_before_anybody_asks_who_it_is(
    scene: Scene, who: str, permissions: str
) -> None:
    user: User = getattr(scene, who)
    given: dict[str, str | int] = {"user_id": user.id, "client_id": scene.client.id, "permissions": permissions}
    assert await scene.says("UpdateUserPermissions", **given) == "Missing permissions definition"
    assert await scene.permissions(scene.member.id, scene.client.id) == ["invoices", "tickets"]


async def test_an_owner_cannot_be_removed(scene: Scene) -> None:
    given: dict[str, str | int] = {"user_id": scene.owner.id, "client_id": scene.client.id}
    assert await scene.says("DeleteUserClient", **given) == "You cannot remove the account owner"
    (shown,) = await scene.found(email="owner@example.com")
    assert shown["clients"] == [{"id": scene.client.id, "isOwner": True}]


async def test_of_fifty_who_remove_somebody_at_once_one_does(scene: Scene) -> None:
    scene.world.db._patience = 30.0
    said = await asyncio.gather(*(scene.says("DeleteUserClient", **scene.given) for _ in range(50)))
    assert sorted(said) == ["", *["User is not associated with client"] * 49]
    assert scene.world.kinds == ["member.removed"]


async def test_an_invite_leaves_a_letter_that_names_it_and_holds_no_token(scene: Scene) -> None:
    given: dict[str, str | int] = {
        "client_id": scene.client.id,
        "email": "New@example.com",
        "permissions": "tickets,orders",
    }
    assert await scene.ask("CreateClientInvite", **given) == {"result": "success"}
    (invite,) = await scene.world.invites.of_account(scene.client.id)
    assert (invite.email, invite.permissions, invite.state) == ("New@example.com", ("tickets", "orders"), "waiting")
    assert invite.invited_by == "portal"
    (letter,) = await letters(scene)
    assert (letter.purpose, letter.payload) == ("invite", f'{{"invite": "{invite.id}"}}')
    assert scene.world.kinds == ["invite.created"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"client_id": "9", "email": "", "permissions": ""}, "Email is required"),
        ({"email": "  "}, "Email is required"),
        ({"client_id": "9", "email": "no address", "permissions": ""}, "Invalid client id"),
        ({"client_id": ""}, "Invalid client id"),
        ({"email": "no address", "permissions": ""}, "The email address entered is not valid"),
        ({"email": "member@example.com", "permissions": ""}, "User permissions are required"),
        ({"permissions": "nothing"}, "User permissions are required"),
        ({"email": "MEMBER@example.com"}, "User already associated with client"),
        ({"email": "owner@example.com"}, "User already associated with client"),
    ],
)
async def test_an_invite_is_refused_in_the_documented_words_and_order(
    scene: Scene, changed: dict[str, str], message: str
) -> None:
    given: dict[str, str | int] = {
        "client_id": str(scene.client.id),
        "email": "new@example.com",
        "permissions": "tickets",
    }
    assert await scene.says("CreateClientInvite", **(given | changed)) == message
    assert await scene.world.count(invites) == 0 and await letters(scene) == [] and scene.world.kinds == []
