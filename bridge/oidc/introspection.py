"""What is this token good for, asked by a program that was shown it? — RFC 7662; RFC 9470 §6.2.

Confidential clients learn of their own tokens, and those that the operator made resource servers of the access tokens
of every client.  Whatever is not alive, or not theirs to know, has one answer: `{"active": false}`.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Struct

from bridge.asgi import NO_STORE, Proxies, Receive, Reply, Scope, Send
from bridge.clients.client import AuthMethod, Client
from bridge.errors import Unavailable
from bridge.grants.bearer import Bearer, Refresher, judge_bearer, judge_refresher
from bridge.grants.redemption import keys_of
from bridge.grants.terms import StampUnknown
from bridge.mint import OAuthToken, kind_of
from bridge.oidc.client_auth import METHODS, AuthenticatedClient, Authenticator, ClientRefused, Clients
from bridge.oidc.errors import OAuthError, unavailable
from bridge.oidc.issue import Issuing
from bridge.oidc.params import required, token_form
from bridge.types import ClientId, Subject, Visit

INTROSPECTION_METHODS: Final[tuple[AuthMethod, ...]] = tuple(method for method in METHODS if method != "none")

_encode: Final = msgspec.json.Encoder().encode
_JSON: Final = b"application/json"
_INACTIVE: Final = Reply(200, b'{"active":false}', _JSON, NO_STORE)
_JUDGES: Final = {"access": judge_bearer, "refresh": judge_refresher}


class _Active(Struct, kw_only=True, omit_defaults=True):
    """§2.2.  What is None is not said."""

    active: bool
    iss: str
    client_id: ClientId
    scope: str | None = None
    token_type: str | None = None
    exp: int
    iat: int | None = None
    sub: Subject | None = None
    auth_time: int | None = None
    acr: str | None = None


class IntrospectionEndpoint:
    """One read, no write.  `issuer` is named in every answer."""

    def __init__(
        self,
        *,
        issuer: str,
        authenticate: Authenticator,
        clients: Clients,
        issuing: Issuing,
        proxies: Proxies,
    ) -> None:
        self._authenticate = authenticate
        self._issuer = issuer
        self._clients = clients
        self._issuing = issuing
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            reply = await self._answer(scope, await token_form(scope, receive, allow=b"POST"))
        except OAuthError as error:
            reply = error.reply()
        except Unavailable as error:
            reply = unavailable(error).reply()
        await reply(scope, receive, send)

    async def _answer(self, scope: Scope, form: Mapping[str, str]) -> Reply:
        asking = self._asking(scope, await self._authenticate(scope, form))
        text = required(form, "token")
        # §2.1: token_type_hint only saves time; the token itself says what it is.
        kind = kind_of(text)
        token = self._issuing.mint.parse(kind, text) if kind in _JUDGES and kind is not None else None
        if token is None:
            return _INACTIVE
        found = await self._judged(token)
        if found is None:
            return _INACTIVE
        own = found.family.client == asking.client_id
        owner = asking if own else await self._owner(asking, found)
        if owner is None or not _good_for(found, owner):
            return _INACTIVE
        return Reply(200, _encode(self._said_of(found, owner)), _JSON, NO_STORE)

    def _asking(self, scope: Scope, shown: AuthenticatedClient) -> Client:
        """Who asks must have proved who he is: a copied client_id is no proof (RFC 7662 §2.1, security §17)."""
        if shown.method == "none":
            raise ClientRefused("a public client proves nothing: it may not introspect", client=shown.client)
        if shown.client.source == "registration":
            visit = Visit(door="oidc", ip=self._proxies.client(scope))
            self._issuing.tell_refused(shown.client.client_id, "it registered itself, and asked to introspect", visit)
            raise OAuthError("unauthorized_client", "a client that registered itself may not introspect")
        return shown.client

    async def _judged(self, token: OAuthToken) -> Bearer | Refresher | None:
        issuing, keys = self._issuing, keys_of(token, self._issuing.names)
        judge, now = _JUDGES[token.kind], issuing.clock.now()
        verdict = judge(*await issuing.store.read(*keys), token=token, now=now)
        if isinstance(verdict, StampUnknown):
            await issuing.publish_stamp(verdict.user, token.tag)
            verdict = judge(*await issuing.store.read(*keys), token=token, now=now)
        return None if isinstance(verdict, StampUnknown) else verdict

    async def _owner(self, asking: Client, found: Bearer | Refresher) -> Client | None:
        """Another client, to which the token was given, if the one that asks may know of it."""
        if not (asking.resource_server and isinstance(found, Bearer)):
            return None
        owner = await self._clients.get(found.family.client)
        return None if owner is None or owner.disabled else owner

    def _said_of(self, found: Bearer | Refresher, owner: Client) -> _Active:
        """What the client may not ask for any more its tokens do not carry either."""
        family = found.family
        said = _Active(
            active=True,
            iss=self._issuer,
            client_id=family.client,
            scope=" ".join([scope for scope in found.scopes if scope in owner.scopes]) or None,
            exp=found.access.exp if isinstance(found, Bearer) else found.refresh.exp,
        )
        if isinstance(found, Bearer):
            said.token_type, said.iat = "Bearer", found.access.iat
        if family.uid is not None:
            said.sub, said.auth_time, said.acr = family.sub, family.auth_time, family.acr or None
        return said


def _good_for(found: Bearer | Refresher, owner: Client) -> bool:
    """One that may not refresh any more has refresh tokens that are good for nothing."""
    return isinstance(found, Bearer) or "refresh_token" in owner.grant_types
