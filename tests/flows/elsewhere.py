"""An app on another host than the issuer, in the same process, and a browser that is at both."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final
from urllib.parse import urljoin

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from bridge.middleware import BridgeMiddleware, sign_in_path
from bridge.sessions.ticket import ARRIVAL
from tests.flows.visitor import Visitor, onward_of
from tests.running import PASSWORD, SHOP, Site

BEGUN: Final = "__Host-lb_begun"
SESSION: Final = "__Host-login_auth_tk"
FORM_BUTTON: Final = "form-post-submit"


async def orders(request: Request) -> Response:
    if not request.user.is_authenticated:
        return RedirectResponse(sign_in_path("/orders?page=2"), status_code=303)
    return PlainTextResponse(f"orders of {request.user.email}, page {request.query_params['page']}")


def shop_of(site: Site) -> Any:
    """The app: it sends to sign in whoever is nobody."""
    return BridgeMiddleware(Starlette(routes=[Route("/orders", orders)]), site.bridge, origin=SHOP)


@dataclass
class Traveller:
    """One browser: `here` is what it holds and does at the issuer, `there` at the shop."""

    here: Visitor
    there: Visitor

    @property
    def text(self) -> str:
        return self.there.reply.text

    async def set_out(self) -> Visitor:
        """To the shop, which sends it to the issuer; on to the page there that waits for somebody."""
        await self.there.open("/orders?page=2")
        return await self.here.open(self.there.sent_to)

    async def sign_in(self, email: str, password: str = PASSWORD) -> "Traveller":
        """All the way to the page that holds the ticket."""
        await self.set_out()
        await self.here.press("login-submit", email=email, password=password)
        return self

    @property
    def ticket(self) -> str:
        """The one that it was given."""
        form = self.here.form(FORM_BUTTON)
        assert (form.action, list(form.fields)) == (SHOP + ARRIVAL, ["ticket"])
        return form.fields["ticket"]

    async def bring(self, ticket: str | None = None) -> httpx2.Response:
        """The form is sent: from another site, so that no cookie with SameSite=Lax comes along."""
        shown = self.ticket if ticket is None else ticket
        held = {name: value for name, value in self.there.jar.items() if name == BEGUN}
        lines = "; ".join(f"{name}={value}" for name, value in held.items()) or None
        return await self.there.post(
            ARRIVAL, {"ticket": shown}, origin="null", sec_fetch_site="cross-site", cookie=lines
        )

    async def arrive(self, ticket: str | None = None) -> "Traveller":
        """The same, and on to wherever that leads: at the shop, or at the issuer, which says why not."""
        await self.bring(ticket)
        onward = onward_of(self.there.reply)
        assert onward is not None
        await (self.there.follow() if onward.startswith("/") else self.here.open(onward))
        return self

    def stranger(self) -> "Traveller":
        """Another browser."""
        return Traveller(Visitor(self.here.http, self.here.url), Visitor(self.there.http, self.there.url))


@contextlib.asynccontextmanager
async def traveller(site: Site, app: Any = None) -> AsyncIterator[Traveller]:
    """A new browser, for the issuer and its shop."""
    async with _client(site.bridge, site.url) as here, _client(app or shop_of(site), SHOP) as there:
        yield Traveller(Visitor(here, site.url), Visitor(there, SHOP))


def _client(app: Any, url: str) -> httpx2.AsyncClient:
    """Strangers share it: it must keep no cookies of its own."""
    transport, policy = httpx2.ASGITransport(app, raise_app_exceptions=False), DefaultCookiePolicy(allowed_domains=[])
    return httpx2.AsyncClient(transport=transport, base_url=url, trust_env=False, cookies=CookieJar(policy))


def address(site: Site, **query: str) -> str:
    """Where an app sends a browser, with whatever it says of itself."""
    return urljoin(site.url, f"/login/ticket?{httpx2.QueryParams(query)}")
