"""WHMCS's OpenID addresses at a whole bridge: when they are there, below a path, and what is counted — whmcs-api §6."""

from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from tests.flows.oauth import App
from tests.flows.visitor import Visitor
from tests.running import ADA, PASSWORD, PUBLIC_URL, Furnished, Given, Site, in_process

Visit = Callable[..., Visitor]
NAMES = ("openid-configuration", "authorize", "token", "userinfo", "certs")
ADDRESSES = [f"/oauth/{name}.php" for name in NAMES]


@pytest.mark.parametrize(
    ("given", "there"),
    [
        ({}, True),
        ({("preset",): "provider"}, False),
        ({("preset",): "provider", ("legacy", "enabled"): True}, True),
        ({("legacy", "oauth_aliases"): False}, False),
        ({("oidc", "enabled"): False}, False),
    ],
)
async def test_they_are_there_with_the_legacy_api_unless_turned_off(
    database: Furnished, visit: Visit, given: Given, there: bool
) -> None:
    """§10 no. 24.  The provider's own addresses do not depend on it."""
    async with in_process(database, more=given) as site:
        browser = visit(site)
        assert [path for path in ADDRESSES if (await browser.get(path)).status_code != 404] == (
            ADDRESSES if there else []
        )
        discovery = await browser.get("/.well-known/openid-configuration")
        assert discovery.status_code == (404 if ("oidc", "enabled") in given else 200) and ".php" not in discovery.text


async def everything(request: Request) -> PlainTextResponse:
    return PlainTextResponse("the app")


def mounted(site: Site) -> Any:
    """Under a prefix, by Starlette."""
    return Starlette(routes=[Mount("/sso", site.bridge), Route("/{rest:path}", everything)])


def before(site: Site) -> Any:
    """Before an app, where nobody mounts it."""
    return site.bridge.middleware(Starlette(routes=[Route("/{rest:path}", everything)]))


@pytest.mark.parametrize("placed", [mounted, before])
async def test_below_a_path_they_are_below_it_too(
    database: Furnished, visit: Visit, placed: Callable[[Site], Any]
) -> None:
    async with in_process(database, more={("server", "base_url"): f"{PUBLIC_URL}/sso"}) as site:
        host, app = placed(site), App(site)
        browser = visit(site, host)
        browser.url = PUBLIC_URL
        members = (await browser.get("/sso/oauth/openid-configuration.php")).json()
        assert members["issuer"] == f"{PUBLIC_URL}/sso"
        assert members["authorization_endpoint"] == f"{PUBLIC_URL}/sso/oauth/authorize.php"
        assert [path for path in ADDRESSES if (await browser.get(path)).text != "the app"] == []
        asked = app.request("openid email").replace("/oauth/authorize?", "")
        here = members["authorization_endpoint"].removeprefix(PUBLIC_URL)
        await browser.post(here, dict(httpx2.QueryParams(asked)))
        assert browser.reply.headers["location"] == f"/sso/oauth/authorize?{browser_query(asked)}"
        await browser.follow()
        assert browser.at.startswith("/sso/login?interaction=")
        await browser.press("login-submit", email=ADA, password=PASSWORD)
        assert browser.at.startswith("/sso/consent?interaction=")
        await browser.press("consent-allow")
        code = app.answer(browser)
        assert code["iss"] == f"{PUBLIC_URL}/sso" and code["state"] == "the-state"
        assert all("; Path=/;" in f"{line};" for line in browser.set.values()) and browser.set
        await browser.open(f"{here}?{asked}&prompt=none")
        assert "code" in app.answer(browser)
        async with httpx2.AsyncClient(
            transport=httpx2.ASGITransport(host), base_url=PUBLIC_URL, trust_env=False
        ) as app.http:
            app.token_path = "/sso/oauth/token.php"
            tokens = (await app.redeem(code["code"])).json()
            reply = await app.http.get("/sso/oauth/userinfo.php", params={"access_token": tokens["access_token"]})
            assert reply.json()["email"] == ADA
            keys = await app.http.get("/sso/oauth/certs.php")
            assert keys.json() == (await app.http.get("/sso/oauth/jwks")).json()


def browser_query(query: str) -> str:
    """The same parameters, as a form of them is encoded anew."""
    return str(httpx2.QueryParams(query))


async def test_each_token_in_a_query_is_counted_and_nothing_else_is_written(site: Site, visit: Visit) -> None:
    """Security §25: a metric per use.  A line or an audit row for each would be a burden (`events.counted_only`)."""
    browser, app = visit(site), App(site)
    await browser.sign_in(ADA)
    token = (await app.tokens(browser))["access_token"]
    for _ in range(3):
        assert (await app.http.get("/oauth/userinfo.php", params={"access_token": token})).status_code == 200
    assert 'bridge_events_total{kind="token.in-query",reason=""} 3.0' in site.bridge.rooms.metrics.render().decode()
    assert site.told.kinds().count("token.in-query") == 3
    assert "token.in-query" in site.bridge.config.events.counted_only
