"""What one connection may cost: size and time of a request's head, time of its body, packets — RFC 9112 §3, §5.

The server under us sets limits to none of them; the doors' limits begin only where a request has been read.
"""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import chain
from string import ascii_letters, digits
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from bridge.asgi import ASGIApp, Message, Receive, Scope

MOST_HEAD: Final = 65_536
"""Bytes of a request line with its headers, or of anything else that is no body."""
HEAD_SECONDS: Final = 10.0
"""From the first byte of a request, or from the opening of the connection, to the end of the headers."""
BODY_SECONDS: Final = 30.0
"""Without another byte of a body that is not yet whole."""
WHOLE_BODY_SECONDS: Final = 60.0
"""From the end of the headers to that of the body: no door takes more than 64 KiB, so this is a kilobyte a second."""

ENOUGH: Final = 65_536
"""Bytes of an answer that leave at once, so that a connection that is slow can say so."""

_IN_A_NAME: Final = b"!#$%&'*+-.^_`|~" + (digits + ascii_letters).encode()
_IN_A_VALUE: Final = bytes(byte for byte in range(256) if byte == 0x09 or (byte >= 0x20 and byte != 0x7F))
_OTHERWISE: Final = frozenset({b"connection", b"transfer-encoding"})
"""Headers of answers that do not simply end with their body."""


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which closes the connection of who sends too large a head, or too slowly."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._unread = 0  # bytes since the last that were a whole head, or of a body
        self._most = 0  # bytes that a head which ends in this packet can have at most
        self._until: float | None = None  # the loop's time until which the client has to say more
        self._body_until = 0.0  # the loop's time at which the body must be whole
        self._clock: asyncio.TimerHandle | None = None
        self._shortest = min(HEAD_SECONDS, self.timeout_keep_alive)
        self._answers: ASGIApp = self.app
        self.app: ASGIApp = self._answer

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection on which nothing is said costs a file too."""
        gathering = Gathering(transport, self.loop)
        super().connection_made(gathering)
        self._write_whole = gathering.write_whole
        self._wait(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        if self._clock is not None:
            self._clock.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count it: the parser keeps what is not whole yet, however much that is."""
        if self._until is None:
            self._wait(HEAD_SECONDS)
        self._unread += len(data)
        self._most = self._unread
        super().data_received(data)
        if self._unread > MOST_HEAD:
            self.transport.close()

    def on_message_begin(self) -> None:
        """A request begins, perhaps in the same packet in which another ended."""
        super().on_message_begin()
        self._wait(HEAD_SECONDS)

    def on_headers_complete(self) -> None:
        """Raises ValueError, which the parser makes a 400, for a head that came at once and is too large."""
        if self._most > MOST_HEAD and len(self.url) + sum(map(len, chain.from_iterable(self.headers))) > MOST_HEAD:
            raise ValueError("a head too large")
        super().on_headers_complete()
        self._unread = 0
        self._body_until = self.loop.time() + WHOLE_BODY_SECONDS
        self._wait(BODY_SECONDS)

    def on_body(self, body: bytes) -> None:
        """One more piece; of a request that has its answer no more are waited for."""
        super().on_body(body)
        self._unread = 0
        if not self.cycle.response_complete:
            self._wait(min(BODY_SECONDS, self._body_until - self.loop.time()))

    def on_message_complete(self) -> None:
        """The app's turn: how long that takes is not up to the client."""
        super().on_message_complete()
        self._unread = 0
        self._until = None
        if self.cycle.response_complete:
            self._wait(self.timeout_keep_alive)

    def on_response_complete(self) -> None:
        """The next request's turn.  One that is not here yet is waited for as all else is, with no timer of its own."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif not self.cycle.more_body:
            self._wait(self.timeout_keep_alive)

    def _answer(self, scope: Scope, receive: Receive, send: Any) -> Awaitable[None]:
        """The app, answering through `Whole`; `send` is the cycle's own, which says whose answer it is."""
        return self._answers(scope, receive, Whole(send.__self__, self._write_whole))

    def _wait(self, seconds: float) -> None:
        """So long.  A timer for each wait would cost more than the rest of this class: one looks again and again, and
        no wait is shorter than what lies between two looks."""
        self._until = self.loop.time() + seconds
        if self._clock is None:
            self._clock = self.loop.call_later(min(seconds, self._shortest), self._look)

    def _look(self) -> None:
        self._clock = None
        if self._until is None:
            return  # the next wait sets it again
        if (left := self._until - self.loop.time()) > 0:
            self._clock = self.loop.call_later(min(left, self._shortest), self._look)
        elif self.flow.read_paused:  # it is we who do not read
            self._body_until = self.loop.time() + WHOLE_BODY_SECONDS
            self._wait(BODY_SECONDS)
        else:
            self.transport.close()


class Whole:
    """What an app answers through: a head and all of its body, one after the other, leave as they are.

    The server weighs every letter of each header by itself, which takes longer than to read the request.  Whatever is
    no such answer is still the server's to send.
    """

    __slots__ = ("_cycle", "_head", "_write")

    def __init__(self, cycle: RequestResponseCycle, write: Callable[[bytes], None]) -> None:
        self._cycle = cycle
        self._write = write
        self._head: Message | None = None

    async def __call__(self, message: Message) -> None:
        """The head waits for what comes next."""
        cycle, head = self._cycle, self._head
        if head is None:
            if message["type"] == "http.response.start" and not cycle.response_started:
                self._head = message
            else:
                await cycle.send(message)  # type: ignore[arg-type]  # ours is wider
            return
        self._head = None
        packet = _packet(cycle, head, message)
        if packet is None:
            await cycle.send(head)  # type: ignore[arg-type]
            await cycle.send(message)  # type: ignore[arg-type]
            return
        self._write(packet)
        cycle.waiting_for_100_continue = False
        cycle.response_started = cycle.response_complete = True
        cycle.message_event.set()
        cycle.on_response()


def _packet(cycle: RequestResponseCycle, head: Message, message: Message) -> bytes | None:
    """The whole answer; None: it is not whole, or not this one's to send."""
    if message["type"] != "http.response.body" or message.get("more_body") or cycle.scope["method"] == "HEAD":
        return None
    if not cycle.keep_alive or cycle.disconnected or cycle.flow.write_paused or cycle.access_log:
        return None
    body: bytes = message.get("body", b"")
    headers: list[tuple[bytes, bytes]] = [*cycle.default_headers, *head["headers"]]
    names, values = zip(*headers, strict=True)
    if (b"content-length", b"%d" % len(body)) not in headers or not _OTHERWISE.isdisjoint(names):
        return None
    if b"".join(names).translate(None, _IN_A_NAME) or b"".join(values).translate(None, _IN_A_VALUE):
        return None
    return STATUS_LINE[head["status"]] + b"\r\n".join(map(b": ".join, headers)) + b"\r\n\r\n" + body


class Gathering(asyncio.Transport):
    """A transport on which what is written in one turn of the loop leaves in one packet.

    The server writes the head of an answer and its body one after the other, and each costs a system call, a packet,
    and a second awakening at the other end.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._gathered: list[bytes | bytearray | memoryview] = []
        self._size = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep it until the end of this turn, or until there is enough."""
        if not self._gathered:
            self._loop.call_soon(self._flush)
        self._gathered.append(data)
        self._size += len(data)
        if self._size >= ENOUGH:
            self._flush()

    def write_whole(self, packet: bytes) -> None:
        """Nothing follows that belongs to it: it leaves now, after what was kept."""
        if self._gathered:
            self.write(packet)
        else:
            self._transport.write(packet)

    def close(self) -> None:
        """What was written leaves before."""
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        """What was written does not leave."""
        self._gathered, self._size = [], 0
        self._transport.abort()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def is_reading(self) -> bool:
        return self._transport.is_reading()

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def get_write_buffer_size(self) -> int:
        """Bytes that have not left yet."""
        return self._size + self._transport.get_write_buffer_size()

    def _flush(self) -> None:
        if self._gathered:
            gathered, self._gathered, self._size = self._gathered, [], 0
            self._transport.write(b"".join(gathered))
