"""Scripts of other origins may read five documents and nothing else, and no cookie changes those — security §28."""

import itertools
from collections.abc import AsyncIterator

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from tests.flows.mailbox import Mailbox
from tests.running import CLIENT_SECRET, PUBLIC_URL, Furnished, Site, in_process
from tests.security.holdings import Holdings, Visiting, gather

ORIGIN = "https://script.example.org"
OPEN = {
    "/.well-known/openid-configuration": "GET",
    "/.well-known/oauth-authorization-server": "GET",
    "/oauth/jwks": "GET",
    "/oauth/token": "POST",
    "/oauth/userinfo": "GET",
    "/oauth/revoke": "POST",
    "/oauth/openid-configuration.php": "GET",
    "/oauth/certs.php": "GET",
    "/oauth/token.php": "POST",
    "/oauth/userinfo.php": "GET",
}
"""With the same five by WHMCS's names (revocation has none)."""
VARIES = {"date", "content-length"}


@pytest.fixture
async def site(database: Furnished, mailbox: Mailbox) -> AsyncIterator[Site]:
    async with in_process(database, more={("mail", "url"): f"file:{mailbox.folder}"}) as site:
        yield site


@pytest.fixture
async def held(site: Site, visit: Visiting, mailbox: Mailbox) -> Holdings:
    return await gather(site, visit, mailbox)


def requests(held: Holdings) -> dict[str, list[tuple[str, str, dict[str, str], dict[str, str]]]]:
    """Path → (method, path, form, headers): right and wrong ones, none of which uses anything up."""
    client = {"client_id": "notes", "client_secret": CLIENT_SECRET}
    bearer = {"authorization": f"Bearer {held['access']}"}
    return {
        "/.well-known/openid-configuration": [("GET", "/.well-known/openid-configuration", {}, {})],
        "/.well-known/oauth-authorization-server": [("GET", "/.well-known/oauth-authorization-server", {}, {})],
        "/oauth/jwks": [("GET", "/oauth/jwks", {}, {})],
        "/oauth/token": [
            ("POST", "/oauth/token", {}, {}),
            ("POST", "/oauth/token", {"grant_type": "authorization_code", "code": "lbc_x", **client}, {}),
            (
                "POST",
                "/oauth/token",
                {
                    "grant_type": "client_credentials",
                    "client_id": "robot",
                    "client_secret": held["robot-secret"],
                },
                {},
            ),
        ],
        "/oauth/userinfo": [
            ("GET", "/oauth/userinfo", {}, {}),
            ("GET", "/oauth/userinfo", {}, {"authorization": "Bearer lba_x"}),
            ("GET", "/oauth/userinfo", {}, bearer),
            ("POST", "/oauth/userinfo", {"access_token": held["access"]}, {}),
        ],
        "/oauth/revoke": [
            ("POST", "/oauth/revoke", {}, {}),
            ("POST", "/oauth/revoke", {"token": "lba_x", **client}, {}),
        ],
        "/oauth/openid-configuration.php": [("GET", "/oauth/openid-configuration.php", {}, {})],
        "/oauth/certs.php": [("GET", "/oauth/certs.php", {}, {})],
        "/oauth/token.php": [
            ("POST", "/oauth/token.php", {}, {}),
            ("POST", "/oauth/token.php", {"grant_type": "authorization_code", "code": "lbc_x", **client}, {}),
        ],
        "/oauth/userinfo.php": [
            ("GET", "/oauth/userinfo.php", {}, {}),
            ("GET", "/oauth/userinfo.php?access_token=lba_x", {}, {}),
            ("GET", f"/oauth/userinfo.php?access_token={held['access']}", {}, {}),
            ("GET", f"/oauth/userinfo.php?access_token={held['access']}", {}, bearer),
        ],
    }


async def test_a_session_cookie_changes_no_reply(site: Site, held: Holdings) -> None:
    jar = {**held.browser.jar, "__Host-lb_pending": held["pending"], "__Host-lb_reset": held["reset"]}
    cookies: list[dict[str, str]] = [
        {},
        {"cookie": "; ".join(f"{name}={value}" for name, value in jar.items())},
        {"cookie": "; ".join(f"{name}=x" for name in jar)},
        {"cookie": f"__Host-lb_op={held['op']}; __Host-lb_op={held['op']}"},
    ]
    asked = requests(held)
    assert set(asked) == set(OPEN)
    for method, where, form, headers in itertools.chain.from_iterable(asked.values()):
        seen = []
        for cookie in cookies:
            sent = {"origin": ORIGIN, **headers, **cookie}
            reply = await held.app.http.request(method, where, data=form or None, headers=sent)
            assert "set-cookie" not in reply.headers
            assert "cookie" not in reply.headers.get("vary", "").lower()
            assert reply.headers["access-control-allow-origin"] == "*"
            assert "access-control-allow-credentials" not in reply.headers
            told = {name: value for name, value in reply.headers.items() if name not in VARIES}
            seen.append((reply.status_code, told, _without_tokens(reply)))
        assert all(one == seen[0] for one in seen), (method, where, form)


def _without_tokens(reply: httpx2.Response) -> object:
    if not reply.content:
        return None
    said = reply.json()
    return {**said, "access_token": "…"} if "access_token" in said else said


async def test_a_preflight_is_answered_without_anybody(held: Holdings) -> None:
    for path, method in OPEN.items():
        headers = {
            "origin": ORIGIN,
            "access-control-request-method": method,
            "access-control-request-headers": "authorization, content-type",
        }
        reply = await held.app.http.options(path, headers=headers)
        assert reply.status_code == 204
        assert reply.headers["access-control-allow-origin"] == "*"
        assert method in reply.headers["access-control-allow-methods"]
        assert "authorization" in reply.headers["access-control-allow-headers"].lower()
        assert "access-control-allow-credentials" not in reply.headers


def others(site: Site) -> list[str]:
    """Every other path of the bridge."""
    front = site.bridge._front
    return [
        *(path for path in front.exact if path not in OPEN),
        *(f"{prefix}x" for prefix in front.prefixes),
        "/x",
        "/",
    ]


async def test_no_other_reply_may_be_read(site: Site, held: Holdings) -> None:
    paths = others(site)
    assert {
        "/oauth/authorize",
        "/oauth/logout",
        "/oauth/introspect",
        "/login",
        "/includes/api.php",
        "/api/v1/sessions/touch",
    } <= set(paths)
    assert "/oauth/authorize.php" in paths
    for path in paths:
        for method in ("GET", "POST", "OPTIONS"):
            headers = {"origin": ORIGIN, "access-control-request-method": "POST"}
            reply = await held.app.http.request(method, path, headers=headers)
            assert not [name for name in reply.headers if name.startswith("access-control-")], (method, path)


async def test_the_hosts_own_cors_is_not_the_bridges(site: Site, held: Holdings) -> None:
    """In front of an app that lets an origin read everything, with cookies."""

    def hello(request: Request) -> PlainTextResponse:
        return PlainTextResponse("hello")

    everything = Middleware(CORSMiddleware, allow_origins=[ORIGIN], allow_credentials=True, allow_methods=["*"])
    host = site.bridge.middleware(Starlette(routes=[Route("/hello", hello)], middleware=[everything]))
    transport = httpx2.ASGITransport(host)
    async with httpx2.AsyncClient(transport=transport, base_url=PUBLIC_URL, trust_env=False) as http:
        reply = await http.get("/hello", headers={"origin": ORIGIN})
        assert reply.headers["access-control-allow-origin"] == ORIGIN
        for path in (path for path in others(site) if path not in ("/x", "/")):
            reply = await http.get(path, headers={"origin": ORIGIN})
            assert not [name for name in reply.headers if name.startswith("access-control-")], path
        for path, method in OPEN.items():
            reply = await http.request(method, path, headers={"origin": ORIGIN})
            assert reply.headers["access-control-allow-origin"] == "*"
            assert "access-control-allow-credentials" not in reply.headers
