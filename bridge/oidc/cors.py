"""Scripts of other origins: where they may read, and that no cookie comes with them — security §28."""

from collections.abc import Awaitable
from typing import Final

from bridge.asgi import ASGIApp, Headers, Message, Receive, Reply, Scope, Send

_ORIGIN: Final = (b"access-control-allow-origin", b"*")
_SHOWN: Final = (_ORIGIN, (b"access-control-expose-headers", b"www-authenticate, retry-after"))
_PREFLIGHT: Final[Headers] = (
    _ORIGIN,
    (b"access-control-allow-headers", b"authorization, content-type"),
    (b"access-control-max-age", b"3600"),
)


class Open:
    """An endpoint that any script may read, without credentials.  It must not look at a cookie."""

    def __init__(self, endpoint: ASGIApp, methods: str) -> None:
        self._endpoint = endpoint
        self._preflight = Reply(204, headers=(*_PREFLIGHT, (b"access-control-allow-methods", methods.encode())))

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["method"] == "OPTIONS":
            return self._preflight(scope, receive, send)

        def sending(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_SHOWN]
            return send(message)

        return self._endpoint(scope, receive, sending)
