"""A client's page hears in a frame of ours that its user signed out — Front-Channel Logout 1.0 §2, §3.

Where a browser gives no cookies to frames of other sites, nothing comes of it: `backchannel_logout` does not need them.
"""

from collections.abc import Iterable

from bridge.errors import Unavailable
from bridge.oidc.client_auth import Clients
from bridge.oidc.response_modes import encoded
from bridge.types import ClientId


class FrontChannelLogout:
    """Knows what to put into the frames."""

    def __init__(self, *, issuer: str, clients: Clients) -> None:
        self._issuer = issuer
        self._clients = clients

    async def __call__(self, known: Iterable[tuple[ClientId, str]]) -> tuple[str, ...]:
        """The addresses for these clients, each with what it knows the session by.  Those who cannot be looked up now
        are left out: nobody stays signed in for that."""
        return tuple([found for client, sid in known if (found := await self._frame(client, sid)) is not None])

    async def _frame(self, client_id: ClientId, sid: str) -> str | None:
        try:
            client = await self._clients.get(client_id)
        except Unavailable:
            return None
        if client is None or client.disabled or client.frontchannel_logout_uri is None:
            return None
        # §2: iss and sid together or neither.  They are what keeps a stranger's page from signing anybody out.
        uri = client.frontchannel_logout_uri
        return f"{uri}{'&' if '?' in uri else '?'}{encoded([('iss', self._issuer), ('sid', sid)])}"
