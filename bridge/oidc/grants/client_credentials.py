"""A client's token of its own, for no user — RFC 6749 §4.4; RFC 9700 §4.15."""

from collections.abc import Mapping
from typing import Final

from bridge.clients.client import Client
from bridge.clients.words import words
from bridge.errors import Unavailable
from bridge.grants.issue import own_token
from bridge.oidc.claims import SCOPES
from bridge.oidc.client_auth import AuthenticatedClient
from bridge.oidc.errors import OAuthError
from bridge.oidc.grants.response import Response
from bridge.oidc.issue import Issuing
from bridge.tokens import new_family
from bridge.types import Visit

# What they say is about a person, and there is none.
_PERSONAL: Final = frozenset(SCOPES)


class ClientCredentials:
    """grant_type=client_credentials."""

    def __init__(self, issuing: Issuing, response: Response) -> None:
        self._issuing = issuing
        self._response = response

    async def __call__(
        self, client: AuthenticatedClient, form: Mapping[str, str], visit: Visit
    ) -> Mapping[str, object]:
        if client.method == "none":
            raise OAuthError("unauthorized_client", "a public client has no tokens of its own")
        issuing, who = self._issuing, client.client
        scopes = _scopes(who, form.get("scope"))
        tag, family = issuing.slots.of_client(who.client_id), new_family(issuing.chance)
        access = issuing.mint.draw("access", tag, family, issuing.chance)
        changes, tokens = own_token(who.client_id, scopes, access=access, moment=issuing.moment())
        if not await issuing.store.commit(*changes):
            raise Unavailable("a fresh token was there already")
        issuing.tell_issued(tokens.family, "client_credentials", visit)
        return await self._response.of(who, tokens)


def _scopes(client: Client, asked: str | None) -> tuple[str, ...]:
    allowed = [scope for scope in client.scopes if scope not in _PERSONAL]
    if asked is None:
        return tuple(allowed)
    if not (scopes := tuple(dict.fromkeys(words(asked)))):
        raise OAuthError("invalid_scope", "scope names nothing")
    if not set(scopes) <= set(allowed):
        raise OAuthError("invalid_scope", "scope goes beyond what this client may have")
    return scopes
