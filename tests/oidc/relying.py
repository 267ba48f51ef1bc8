"""A relying party by Authlib's Starlette client, and the way of a person's browser through the bridge to it."""

import contextlib
import secrets
from collections.abc import AsyncIterator
from typing import Any

import httpx2
from authlib.integrations.starlette_client import OAuth, OAuthError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.flows.visitor import Visitor
from tests.running import ADA, PASSWORD


async def arrive(browser: Visitor, url: str, email: str = ADA) -> str:
    """Sign in and consent where that is asked for; the address at the client that the browser is sent to."""
    await browser.open(url)
    for _ in range(3):
        if browser.reply.status_code != 200:
            break
        if 'id="login-submit"' in browser.reply.text:
            await browser.press("login-submit", email=email, password=PASSWORD)
        elif 'id="consent-allow"' in browser.reply.text:
            await browser.press("consent-allow")
        else:
            break
    return browser.sent_to


def relying_party(callback: str, **registered: Any) -> Starlette:
    """An app whose login is Authlib's, `registered` so; at its end it shows what it knows."""
    oauth = OAuth()
    oauth.register("login", **registered)

    async def login(request: Request) -> Response:
        reply: Response = await oauth.login.authorize_redirect(request, callback)
        return reply

    async def back(request: Request) -> Response:
        try:
            token = await oauth.login.authorize_access_token(request)
        except OAuthError as error:
            return JSONResponse({"error": error.error}, 400)
        person = await oauth.login.userinfo(token=token)
        return JSONResponse({"token": token, "id_token": dict(token["userinfo"]), "userinfo": dict(person)})

    return Starlette(
        routes=[Route("/login", login), Route("/callback", back)],
        middleware=[Middleware(SessionMiddleware, secret_key=secrets.token_hex(16), https_only=False)],
    )


@contextlib.asynccontextmanager
async def visiting(app: Starlette) -> AsyncIterator[httpx2.AsyncClient]:
    """A browser's connection to it."""
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(
        transport=transport, base_url="https://notes.example.net", follow_redirects=False, trust_env=False
    ) as http:
        yield http
