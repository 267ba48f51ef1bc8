"""Whose lifespan opens and closes the bridge: its own, a host's, nobody's — engine §11."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.authentication import requires
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Mount, Route

from bridge.app import Bridge
from bridge.asgi import ASGIApp, Receive, Scope, Send
from bridge.errors import Unavailable
from tests.app.conftest import Make
from tests.app.scene import HTML, Life, ask, get, living, request
from tests.running import ADA, PASSWORD

SSO = {("server", "base_url"): "https://login.example.com/sso"}


async def who(request: Request) -> JSONResponse:
    return JSONResponse({"name": request.user.display_name, "scopes": request.auth.scopes})


@requires("authenticated")
async def private(request: Request) -> PlainTextResponse:
    return PlainTextResponse("for you alone")


def public(request: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


ROUTES = [Route("/", who), Route("/private", private), Route("/public", public), Route("/login/help", public)]


async def signed_in(bridge: Bridge) -> dict[str, str]:
    """A cookie of Ada's."""
    said = await bridge.local_api("ValidateLogin", {"email": ADA, "password2": PASSWORD})
    return {"cookie": f"__Host-login_auth_tk={said['passwordhash']}"}


# ── the bridge's own ──


async def test_its_own_lifespan_opens_and_closes_it(make: Make) -> None:
    bridge = make()
    async with living(bridge):
        assert bridge._open
        assert (await get(bridge, "/readyz")).status == 200
    assert not bridge._open


async def test_a_start_that_fails_is_told_to_the_server(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    bridge, life = make(), Life()

    async def failing() -> None:
        raise Unavailable("the database did not answer")

    monkeypatch.setattr(bridge.rooms.database, "open", failing)
    assert await life.start(bridge) == {"type": "lifespan.startup.failed", "message": "the database did not answer"}
    assert isinstance(await life.end(), Unavailable)


async def test_a_server_that_gives_up_closes_it_too(make: Make) -> None:
    bridge, life = make(), Life()
    await life.start(bridge)
    await life.kill()
    assert not bridge._open


async def test_an_end_that_fails_is_told_to_the_server(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    bridge, life = make(), Life()
    really = bridge.rooms.database.close

    async def failing() -> None:
        await really()
        raise RuntimeError("it does not close")

    monkeypatch.setattr(bridge.rooms.database, "close", failing)
    await life.start(bridge)
    assert await life.stop() == {"type": "lifespan.shutdown.failed", "message": "it does not close"}
    assert isinstance(await life.end(), RuntimeError)


# ── mounted ──


@pytest.mark.parametrize("opened", [True, False])
async def test_mounted_with_its_lifespan_or_without(make: Make, opened: bool) -> None:
    bridge = make(SSO)
    known = Route("/.well-known/oauth-authorization-server/sso", bridge)
    host = Starlette(routes=[*ROUTES[2:], known, Mount("/sso", bridge)], lifespan=bridge.lifespan if opened else None)
    async with living(host):
        assert bridge._open is opened
        answers = await asyncio.gather(*(get(host, "/sso/login", headers={"accept": HTML}) for _ in range(20)))
        assert {answer.status for answer in answers} == {200}
        page = answers[0].body.decode()
        assert 'action="/sso/login"' in page and 'href="/sso/static/bridge.css' in page
        for path in (
            "/sso/.well-known/openid-configuration",
            "/sso/.well-known/oauth-authorization-server",
            "/.well-known/oauth-authorization-server/sso",
        ):
            answer = await get(host, path)
            assert answer.status == 200 and b'"issuer":"https://login.example.com/sso"' in answer.body
        assert (await get(host, "/sso/")).header("location") == "/sso/account"
        assert (await get(host, "/sso/nowhere", headers={"accept": HTML})).status == 404
        assert (await get(host, "/sso//login")).status == 404
        assert (await get(host, "/public")).body == b"hello"
    if not opened:
        await bridge.close()
    assert not bridge._open


async def test_mounted_where_the_issuer_does_not_say_it_tells_the_operator(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    bridge = make()
    host = Starlette(routes=[Mount("/sso", bridge)], lifespan=bridge.lifespan)
    async with living(host):
        for _ in range(3):
            assert (await get(host, "/sso/login", headers={"accept": HTML})).status == 200
    assert [record.message for record in caplog.records if "mounted" in record.message] == [
        "the bridge is mounted at /sso; set server.base_url to an address that ends in it"
    ]


async def test_within_a_lifespan_of_the_hosts_own(make: Make) -> None:
    bridge = make(SSO)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[dict[str, Any]]:
        async with bridge.running():
            yield {"cookie": await signed_in(bridge)}

    host = Starlette(routes=[Mount("/sso", bridge)], lifespan=lifespan)
    async with living(host) as life:
        assert "cookie" in life.state["cookie"]
        assert (await get(host, "/sso/readyz")).status == 200
    assert not bridge._open


# ── before an app ──


async def test_before_an_app_its_own_paths_are_answered_and_the_rest_knows_who_is_there(make: Make) -> None:
    bridge = make()
    host = bridge.middleware(Starlette(routes=ROUTES))
    async with living(host):
        cookie = await signed_in(bridge)
        assert b'id="login-submit"' in (await get(host, "/login", headers={"accept": HTML})).body
        assert (await get(host, "/.well-known/openid-configuration")).status == 200
        assert (await get(host, "/")).body == b'{"name":"","scopes":[]}'
        assert (await get(host, "/", headers=cookie)).body == b'{"name":"Ada Lovelace","scopes":["authenticated"]}'
        assert (await get(host, "/private")).status == 403
        answer = await get(host, "/private", headers=cookie)
        assert (answer.body, answer.header("cache-control")) == (b"for you alone", "no-store")
        assert (await get(host, "/login/help")).body == b"hello"  # beside ours, and not ours
        assert (await get(host, "//login")).status == 404
        assert (await get(host, "/nowhere")).body == b"Not Found"  # the app's own
    assert not bridge._open


@pytest.mark.parametrize("root", ["", "/auth"])
async def test_below_a_path_of_its_own_the_rest_is_the_apps(make: Make, root: str) -> None:
    """`server.base_url` with a path: `/login` and `/metrics` are the app's."""
    bridge = make({("server", "base_url"): "https://login.example.com/auth"})
    host = bridge.middleware(Starlette(routes=[Route("/login", public), Route("/metrics", public), *ROUTES]))
    async with living(host):
        page = (await get(host, "/auth/login", headers={"accept": HTML}, root_path=root)).body
        assert b'action="/auth/login"' in page
        assert (await get(host, "/auth/oauth/jwks", root_path=root)).status == 200
        for path in (
            "/auth/.well-known/openid-configuration",
            "/.well-known/oauth-authorization-server/auth",
        ):
            found = await get(host, path, root_path=root if path.startswith(root) else "")
            assert b'"issuer":"https://login.example.com/auth"' in found.body
        if not root:
            for path in ("/login", "/metrics"):
                assert (await get(host, path)).body == b"hello"
        redirect = await get(host, "/auth/oauth/authorize", root_path=root, query=_authorization())
        assert (redirect.header("location") or "").startswith("/auth/login?interaction=")


def _authorization() -> str:
    return (
        "client_id=notes&redirect_uri=https%3A%2F%2Fnotes.example.net%2Fcallback&response_type=code&scope=openid"
        f"&code_challenge={'c' * 43}&code_challenge_method=S256"
    )


async def test_the_apps_lifespan_runs_inside_the_bridges(make: Make) -> None:
    bridge, order = make(), list[tuple[str, bool]]()

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[dict[str, str]]:
        order.append(("start", bridge._open))
        yield {"kept": "state"}
        order.append(("end", bridge._open))

    async with living(bridge.middleware(Starlette(routes=ROUTES, lifespan=lifespan))) as life:
        assert bridge._open
        assert life.state == {"kept": "state"}
    assert order == [("start", False), ("end", True)]  # at its end it may still ask the bridge
    assert not bridge._open


async def test_it_is_closed_before_the_server_hears_that_all_is_over(make: Make) -> None:
    """The server ends the loop then, and whatever is left in it."""
    bridge, seen = make(), list[tuple[str, bool]]()
    life = Life(watch=lambda message: seen.append((message["type"], bridge._open)))
    await life.start(bridge.middleware(Starlette(routes=ROUTES)))
    await life.stop()
    assert await life.end() is None
    assert seen == [("lifespan.startup.complete", True), ("lifespan.shutdown.complete", False)]


@pytest.mark.parametrize("at", ["start", "end"])
async def test_a_host_that_fails_leaves_nothing_open(make: Make, at: str) -> None:
    bridge = make()

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        if at == "start":
            raise RuntimeError("the host's own failure")
        yield
        raise RuntimeError("the host's own failure")

    host, life = bridge.middleware(Starlette(routes=ROUTES, lifespan=lifespan)), Life()
    said = await life.start(host)
    if at == "end":
        assert said["type"] == "lifespan.startup.complete"
        said = await life.stop()
    assert said["type"] == f"lifespan.{'startup' if at == 'start' else 'shutdown'}.failed"
    assert "the host's own failure" in said["message"]
    assert isinstance(await life.end(), RuntimeError)
    assert not bridge._open


async def test_a_bridge_that_cannot_open_stops_the_host(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    bridge, ended, life = make(), list[str](), Life()

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            ended.append("host")

    async def failing() -> None:
        raise Unavailable("the store does not take the connection")

    monkeypatch.setattr(bridge.rooms.raw_store, "open", failing)
    said = await life.start(bridge.middleware(Starlette(routes=ROUTES, lifespan=lifespan)))
    assert said == {"type": "lifespan.startup.failed", "message": "the store does not take the connection"}
    assert isinstance(await life.end(), Unavailable)
    assert ended == ["host"] and len(life.said) == 1


# ── before an app without a framework ──


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    """As in every tutorial: whatever comes is answered as a request."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(scope.get("user")).encode()})


async def strict(scope: Scope, receive: Receive, send: Send) -> None:
    assert scope["type"] == "http"
    await hello(scope, receive, send)


async def silent(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await hello(scope, receive, send)


async def hearing(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await hello(scope, receive, send)
    else:
        await receive()


async def hasty(scope: Scope, receive: Receive, send: Send) -> None:
    """Says that it started, and is gone."""
    if scope["type"] == "http":
        await hello(scope, receive, send)
    else:
        await receive()
        await send({"type": "lifespan.startup.complete"})


@pytest.mark.parametrize("app", [hello, strict, silent, hearing, hasty], ids=lambda app: app.__name__)
async def test_a_bare_app_needs_no_lifespan(make: Make, app: ASGIApp) -> None:
    bridge = make()
    host = bridge.middleware(app)
    async with living(host):
        assert bridge._open
        assert b"Anonymous" in (await get(host, "/")).body
        assert b"Ada" in (await get(host, "/", headers=await signed_in(bridge))).body
        assert (await get(host, "/readyz")).status == 200
    assert not bridge._open


async def test_a_bare_app_whose_start_fails_fails(make: Make) -> None:
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        raise RuntimeError("no start")

    bridge, life = make(), Life()
    assert await life.start(bridge.middleware(failing)) == {"type": "returned"}
    assert isinstance(await life.end(), RuntimeError)
    assert not bridge._open


async def test_without_any_lifespan_the_first_request_opens_it(make: Make) -> None:
    bridge = make()
    host = bridge.middleware(hello)
    assert b"Anonymous" in (await get(host, "/")).body
    assert not bridge._open  # nobody asked for anybody
    assert (await get(host, "/login", headers={"accept": HTML})).status == 200
    assert bridge._open
    await bridge.close()


async def test_a_websocket_passes_to_the_app_and_knows_who_is_there(make: Make) -> None:
    bridge, seen = make(), list[Any]()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((scope["type"], scope["path"], scope["user"].display_name))
        await send({"type": "websocket.accept"})

    async with bridge.running():
        cookie = await signed_in(bridge)
        host = bridge.middleware(app)
        for path, headers in (("/ws", cookie), ("/login", cookie), ("/ws", {})):
            await ask(host, request(path, type="websocket", headers=headers))
    assert seen == [
        ("websocket", "/ws", "Ada Lovelace"),
        ("websocket", "/login", "Ada Lovelace"),
        ("websocket", "/ws", ""),
    ]
