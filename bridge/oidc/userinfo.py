"""Who is it that this access token stands for? — Core §5.3; RFC 6750."""

from msgspec.structs import replace

from bridge.asgi import NO_REFERRER, NO_STORE, Proxies, Receive, Reply, Scope, Send
from bridge.clients.client import Client
from bridge.errors import Unavailable
from bridge.grants.bearer import Bearer, judge_bearer
from bridge.grants.redemption import keys_of
from bridge.grants.terms import StampUnknown
from bridge.mint import OAuthToken
from bridge.oidc.access_token import ShownToken, refusal, shown_token
from bridge.oidc.claims import Value
from bridge.oidc.client_auth import Clients
from bridge.oidc.client_tokens import ClientTokens
from bridge.oidc.errors import OAuthError, unavailable
from bridge.oidc.issue import Issuing
from bridge.oidc.telling import Telling
from bridge.types import Visit


class UserinfoEndpoint:
    """One read, no write.

    `by_query`: this address takes tokens from the query too, of clients that may send them so (security §25).
    """

    def __init__(
        self,
        *,
        issuing: Issuing,
        telling: Telling,
        client_tokens: ClientTokens,
        clients: Clients,
        proxies: Proxies,
        by_query: bool = False,
    ) -> None:
        self._issuing = issuing
        self._telling = telling
        self._client_tokens = client_tokens
        self._clients = clients
        self._proxies = proxies
        self._by_query = by_query

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if scope["method"] not in ("GET", "POST"):
                allow = ((b"allow", b"GET, POST, OPTIONS"),)
                raise OAuthError("invalid_request", "this endpoint takes GET and POST", status=405, headers=allow)
            client, claims = await self._claims(scope, await shown_token(scope, receive, by_query=self._by_query))
            body, kind = await self._client_tokens.userinfo(client, claims)
            reply = Reply(200, body, kind, NO_STORE)
        except OAuthError as error:
            reply = error.reply()
        except Unavailable as error:
            reply = unavailable(error).reply()
        if self._by_query:  # the address may hold a token: nobody is told where the reader came from
            reply = replace(reply, headers=(*reply.headers, *NO_REFERRER))
        await reply(scope, receive, send)

    async def _claims(self, scope: Scope, shown: ShownToken) -> tuple[Client, dict[str, Value]]:
        token = self._issuing.mint.parse("access", shown.text)
        found = await self._judged(token) if token is not None else None
        if found is None:
            raise refusal("invalid_token", "the access token is not valid any more")
        bearer, client = found
        if shown.in_query:
            self._weigh_query(scope, client)
        family, granted = bearer.family, bearer.access.scopes
        if "openid" not in granted or "openid" not in client.scopes or family.uid is None or family.sub is None:
            raise refusal("insufficient_scope", "the access token was not given for this", scope="openid")
        claims = await self._telling.of(
            family.uid, family.sub, client, granted, family.userinfo, stamp=bearer.access.stamp
        )
        if claims is None:
            raise refusal("invalid_token", "the access token is not valid any more")
        return client, claims

    def _weigh_query(self, scope: Scope, client: Client) -> None:
        """May this client do so?  Each time is counted, so that its owner knows when he may forbid it."""
        events, visit = self._issuing.events, Visit(door="oidc", ip=self._proxies.client(scope))
        if not client.allow_query_token:
            events.tell("token.refused", visit, client=client.client_id, reason="in-query")
            raise refusal("invalid_request", "this client must send its access token in the header or in a form")
        events.tell("token.in-query", visit, client=client.client_id)

    async def _judged(self, token: OAuthToken) -> tuple[Bearer, Client] | None:
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
        return None if client is None or client.disabled else (verdict, client)
