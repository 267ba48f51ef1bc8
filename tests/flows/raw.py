"""Requests to a bridge with nothing in between: what they cost, and what they leave behind, is the bridge's."""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from bridge.asgi import ASGIApp, Message, Scope
from bridge.sessions.birth import Birth, Born
from bridge.types import ClientId, Visit
from tests.flows.oauth import CHALLENGE, VERIFIER
from tests.running import ADA, PUBLIC_URL, Site

HOST = urlsplit(PUBLIC_URL).netloc
BACK = "https://counted.example.net/callback"
ASKED = {
    "client_id": "counted",
    "redirect_uri": BACK,
    "response_type": "code",
    "scope": "openid profile email",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}


@dataclass(frozen=True, slots=True)
class Heard:
    """An answer."""

    status: int
    headers: Mapping[bytes, bytes]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


async def ask(app: ASGIApp, method: str, target: str, headers: Mapping[str, str], **form: str) -> Heard:
    """One request to the bridge, as its server hands it on."""
    parts, body = urlsplit(target), urlencode(form).encode()
    shown = {"host": HOST, **headers}
    if form:
        shown |= {"content-type": "application/x-www-form-urlencoded", "content-length": str(len(body))}
    scope: Scope = {
        "type": "http",
        "method": method,
        "scheme": "https",
        "path": parts.path,
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "root_path": "",
        "client": ("192.0.2.7", 51_000),
        "headers": [(name.encode(), value.encode()) for name, value in shown.items()],
    }
    said: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        said.append(message)

    await app(scope, receive, send)
    return Heard(said[0]["status"], dict(said[0]["headers"]), said[1]["body"])


@dataclass(frozen=True, slots=True)
class Party:
    """A confidential client with every grant, and somebody who is signed in and allows it what it asks."""

    app: ASGIApp
    basic: dict[str, str]
    cookie: dict[str, str]

    @classmethod
    async def at(cls, site: Site, **metadata: str) -> "Party":
        rooms, ada = site.bridge.rooms, await site.user(ADA)
        grants = ["authorization_code", "refresh_token", "client_credentials"]
        document = {"client_name": "Counted", "redirect_uris": [BACK], "grant_types": grants, **metadata}
        made = await site.client("counted", {**document, "scope": "openid profile email offline_access api"})
        assert made.secret is not None
        await rooms.consents.grant(ada.id, ada.tag, ClientId("counted"), ("openid", "profile", "email"))
        await rooms.sessions.publish_stamp(ada.id, ada.tag)
        wish = Birth.browser(rooms.config.sessions)
        born = await rooms.sessions.start(ada.standing, wish, Visit("pages"), amr=("pwd",))
        assert isinstance(born, Born)
        pair = base64.b64encode(f"counted:{made.secret.reveal()}".encode()).decode()
        cookie = f"{rooms.cookies.name('op')}={born.token.text.reveal()}"
        return cls(site.bridge, {"authorization": f"Basic {pair}"}, {"cookie": cookie})

    async def token(self, **form: str) -> dict[str, Any]:
        heard = await ask(self.app, "POST", "/oauth/token", self.basic, **form)
        assert heard.status == 200, heard.body
        tokens: dict[str, Any] = heard.json()
        return tokens

    async def own_token(self) -> str:
        """A token of the client's own."""
        return str((await self.token(grant_type="client_credentials", scope="api"))["access_token"])

    async def signed_in(self) -> dict[str, Any]:
        """Tokens of the person."""
        heard = await ask(self.app, "GET", f"/oauth/authorize?{urlencode(ASKED)}", self.cookie)
        found = re.search(rb"[?&]code=([^&]+)", heard.headers[b"location"])
        assert found is not None, heard
        form = {"code": found[1].decode(), "redirect_uri": BACK, "code_verifier": VERIFIER}
        return await self.token(grant_type="authorization_code", **form)

    async def sent_to_sign_in(self, **more: str) -> tuple[str, str]:
        """Where somebody is sent whom nobody knows, and the cookie that he then has."""
        heard = await ask(self.app, "GET", f"/oauth/authorize?{urlencode({**ASKED, **more})}", {})
        assert heard.status == 303, heard
        return heard.headers[b"location"].decode(), heard.headers[b"set-cookie"].partition(b";")[0].decode()

    async def sign_in_page(self, sent: tuple[str, str]) -> Heard:
        address, cookie = sent
        return await ask(self.app, "GET", address, {"cookie": cookie, "accept-language": "en-GB,en;q=0.9,de;q=0.8"})

    async def introspect(self, token: str) -> Heard:
        return await ask(self.app, "POST", "/oauth/introspect", self.basic, token=token)

    async def userinfo(self, token: str) -> Heard:
        return await ask(self.app, "GET", "/oauth/userinfo", {"authorization": f"Bearer {token}"})
