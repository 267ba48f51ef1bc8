"""Somebody else's application, by Authlib's own client: it signs in here, and then goes on to another origin."""

import contextlib
import html
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from authlib.integrations.starlette_client import OAuth, OAuthError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.running import Site, serving


@dataclass
class RelyingParty:
    """At `url`; what it shows in the end it shows at `elsewhere`, which to a browser is another origin."""

    issuer: str
    client_id: str
    port: int
    secret: str = ""
    mode: str = "query"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def elsewhere(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def callback(self) -> str:
        return f"{self.url}/callback"

    def app(self) -> Starlette:
        routes = [
            Route("/start", self.start),
            Route("/callback", self.back, methods=["GET", "POST"]),
            Route("/home", self.home),
            Route("/leave", self.leave),
            Route("/bye", self.bye),
        ]
        sessions = Middleware(SessionMiddleware, secret_key="x" * 32, session_cookie="an_app")
        return Starlette(routes=routes, middleware=[sessions])

    def client(self) -> Any:
        oauth = OAuth()
        return oauth.register(
            "login",
            client_id=self.client_id,
            client_secret=self.secret,
            server_metadata_url=f"{self.issuer}/.well-known/openid-configuration",
            client_kwargs={"scope": "openid profile email", "code_challenge_method": "S256"},
        )

    async def start(self, request: Request) -> Response:
        asked = dict(request.query_params)
        reply: Response = await self.client().authorize_redirect(request, self.callback, **asked)
        return reply

    async def back(self, request: Request) -> Response:
        """The code is redeemed and the ID token checked; then on to another origin, as many applications do."""
        try:
            token = await self.client().authorize_access_token(request)
        except OAuthError as error:
            return self.onward(error=error.error)
        request.session["hint"] = token["id_token"]
        profile = await self.client().userinfo(token=token)
        assert profile["sub"] == token["userinfo"]["sub"]
        return self.onward(name=profile["name"])

    def onward(self, **facts: str) -> Response:
        return RedirectResponse(f"{self.elsewhere}/home?{urlencode(facts)}", status_code=303)

    async def home(self, request: Request) -> Response:
        facts = " ".join(f"{name}={html.escape(value)}" for name, value in request.query_params.items())
        return HTMLResponse(f"<!doctype html><title>app</title><p id=facts>{facts}</p>")

    async def leave(self, request: Request) -> Response:
        asked = {"post_logout_redirect_uri": f"{self.url}/bye", "state": "s", "client_id": self.client_id}
        if "hint" in request.query_params:
            asked["id_token_hint"] = request.session["hint"]
        return RedirectResponse(f"{self.issuer}/oauth/logout?{urlencode(asked)}", status_code=303)

    async def bye(self, request: Request) -> Response:
        return RedirectResponse(f"{self.elsewhere}/home?left={request.query_params['state']}", status_code=303)


@contextlib.contextmanager
def relying_party(site: Site, client_id: str) -> Iterator[RelyingParty]:
    """On a free port; register it as `client_id` before the browser comes."""
    made: list[RelyingParty] = []

    @contextlib.asynccontextmanager
    async def built(port: int) -> AsyncIterator[Starlette]:
        made.append(RelyingParty(site.url, client_id, port))
        yield made[0].app()

    with serving(built):
        yield made[0]
