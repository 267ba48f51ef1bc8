"""One connection: bytes in, requests out, and what it may cost in size, time and packets — RFC 9112 §3, §5, §9.

uvicorn's server makes one for each client and ends them when it stops; llhttp reads.  The doors' limits begin only
where a request has been read.
"""

import asyncio
import logging
from collections import deque
from itertools import chain
from typing import Any, Final, cast
from urllib.parse import unquote

import httptools
from uvicorn.config import Config
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl
from uvicorn.server import ServerState

from bridge.asgi import ASGIApp, Scope
from bridge.cli.exchange import BUSY, ENOUGH, STATUS_LINE, Exchange, table

MOST_HEAD: Final = 65_536
"""Bytes of a request line with its headers, or of anything else that is no body."""
HEAD_SECONDS: Final = 10.0
"""From the first byte of a request, or from the opening of the connection, to the end of the headers."""
BODY_SECONDS: Final = 30.0
"""Without another byte of a body that is not yet whole."""
WHOLE_BODY_SECONDS: Final = 60.0
"""From the end of the headers to that of the body: no door takes more than 64 KiB, so this is a kilobyte a second."""
MOST_HEADERS: Final = 512
"""Of a request: each costs some 130 bytes beside its own."""
ANSWER_SECONDS: Final = 60.0
"""In which a client takes `TAKEN` bytes of what it was answered and the loop holds for it, or all of that."""
TAKEN: Final = 16_384

_AT_ONCE: Final = 4_096
"""Bytes that are read before it is looked whether they were enough: a request that waits for its turn costs a hundred
times what it cost to send."""

_NOTHING, _BEGINNING, _HEAD, _BODY, _END, _OVER = range(6)
"""What was heard last in a packet: a request's beginning, the end of its head, some of its body, its end, or its end
when it has its answer."""

_PLAIN: Final = table(bytes(byte for byte in range(0x21, 0x7F) if byte not in b"#%"))
"""The bytes of a target that is a path and perhaps a query, and nothing more."""
_LONGEST_PLAIN: Final = 8_192

_TRAILER: Final = deque[tuple[bytes, bytes]](maxlen=0)
"""What comes behind a body is kept nowhere."""

_INVALID: Final = b"Invalid HTTP request received."
_BODIES: Final = frozenset({b"content-length", b"transfer-encoding"})

_log = logging.getLogger("uvicorn.error")


class BoundedProtocol(asyncio.Protocol):
    """HTTP/1.1 with one client, who is let go when he sends too large a head, or too slowly."""

    __slots__ = (
        "_answering",
        "_app",
        "_app_state",
        "_asgi",
        "_body_until",
        "_client",
        "_clock",
        "_exchange",
        "_expects",
        "_gathered",
        "_headers",
        "_heard",
        "_keep_alive_seconds",
        "_last",
        "_later",
        "_limit",
        "_loop",
        "_most",
        "_parser",
        "_pipeline",
        "_raw_root",
        "_reading_paused",
        "_root",
        "_scheme",
        "_server",
        "_shortest",
        "_size",
        "_stalled",
        "_target",
        "_transport",
        "_unread",
        "_until",
        "_writable",
        "server_state",
        "writing_paused",
    )
    _transport: asyncio.Transport

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        if not config.loaded:
            config.load()
        self._app = cast("ASGIApp", config.loaded_app)
        self._root, self._raw_root = config.root_path, config.root_path.encode("ascii")
        self._asgi = {"version": config.asgi_version, "spec_version": "2.3"}
        self._limit = config.limit_concurrency
        self._keep_alive_seconds = config.timeout_keep_alive
        self._shortest = min(HEAD_SECONDS, self._keep_alive_seconds)
        self.server_state: ServerState = server_state
        self._app_state = app_state
        self._loop = _loop or asyncio.get_running_loop()

        # What is read.
        self._parser = httptools.HttpRequestParser(self)
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] | deque[tuple[bytes, bytes]] = []
        self._expects = False
        self._heard = _NOTHING
        self._exchange: Exchange | None = None  # of which the head was read last
        self._last = False  # nothing more is read
        self._later = memoryview(b"")  # what came with what was enough
        self._reading_paused = False

        # What is answered.
        self._answering: Exchange | None = None
        self._pipeline: deque[Exchange] = deque()
        self._gathered: list[bytes] = []
        self._size = 0  # of what is gathered
        self._writable: asyncio.Event | None = None
        self._stalled: asyncio.TimerHandle | None = None  # runs while the client does not read
        self.writing_paused: bool = False

        # What it costs.
        self._unread = 0  # bytes since the last that were a whole head, or of a body
        self._most = 0  # bytes that a head which ends in this packet can have at most
        self._until: float | None = None  # the loop's time until which the client has to say more
        self._body_until = 0.0  # the loop's time at which the body must be whole
        self._clock: asyncio.TimerHandle | None = None

    # The connection, as the loop and the server tell of it.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection on which nothing is said costs a file too."""
        self._transport = transport
        self._server, self._client = get_local_addr(transport), get_remote_addr(transport)
        self._scheme = "https" if is_ssl(transport) else "http"
        cast("set[Any]", self.server_state.connections).add(self)
        self._wait(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  why makes no difference
        """Whoever waits for the client is told, and nothing is waited for any more."""
        cast("set[Any]", self.server_state.connections).discard(self)
        if self._clock is not None:
            self._clock.cancel()
        for exchange in (self._answering, self._exchange):
            if exchange is not None:
                exchange.disconnect()
        if self._stalled is not None:
            self._stalled.cancel()
        self.resume_writing()
        self._pipeline.clear()
        self._gathered.clear()
        self._parser, self._last = httptools.HttpRequestParser(None), True  # one that does not know this object

    def eof_received(self) -> None:
        """Who has said all is let go, as the loop does by itself; but he has to take what is held for him."""
        self.close()

    def shutdown(self) -> None:
        """The server stops: what is under way is finished first."""
        if self._exchange is None or self._exchange.complete:
            self.close()
        else:
            self._exchange.keep_alive = False

    def pause_writing(self) -> None:
        """The client does not read what it is sent."""
        self.writing_paused = True
        self._insist()

    def resume_writing(self) -> None:
        """It has read enough of it; to close, it must read all."""
        self.writing_paused = False
        if self._stalled is not None and not self._transport.is_closing():
            self._stalled.cancel()
            self._stalled = None
        if self._writable is not None:
            self._writable.set()
            self._writable = None

    def data_received(self, data: bytes | memoryview) -> None:
        """Count it: the parser keeps what is not whole yet, however much that is."""
        if self._later or len(data) > _AT_ONCE:
            self._later = memoryview(bytes(self._later) + data)
            self._go_on()
            return
        if self._last:
            return  # RFC 9112 §9.6
        self._heard = _NOTHING
        self._unread += len(data)
        self._most += len(data)
        rest: bytes | memoryview = b""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._stay()
            rest = data[upgrade.args[0] :]  # which the parser has not read
        except httptools.HttpParserError:
            if not self._last:
                self._refuse()
                return
        if self._heard == _END:
            self._unread = self._most = 0
            self._until = None  # how long the app takes is not up to the client
        else:
            self._reckon(self._heard)
        if rest:
            self.data_received(rest)

    # The request, as the parser tells of it.

    def on_message_begin(self) -> None:
        """A request begins, perhaps in the same packet in which another ended."""
        if self._heard:
            self._unread = 0
        self._heard = _BEGINNING
        self._target, self._headers, self._expects = b"", [], False

    def on_url(self, url: bytes) -> None:
        """One more piece of the target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One more header, or one of a trailer, which nobody is to take for one: RFC 9110 §6.5.1."""
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self._expects = True
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Raises ValueError, which the parser makes a 400, for a head that came at once and is too large."""
        parser, target, headers = self._parser, self._target, self._headers
        if len(headers) > MOST_HEADERS:
            raise ValueError("too many headers")
        if self._most > MOST_HEAD and len(target) + sum(map(len, chain.from_iterable(headers))) > MOST_HEAD:
            raise ValueError("a head too large")
        version = parser.get_http_version()
        if target[:1] == b"/" and len(target) <= _LONGEST_PLAIN and target.translate(_PLAIN) == target:
            raw_path, _, query = target.partition(b"?")
            path = raw_path.decode("ascii")
        else:
            raw_path, path, query = _parted(target)
        scope: Scope = {
            "type": "http",
            "asgi": self._asgi.copy(),
            "http_version": version,
            "server": self._server,
            "client": self._client,
            "scheme": self._scheme,
            "root_path": self._root,
            "headers": headers,
            "state": self._app_state.copy(),
            "method": parser.get_method().decode("ascii"),
            "path": self._root + path,
            "raw_path": self._raw_root + raw_path,
            "query_string": query,
        }
        app, keep_alive = self._app, version != "1.0" and parser.should_keep_alive()
        state, limit = self.server_state, self._limit
        if limit is not None and (len(state.connections) >= limit or len(state.tasks) >= limit):
            _log.warning("Exceeded concurrency limit.")
            app = BUSY
        self._headers = _TRAILER
        self._heard = _HEAD
        self._exchange = exchange = Exchange(self, app, scope, keep_alive=keep_alive, expects=self._expects)
        if self._answering is None:
            self._start(exchange)
        else:
            self._pause_reading()
            self._pipeline.append(exchange)

    def on_body(self, body: bytes) -> None:
        """One more piece; of a request that has its answer none is kept."""
        exchange = self._exchange
        if self._heard != _HEAD:
            self._heard = _BODY
        if exchange is not None and not exchange.complete and exchange.hear(body) > ENOUGH:
            self._pause_reading()

    def on_message_complete(self) -> None:
        """The app's turn."""
        exchange = self._exchange
        assert exchange is not None, "its head was complete"
        if not self._parser.should_keep_alive():  # a trailer may say so too
            exchange.keep_alive = False
        if not exchange.keep_alive:
            self._last = True
        if exchange.complete:
            self._heard = _OVER
        else:
            self._heard = _END
            exchange.more_body = False
            if exchange.waited_for is not None:
                exchange.tell()

    # The answer, as the exchange writes it.

    def write(self, data: bytes) -> None:
        """Keep it until the end of this turn, or until there is enough: each packet costs a system call and a second
        awakening at the other end."""
        if self._transport.is_closing():
            return
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
        elif not self._transport.is_closing():
            self._transport.write(packet)

    async def writable(self) -> None:
        """Wait until the client has read enough, or is gone."""
        self._writable = self._writable or asyncio.Event()
        await self._writable.wait()

    def answered(self) -> None:
        """The next request's turn.  One that is not here yet is waited for as all else is, with no timer of its own."""
        self.server_state.total_requests += 1
        if self._transport.is_closing():
            return
        self._answering = None
        if self._pipeline:
            self._start(self._pipeline.popleft())
        elif self._until is None:
            self._wait(self._keep_alive_seconds)
        if self._reading_paused:
            if self._exchange is not None and self._exchange.more_body:
                self._body_until = self._loop.time() + WHOLE_BODY_SECONDS
                self._wait(BODY_SECONDS)
            self.resume_reading()

    def close(self) -> None:
        """What was written leaves before."""
        self._last = True
        self._flush()
        self._transport.close()
        self._insist()

    def resume_reading(self) -> None:
        """What the app was given is done with.  While other requests wait for their turn, more of them would only wait
        with them."""
        if self._reading_paused and not self._pipeline:
            self._reading_paused = False
            self._transport.resume_reading()
            self._go_on()

    def _go_on(self) -> None:
        """With what came before, but no more of it than can be answered."""
        later, self._later = self._later, memoryview(b"")
        while later and not self._reading_paused:
            data, later = later[:_AT_ONCE], later[_AT_ONCE:]
            self.data_received(data)
        self._later = later

    def _pause_reading(self) -> None:
        if not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()

    def _start(self, exchange: Exchange) -> None:
        self._answering = exchange
        tasks = self.server_state.tasks
        task = self._loop.create_task(exchange.run())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def _stay(self) -> None:
        """What asks for another protocol is answered in this one, and so is what follows: RFC 9110 §7.8."""
        _log.warning("Unsupported upgrade request.")
        exchange = self._exchange
        if exchange is not None and not _BODIES.isdisjoint(name for name, _ in exchange.scope["headers"]):
            # The parser does not read the body of such a request, and nobody is to read it as the next one.
            exchange.keep_alive, self._last = False, True

    def _refuse(self) -> None:
        _log.warning(_INVALID.decode())
        headers = [
            *self.server_state.default_headers,
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(_INVALID)),
            (b"connection", b"close"),
        ]
        self.write(STATUS_LINE[400] + b"".join(b"%b: %b\r\n" % header for header in headers) + b"\r\n" + _INVALID)
        self.close()

    def _flush(self) -> None:
        if self._gathered:
            gathered, self._gathered, self._size = b"".join(self._gathered), [], 0
            self._transport.write(gathered)

    # What the client may take.

    def _reckon(self, heard: int) -> None:
        """How much and how long, after what was heard in this packet."""
        if heard >= _HEAD:
            self._unread = self._most = 0
        elif self._unread > MOST_HEAD or len(self._headers) > MOST_HEADERS:
            self.close()
        if heard == _HEAD:
            self._body_until = self._loop.time() + WHOLE_BODY_SECONDS
            self._wait(BODY_SECONDS)
        elif heard == _BODY:
            if self._exchange is not None and not self._exchange.complete:
                self._wait(min(BODY_SECONDS, self._body_until - self._loop.time()))
        elif heard == _OVER:
            self._wait(self._keep_alive_seconds)
        elif heard == _BEGINNING:
            self._wait(HEAD_SECONDS)

    def _wait(self, seconds: float) -> None:
        """So long.  A timer for each wait would cost more than the rest of this class: one looks again and again, and
        no wait is shorter than what lies between two looks."""
        self._until = self._loop.time() + seconds
        if self._clock is None:
            self._clock = self._loop.call_later(min(seconds, self._shortest), self._look)

    def _insist(self, held: int | None = None) -> None:
        """What is held for the client has to become less.  `held`: what was, when it was looked at last."""
        if held is None and (self._stalled is not None or self not in self.server_state.connections):
            return  # it is seen to, or the client is gone
        self._stalled, left = None, self._transport.get_write_buffer_size()
        if held is not None and left > held - TAKEN:
            self._transport.abort()
        elif left:
            self._stalled = self._loop.call_later(ANSWER_SECONDS, self._insist, left)

    def _look(self) -> None:
        self._clock = None
        if self._until is None:
            return  # the next wait sets it again
        if (left := self._until - self._loop.time()) > 0:
            self._clock = self._loop.call_later(min(left, self._shortest), self._look)
        elif self._reading_paused:  # it is we who do not read
            self._body_until = self._loop.time() + WHOLE_BODY_SECONDS
            self._wait(BODY_SECONDS)
        elif self._answering is not None and self._exchange is not None and not self._exchange.more_body:
            self._wait(HEAD_SECONDS)  # what is late belongs to the next request: the one before it gets its answer
        else:
            self.close()


def _parted(target: bytes) -> tuple[bytes, str, bytes]:
    """Path as it came and as it is meant, and query.  Raises HttpParserInvalidURLError or ValueError."""
    url = httptools.parse_url(target)
    raw_path: bytes | None = url.path
    if raw_path is None:
        raise ValueError("a target without a path")
    path = raw_path.decode("ascii")
    return raw_path, unquote(path) if "%" in path else path, url.query or b""
