"""One request and its answer: what the app reads, what it says, and how that is written — ASGI's HTTP, RFC 9112 §6."""

import asyncio
import logging
from collections.abc import Iterable
from functools import lru_cache
from http import HTTPStatus
from string import ascii_letters, digits
from typing import Any, Final, NamedTuple, Protocol

from uvicorn.server import ServerState

from bridge.asgi import ASGIApp, Message, Reply, Scope

ENOUGH: Final = 65_536
"""Bytes of a body that wait for the app, or of an answer that wait for the loop's turn to end."""


def table(allowed: bytes) -> bytes:
    """For `bytes.translate`: only what is made of these bytes stays what it is.  The quickest way to look at each."""
    return bytes(byte if byte in allowed else byte ^ 0xFF for byte in range(256))


_CLOSE: Final = ((b"connection", b"close"),)
_FAILED: Final = Reply(500, b"Internal Server Error", b"text/plain; charset=utf-8", _CLOSE)
BUSY: Final = Reply(503, b"Service Unavailable", b"text/plain; charset=utf-8", _CLOSE)

STATUS_LINE: Final = {
    **{status: b"HTTP/1.1 %d \r\n" % status for status in range(100, 600)},
    **{int(known): f"HTTP/1.1 {known:d} {known.phrase}\r\n".encode() for known in HTTPStatus},
}

_TOKEN: Final = b"!#$%&'*+-.^_`|~" + (digits + ascii_letters).encode()
"""The bytes of a header's name: RFC 9110 §5.1."""
_VALUE: Final = table(b"\t" + bytes(byte for byte in range(0x20, 0x100) if byte != 0x7F))
"""Those of its value: RFC 9110 §5.5."""
_FRAMING: Final = frozenset({b"connection", b"transfer-encoding"})
"""Headers of answers that do not simply end with their body."""

_log = logging.getLogger("uvicorn.error")


class Line(Protocol):
    """The connection, as one exchange on it needs it."""

    server_state: ServerState
    writing_paused: bool

    def resume_reading(self) -> None:
        """More may come."""

    def write(self, data: bytes) -> None:
        """It leaves with all else that is written in this turn of the loop."""

    def write_whole(self, packet: bytes) -> None:
        """It leaves now, after what was written before."""

    async def writable(self) -> None:
        """The client has read enough of what it was sent."""

    def answered(self) -> None:
        """The answer that was this connection's turn is complete."""

    def close(self) -> None:
        """What was written leaves first."""


class Exchange:
    """A request of which the head is there, until it is answered and its app has returned."""

    __slots__ = (
        "_app",
        "_body",
        "_chunked",
        "_expects",
        "_head",
        "_left",
        "_line",
        "_started",
        "_told",
        "complete",
        "disconnected",
        "keep_alive",
        "more_body",
        "scope",
        "waited_for",
    )
    _chunked: bool | None
    _left: int

    def __init__(self, line: Line, app: ASGIApp, scope: Scope, *, keep_alive: bool, expects: bool) -> None:
        self._line = line
        self._app = app
        self.scope: Scope = scope
        self.keep_alive: bool = keep_alive
        self.more_body: bool = True
        self.complete: bool = False  # the answer
        self.disconnected: bool = False
        self._expects = expects  # to be told to go on: RFC 9110 §10.1.1
        self._body: bytes | bytearray = b""
        self._told = False  # the app, that this was all
        self.waited_for: asyncio.Event | None = None  # by the app: news
        self._head: Message | None = None  # of an answer, until it is known what comes next
        self._started = False  # the answer is on its way

    def hear(self, body: bytes) -> int:
        """One more piece of the body; how much of it waits for the app."""
        if not self._body:
            self._body = body
        elif isinstance(self._body, bytes):
            self._body = bytearray(self._body + body)  # so that many small pieces are not copied again and again
        else:
            self._body += body
        if self.waited_for is not None:
            self.tell()
        return len(self._body)

    def tell(self) -> None:
        """Wake whoever waits for news."""
        if self.waited_for is not None:
            self.waited_for.set()
            self.waited_for = None

    def disconnect(self) -> None:
        """The client is gone."""
        self.disconnected = not self.complete
        self.tell()

    async def run(self) -> None:
        """The app's turn.  However it ends, the client is not left waiting."""
        try:
            returned: Any = await self._app(self.scope, self.receive, self.send)  # type: ignore[func-returns-value]
        except BaseException as error:  # noqa: BLE001  also being cancelled is told
            _log.error("Exception in ASGI application\n", exc_info=error)
            await self._fail()
        else:
            if returned is not None:
                _log.error("ASGI callable should return None, but returned '%s'.", returned)
                self._line.close()
            elif not self.complete and not self.disconnected:
                what = "completing" if self._started else "starting"
                _log.error("ASGI callable returned without %s response.", what)
                await self._fail()

    async def _fail(self) -> None:
        if self._started:
            self._line.close()
        else:
            self._head = None
            await _FAILED(self.scope, self.receive, self.send)

    async def receive(self) -> Message:
        """What has come of the body since it was last asked, at least something; or that nothing comes any more."""
        line = self._line
        if self._expects:
            self._expects = False
            line.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if not self.complete and not self.disconnected:
            line.resume_reading()
            if not self._body and (self.more_body or self._told):
                self.waited_for = self.waited_for or asyncio.Event()
                await self.waited_for.wait()
        if self.complete or self.disconnected:
            return {"type": "http.disconnect"}
        body, self._body, self._told = bytes(self._body), b"", not self.more_body
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    async def send(self, message: Message) -> None:
        """One more piece of the answer.  Its head waits for what comes next: most answers are one packet.

        Raises RuntimeError for what may not be sent, or not now.
        """
        head, line = self._head, self._line
        if head is None and not self._started and message["type"] == "http.response.start":
            self._head = message
            return
        if line.writing_paused and not self.disconnected:
            await line.writable()
        if self.disconnected:
            return
        if self._started:
            self._continue(message)
        elif head is None:
            raise RuntimeError(f"Expected ASGI message 'http.response.start', but got '{message['type']}'.")
        else:
            self._begin(head, message)

    def _begin(self, head: Message, message: Message) -> None:
        self._head, self._started, self._expects = None, True, False
        opening = self._opening(head["status"], [*self._line.server_state.default_headers, *head.get("headers", ())])
        body: bytes = message.get("body", b"")
        if (
            self._chunked is False
            and len(body) == self._left
            and self.scope["method"] != "HEAD"
            and message["type"] == "http.response.body"
            and not message.get("more_body")
        ):
            self._line.write_whole(opening + body)
            self._end()
        else:
            self._line.write(opening)
            self._continue(message)

    def _opening(self, status: int, headers: list[tuple[bytes, bytes]]) -> bytes:
        """Status line and headers; says whether the body goes in chunks, or how much of it is left."""
        names, values = zip(*headers, strict=True) if headers else ((), ())
        form = _form(names)
        if (together := b"".join(values)) != together.translate(_VALUE):
            raise RuntimeError("Invalid HTTP header value.")
        if form.length is not None and self.keep_alive:
            self._chunked, self._left = False, int(values[form.length])
            unsaid = b""
        else:
            unsaid = self._framing(status, zip(form.names, values, strict=True))
        return STATUS_LINE[status] + form.lines % values + unsaid + b"\r\n"

    def _framing(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        """What the app says of the end of its body and of the connection, and what it leaves to be said."""
        self._chunked, self._left = None, 0
        closing, unsaid = False, b""
        for name, value in headers:
            if name == b"content-length" and self._chunked is None:
                self._chunked, self._left = False, int(value)
            elif name == b"transfer-encoding" and value.lower() == b"chunked":
                self._chunked, self._left = True, 0
            elif name == b"connection":
                closing |= b"close" in [token.strip() for token in value.lower().split(b",")]
        if closing:
            self.keep_alive = False
        elif not self.keep_alive:
            unsaid += b"connection: close\r\n"
        if self._chunked is None and self.scope["method"] != "HEAD" and status not in (204, 304):
            self._chunked = True
            unsaid += b"transfer-encoding: chunked\r\n"
        return unsaid

    def _continue(self, message: Message) -> None:
        if self.complete:
            raise RuntimeError(f"Unexpected ASGI message '{message['type']}' sent, after response already completed.")
        if message["type"] != "http.response.body":
            raise RuntimeError(f"Expected ASGI message 'http.response.body', but got '{message['type']}'.")
        body: bytes = message.get("body", b"")
        more: bool = message.get("more_body", False)
        if self.scope["method"] == "HEAD":
            self._left = 0
        elif self._chunked:
            chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            self._line.write(chunk if more else chunk + b"0\r\n\r\n")
        elif len(body) > self._left:
            raise RuntimeError("Response content longer than Content-Length")
        else:
            self._left -= len(body)
            self._line.write(body)
        if not more:
            if self._left:
                raise RuntimeError("Response content shorter than Content-Length")
            self._end()

    def _end(self) -> None:
        self.complete = True
        if self.waited_for is not None:
            self.tell()
        if not self.keep_alive:
            self._line.close()
        self._line.answered()


class Form(NamedTuple):
    """How headers of some names are written."""

    lines: bytes
    """To be filled in with the values."""
    names: tuple[bytes, ...]
    """In lower case."""
    length: int | None
    """Which of them says where the body ends, if nothing else does."""


@lru_cache(maxsize=512)
def _form(names: tuple[bytes, ...]) -> Form:
    """Raises RuntimeError for a byte that would end a name.  Names are few and no secrets, so they are looked at once;
    values are looked at together: one by one takes longer than to read a request."""
    if b"".join(names).translate(None, _TOKEN):
        raise RuntimeError("Invalid HTTP header name.")
    lower = tuple(name.lower() for name in names)
    simple = b"content-length" in lower and _FRAMING.isdisjoint(lower)
    return Form(
        b"".join(name.replace(b"%", b"%%") + b": %b\r\n" for name in lower),
        lower,
        lower.index(b"content-length") if simple else None,
    )
