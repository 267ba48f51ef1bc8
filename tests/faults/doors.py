"""Every door of a bridge, knocked at as its callers do, while a server behind it is gone — S18; issue 2."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from tests.flows.visitor import Form, Visitor
from tests.running import ADA, API_SECRET, CLIENT_SECRET, IDENTIFIER, PASSWORD, Site, code
from tests.security.holdings import LOCAL, Holdings, touch

Knock = Callable[["Callers"], Awaitable[httpx2.Response]]


@dataclass
class Callers:
    """A bridge before an app; its callers hold everything of `gather`, and have forms before them."""

    held: Holdings
    visit: Callable[[Site], Visitor]
    forms: dict[str, tuple[Visitor, Form]] = field(default_factory=dict)

    @property
    def site(self) -> Site:
        return self.held.site

    async def fill_in(self) -> None:
        """Load the forms while everything works."""
        signed_in = self.held.browser.copy()
        for name, path, button, fields in (
            ("logout", "/logout", "logout-confirm", {}),
            ("account", "/account", "change-password-submit", {"current_password": PASSWORD}),
        ):
            await signed_in.open(path)
            form = signed_in.form(button)
            self.forms[name] = (signed_in, Form(form.action, {**form.fields, **fields}))
        stranger = self.visit(self.site)
        for name, path, button, fields in (
            ("login", "/login", "login-submit", {"email": ADA, "password": PASSWORD}),
            ("reset", "/reset", "reset-submit", {"email": ADA}),
        ):
            await stranger.open(path)
            form = stranger.form(button)
            self.forms[name] = (stranger, Form(form.action, {**form.fields, **fields}))
        form = self.held.tom.form("second-factor-submit")
        self.forms["code"] = (self.held.tom, Form(form.action, {**form.fields, "code": code()}))

    async def page(self, path: str, *, known: bool = True) -> httpx2.Response:
        """In Ada's browser, or in nobody's."""
        return await (self.held.browser.copy() if known else self.visit(self.site)).get(path)

    async def send(self, name: str) -> httpx2.Response:
        """Press the button of that form."""
        browser, form = self.forms[name]
        return await browser.copy().post(form.action, form.fields)

    async def client(self, form: Mapping[str, str], path: str = "/oauth/token") -> httpx2.Response:
        return await self.held.app.http.post(path, data=dict(form), auth=("notes", CLIENT_SECRET))

    async def robot(self) -> httpx2.Response:
        form = {"grant_type": "client_credentials"}
        return await self.held.app.http.post("/oauth/token", data=form, auth=("robot", self.held["robot-secret"]))

    async def legacy(self, **form: str) -> httpx2.Response:
        given = {"identifier": IDENTIFIER, "secret": API_SECRET, **form}
        return await self._local(lambda http: http.post("/includes/api.php", data=given))

    async def get(self, path: str) -> httpx2.Response:
        return await self._local(lambda http: http.get(path))

    async def host(self, path: str, *, known: bool = True) -> httpx2.Response:
        """The app behind the middleware."""
        cookie = {"cookie": f"__Host-login_auth_tk={self.held['app']}"} if known else {}
        transport = httpx2.ASGITransport(self.site.bridge.middleware(HOST))
        async with httpx2.AsyncClient(transport=transport, base_url=self.site.url, trust_env=False) as http:
            return await http.get(path, headers=cookie)

    async def _local(self, ask: Callable[[httpx2.AsyncClient], Awaitable[httpx2.Response]]) -> httpx2.Response:
        transport = httpx2.ASGITransport(self.site.bridge, client=LOCAL)
        async with httpx2.AsyncClient(transport=transport, base_url=self.site.url, trust_env=False) as http:
            return await ask(http)


def _public(request: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


def _private(request: Request) -> PlainTextResponse:
    return PlainTextResponse(request.user.display_name or "nobody")


HOST = Starlette(routes=[Route("/public", _public), Route("/private", _private)])


def _refresh(callers: Callers) -> Awaitable[httpx2.Response]:
    return callers.client({"grant_type": "refresh_token", "refresh_token": callers.held["refresh"]})


def _redeem(callers: Callers) -> Awaitable[httpx2.Response]:
    return callers.held.app.redeem(callers.held["code"])


DOORS: dict[str, Knock] = {
    "account": lambda h: h.page("/account"),
    "login page": lambda h: h.page("/login", known=False),
    "login": lambda h: h.send("login"),
    "code": lambda h: h.send("code"),
    "change password": lambda h: h.send("account"),
    "forgot page": lambda h: h.page("/reset", known=False),
    "forgot": lambda h: h.send("reset"),
    "link": lambda h: h.page(f"/reset/t/{h.held['reset']}", known=False),
    "authorize": lambda h: h.page(h.held.app.request()),
    "authorize, prompt=none": lambda h: h.page(h.held.app.request(prompt="none")),
    "authorize, unknown": lambda h: h.page(h.held.app.request(), known=False),
    "oauth logout": lambda h: h.page(f"/oauth/logout?id_token_hint={h.held['id_token']}"),
    "redeem": _redeem,
    "refresh": _refresh,
    "robot": lambda h: h.robot(),
    "userinfo": lambda h: h.held.app.userinfo(h.held["access"]),
    "revoke": lambda h: h.client({"token": h.held["access"]}, "/oauth/revoke"),
    "introspect": lambda h: h.client({"token": h.held["access"]}, "/oauth/introspect"),
    "discovery": lambda h: h.get("/.well-known/openid-configuration"),
    "jwks": lambda h: h.get("/oauth/jwks"),
    "touch": lambda h: touch(h.site, h.held["legacy"]),
    "ValidateLogin json": lambda h: h.legacy(
        action="ValidateLogin", email=ADA, password2=PASSWORD, responsetype="json"
    ),
    "ValidateLogin xml": lambda h: h.legacy(action="ValidateLogin", email=ADA, password2=PASSWORD, responsetype="xml"),
    "ValidateLogin nvp": lambda h: h.legacy(action="ValidateLogin", email=ADA, password2=PASSWORD),
    "ResetPassword": lambda h: h.legacy(action="ResetPassword", email=ADA, responsetype="json"),
    "WhmcsDetails": lambda h: h.legacy(action="WhmcsDetails", responsetype="json"),
    "host, private": lambda h: h.host("/private"),
    "host, private, unknown": lambda h: h.host("/private", known=False),
    "host, public": lambda h: h.host("/public"),
    "style": lambda h: h.get("/static/bridge.css"),
    "healthz": lambda h: h.get("/healthz"),
    "readyz": lambda h: h.get("/readyz"),
    "metrics": lambda h: h.get("/metrics"),
    "logout": lambda h: h.send("logout"),
}
"""In an order in which each works when all is well: the last one ends Ada's session."""

WELL = {
    **dict.fromkeys(DOORS, 200),
    "login": 303,
    "code": 303,
    "link": 303,
    "change password": 422,  # no new one was typed
    "authorize": 303,
    "authorize, prompt=none": 303,
    "authorize, unknown": 303,
    "oauth logout": 303,
}
"""What each answers when all is well."""

UNTOUCHED = {
    *("login page", "forgot page", "discovery", "jwks", "style", "healthz", "metrics", "host, public"),
    *("host, private, unknown",),
}
"""They need neither store nor database."""

_PAGES = {"account", "login", "code", "change password", "forgot", "link", "logout", "oauth logout"}


@dataclass(frozen=True)
class Heard:
    """What a door answered, and after how many seconds."""

    reply: httpx2.Response
    seconds: float

    def problem(self, door: str) -> str | None:
        """What is wrong with it as the answer of a door whose server is gone; None: it says so clearly."""
        reply = self.reply
        if reply.status_code != 503:
            return f"status {reply.status_code}: {reply.headers.get('location')} {reply.text[:200]}"
        if int(reply.headers.get("retry-after", "0")) <= 0 and door != "readyz":
            return "no Retry-After"
        if "set-cookie" in reply.headers and "__Host-lb_op=" in reply.headers["set-cookie"]:
            return "a session was given, or taken away"
        return _not_said(door, reply)


def _not_said(door: str, reply: httpx2.Response) -> str | None:
    kind, text = reply.headers.get("content-type", ""), reply.text
    match door:
        case "ValidateLogin json":
            right = reply.json() == {"result": "error", "message": "Service Temporarily Unavailable"}
        case "ValidateLogin xml":
            right = "xml" in kind and "<result>error</result>" in text
        case "ValidateLogin nvp":
            right = text == "result=error;message=Service Temporarily Unavailable"
        case _ if door in _PAGES or door.startswith("authorize"):
            right = kind.startswith("text/html") and "<h1" in text
        case _ if door.startswith("host"):
            right = "Try again soon" in text
        case _:
            right = kind == "application/json" and isinstance(reply.json(), dict)
    return None if right else f"not in the form that its callers read: {kind} {text[:200]}"


async def knock(callers: Callers, door: str) -> Heard:
    """One."""
    start = time.monotonic()
    reply = await DOORS[door](callers)
    return Heard(reply, time.monotonic() - start)


async def knock_at_all(callers: Callers, *but: str) -> dict[str, Heard]:
    """All at once, as a busy site is."""
    names = [name for name in DOORS if name not in but]
    return dict(zip(names, await asyncio.gather(*(knock(callers, name) for name in names)), strict=True))


def wrong_of(heard: Mapping[str, Heard], works: set[str]) -> dict[str, str]:
    """Which doors did not answer as they must: those in `works` as ever, the others that they cannot."""
    found = {door: _as_ever(door, each) if door in works else each.problem(door) for door, each in heard.items()}
    return {door: why for door, why in found.items() if why is not None}


def _as_ever(door: str, heard: Heard) -> str | None:
    status = heard.reply.status_code
    return None if status == WELL[door] else f"status {status}: {heard.reply.text[:200]}"


def statuses(heard: Mapping[str, Heard]) -> dict[str, Any]:
    return {door: each.reply.status_code for door, each in heard.items()}
