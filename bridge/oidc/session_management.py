"""A client asks a frame of ours whether its user is still signed in — Session Management 1.0 §2, §3.

`session_state` is a salted hash of client, origin and a cookie of its own: random, new at every login and logout, and
of no use for anything else (security §29).
"""

import base64
import hashlib
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from bridge.asgi import NO_STORE, Headers, Receive, Reply, Scope, Send, json_reply
from bridge.clock import Chance
from bridge.oidc.response_modes import Fields
from bridge.sessions.cookie import Cookies
from bridge.tokens import new_id
from bridge.types import ClientId

PATH: Final = "/oauth/session"
_SCRIPT: Final = Path(__file__).with_name("check_session.js")
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}


class SessionStates:
    """What is added to an answer for a client."""

    def __init__(self, *, cookies: Cookies, chance: Chance) -> None:
        self._cookies = cookies
        self._chance = chance

    def of(self, scope: Scope, client: ClientId, redirect_uri: str) -> tuple[Fields, Headers]:
        """The field, and the cookie that it stands on where this browser has none."""
        origin = origin_as_browsers_say(redirect_uri)
        if origin is None:
            return (), ()  # an app without an origin has no page to frame ours
        value = self._cookies.read(scope, "op_state")
        state = value if isinstance(value, str) and value.isalnum() else None
        new = state or new_id(self._chance)
        field = ("session_state", session_state(client, origin, new, new_id(self._chance)))
        return (field,), () if state else (self._cookies.set("op_state", new),)


class CheckSession:
    """The page.  That page alone may be framed, by anybody: it says nothing to who does not know a `session_state`."""

    def __init__(self, cookies: Cookies) -> None:
        script = _SCRIPT.read_text("utf-8").replace("COOKIE", cookies.name("op_state"))
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        policy = f"default-src 'none'; script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
        self._body = f"<!doctype html><meta charset=utf-8><title></title><script>{script}</script>".encode()
        self._headers = (
            (b"cache-control", b"public, max-age=300"),
            (b"content-security-policy", policy.encode()),
            (b"cross-origin-resource-policy", b"cross-origin"),
            (b"referrer-policy", b"no-referrer"),
            (b"x-content-type-options", b"nosniff"),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            said = {"error": "invalid_request", "error_description": "this page is only read"}
            await json_reply(said, 405, ((b"allow", b"GET, HEAD"), *NO_STORE))(scope, receive, send)
            return
        await Reply(200, self._body, b"text/html; charset=utf-8", self._headers)(scope, receive, send)


def session_state(client: ClientId, origin: str, state: str, salt: str) -> str:
    """§3.2, as `check_session.js` computes it."""
    return f"{hashlib.sha256(f'{client} {origin} {state} {salt}'.encode()).hexdigest()}.{salt}"


def origin_as_browsers_say(uri: str) -> str | None:
    """What `event.origin` will be for a page of that host; None: it has none."""
    parts = urlsplit(uri)
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = "" if parts.port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"
