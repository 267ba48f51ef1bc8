"""Who is it that this access token stands for? — Core §5.3; RFC 6750."""

from typing import Final, Protocol

import msgspec

from bridge.asgi import NO_STORE, Receive, Reply, Scope, Send
from bridge.errors import Unavailable
from bridge.grants.bearer import Bearer, judge_bearer
from bridge.grants.redemption import keys_of
from bridge.grants.terms import StampUnknown
from bridge.mint import OAuthToken
from bridge.oidc.access_token import refusal, shown_token
from bridge.oidc.claims import Value, claims_of
from bridge.oidc.client_auth import Clients
from bridge.oidc.errors import OAuthError
from bridge.oidc.issue import Issuing
from bridge.oidc.token import unavailable
from bridge.types import Stamp, UserId
from bridge.users.user import User

_encode: Final = msgspec.json.Encoder().encode


class Users(Protocol):
    """Users by number, from a cache (`bridge.users.cached.CachedUsers`).  Raises `Unavailable`."""

    async def by_id(self, user: UserId, *, stamp: Stamp | None = None) -> User | None: ...


class UserinfoEndpoint:
    """One read, no write."""

    def __init__(self, *, issuing: Issuing, users: Users, clients: Clients) -> None:
        self._issuing = issuing
        self._users = users
        self._clients = clients

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if scope["method"] not in ("GET", "POST"):
                allow = ((b"allow", b"GET, POST, OPTIONS"),)
                raise OAuthError("invalid_request", "this endpoint takes GET and POST", status=405, headers=allow)
            claims = await self._claims(await shown_token(scope, receive))
            reply = Reply(200, _encode(claims), b"application/json", NO_STORE)
        except OAuthError as error:
            reply = error.reply()
        except Unavailable as error:
            reply = unavailable(error).reply()
        await reply(scope, receive, send)

    async def _claims(self, text: str) -> dict[str, Value]:
        token = self._issuing.mint.parse("access", text)
        bearer = await self._judged(token) if token is not None else None
        if bearer is None:
            raise refusal("invalid_token", "the access token is not valid any more")
        family = bearer.family
        if "openid" not in bearer.access.scopes or family.uid is None or family.sub is None:
            raise refusal("insufficient_scope", "the access token was not given for this", scope="openid")
        user = await self._users.by_id(family.uid, stamp=bearer.access.stamp)
        if user is None:
            raise refusal("invalid_token", "the access token is not valid any more")
        return claims_of(user, family.sub, bearer.access.scopes)

    async def _judged(self, token: OAuthToken) -> Bearer | None:
        issuing, keys = self._issuing, keys_of(token, self._issuing.names)
        now = issuing.clock.now()
        verdict = judge_bearer(*await issuing.store.read(*keys), token=token, now=now)
        if isinstance(verdict, StampUnknown):
            await issuing.publish_stamp(verdict.user, token.tag)
            verdict = judge_bearer(*await issuing.store.read(*keys), token=token, now=now)
        if not isinstance(verdict, Bearer):
            return None
        # nothing is told to a client that was disabled or removed since (DESIGN §5)
        client = await self._clients.get(verdict.family.client)
        return None if client is None or client.disabled else verdict
