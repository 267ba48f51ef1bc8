"""Starlette's and FastAPI's own words work: request.user, request.auth, @requires, Depends — DESIGN §7."""

from typing import Annotated

import pytest
from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.authentication import requires
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from bridge.asgi import ASGIApp
from bridge.middleware import BridgeMiddleware, BridgeUser, CurrentUser, current_user
from tests.middleware.scene import Login, ask, connect, cookie
from tests.middleware.test_middleware import fails


def starlette(login: Login) -> ASGIApp:
    async def me(request: Request) -> Response:
        return JSONResponse({"name": request.user.display_name, "signed in": request.user.is_authenticated})

    @requires("authenticated")
    async def private(request: Request) -> Response:
        return PlainTextResponse("private")

    @requires("staff", redirect="me")
    async def staff(request: Request) -> Response:
        return PlainTextResponse("staff")

    @requires("admins")
    async def admins(request: Request) -> Response:
        return PlainTextResponse("admins")

    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(websocket.user.display_name)
        await websocket.close()

    async def public(request: Request) -> Response:
        return PlainTextResponse("public")

    return Starlette(
        routes=[
            Route("/me", me, name="me"),
            Route("/private", private),
            Route("/staff", staff),
            Route("/admins", admins),
            Route("/public", public),
            WebSocketRoute("/", socket),
        ],
        middleware=[Middleware(BridgeMiddleware, login=login)],
    )


def fastapi(login: Login) -> ASGIApp:
    app = FastAPI()

    @app.get("/me")
    async def me(user: CurrentUser) -> str:
        return user.name

    @app.get("/also")
    async def also(user: Annotated[BridgeUser, Depends(current_user)]) -> str:
        return user.email

    app.add_middleware(BridgeMiddleware, login=login)
    return app


async def test_starlettes_request_knows_the_user(login: Login) -> None:
    app, born = starlette(login), await login.world.login()
    assert (await ask(app, path="/me", headers=[cookie(born.child)])).json == {"name": "Ann Example", "signed in": True}
    assert (await ask(app, path="/me")).json == {"name": "", "signed in": False}


@pytest.mark.parametrize(
    ("path", "somebody", "nobody"), [("private", 200, 403), ("staff", 200, 303), ("admins", 403, 403)]
)
async def test_requires_goes_by_the_users_groups(login: Login, path: str, somebody: int, nobody: int) -> None:
    app, born = starlette(login), await login.world.login()
    assert (await ask(app, path=f"/{path}", headers=[cookie(born.child)])).status == somebody
    assert (await ask(app, path=f"/{path}")).status == nobody


@pytest.mark.parametrize(("path", "status"), [("me", 503), ("private", 503), ("staff", 503), ("public", 200)])
async def test_s18_a_silent_store_is_503_wherever_the_user_is_asked_for(login: Login, path: str, status: int) -> None:
    app, born = starlette(login), await login.world.login()
    login.world.store.read = fails  # type: ignore[method-assign]
    answer = await ask(app, path=f"/{path}", headers=[cookie(born.child)])
    assert answer.status == status
    assert answer.values(b"retry-after") == ([b"2"] if status == 503 else [])


async def test_s18_a_websocket_is_closed_with_try_again_later(login: Login) -> None:
    app, born = starlette(login), await login.world.login()
    assert (await connect(app, headers=[cookie(born.child)]))[1]["text"] == "Ann Example"
    login.world.store.read = fails  # type: ignore[method-assign]
    assert (await connect(app, headers=[cookie(born.child)]))[-1]["code"] == 1013


@pytest.mark.parametrize(("path", "told"), [("/me", "Ann Example"), ("/also", "ann@example.org")])
async def test_fastapis_endpoints_take_the_user_as_a_parameter(login: Login, path: str, told: str) -> None:
    app, born = fastapi(login), await login.world.login()
    assert (await ask(app, path=path, headers=[cookie(born.child)])).json == told
    refused = await ask(app, path=path)
    assert (refused.status, refused.json) == (401, {"detail": "Sign in first."})
    login.world.store.read = fails  # type: ignore[method-assign]
    assert (await ask(app, path=path, headers=[cookie(born.child)])).status == 503
