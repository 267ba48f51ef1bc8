"""An application asks for its user to be signed out — RP-Initiated Logout 1.0 §2, §3.

Here the wish is only checked, and written into a visit; the page `/logout` asks where it must, and ends the session.
"""

from typing import Final

from bridge.asgi import Receive, Reply, Scope, Send, named
from bridge.clients.client import Client
from bridge.interactions.interactions import Interactions
from bridge.interactions.record import Logout
from bridge.oidc.browser import Browsers
from bridge.oidc.client_auth import Clients
from bridge.oidc.errors import Shown
from bridge.oidc.id_token import Hint, Verifies, read_hint
from bridge.oidc.params import Parameters
from bridge.oidc.redirect import NotRegistered, RedirectTarget
from bridge.oidc.request import LONGEST_STATE, hinted
from bridge.oidc.response_modes import encoded
from bridge.oidc.showing import ErrorPage, display, show

PATH: Final = "/oauth/logout"
_PAGE: Final = "/logout"


class LogoutEndpoint:
    """GET and POST alike.  A wish with a mistake in it sends nobody anywhere."""

    def __init__(
        self,
        *,
        issuer: str,
        clients: Clients,
        keys: Verifies,
        interactions: Interactions,
        browsers: Browsers,
        errors: ErrorPage,
    ) -> None:
        self._issuer = issuer
        self._clients = clients
        self._keys = keys
        self._interactions = interactions
        self._browsers = browsers
        self._errors = errors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            reply = await self._answer(scope, receive)
        except Shown as shown:
            reply = show(self._errors, scope, shown)
        await reply(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive) -> Reply:
        parameters = await self._browsers.parameters(scope, receive, PATH)
        if isinstance(parameters, Reply):
            return parameters
        if parameters.repeated:
            name = named(min(parameters.repeated))
            raise Shown(name, f"{name} must not be repeated")
        if not parameters.values:
            return self._browsers.to_page(_PAGE)
        hint = self._hint(parameters)
        client = await self._client(parameters, hint)
        target = target_of(parameters, client)
        state = _state(parameters)
        whither = target.with_query(encoded([("state", state)] if state else [])) if target else None
        await self._browsers.admit(scope)
        binding, cookie = self._browsers.bound(scope)
        interaction = await self._interactions.begin_logout(
            binding,
            Logout(target=whither, hinted=hint is not None, sid=hint.sid if hint else None),
            app=display(client, target.uri if target else "") if client else None,
            ui_locales=hinted(parameters.values, "ui_locales"),
        )
        return self._browsers.to_page(_PAGE, interaction, cookie)

    def _hint(self, parameters: Parameters) -> Hint | None:
        token = parameters.get("id_token_hint")
        if token is None:
            return None
        hint = read_hint(token, issuer=self._issuer, keys=self._keys)
        if hint is None:
            raise Shown("id_token_hint", "id_token_hint is not an ID token of this provider")
        return hint

    async def _client(self, parameters: Parameters, hint: Hint | None) -> Client | None:
        named = parameters.get("client_id")
        if named is not None and hint is not None and named != hint.aud:
            raise Shown("client_id", "client_id is not the one that id_token_hint was given to")
        client_id = named or (hint.aud if hint else None)
        client = await self._clients.get(client_id) if client_id is not None else None
        if named is not None and (client is None or client.disabled):
            raise Shown("client_id", "client_id names no application that is registered here")
        return None if client is None or client.disabled else client


def target_of(parameters: Parameters, client: Client | None) -> RedirectTarget | None:
    """Where the browser may go afterwards; None: nothing was asked for.  Raises Shown."""
    uri = parameters.get("post_logout_redirect_uri")
    if uri is None:
        return None
    if client is None:
        raise Shown(
            "post_logout_redirect_uri",
            "post_logout_redirect_uri needs an id_token_hint or client_id of a registered application beside it",
        )
    try:
        return RedirectTarget(uri, client.post_logout_redirect_uris, client.application_type == "native")
    except NotRegistered:
        raise Shown("post_logout_redirect_uri", "post_logout_redirect_uri is not registered for this client") from None


def _state(parameters: Parameters) -> str | None:
    state = parameters.get("state")
    if state is not None and len(state.encode()) > LONGEST_STATE:
        raise Shown("state", f"state is longer than {LONGEST_STATE} bytes")
    return state
