"""A single-page application and its provider, each on a host of its own and by TLS, as they would be in the world.

The application is `tests/clients/browser_app`: static files and the npm library oidc-client-ts, nothing else.
"""

import contextlib
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.staticfiles import StaticFiles

from tests.flows.screens import Screen
from tests.running import Site, serving
from tests.servers import missing, need

CLIENTS: Final = Path(__file__).parents[1] / "clients"
LIBRARY: Final = CLIENTS / "node_modules" / "oidc-client-ts" / "dist" / "browser" / "oidc-client-ts.min.js"
ISSUER, NEAR, FAR = "login.acme.test", "boards.acme.test", "boards.other.test"
"""The provider's host; one of the same site; one of another site."""


@dataclass(frozen=True)
class BrowserApp:
    """It stands at two origins."""

    issuer: str
    client_id: str
    port: int

    @property
    def near(self) -> str:
        return f"https://{NEAR}:{self.port}"

    @property
    def far(self) -> str:
        return f"https://{FAR}:{self.port}"

    def registration(self) -> dict[str, object]:
        """RFC 7591 metadata: a public client, that may refresh."""
        return {
            "client_name": "Boards",
            "redirect_uris": [f"{origin}/back" for origin in (self.near, self.far)],
            "post_logout_redirect_uris": [f"{origin}/" for origin in (self.near, self.far)],
            "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"],
        }

    def app(self) -> Starlette:
        routes = [
            Route("/settings.json", self._settings),
            Route("/oidc-client-ts.js", lambda _: FileResponse(LIBRARY)),
            Route("/back", lambda _: FileResponse(CLIENTS / "browser_app" / "back.html")),
        ]
        app = Starlette(routes=routes)
        app.mount("/", StaticFiles(directory=CLIENTS / "browser_app", html=True))
        return app

    async def _settings(self, request: Request) -> Response:
        """As its operator would write them into a file."""
        here = f"https://{request.headers['host']}"
        back = dict.fromkeys(("redirect_uri", "popup_redirect_uri", "silent_redirect_uri"), f"{here}/back")
        return JSONResponse(
            {
                **back,
                "authority": self.issuer,
                "client_id": self.client_id,
                "post_logout_redirect_uri": f"{here}/",
                "scope": "openid profile",
                "loadUserInfo": True,
            }
        )


@contextlib.contextmanager
def browser_app(site: Site, client_id: str, tls: Path) -> Iterator[BrowserApp]:
    """On a free port; register it before the browser comes."""
    if not LIBRARY.exists():
        missing("oidc-client-ts", "npm ci in tests/clients")
    made: list[BrowserApp] = []

    @contextlib.asynccontextmanager
    async def built(port: int) -> AsyncIterator[Starlette]:
        made.append(BrowserApp(site.url, client_id, port))
        yield made[0].app()

    with serving(built, tls=tls):
        yield made[0]


def certificate(folder: Path) -> Path:
    """The folder, with a certificate that nobody need trust."""
    openssl = need("openssl", "apt install openssl")
    request = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={ISSUER}"]
    made: list[str | Path] = ["-out", folder / "cert.pem", "-keyout", folder / "key.pem"]
    subprocess.run([*request, *made], capture_output=True, check=True)
    return folder


class AppScreen:
    """The application in a window, at one of its origins."""

    def __init__(self, window: Screen, origin: str) -> None:
        self.window = window
        self.page = window.page
        self.origin = origin

    async def open(self, query: str = "") -> None:
        await self.page.goto(f"{self.origin}/{query}")
        await self.page.wait_for_function("window.app !== undefined && document.querySelector('#who').textContent")

    async def do(self, button: str) -> str:
        """Press it: what the application then says."""
        await self.page.click(f"#{button}")
        await self.page.wait_for_selector("#said:not(:empty)")
        return await self.page.inner_text("#said")

    async def hears(self, what: str) -> None:
        """Wait until it shows that it heard this by itself."""
        await self.page.wait_for_function("text => document.querySelector('#heard').textContent === text", arg=what)

    async def who(self) -> str:
        """Whom the application knows."""
        return await self.page.inner_text("#who")

    async def tokens(self) -> dict[str, str]:
        """What it keeps of its user."""
        kept: dict[str, str] = await self.page.evaluate(
            "app.getUser().then(user => JSON.parse(user.toStorageString()))"
        )
        return kept

    async def sign_in(self, email: str, password: str) -> None:
        """From its own button over our pages, and back."""
        await self.open()
        await self.page.click("#sign-in")
        await self.page.wait_for_url(f"{self.window.url}/login?**")
        await self.window.fill(email=email, password=password)
        await self.window.press("login-submit", "/consent")
        await self.window.good()
        await self.page.click("#consent-allow")
        await self.page.wait_for_url(f"{self.origin}/")
        await self.page.wait_for_selector("#who:not(:empty)")
