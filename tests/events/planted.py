"""Secrets of every kind the bridge makes or is given, and the ways in which they come near a log line."""

import base64
import json
from typing import Final

from bridge.mint import TokenMint
from bridge.ring import Ring
from bridge.tokens import LoginToken, digest, new_family
from bridge.types import SlotTag

TAG: Final = SlotTag("0123456789A")
_MINT: Final = TokenMint(Ring.parse(Ring.new_line("1")))
LOGIN: Final = LoginToken.draw(TAG)

PASSWORD: Final = "Tr0ub4dor & 3/+=\u00fc"
"""Only its place gives it away."""

OPAQUE: Final = {
    "login token": LOGIN.text.reveal(),
    "its hash": LOGIN.sid,
    "code": _MINT.draw("code", TAG, new_family()).text.reveal(),
    "access token": _MINT.draw("access", TAG, new_family()).text.reveal(),
    "refresh token": _MINT.draw("refresh", TAG, new_family()).text.reveal(),
    "client secret": base64.urlsafe_b64encode(bytes(range(90, 122))).decode().rstrip("="),
    "API secret": "q8Zt4YhB2nVw7LkR9sXcD3mFgT6pJ1aE",
    "md5": digest("x")[:32],
    "ID token": "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiI3In0.c2lnbmF0dXJlLXNpZ25hdHVyZS1zaWduYXR1cmU",
    "reset token": "WzcsImFiY2RlZiJd.aVJ3xA.Zr3yTq9dKq0hFbN2m1xT7vUe4s8wYpLcAoGi5jHkBnM",
}
"""What is recognised wherever it stands."""

NAMED: Final = (
    "password",
    "password2",
    "secret",
    "passwordhash",
    "login_auth_tk",
    "access_token",
    "code",
    "client_secret",
)


def sentences(name: str, value: str) -> list[str]:
    """Lines in which a library, or a careless hand, shows a parameter."""
    return [
        f"GET /x?a=1&{name}={value}&b=2",
        f"body: {json.dumps({'a': 1, name: value})}",
        f"form: { {name: value, 'a': 1} }",
        f"Cookie: lb_op=1; {name}={value}; other=2",
        f"{name.upper()}={value}",
    ]
