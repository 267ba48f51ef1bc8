"""A third-party app: it knows the issuer's address and a client of its own, and nothing else of the bridge.

    pip install authlib httpx2 itsdangerous starlette uvicorn
    ISSUER=… CLIENT_ID=… CLIENT_SECRET=… python oidc_client.py

and open http://127.0.0.1:8001.  `login-bridge serve --demo` prints the three values.
"""

import html
import os
import secrets
from urllib.parse import urlencode

import uvicorn
from authlib.integrations.starlette_client import OAuth, OAuthError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

PORT = int(os.environ.get("PORT", "8001"))
HOME = f"http://127.0.0.1:{PORT}/"

oauth = OAuth()
oauth.register(
    "login",
    client_id=os.environ["CLIENT_ID"],
    client_secret=os.environ["CLIENT_SECRET"],
    server_metadata_url=os.environ["ISSUER"] + "/.well-known/openid-configuration",
    client_kwargs={"scope": "openid profile email", "code_challenge_method": "S256"},
)


async def home(request: Request) -> Response:
    user = request.session.get("user")
    if user is None:
        return HTMLResponse('<h1>An app</h1><p><a href="/login">Sign in</a></p>')
    name = html.escape(user.get("name") or user["sub"])
    return HTMLResponse(f'<h1>An app</h1><p>Hello, {name}</p><p><a href="/logout">Sign out</a></p>')


async def login(request: Request) -> Response:
    """To the issuer, with state, nonce and code challenge; Authlib keeps them in the session."""
    return await oauth.login.authorize_redirect(request, HOME + "callback")


async def callback(request: Request) -> Response:
    """Back from the issuer: the code is redeemed, and the ID token's signature, issuer, audience and nonce checked."""
    try:
        token = await oauth.login.authorize_access_token(request)
    except OAuthError as error:
        return HTMLResponse(f"<h1>Not signed in</h1><p>{html.escape(error.error)}</p>", status_code=400)
    claims = token["userinfo"]
    profile = await oauth.login.userinfo(token=token)
    if profile["sub"] != claims["sub"]:  # Core §5.3.2: else it could be somebody else's
        return HTMLResponse("<h1>Not signed in</h1>", status_code=400)
    request.session["user"] = {"sub": claims["sub"], "name": profile.get("name"), "email": profile.get("email")}
    request.session["id_token"] = token["id_token"]
    return RedirectResponse("/", status_code=303)


async def logout(request: Request) -> Response:
    """Here, and at the issuer (RP-Initiated Logout)."""
    hint = request.session.pop("id_token", None)
    request.session.clear()
    metadata = await oauth.login.load_server_metadata()
    asked = {"post_logout_redirect_uri": HOME} | ({"id_token_hint": hint} if hint else {})
    return RedirectResponse(f"{metadata['end_session_endpoint']}?{urlencode(asked)}", status_code=303)


app = Starlette(
    routes=[Route("/", home), Route("/login", login), Route("/callback", callback), Route("/logout", logout)],
    middleware=[Middleware(SessionMiddleware, secret_key=secrets.token_hex(32), session_cookie="an_app")],
)

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=PORT)
