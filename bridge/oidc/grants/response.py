"""The members of a successful token response — RFC 6749 §5.1; Core §3.1.3.3."""

from collections.abc import Mapping

from bridge.clients.client import Client
from bridge.clock import Clock
from bridge.grants.terms import Tokens
from bridge.oidc.client_tokens import ClientTokens
from bridge.oidc.id_token import NOTHING, IdTokens
from bridge.oidc.telling import Telling


class Response:
    """Makes it.  The ID token is there if `openid` was granted, and only then."""

    def __init__(self, id_tokens: IdTokens, client_tokens: ClientTokens, telling: Telling, clock: Clock) -> None:
        self._id_tokens = id_tokens
        self._client_tokens = client_tokens
        self._telling = telling
        self._clock = clock

    async def of(self, client: Client, tokens: Tokens) -> Mapping[str, object]:
        """`expires_in` is the true remaining time, also of a token that is given again."""
        members: dict[str, object] = {
            "access_token": tokens.access.reveal(),
            "token_type": "Bearer",
            "expires_in": max(tokens.access_exp - int(self._clock.now()), 0),
        }
        # What the client may no longer have is no part of it, as wherever the token is shown (`introspection`).
        if scopes := [*filter(client.scopes.__contains__, tokens.scopes)]:
            members["scope"] = " ".join(scopes)
        if tokens.refresh is not None:
            members["refresh_token"] = tokens.refresh.reveal()
        family = tokens.family
        if family.uid is not None and "openid" in scopes:
            more = await self._telling.in_id_token(client, family) if family.id_token else NOTHING
            id_token = self._id_tokens.make(client, family, nonce=tokens.nonce, access=tokens.access, more=more)
            members["id_token"] = await self._client_tokens.id_token(client, id_token)
        return members
