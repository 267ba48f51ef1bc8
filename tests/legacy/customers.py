"""The actions about clients, beside those about users."""

from typing import Any

from bridge.errors import Unavailable
from bridge.legacy.actions import registry
from bridge.legacy.change_clients import AddClient, CloseClient, DeleteClient, UpdateClient
from bridge.legacy.clients import GetClients, GetClientsDetails, GetContacts
from bridge.types import SlotTag, UserId
from tests.accounts.world import World
from tests.legacy.people import People

JOHN = {
    "firstname": "John",
    "lastname": "Doe",
    "email": "john.doe@example.com",
    "address1": "123 Main Street",
    "city": "Anytown",
    "state": "State",
    "postcode": "12345",
    "country": "US",
    "phonenumber": "800-555-1234",
    "password2": "a good password",
}
"""The documentation's request."""


class Customers(People):
    """People, and the clients that they belong to."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.published: list[UserId] = []
        self.down = False
        accounts, ledger = world.accounts, world.ledger
        self.actions = registry(
            *self.actions.values(),
            GetClientsDetails(accounts=accounts, members=world.members).action,
            GetClients(accounts=accounts).action,
            GetContacts(contacts=world.contacts).action,
            AddClient(users=world.users, accounts=accounts, ledger=ledger).action,
            UpdateClient(accounts=accounts, ledger=ledger).action,
            CloseClient(accounts=accounts, ledger=ledger).action,
            DeleteClient(accounts=accounts, ledger=ledger, publish_stamp=self._publish).action,
        )

    async def details(self, **values: str | int) -> Any:
        """The nested part."""
        return (await self.ask("GetClientsDetails", **values))["client"]

    async def companies(self, **values: str | int) -> list[str]:
        """The company names that GetClients shows."""
        content: Any = await self.ask("GetClients", **values)
        return [client["companyname"] for client in content["clients"]["client"]]

    async def _publish(self, user: UserId, tag: SlotTag) -> None:  # as Sessions has it
        if self.down:
            raise Unavailable("no store")
        self.published.append(user)
