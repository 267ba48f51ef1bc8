"""An app in another process that shares the bridge's sessions through Redis.

    REDIS_URL=redis://satellite:…@redis:6379/0 ISSUER=https://login.example RECORD_KEYS="k1:…" \
        uvicorn examples.satellite:app --no-proxy-headers

`login-bridge session reader-keys` prints RECORD_KEYS.  With BRIDGE_URL and CREDENTIAL='["identifier", "secret"]' a
session that is used here stays alive, and the app knows the person's name and groups.  With ORIGIN too, the address of
this app on a host of its own and one of the bridge's `sessions.ticket_origins`, people who are sent to /private sign in
at the issuer and come back with a session for this host.
"""

import json
import os

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from bridge.middleware import BridgeMiddleware, Satellite, sign_in_path


async def home(request: Request) -> JSONResponse:
    return JSONResponse({"name": request.user.display_name, "signed in": request.user.is_authenticated})


async def private(request: Request) -> Response:
    if not request.user.is_authenticated and origin is None:
        return PlainTextResponse("Nobody is signed in. To let people sign in from here, set ORIGIN.", status_code=403)
    if not request.user.is_authenticated:
        return RedirectResponse(sign_in_path("/private"), status_code=303)
    return JSONResponse({"private to": request.user.display_name})


credential, origin = os.environ.get("CREDENTIAL"), os.environ.get("ORIGIN")
satellite = Satellite(
    os.environ["REDIS_URL"],
    issuer=os.environ["ISSUER"],
    record_keys=os.environ["RECORD_KEYS"],
    bridge_url=os.environ.get("BRIDGE_URL"),
    credential=tuple(json.loads(credential)) if credential else None,
)
app = Starlette(
    routes=[Route("/", home), Route("/private", private)],
    middleware=[Middleware(BridgeMiddleware, login=satellite, origin=origin)],
    lifespan=satellite.lifespan,
)
