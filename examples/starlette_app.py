"""A Starlette app whose users sign in at the bridge's own pages, in the same process.

    export BRIDGE__PROFILE=dev
    login-bridge migrate
    echo 'a password of your own' | login-bridge user add me@example.com --group staff --password-stdin
    uvicorn examples.starlette_app:app --no-proxy-headers

and open http://127.0.0.1:8000.  /login, /logout, /account and /reset are the bridge's, the rest is this app's.
"""

import html

from starlette.applications import Starlette
from starlette.authentication import requires
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from bridge import Bridge, Config


async def home(request: Request) -> Response:
    if not request.user.is_authenticated:
        return RedirectResponse("/login?next=/")
    name = html.escape(request.user.display_name)
    return HTMLResponse(f'<p>Hello, {name}</p><p><a href="/account">Account</a> <a href="/logout">Sign out</a></p>')


@requires("staff")
async def staff(request: Request) -> Response:
    """For users of the group `staff`; everybody else is answered 403."""
    return HTMLResponse(f"<p>The staff room, {html.escape(request.user.email)}</p>")


login = Bridge(Config.discover())
app = login.middleware(Starlette(routes=[Route("/", home), Route("/staff", staff)]))
