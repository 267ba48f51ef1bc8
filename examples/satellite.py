"""An app in another process that shares the bridge's sessions through Redis.

    REDIS_URL=redis://satellite:…@redis:6379/0 ISSUER=https://login.example RECORD_KEYS="k1:…" \
        uvicorn examples.satellite:app

`login-bridge session reader-keys` prints RECORD_KEYS.  With BRIDGE_URL and CREDENTIAL='["identifier", "secret"]' a
session that is used here stays alive, and the app knows the person's name and groups.
"""

import json
import os

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from bridge.middleware import BridgeMiddleware, Satellite


async def home(request: Request) -> JSONResponse:
    return JSONResponse({"name": request.user.display_name, "signed in": request.user.is_authenticated})


credential = os.environ.get("CREDENTIAL")
satellite = Satellite(
    os.environ["REDIS_URL"],
    issuer=os.environ["ISSUER"],
    record_keys=os.environ["RECORD_KEYS"],
    bridge_url=os.environ.get("BRIDGE_URL"),
    credential=tuple(json.loads(credential)) if credential else None,
)
app = Starlette(
    routes=[Route("/", home)],
    middleware=[Middleware(BridgeMiddleware, login=satellite)],
    lifespan=satellite.lifespan,
)
