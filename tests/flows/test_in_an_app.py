"""The bridge in somebody's app: mounted below a prefix, and before an app that asks who is there — DESIGN §7."""

from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from starlette.applications import Starlette
from starlette.authentication import requires
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

from tests.flows.mailbox import Mailbox, link_in
from tests.flows.oauth import App
from tests.flows.visitor import Visitor
from tests.running import ADA, NEW_PASSWORD, PASSWORD, PUBLIC_URL, Furnished, Given, Site, in_process

Visit = Callable[..., Visitor]
OP, APP = "__Host-lb_op", "__Host-login_auth_tk"
NEW = {"new_password": NEW_PASSWORD, "new_password_again": NEW_PASSWORD}


async def home(request: Request) -> Response:
    return PlainTextResponse("anybody")


@requires("authenticated", redirect="login")
async def orders(request: Request) -> Response:
    return PlainTextResponse(f"orders of {request.user.email}")


async def login(request: Request) -> Response:
    return Response(status_code=303, headers={"location": "/login?next=/orders"})


@pytest.fixture
async def mounted(database: Furnished, mailbox: Mailbox) -> AsyncIterator[Site]:
    """The bridge at `/sso` of another app."""
    more: Given = {("server", "base_url"): f"{PUBLIC_URL}/sso", ("mail", "url"): f"file:{mailbox.folder}"}
    async with in_process(database, more=more) as site:
        yield site


async def test_below_a_prefix_every_journey_stays_below_it(mounted: Site, visit: Visit, mailbox: Mailbox) -> None:
    host = Starlette(routes=[Mount("/sso", mounted.bridge)])
    browser = visit(mounted, host)
    browser.url = PUBLIC_URL
    await browser.open("/sso/account")
    await browser.press("login-submit", email=ADA, password=PASSWORD)
    assert browser.at == "/sso/account"
    app = App(mounted)
    await browser.open(f"/sso{app.request('openid email')}")
    assert urlsplit(browser.at).path == "/sso/consent"
    await browser.press("consent-allow")
    assert app.answer(browser)["iss"] == f"{PUBLIC_URL}/sso"
    other = visit(mounted, host)
    other.url = PUBLIC_URL
    await other.open("/sso/reset")
    await other.press("reset-submit", email=ADA)
    link = link_in(await mailbox.next(ADA))
    assert link.startswith(f"{PUBLIC_URL}/sso/reset/t/")
    await other.open(link.removeprefix(PUBLIC_URL))
    await other.press("new-password-submit", **NEW)
    assert other.at == "/sso/login?reset=done"
    await browser.open("/sso/account")
    assert browser.at.startswith("/sso/login") and "because your password was changed" in browser.text
    assert not [step for step in browser.trail + other.trail if not step.partition(" ")[2].startswith("/sso/")]


async def test_before_an_app_that_asks_who_is_there(site: Site, visit: Visit) -> None:
    routes = [Route("/", home), Route("/orders", orders), Route("/sign-in", login, name="login")]
    host: Any = site.bridge.middleware(Starlette(routes=routes))
    browser = visit(site, host)
    assert (await browser.get("/")).text == "anybody"
    await browser.open("/orders")
    assert browser.at == "/login?next=/orders"
    await browser.press("login-submit", email=ADA, password=PASSWORD)
    assert browser.reply.text == f"orders of {ADA}"
    assert browser.reply.headers["cache-control"] == "no-store"
    thief = browser.copy()
    await browser.open("/account")
    await browser.press("change-password-submit", current_password=PASSWORD, **NEW)
    assert (await browser.get("/orders")).text == f"orders of {ADA}", "S9: the app's own session was made anew"
    assert (await thief.get("/orders")).status_code == 303, "and the old one is nobody"
    await browser.open("/logout")
    await browser.press("logout-confirm")
    browser.jar[APP] = thief.jar[APP]
    assert (await browser.get("/orders")).status_code == 303


async def test_the_apps_own_paths_are_its_own(site: Site, visit: Visit) -> None:
    """A path that only looks like one of ours is the app's."""
    host: Any = site.bridge.middleware(Starlette(routes=[Route("/{rest:path}", home)]))
    browser = visit(site, host)
    for path in ("/login/", "//login", "/LOGIN", "/login.php", "/reset/t", "/account/other"):
        assert (await browser.get(path)).text == "anybody", path
    assert "Sign in" in (await browser.get("/login")).text
