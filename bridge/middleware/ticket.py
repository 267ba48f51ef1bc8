"""A sign-in that begins and ends at an app on another host than the issuer — DESIGN §6, docs/decisions/0125.

Two paths at the root of the app's host, answered for it: at one of them a browser sets out for the issuer, at the other
it comes back with a ticket.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import quote, urlencode

from bridge.asgi import (
    NO_STORE,
    ASGIApp,
    BadRequest,
    Endpoints,
    Proxies,
    Receive,
    Reply,
    Scope,
    Send,
    is_origin,
    local_path,
    query,
    read_form,
    see_other,
)
from bridge.errors import ConfigError, Unavailable
from bridge.events.event import Events
from bridge.sessions.cookie import Cookies
from bridge.sessions.ticket import ARRIVAL, AT_ISSUER, SIGN_IN, Redeemed, Refused, TicketRefusal
from bridge.tokens import digest, new_id
from bridge.types import Visit

Redeem = Callable[[str, str, Visit], Awaitable[Redeemed | Refused]]
"""The ticket, what the browser holds, and who knocks → what the bridge says of it.  Raises Unavailable."""

BEGUN_SECONDS: Final = 1_800  # as long as a visit at the issuer takes at most
_BINDING: Final = re.compile(r"[0-9A-Za-z]{22}", re.ASCII)
_URL: Final = "/?#[]@!$&'()*+,;=:%-._~"


def sign_in_path(next: str = "/") -> str:
    """Where an app on another host sends somebody to sign in: `RedirectResponse(sign_in_path("/orders"))`.

    A path of the app itself, which its `BridgeMiddleware` answers if it was given an `origin`; `next`: the path where
    he shall be afterwards.
    """
    return f"{SIGN_IN}?{urlencode({'next': quote(next, safe=_URL)})}"


class TicketDoor:
    """The two paths of one app.  `origin` as in the bridge's `sessions.ticket_origins`.  Raises ConfigError."""

    def __init__(
        self, origin: str, *, issuer: str, cookies: Cookies, proxies: Proxies, events: Events, redeem: Redeem
    ) -> None:
        if not is_origin(origin):
            raise ConfigError("origin must be like https://app.example.net, without a path")
        self._origin = origin
        self._at_issuer = issuer + AT_ISSUER
        self._cookies = cookies
        self._proxies = proxies
        self._events = events
        self._redeem = redeem
        self._endpoints: Endpoints = {SIGN_IN: self._sign_in, ARRIVAL: self._arrival}

    def find(self, scope: Scope) -> ASGIApp | None:
        """The endpoint of this request; None: it is the app's."""
        return self._endpoints.get(scope["path"]) if scope["type"] == "http" else None

    async def _sign_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _answered(self._set_out, "GET", scope, receive, send)

    async def _arrival(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _answered(self._arrive, "POST", scope, receive, send)

    async def _set_out(self, scope: Scope, _receive: Receive) -> Reply:
        # The same for all tabs of a browser: whichever of them signs in is the one that began.
        binding = self._binding(scope) or new_id()
        asked = {
            "origin": self._origin,
            "binding": digest(binding),
            "next": local_path(query(scope).get("next")) or "/",
        }
        cookie = self._cookies.set("begun", binding, max_age=BEGUN_SECONDS)
        return see_other(f"{self._at_issuer}?{urlencode(asked)}", (cookie,))

    async def _arrive(self, scope: Scope, receive: Receive) -> Reply:
        ticket, binding = (await read_form(scope, receive)).get("ticket", ""), self._binding(scope)
        visit = Visit("local", self._proxies.client(scope))
        if binding is None:
            self._events.tell("ticket.refused", visit, reason="other-browser", origin=self._origin)
            return self._refused("other-browser")
        outcome = await self._redeem(ticket, binding, visit)
        if isinstance(outcome, Refused):
            return self._refused(outcome.why)
        session = self._cookies.set("app", outcome.token.text.reveal())
        return see_other(local_path(outcome.next) or "/", (session, self._cookies.clear("begun")))

    def _refused(self, why: TicketRefusal) -> Reply:
        """The issuer says so: it has pages, in the person's language."""
        return see_other(f"{self._at_issuer}?{urlencode({'refused': why})}")

    def _binding(self, scope: Scope) -> str | None:
        value = self._cookies.read(scope, "begun")
        return value if isinstance(value, str) and _BINDING.fullmatch(value) else None


async def _answered(
    answer: Callable[[Scope, Receive], Awaitable[Reply]], method: str, scope: Scope, receive: Receive, send: Send
) -> None:
    try:
        if scope["method"] != method:
            raise BadRequest(f"{method} only.", 405, ((b"allow", method.encode()),))
        reply = await answer(scope, receive)
    except BadRequest as error:
        reply = _said(error.status, str(error), *error.headers)
    except Unavailable as error:
        later = (b"retry-after", str(error.retry_after).encode())
        reply = _said(503, "The sign-in service does not answer. Try again soon.", later)
    await reply(scope, receive, send)


def _said(status: int, text: str, *headers: tuple[bytes, bytes]) -> Reply:
    return Reply(status, text.encode(), b"text/plain; charset=utf-8", (*headers, *NO_STORE))
