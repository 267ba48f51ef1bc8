"""An application that signs people in by OpenID Connect: what it sends, and what it does with the answer."""

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2

from tests.flows.visitor import Visitor
from tests.running import CLIENT_SECRET, CLIENTS, Site

VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")


@dataclass
class App:
    """One of CLIENTS, which asks with PKCE and authenticates as it was registered."""

    site: Site
    client: str = "notes"
    token_path: str = "/oauth/token"
    http: httpx2.AsyncClient = field(init=False)

    def __post_init__(self) -> None:
        transport = httpx2.ASGITransport(self.site.bridge)
        self.http = httpx2.AsyncClient(transport=transport, base_url=self.site.url, trust_env=False)

    @property
    def callback(self) -> str:
        return str(CLIENTS[self.client]["redirect_uris"][0])

    def request(self, scope: str = "openid", **more: str) -> str:
        """The path that a person's browser is sent to."""
        asked = {
            "client_id": self.client,
            "redirect_uri": self.callback,
            "response_type": "code",
            "scope": scope,
            "state": "the-state",
            "nonce": "the-nonce",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            **more,
        }
        return f"/oauth/authorize?{urlencode(asked)}"

    def answer(self, browser: Visitor) -> dict[str, str]:
        """What the browser brings back."""
        place, _, query = browser.sent_to.partition("?")
        assert place == self.callback
        return dict(parse_qsl(query))

    async def tokens(self, browser: Visitor, scope: str = "openid", **more: str) -> dict[str, Any]:
        """The whole way, for somebody who is signed in; he allows what he is asked."""
        await browser.open(self.request(scope, **more))
        if urlsplit(browser.at).path == "/consent":
            await browser.press("consent-allow")
        reply = await self.redeem(self.answer(browser)["code"])
        assert reply.status_code == 200, reply.text
        tokens: dict[str, Any] = reply.json()
        return tokens

    async def redeem(self, code: str) -> httpx2.Response:
        form = {"code": code, "redirect_uri": self.callback, "code_verifier": VERIFIER}
        return await self._token(grant_type="authorization_code", **form)

    async def refresh(self, token: str) -> httpx2.Response:
        return await self._token(grant_type="refresh_token", refresh_token=token)

    async def userinfo(self, token: str) -> httpx2.Response:
        return await self.http.get("/oauth/userinfo", headers={"authorization": f"Bearer {token}"})

    async def _token(self, **form: str) -> httpx2.Response:
        if CLIENTS[self.client].get("token_endpoint_auth_method") == "none":
            return await self.http.post(self.token_path, data={"client_id": self.client, **form})
        return await self.http.post(self.token_path, data=form, auth=(self.client, CLIENT_SECRET))
