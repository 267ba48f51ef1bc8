"""A caller of the legacy API, who may do everything that it can."""

import json
from typing import Any

import httpx2

from bridge.clients.credential import Rights
from bridge.secret import Secret
from tests.running import Site


class Api:
    """`await api.call("AddUser", firstname=…)`: the JSON answer."""

    def __init__(self, site: Site) -> None:
        transport = httpx2.ASGITransport(site.bridge, client=("127.0.0.1", 1))
        self._http = httpx2.AsyncClient(transport=transport, base_url=site.url)

    async def call(self, action: str, **values: str | int) -> Any:
        credentials = {"identifier": "everything", "secret": "x" * 32, "responsetype": "json"}
        reply = await self._http.post("/includes/api.php", data={**credentials, "action": action, **values})
        return json.loads(reply.content)


async def caller(site: Site) -> Api:
    """A credential that names all actions, and who has it."""
    named = Rights.parse(actions=[action.name for action in site.bridge._local_api._actions.values()])
    await site.bridge.rooms.credentials.create("everything", named, identifier="everything", secret=Secret("x" * 32))
    return Api(site)
