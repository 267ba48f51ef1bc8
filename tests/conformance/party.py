"""The relying party that the suite is: what it sends, and what it checks of each answer."""

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

import httpx2
from joserfc import jws
from joserfc.jwk import KeySet

from tests.conformance.configuration import ALIAS, CLIENTS, SECRETS, configuration
from tests.conformance.walker import Walker
from tests.flows.visitor import Visitor
from tests.running import Site

SUITE: Final = "https://suite.example.net"
CALLBACK: Final = f"{SUITE}/test/a/{ALIAS}/callback"
GOODBYE: Final = f"{SUITE}/test/a/{ALIAS}/post_logout_redirect"


@dataclass
class Party:
    """One client of the suite, and the browser that it drives."""

    site: Site
    http: httpx2.AsyncClient
    module: str = ""
    number: int = 0
    """Which of CLIENTS it is; the third sends its secret in the form."""
    posts: bool = False
    """It sends the browser to us by a form."""
    registered: Mapping[str, Any] | None = None
    """What the registration endpoint answered, of a client that registered itself."""
    walker: Walker = field(init=False)
    state: str = ""
    nonce: str | None = None

    def __post_init__(self) -> None:
        told = configuration(self.site.url, dynamic=False)
        self.walker = Walker(Visitor(self.http, self.site.url), told, self.module)

    @property
    def credentials(self) -> tuple[str, str]:
        """Its id and its secret."""
        if self.registered is not None:
            return self.registered["client_id"], self.registered.get("client_secret", "")
        return CLIENTS[self.number], SECRETS[self.number]

    async def register(self, **metadata: Any) -> httpx2.Response:
        """Register as the suite does; from now on it is that client, if it was taken."""
        whole = {"client_name": "Conformance suite", "redirect_uris": [CALLBACK], **metadata}
        reply = await self.http.post("/oauth/register", json=whole)
        self.registered = reply.json() if reply.status_code == 201 else None
        self.walker.told = configuration(self.site.url, dynamic=self.registered is not None)
        return reply

    async def authorize(self, scope: str = "openid", **more: str | None) -> dict[str, str]:
        """Send the browser to us, and what it brings back; a parameter that is None is left out."""
        self.state, self.nonce = secrets.token_urlsafe(8), more.pop("nonce", secrets.token_urlsafe(8))
        asked = {
            "client_id": self.credentials[0],
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "scope": scope,
            "state": self.state,
            "nonce": self.nonce,
            **more,
        }
        sent = {name: value for name, value in asked.items() if value is not None}
        await self.walker.go(f"{self.site.url}/oauth/authorize?{urlencode(sent)}", by_post=self.posts)
        return self.walker.answer

    async def sign_in(self, scope: str = "openid", **more: str | None) -> dict[str, Any]:
        """The whole way: the checked ID token's claims, with the answer of the token endpoint under `tokens`."""
        answer = await self.authorize(scope, **more)
        assert answer["state"] == self.state and answer["iss"] == self.site.url and "error" not in answer
        reply = await self.redeem(answer["code"])
        assert reply.status_code == 200, reply.text
        tokens = reply.json()
        assert tokens["token_type"].lower() == "bearer" and int(tokens["expires_in"]) > 0
        claims = await self.checked(tokens["id_token"])
        assert claims.get("nonce") == self.nonce
        return {**claims, "tokens": tokens}

    async def redeem(self, code: str, **more: str) -> httpx2.Response:
        return await self.token(grant_type="authorization_code", code=code, redirect_uri=CALLBACK, **more)

    async def token(self, **form: str) -> httpx2.Response:
        """By client_secret_basic, or by client_secret_post."""
        client_id, secret = self.credentials
        if self.number == 2:
            return await self.http.post("/oauth/token", data={**form, "client_id": client_id, "client_secret": secret})
        return await self.http.post("/oauth/token", data=form, auth=(client_id, secret))

    async def userinfo(self, token: str, method: str = "GET", *, in_body: bool = False) -> dict[str, Any]:
        """What it tells of the person."""
        if in_body:
            reply = await self.http.post("/oauth/userinfo", data={"access_token": token})
        else:
            reply = await self.http.request(method, "/oauth/userinfo", headers={"authorization": f"Bearer {token}"})
        assert reply.status_code == 200, reply.text
        told: dict[str, Any] = reply.json()
        return told

    async def checked(self, id_token: str) -> dict[str, Any]:
        """The claims of an ID token that a key of our JWKS signed, whose `kid` it names."""
        keys = KeySet.import_key_set((await self.http.get("/oauth/jwks")).json())
        header, _, signature = id_token.split(".")
        kid = json.loads(base64.urlsafe_b64decode(header + "=="))["kid"]
        assert signature and kid in {key.kid for key in keys.keys}
        claims: dict[str, Any] = json.loads(jws.deserialize_compact(id_token, keys, algorithms=["RS256"]).payload)
        assert claims["iss"] == self.site.url and claims["aud"] in (self.credentials[0], [self.credentials[0]])
        return claims

    async def log_out(self, **asked: str | None) -> Walker:
        """Send the browser to the end of its session."""
        sent = {name: value for name, value in asked.items() if value is not None}
        return await self.walker.go(f"{self.site.url}/oauth/logout?{urlencode(sent)}")

    async def is_signed_out(self) -> bool:
        """Whether `prompt=none` says so."""
        answer = await self.authorize(prompt="none")
        assert self.walker.done == ["Back at the client"] and answer["state"] == self.state
        return answer.get("error") == "login_required"
