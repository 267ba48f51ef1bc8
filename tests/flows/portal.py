"""A caller of the legacy API that may do what must be named, and the accounts of the people that it asks about."""

from dataclasses import dataclass
from typing import Any, Final

import httpx2

from bridge.accounts.account import Account, Profile
from bridge.clients.credential import Rights
from bridge.secret import Secret
from bridge.types import UserId, Visit
from tests.running import Site

IDENTIFIER: Final = "PortalPortalPortalPortalPortal01"
SECRET: Final = "SecretSecretSecretSecretSecret01"
COMMAND: Final = Visit("command")
LOCAL: Final = ("127.0.0.1", 40_000)


@dataclass
class Portal:
    """Calls the API, in JSON."""

    site: Site

    async def call(self, action: str, **values: str | int) -> dict[str, Any]:
        """What it answers."""
        reply = await self.send(action=action, responsetype="json", **values)
        assert reply.status_code == 200, reply.text
        said: dict[str, Any] = reply.json()
        return said

    async def send(self, **form: str | int) -> httpx2.Response:
        """The whole reply."""
        transport = httpx2.ASGITransport(self.site.bridge, client=LOCAL)
        async with httpx2.AsyncClient(transport=transport, base_url=self.site.url, trust_env=False) as http:
            data = {"identifier": IDENTIFIER, "secret": SECRET, **{name: str(value) for name, value in form.items()}}
            return await http.post("/includes/api.php", data=data)


async def portal(site: Site, *actions: str, **more: Any) -> Portal:
    """With a credential of its own, which may call these."""
    rights = Rights.parse(actions=actions, **more)
    await site.bridge.rooms.credentials.create("shop", rights, identifier=IDENTIFIER, secret=Secret(SECRET))
    return Portal(site)


async def account(site: Site, owner: UserId, **profile: Any) -> Account:
    """A new one of that user's."""
    rooms = site.bridge.rooms
    made = await rooms.ledger.do(COMMAND, lambda deed: rooms.accounts.create(deed, Profile(**profile), owner=owner))
    assert isinstance(made, Account)
    return made
