"""The actions about users and clients over a real database, without a wire."""

from typing import Any

from bridge.legacy.actions import Caller, Registry, registry
from bridge.legacy.client_users import (
    CreateClientInvite,
    DeleteUserClient,
    GetPermissionsList,
    GetUserPermissions,
    UpdateUserPermissions,
)
from bridge.legacy.params import of_mapping
from bridge.legacy.users import AddUser, GetUsers, UpdateUser
from bridge.legacy.wire import Content
from tests.accounts.world import World

CALLER = Caller(name="portal")


class People:
    """`await people.ask("AddUser", firstname=…)`: what the action answers."""

    def __init__(self, world: World) -> None:
        self.world = world
        users, upkeep, members, ledger = world.users, world.upkeep, world.members, world.ledger
        self.actions: Registry = registry(
            AddUser(users=users, upkeep=upkeep, ledger=ledger).action,
            GetUsers(users=users, directory=world.directory, members=members).action,
            UpdateUser(users=users, upkeep=upkeep, changes=world.changes, outbox=world.outbox, ledger=ledger).action,
            GetPermissionsList().action,
            GetUserPermissions(members=members).action,
            UpdateUserPermissions(members=members, ledger=ledger).action,
            CreateClientInvite(invites=world.invites, ledger=ledger).action,
            DeleteUserClient(members=members, ledger=ledger).action,
        )

    async def ask(self, action: str, **values: str | int) -> Content:
        found = self.actions[action.lower()]
        assert values.keys() <= found.parameters
        return (await found.run(of_mapping(values), CALLER)).content

    async def says(self, action: str, **values: str | int) -> str:
        """The message of its error; the empty string is a success."""
        content = await self.ask(action, **values)
        assert content["result"] == ("error" if "message" in content else "success")
        return str(content.get("message", ""))

    async def found(self, **values: str | int) -> list[Any]:
        """The users that GetUsers shows."""
        users: Any = (await self.ask("GetUsers", **values))["users"]
        return list(users)

    async def names(self, **values: str | int) -> list[str]:
        """Their addresses, before the `@`."""
        return [user["email"].partition("@")[0] for user in await self.found(**values)]

    async def permissions(self, user: int, client: int) -> list[str]:
        """What GetUserPermissions says."""
        content: Any = await self.ask("GetUserPermissions", user_id=user, client_id=client)
        return list(content["permissions"]["permission"])
