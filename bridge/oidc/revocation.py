"""A client gives a token back — RFC 7009.

Giving back any token ends its whole family, in SQL first: a mark on one access token would not outlive a store that
goes back in time (security §3), and §2.1 allows it.
"""

from collections.abc import Mapping

from bridge.asgi import NO_STORE, Proxies, Receive, Reply, Scope, Send
from bridge.errors import Unavailable
from bridge.grants.records import read_family
from bridge.mint import OAuthToken
from bridge.oidc.client_auth import Authenticator
from bridge.oidc.errors import OAuthError, unavailable
from bridge.oidc.issue import Issuing
from bridge.oidc.params import required, token_form
from bridge.types import ClientId, Visit

# §2.2: nothing to say, so nothing is said, and nothing claims to be text.
_DONE = Reply(200, headers=NO_STORE)


class RevocationEndpoint:
    """Answers 200 to everything that is no error of the request itself: nobody learns which tokens there are."""

    def __init__(self, *, authenticate: Authenticator, issuing: Issuing, proxies: Proxies) -> None:
        self._authenticate = authenticate
        self._issuing = issuing
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            reply = await self._answer(scope, await token_form(scope, receive))
        except OAuthError as error:
            reply = error.reply()
        except Unavailable as error:
            reply = unavailable(error).reply()
        await reply(scope, receive, send)

    async def _answer(self, scope: Scope, form: Mapping[str, str]) -> Reply:
        client = await self._authenticate(scope, form)
        text = required(form, "token")
        # §2.1: token_type_hint only saves time; the token itself says what it is.
        for kind in ("refresh", "access"):
            if token := self._issuing.mint.parse(kind, text):
                await self._revoke(token, client.client.client_id, Visit(door="oidc", ip=self._proxies.client(scope)))
        return _DONE

    async def _revoke(self, token: OAuthToken, client: ClientId, visit: Visit) -> None:
        issuing = self._issuing
        (raw,) = await issuing.store.read(issuing.names.family(token.tag, token.family))
        family = read_family(raw, token.family, issuing.clock.now())
        if family is not None and family.client == client:
            await issuing.end(token, family, "revoked")
            issuing.events.tell("token.revoked", visit, user=family.uid, client=client, session=family.session)
