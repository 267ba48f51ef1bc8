"""What a person's browser brings to an endpoint: parameters by GET or POST, and the cookies — Core §3.1.2.1, S16."""

from typing import Final
from urllib.parse import urlencode

from bridge.asgi import (
    NO_REFERRER,
    NO_STORE,
    BadRequest,
    Headers,
    Proxies,
    Receive,
    Reply,
    Scope,
    content_type,
    json_reply,
    parse_pairs,
    read_body,
    see_other,
)
from bridge.events.event import Events
from bridge.interactions.arrivals import Arrivals
from bridge.interactions.interactions import Interactions, is_binding
from bridge.oidc.errors import Shown
from bridge.oidc.params import FORM, Parameters, gathered
from bridge.sessions.cookie import Ambiguous, Cookies
from bridge.tokens import LoginToken
from bridge.types import Visit

_LONGEST_QUERY: Final = 6_000


class Browsers:
    """Reads and sets what belongs to one browser.  `base`: the path under which the issuer is."""

    def __init__(
        self,
        *,
        base: str,
        cookies: Cookies,
        interactions: Interactions,
        arrivals: Arrivals,
        proxies: Proxies,
        events: Events,
    ) -> None:
        self._base = base
        self._cookies = cookies
        self._interactions = interactions
        self._arrivals = arrivals
        self._proxies = proxies
        self._events = events

    def visit(self, scope: Scope) -> Visit:
        """Who knocks."""
        return Visit(door="oidc", ip=self._proxies.client(scope))

    async def parameters(self, scope: Scope, receive: Receive, path: str) -> Parameters | Reply:
        """The parameters, or an answer to give at once.  Raises Shown."""
        if scope["method"] not in ("GET", "POST"):
            said = {"error": "invalid_request", "error_description": "this endpoint takes GET and POST"}
            return json_reply(said, 405, ((b"allow", b"GET, POST"), *NO_STORE))
        try:
            if scope["method"] == "GET":
                return gathered(parse_pairs(scope.get("query_string", b"")))
            if content_type(scope) != FORM:
                raise BadRequest(f"The body must be {FORM}.", 415)
            raw = await read_body(scope, receive)
            pairs = parse_pairs(raw)
        except BadRequest as error:
            raise Shown("request", str(error), status=error.status) from error
        # A POST from another site comes without our SameSite=Lax cookies; the GET that it is sent on to has them.
        if self._cookies.read(scope, "op") is None and len(raw) <= _LONGEST_QUERY:
            # Encoded anew, lest a line break in the body become one in our header.
            return see_other(f"{self._base}{path}?{urlencode(pairs)}", NO_REFERRER)
        return gathered(pairs)

    def login_token(self, scope: Scope) -> LoginToken | None:
        """The token in the issuer's own cookie.  None: no cookie, no token, or several cookies: which of them was ours
        is not guessed, but told (security §13)."""
        value = self._cookies.read(scope, "op")
        if isinstance(value, Ambiguous):
            self._events.tell("session.refused", self.visit(scope), reason="cookie-twice")
        return LoginToken.parse(value) if isinstance(value, str) else None

    def binding(self, scope: Scope) -> str | None:
        """What this browser's visits are bound to; None: nothing yet."""
        value = self._cookies.read(scope, "pre")
        return value if isinstance(value, str) and is_binding(value) else None

    async def admit(self, scope: Scope) -> None:
        """One more visit is begun from that address.  Raises Shown (429) beyond the limit, Unavailable."""
        wait = await self._arrivals.admit(self.visit(scope).ip)
        if wait:
            text = "Too many sign-ins were begun from this address. Please wait a moment and try again."
            raise Shown("request", text, status=429, retry_after=wait)

    def bound(self, scope: Scope) -> tuple[str, Headers]:
        """What to bind a new visit to, and the cookie that says so where there was none."""
        known = self.binding(scope)
        if known is not None:
            return known, ()
        new = self._interactions.new_binding()
        return new, (self._cookies.set("pre", new),)

    def to_page(self, page: str, interaction: str | None = None, headers: Headers = ()) -> Reply:
        """On to one of our pages, with the visit's id if there is a visit."""
        return see_other(f"{self._base}{page}" + (f"?interaction={interaction}" if interaction else ""), headers)
