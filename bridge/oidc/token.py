"""The token endpoint — RFC 6749 §3.2, §5; Core §3.1.3."""

from collections.abc import Mapping
from typing import Final, Protocol

import msgspec

from bridge.asgi import NO_STORE, Proxies, Receive, Reply, Scope, Send
from bridge.errors import Unavailable
from bridge.events.event import Events
from bridge.oidc.client_auth import AuthenticatedClient, Authenticator, ClientRefused
from bridge.oidc.errors import OAuthError, unavailable
from bridge.oidc.params import required, token_form
from bridge.types import Visit

_encode: Final = msgspec.json.Encoder().encode
_JSON: Final = b"application/json"


class Grant(Protocol):
    """One way to come by tokens: a file in `bridge.oidc.grants`."""

    async def __call__(
        self, client: AuthenticatedClient, form: Mapping[str, str], visit: Visit
    ) -> Mapping[str, object]:
        """The members of the token response.  Raises OAuthError, Unavailable."""
        ...


class TokenEndpoint:
    """`grants`: grant_type → the grant."""

    def __init__(
        self, *, authenticate: Authenticator, grants: Mapping[str, Grant], proxies: Proxies, events: Events
    ) -> None:
        self._authenticate = authenticate
        self._grants = grants
        self._proxies = proxies
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            content = await self._answer(scope, await token_form(scope, receive))
            reply = Reply(200, _encode(content), _JSON, NO_STORE)
        except OAuthError as error:
            reply = error.reply()
        except Unavailable as error:
            reply = unavailable(error).reply()
        await reply(scope, receive, send)

    async def _answer(self, scope: Scope, form: Mapping[str, str]) -> Mapping[str, object]:
        visit = Visit(door="oidc", ip=self._proxies.client(scope))
        try:
            client = await self._authenticate(scope, form)
        except ClientRefused as refused:
            tried = refused.client.client_id if refused.client else None
            self._events.tell("token.refused", visit, client=tried, reason="client authentication failed")
            raise
        name = required(form, "grant_type")
        grant = self._grants.get(name)
        if grant is None:
            raise OAuthError("unsupported_grant_type", "this grant_type is not offered")
        if name not in client.client.grant_types:
            raise OAuthError("unauthorized_client", "this client may not use this grant_type")
        return await grant(client, form, visit)
