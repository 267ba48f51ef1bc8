"""The smallest Starlette app, bare and behind the middleware: what the middleware costs is their difference."""

import os

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from bridge import Bridge, Config


async def hello(request: Request) -> JSONResponse:
    """What any endpoint does, and no more."""
    return JSONResponse({"hello": "world", "path": request.url.path})


async def who(request: Request) -> JSONResponse:
    """The same, and who is there."""
    if not request.user.is_authenticated:
        return JSONResponse({"error": "nobody"}, 401)
    return JSONResponse({"hello": "world", "path": request.url.path})


def bare() -> Starlette:
    """Without us."""
    return Starlette(routes=[Route("/", hello)])


def guarded() -> object:
    """Behind us, with the settings of the environment."""
    login = Bridge(Config.load(None, os.environ))
    return login.middleware(Starlette(routes=[Route("/", who)]))
