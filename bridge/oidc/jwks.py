"""The public keys — RFC 7517 §5; Core §10.1."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from bridge.asgi import NO_STORE, Receive, Reply, Scope, Send, json_reply

_encode: Final = msgspec.json.Encoder().encode


class Publishes(Protocol):
    """The signing keys' public parts (`bridge.keys.keyring.Keyring`)."""

    def public_jwks(self) -> Mapping[str, Sequence[Mapping[str, Any]]]: ...


class JwksEndpoint:
    """`max_age` in seconds: a new key must be published for that long before it is used."""

    def __init__(self, *, keys: Publishes, max_age: int) -> None:
        self._keys = keys
        self._headers = ((b"cache-control", f"public, max-age={max_age}".encode()),)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reply = document(scope, _encode(self._keys.public_jwks()), self._headers)
        await reply(scope, receive, send)


def document(scope: Scope, body: bytes, headers: Sequence[tuple[bytes, bytes]]) -> Reply:
    """A JSON document that is only read."""
    if scope["method"] not in ("GET", "HEAD"):
        said = {"error": "invalid_request", "error_description": "this document is only read"}
        return json_reply(said, 405, ((b"allow", b"GET, HEAD, OPTIONS"), *NO_STORE))
    return Reply(200, body, b"application/json", tuple(headers))
