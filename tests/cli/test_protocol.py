"""What a connection may cost before the app sees it — RFC 9112 §3, §5."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, closing, suppress
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, cast
from unittest.mock import Mock

import pytest
import uvicorn
from uvicorn.server import ServerState

from bridge.asgi import ASGIApp, Receive, Scope, Send
from bridge.cli import protocol
from bridge.cli.exchange import ENOUGH, Exchange
from bridge.cli.protocol import (
    ANSWER_SECONDS,
    BODY_SECONDS,
    HEAD_SECONDS,
    MOST_HEAD,
    MOST_HEADERS,
    TAKEN,
    WHOLE_BODY_SECONDS,
    BoundedProtocol,
)
from tests import servers
from tests.cli.serving import Demo, serving
from tests.cli.wire import BODY, Talk, Wire, begun, talked

HEAD = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
CHUNKED = b"POST /includes/api.php HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
CLOSING = HEAD + b"Connection: close\r\n\r\n"
LONG = b"POST /includes/api.php HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 16\r\n\r\n"
KEEP_ALIVE = 5
"""Seconds: uvicorn's own, which we do not set."""
SHORTLY = 5.0
"""Seconds: far less than any deadline."""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with serving(tmp_path_factory.mktemp("demo"), "--demo", port=servers.free_port()) as running:
        yield running


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (HEAD + b"X-A: ", b"a"),
        (HEAD, b"X-A: a\r\n"),
        (b"GET /login?a=", b"a"),
        (b"", b"\r\n"),
        (CHUNKED + b"1\r\na\r\n0\r\nX-A: ", b"a"),
        (CHUNKED + b"1;a=", b"a"),
    ],
    ids=["value", "headers", "target", "empty lines", "trailer", "chunk extension"],
)
def test_what_is_no_body_and_has_no_end_is_cut_off(demo: Demo, begin: bytes, more: bytes) -> None:
    with _connected(demo) as client:
        try:
            client.sendall(begin)
            for _ in range(4):
                time.sleep(0.05)  # it may read, and need not take all of it for one packet
                client.sendall(more * (MOST_HEAD // len(more)))
        except ConnectionError:
            return
        assert not _reply(client).startswith(b"HTTP/1.1 200")


def test_a_head_that_is_too_large_is_refused_though_it_comes_at_once(demo: Demo) -> None:
    with _connected(demo) as client:
        client.sendall(HEAD + b"X-A: " + b"a" * MOST_HEAD + b"\r\nConnection: close\r\n\r\n")
        assert not _reply(client).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(("size", "refused"), [(MOST_HEAD, True), (MOST_HEAD - 100, False)])
def test_a_head_behind_another_request_in_one_packet_may_be_no_larger(size: int, refused: bool) -> None:
    transport, config = _transport(), uvicorn.Config(_reads, ws="none", lifespan="off")
    config.load()
    connection = BoundedProtocol(config, ServerState(), {}, cast("asyncio.AbstractEventLoop", HandLoop()))
    connection.connection_made(transport)
    connection.data_received(HEAD + b"\r\n" + HEAD + b"X-A: " + b"a" * size + b"\r\n\r\n")
    assert transport.close.called == refused


@pytest.mark.parametrize(("size", "refused"), [(MOST_HEAD, True), (MOST_HEAD - 100, False)])
@pytest.mark.parametrize("before", [1, 500])
def test_a_head_behind_other_requests_and_in_pieces_may_be_no_larger(before: int, size: int, refused: bool) -> None:
    wire = Wire()
    connection = _made(HandLoop(), wire)
    connection.data_received(GET * before + HEAD + b"X-A: " + b"a" * (size // 2))
    for _ in range(before):
        assert not wire.is_closing()
        _answered(connection)
    connection.data_received(b"a" * (size // 2))
    connection.data_received(b"\r\n\r\n")
    assert wire.is_closing() == refused


def test_a_large_head_is_answered_again_and_again(demo: Demo) -> None:
    with closing(HTTPConnection(servers.LOOPBACK, _port(demo), timeout=SHORTLY)) as client:
        for _ in range(3):
            client.request("GET", "/healthz", headers={"X-A": "a" * (MOST_HEAD - 300)})
            with client.getresponse() as reply:
                assert (reply.status, reply.read()) == (200, b'{"status":"ok"}')


def test_one_connection_too_many_is_told_so_until_another_ends(tmp_path: Path) -> None:
    given = {"BRIDGE__SERVER__MOST_CONNECTIONS": "2"}
    with (
        serving(tmp_path, "--demo", port=servers.free_port(), environment=given) as demo,
        _connected(demo) as first,
        _connected(demo),
        _connected(demo) as third,
    ):
        third.sendall(CLOSING)
        assert _reply(third).startswith(b"HTTP/1.1 503")
        first.sendall(CLOSING)
        assert _reply(first).startswith(b"HTTP/1.1 200")


async def test_a_body_that_drips_is_cut_off_though_it_never_falls_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "WHOLE_BODY_SECONDS", 0.3)
    async with _bounded(_reads) as port, _talking(port) as (hear, say):
        say.write(_posting(1_000))
        async with asyncio.timeout(BODY_SECONDS / 2):
            with suppress(ConnectionError):
                while not say.is_closing() and not hear.at_eof():
                    say.write(b"a")
                    await say.drain()
                    await asyncio.sleep(0.05)
                assert await hear.read() == b"", "cut off, not answered"


def test_a_body_that_we_do_not_read_is_not_late() -> None:
    loop, transport = HandLoop(), _transport()
    connection = _made(loop, transport)
    connection.data_received(_posting(2 * ENOUGH) + b"a" * (ENOUGH + 1))  # and the app takes none of it
    transport.pause_reading.assert_called_once()
    loop.move(10 * WHOLE_BODY_SECONDS)
    transport.close.assert_not_called()
    _stepped(_exchange(connection).receive())
    transport.resume_reading.assert_called_once()
    connection.data_received(b"a")
    loop.move(BODY_SECONDS - 1)
    transport.close.assert_not_called()
    for _ in range(int(WHOLE_BODY_SECONDS)):
        connection.data_received(b"a")
        loop.move(1)
    transport.close.assert_called()


GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n"


@pytest.mark.parametrize("early", [False, True], ids=["after the body", "before the body"])
def test_who_has_his_answer_and_says_no_more_is_let_go_after_the_keep_alive(early: bool) -> None:
    loop, transport = HandLoop(), Wire()
    connection = _made(loop, transport)
    connection.data_received(POST)
    if early:
        _answered(connection)
    connection.data_received(b"hi")
    if not early:
        loop.move(HEAD_SECONDS + BODY_SECONDS)  # the app's turn
        _answered(connection)
    loop.move(KEEP_ALIVE - 0.1)
    assert not transport.is_closing()
    loop.move(0.2)
    assert transport.heard[1:] == ["closed"]
    assert connection.server_state.total_requests == 1


def test_who_says_more_within_the_keep_alive_is_waited_for_as_at_first() -> None:
    loop, transport = HandLoop(), Wire()
    connection = _made(loop, transport)
    for _ in range(2):
        connection.data_received(GET)
        loop.move(HEAD_SECONDS + BODY_SECONDS)  # the app's turn
        _answered(connection)
        loop.move(KEEP_ALIVE - 1)
    connection.data_received(GET[:5])
    loop.move(HEAD_SECONDS - 1)
    assert not transport.is_closing()
    loop.move(2)
    assert transport.is_closing()


def test_an_answer_before_the_body_leaves_the_body_its_time() -> None:
    loop, transport = HandLoop(), Wire()
    connection = _made(loop, transport)
    connection.data_received(POST)
    _answered(connection)
    loop.move(BODY_SECONDS - 1)
    assert not transport.is_closing()
    loop.move(2)
    assert transport.is_closing()


def test_who_does_not_take_his_answer_is_cut_off_and_who_takes_some_is_not() -> None:
    loop, transport = HandLoop(), Wire()
    connection = _made(loop, transport)
    connection.data_received(GET)
    for _ in range(3):
        transport.held = 2 * ENOUGH
        connection.pause_writing()
        loop.move(ANSWER_SECONDS - 1)
        connection.resume_writing()
    loop.move(ANSWER_SECONDS)
    connection.pause_writing()
    for _ in range(3):
        transport.held -= TAKEN
        loop.move(ANSWER_SECONDS)
    assert not transport.is_closing()
    transport.held -= TAKEN - 1
    loop.move(ANSWER_SECONDS + 1)
    assert transport.heard == ["aborted"]
    connection = _made(loop, gone := Wire())
    gone.held = 2 * ENOUGH
    connection.pause_writing()
    connection.connection_lost(None)
    loop.move(ANSWER_SECONDS + 1)
    assert gone.heard == []


@pytest.mark.parametrize("paused", [False, True], ids=["little", "much"])
def test_closing_waits_a_minute_for_who_does_not_take_his_answer(*, paused: bool) -> None:
    loop, transport = HandLoop(), Wire()
    connection = _made(loop, transport)
    transport.held = 1
    if paused:
        connection.pause_writing()
    connection.close()
    if paused:
        connection.resume_writing()
    loop.move(ANSWER_SECONDS + 1)
    assert transport.heard == ["closed", "aborted"]


def test_who_has_said_all_has_to_take_his_answer_too() -> None:
    loop, transport = HandLoop(), Wire()
    connection = _made(loop, transport)
    connection.data_received(GET)
    _answered(connection)
    transport.held = 1
    connection.eof_received()
    loop.move(ANSWER_SECONDS + 1)
    assert transport.heard[-2:] == ["closed", "aborted"]


def test_who_takes_what_is_left_is_not_cut_off() -> None:
    loop, transport = HandLoop(), Wire()
    connection = _made(loop, transport)
    transport.held = 1
    connection.close()
    transport.held = 0
    connection.connection_lost(None)
    loop.move(ANSWER_SECONDS + 1)
    loop.move(ANSWER_SECONDS + 1)
    assert transport.heard == ["closed"]


def test_of_a_client_who_is_gone_nothing_is_asked() -> None:
    """A transport that is gone says anything, or fails: asyncio's of TLS does."""
    loop, transport = HandLoop(), Wire()
    connection = _made(loop, transport)
    connection.connection_lost(None)
    transport.held = 1
    connection.close()
    loop.move(ANSWER_SECONDS + 1)
    assert transport.heard == ["closed"]


def test_half_a_next_head_does_not_cost_the_request_before_it_its_answer() -> None:
    loop, transport = HandLoop(), Wire()
    connection = _made(loop, transport)
    connection.data_received(GET + b"GE")
    loop.move(3 * HEAD_SECONDS)
    assert not transport.is_closing()
    _answered(connection)
    loop.move(HEAD_SECONDS + 1)
    assert transport.heard[-1] == "closed"


def test_half_a_next_head_has_its_time_once_the_request_before_it_is_answered() -> None:
    loop, transport = HandLoop(), Wire()
    connection = _made(loop, transport)
    connection.data_received(GET + b"GE")
    _answered(connection)
    loop.move(HEAD_SECONDS - 0.1)
    assert not transport.is_closing()
    loop.move(0.2)
    assert transport.is_closing()


def test_a_body_that_had_to_wait_for_its_turn_has_its_time_then() -> None:
    loop, transport = HandLoop(), Wire()
    connection = _made(loop, transport)
    connection.data_received(GET + POST)
    loop.move(BODY_SECONDS - 0.1)
    _answered(connection)
    loop.move(BODY_SECONDS - 0.1)
    assert not transport.is_closing()
    loop.move(0.2)
    assert transport.is_closing()


@pytest.mark.parametrize("place", ["head", "trailer"])
async def test_there_may_be_so_many_headers(place: str) -> None:
    for many, status in ((MOST_HEADERS - 2, b"200"), (MOST_HEADERS, b"400" if place == "head" else b"200")):
        lines = b"a: b\r\n" * many
        head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
        said = await talked(
            BoundedProtocol,
            [head + lines + b"\r\n0\r\n\r\n" if place == "head" else head + b"\r\n0\r\n" + lines + b"\r\n"],
            _reads,
        )
        assert said.split()[1] == status


def test_too_many_headers_are_too_many_though_they_come_one_by_one() -> None:
    wire = Wire()
    connection = _made(HandLoop(), wire)
    connection.data_received(HEAD)
    for _ in range(MOST_HEADERS - 1):
        connection.data_received(b"a: b\r\n")
    assert not wire.is_closing()
    connection.data_received(b"a: b\r\na: b\r\n")
    assert wire.is_closing()


async def test_behind_what_was_the_last_no_other_is_answered() -> None:
    """The server stops while requests come that it has not answered: it answers one of them."""
    talk = Talk(BoundedProtocol, _reads)
    talk.connection.data_received(POST)
    talk.connection.shutdown()
    talk.connection.data_received(b"hi" + GET)
    assert (await talk.end()).count(b"HTTP/1.1 200") == 1
    assert talk.state.total_requests == 1


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_trailer_that_says_so_makes_a_request_the_last(*, at_once: bool) -> None:
    post = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nConnection: close\r\n\r\n"
    said = await talked(BoundedProtocol, [post + GET] if at_once else [post, GET], _reads)
    assert said.count(b"HTTP/1.1 200") == 1
    assert b"400" not in said and said.endswith(b" closed")


def test_a_body_that_begins_with_its_head_has_its_time() -> None:
    loop, transport = HandLoop(), Wire()
    loop.move(1_000)
    connection = _made(loop, transport)
    connection.data_received(POST + b"h")
    loop.move(BODY_SECONDS - 1)
    assert not transport.is_closing()
    loop.move(2)
    assert transport.is_closing()


def test_an_empty_line_behind_a_body_does_not_hurry_the_app() -> None:
    loop, transport = HandLoop(), Wire()
    connection = _made(loop, transport)
    connection.data_received(POST + b"hi")
    connection.data_received(b"\r\n")
    loop.move(HEAD_SECONDS + 1)
    assert not transport.is_closing()
    _answered(connection)
    loop.move(KEEP_ALIVE + 1)
    assert transport.is_closing()


def test_empty_lines_make_no_keep_alive_longer() -> None:
    loop, transport = HandLoop(), Wire()
    connection = _made(loop, transport)
    connection.data_received(GET)
    _answered(connection)
    for _ in range(3):
        loop.move(KEEP_ALIVE / 2)
        connection.data_received(b"\r\n")
    assert transport.is_closing()


def _transport() -> Mock:
    """A client takes all that he is sent."""
    return Mock(spec=asyncio.Transport, get_write_buffer_size=lambda: 0)


def _made(loop: "HandLoop | asyncio.AbstractEventLoop", transport: asyncio.Transport) -> BoundedProtocol:
    config = uvicorn.Config(_reads, ws="none", lifespan="off")
    config.load()
    connection = BoundedProtocol(config, ServerState(), {}, cast("asyncio.AbstractEventLoop", loop))
    connection.connection_made(transport)
    return connection


def _answered(connection: BoundedProtocol) -> None:
    for message in (begun(200, (b"content-length", b"2")), BODY):
        _stepped(_exchange(connection).send(message))


def _exchange(connection: BoundedProtocol) -> Exchange:
    exchange = connection._answering or connection._exchange
    assert exchange is not None
    return exchange


def _stepped(call: Coroutine[Any, Any, object]) -> None:
    """What an app awaits, without a loop: it has to wait for nothing."""
    with pytest.raises(StopIteration):
        call.send(None)


@pytest.mark.slow
def test_who_sends_too_slowly_is_cut_off_and_who_goes_on_is_not(demo: Demo) -> None:
    begun = time.monotonic()
    silent, drop, head, body, going = (_connected(demo) for _ in range(5))
    drop.sendall(b"\r\n")
    body.sendall(LONG)
    going.sendall(LONG)
    for byte in HEAD[:2]:
        head.sendall(bytes([byte]))
        time.sleep(HEAD_SECONDS / 3)
    for client in (silent, drop, head):
        assert _closed_after(client, begun) == pytest.approx(HEAD_SECONDS, abs=4)
    for _ in range(3):
        going.sendall(b"aaaa")
        time.sleep(BODY_SECONDS / 3)
    assert _closed_after(body, begun) < HEAD_SECONDS + BODY_SECONDS + SHORTLY
    going.sendall(b"aaaa")
    assert going.recv(65_536).startswith(b"HTTP/1.1 ")
    going.close()


@pytest.mark.slow
def test_who_drips_a_body_has_a_minute(demo: Demo) -> None:
    begun = time.monotonic()
    with _connected(demo) as client:
        client.sendall(LONG.replace(b"16", b"1600"))
        with suppress(ConnectionError):  # it is cut off
            while time.monotonic() - begun < 2 * WHOLE_BODY_SECONDS:
                client.sendall(b"a")
                time.sleep(0.5)
    assert time.monotonic() - begun == pytest.approx(WHOLE_BODY_SECONDS, abs=4)


def _posting(length: int) -> bytes:
    return b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % length


async def _reads(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the whole body, and says so."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"read"})


class HandLoop:
    """As much of an event loop as a connection needs; its time is moved by hand, and no app runs in it."""

    def __init__(self) -> None:
        self._now = 0.0
        self._timers: list[tuple[float, Callable[[], object], Mock]] = []

    def time(self) -> float:
        return self._now

    def call_later(self, seconds: float, call: Callable[..., object], *given: object) -> Mock:
        handle = Mock()
        handle.cancel.side_effect = lambda: self._forget(handle)
        self._timers.append((self._now + seconds, partial(call, *given), handle))
        return handle

    def call_soon(self, call: Callable[[], object]) -> None:
        self.call_later(0, call)

    def create_task(self, app: Coroutine[Any, Any, None], **_: Any) -> Mock:
        app.close()
        return Mock()

    def move(self, seconds: float) -> None:
        end = self._now + seconds
        while due := [timer for timer in self._timers if timer[0] <= end]:
            timer = min(due, key=lambda timer: timer[0])
            self._timers.remove(timer)
            self._now = max(self._now, timer[0])
            timer[1]()
        self._now = end

    def _forget(self, handle: Mock) -> None:
        self._timers = [timer for timer in self._timers if timer[2] is not handle]


@asynccontextmanager
async def _bounded(app: ASGIApp) -> AsyncIterator[int]:
    """The app behind our protocol, in this loop; its port."""
    with closing(socket.create_server((servers.LOOPBACK, 0))) as listener:
        config = uvicorn.Config(app, http=BoundedProtocol, lifespan="off", log_level="critical", ws="none")
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve([listener]))
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await task


@asynccontextmanager
async def _talking(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    hear, say = await asyncio.open_connection(servers.LOOPBACK, port)
    try:
        yield hear, say
    finally:
        say.close()
        with suppress(ConnectionError):
            await say.wait_closed()


async def _made_here() -> tuple[BoundedProtocol, Wire]:
    wire = Wire()
    return _made(asyncio.get_running_loop(), wire), wire


async def test_what_is_written_in_one_turn_leaves_in_one_packet() -> None:
    connection, wire = await _made_here()
    connection.write(b"head")
    connection.write(b"body")
    assert wire.heard == []
    await asyncio.sleep(0)
    assert wire.heard == [b"headbody"]
    connection.write(b"next")
    await asyncio.sleep(0)
    assert wire.heard == [b"headbody", b"next"]
    connection.write_whole(b"whole")
    assert wire.heard[2:] == [b"whole"]
    connection.write(b"first")
    connection.write_whole(b"then")
    await asyncio.sleep(0)
    assert wire.heard[3:] == [b"firstthen"]


async def test_an_answer_without_end_leaves_while_it_is_written() -> None:
    connection, wire = await _made_here()
    for _ in range(3):
        connection.write(b"a" * (ENOUGH // 2))
    assert [len(part) for part in wire.heard] == [ENOUGH]
    await asyncio.sleep(0)
    assert [len(part) for part in wire.heard] == [ENOUGH, ENOUGH // 2]


async def test_what_was_written_leaves_before_the_connection_is_closed_and_not_if_it_is_cut_off() -> None:
    connection, wire = await _made_here()
    connection.write(b"last words")
    connection.close()
    connection.write(b"one more")
    connection.write_whole(b"and another")
    await asyncio.sleep(0)
    assert (wire.heard, wire.late) == ([b"last words", "closed"], [])
    connection.data_received(GET)
    assert not connection.server_state.tasks, "nothing more is read"
    connection, wire = await _made_here()
    connection.write(b"unsaid")
    connection.connection_lost(ConnectionResetError())
    await asyncio.sleep(0)
    assert wire.heard == []


async def test_a_whole_answer_leaves_at_once() -> None:
    connection, wire = await _made_here()
    connection.data_received(GET)
    _answered(connection)
    assert [part[-6:] for part in wire.heard] == [b"\r\n\r\nhi"]


def _connected(demo: Demo) -> socket.socket:
    return socket.create_connection((servers.LOOPBACK, _port(demo)), timeout=SHORTLY)


def _port(demo: Demo) -> int:
    return int(demo.url.rpartition(":")[2])


def _reply(client: socket.socket) -> bytes:
    """All until it is closed.  Raises TimeoutError where nobody closes it."""
    parts: list[bytes] = []
    try:
        while part := client.recv(65_536):
            parts.append(part)
    except ConnectionError:  # it was closed with bytes of ours still unread
        pass
    return b"".join(parts)


def _closed_after(client: socket.socket, begun: float) -> float:
    """Seconds from then on."""
    with closing(client):
        client.settimeout(BODY_SECONDS)
        _reply(client)
    return time.monotonic() - begun
