"""What one connection does with whatever a server says — spec/store.md §4."""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import NoScriptError, ResponseError

from bridge.stores.line import Line
from bridge.stores.scripts import packed
from tests.patience import PATIENCE, until

SHORT = 0.2
"""Seconds for an answer where it does not come."""
GET = packed("GET", "a")


class Made:
    """A connection as redis-py leaves it, its server the other end of a pair of sockets."""

    def __init__(self, ours: socket.socket) -> None:
        self._ours = ours

    async def connect(self) -> None:
        _, self._writer = await asyncio.open_connection(sock=self._ours)

    async def disconnect(self, nowait: bool = False) -> None:
        self._writer.close()
        if not nowait:
            await self._writer.wait_closed()


class Server:
    """The other end."""

    def __init__(self, end: socket.socket) -> None:
        self.end = end

    async def says(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.end.sendall(piece)
            await asyncio.sleep(0.01)


@pytest.fixture
async def both() -> AsyncIterator[tuple[Line, Server]]:
    ours, theirs = socket.socketpair()
    line = Line(cast(AbstractConnection, Made(ours)), PATIENCE, 0)
    await line.connect()
    with theirs:
        yield line, Server(theirs)
        await asyncio.wait_for(line.hang_up(), PATIENCE)  # whatever happened before, to close waits for nobody


async def _under_way(line: Line, commands: int) -> asyncio.Task[list[Any]]:
    """So many were sent, and their replies are waited for."""
    asking = asyncio.create_task(line.ask([GET] * commands))
    await asyncio.sleep(0)
    return asking


async def _asked(line: Line, server: Server, commands: int, *pieces: bytes) -> list[Any]:
    asking = await _under_way(line, commands)
    await server.says(*pieces)
    return await asking


async def test_replies_come_in_order_however_they_were_cut(both: tuple[Line, Server]) -> None:
    line, server = both
    whole = b"$1\r\na\r\n*2\r\n$-1\r\n$3\r\nb\r\n\r\n:7\r\n"
    for cut in range(len(whole)):
        assert await _asked(line, server, 3, whole[:cut], whole[cut:]) == [b"a", [None, b"b\r\n"], 7]
    assert not line.broken


async def test_an_error_is_a_reply_among_others(both: tuple[Line, Server]) -> None:
    line, server = both
    replies = await _asked(line, server, 3, b"-NOSCRIPT No matching script\r\n-ERR odd\r\n+OK\r\n")
    assert [type(reply) for reply in replies] == [NoScriptError, ResponseError, bytes]
    assert not line.broken


@pytest.mark.parametrize(
    "said",
    [
        b"-READONLY You can't write against a read only replica.\r\n",
        b"-LOADING Redis is loading the dataset in memory\r\n",
        b"-NOAUTH Authentication required.\r\n",
        b"-WRONGPASS invalid username-password pair\r\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ],
    ids=lambda said: said.split()[0].decode(),
)
async def test_a_server_that_is_not_the_one_we_want_is_left_with_what_came_before(
    both: tuple[Line, Server], said: bytes
) -> None:
    line, server = both
    assert await _asked(line, server, 3, b"+OK\r\n" + said + b"+OK\r\n") == [b"OK"]
    assert line.broken


async def test_what_comes_behind_a_break_is_nobodys(both: tuple[Line, Server]) -> None:
    """The loop may bring more before whoever waits is awake."""
    line, _ = both
    asking = await _under_way(line, 3)
    for piece in (b":1\r\n-READONLY You can't write against a read only replica.\r\n:3\r\n", b":4\r\n"):
        line.data_received(piece)
    assert await asking == [1]


async def test_what_was_brought_does_not_grow_afterwards(both: tuple[Line, Server]) -> None:
    line, _ = both
    asking = await _under_way(line, 1)
    line.data_received(b":1\r\n")
    replies = await asking
    line.data_received(b":2\r\n")
    assert (replies, line.broken) == ([1], True)


async def test_the_beginning_of_a_reply_to_nobody_breaks_the_line(both: tuple[Line, Server]) -> None:
    line, server = both
    assert await _asked(line, server, 1, b"+OK\r\n+ANOT") == [b"OK"]
    assert line.broken


async def test_what_a_broken_line_has_not_sent_is_not_sent_any_more(both: tuple[Line, Server]) -> None:
    line, server = both
    line._seconds = SHORT
    large = packed("SET", "a", b"v" * 8_000_000)
    assert await line.ask([large]) == []
    assert line.broken
    await line.hang_up()
    received = 0
    while piece := server.end.recv(1_000_000):
        received += len(piece)
    assert received < len(large)


async def test_a_reply_that_does_not_come_in_time_breaks_the_line(both: tuple[Line, Server]) -> None:
    line, _ = both
    line._seconds = SHORT
    asking = await _under_way(line, 2)
    line.data_received(b"+OK\r\n")
    assert not asking.done()
    assert await asyncio.wait_for(asking, PATIENCE) == [b"OK"]
    assert line.broken


async def test_the_end_of_the_connection_brings_what_came_before(both: tuple[Line, Server]) -> None:
    line, server = both
    asking = await _under_way(line, 2)
    await server.says(b"+OK\r\n$5\r\nab")
    server.end.close()
    assert await asking == [b"OK"]
    assert line.broken


async def test_an_end_shows_while_nobody_asks(both: tuple[Line, Server]) -> None:
    line, server = both
    server.end.close()
    await until(lambda: line.broken)
    assert await line.ask([GET]) == []


@pytest.mark.parametrize("before", [0, 1])
async def test_a_reply_to_nobody_breaks_the_line(both: tuple[Line, Server], before: int) -> None:
    """The next one to ask would take it for his."""
    line, server = both
    for _ in range(before):
        assert await _asked(line, server, 1, b"+OK\r\n") == [b"OK"]
    await server.says(b"+ANOTHER\r\n")
    await until(lambda: line.broken)


async def test_one_reply_too_many_breaks_the_line(both: tuple[Line, Server]) -> None:
    line, server = both
    assert await _asked(line, server, 1, b"+OK\r\n+ANOTHER\r\n") == [b"OK"]
    assert line.broken


async def test_who_gives_up_leaves_a_line_that_nobody_uses_again(both: tuple[Line, Server]) -> None:
    line, server = both
    asking = await _under_way(line, 1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert line.broken
    await server.says(b"+LATE\r\n")
    assert await line.ask([GET]) == []
    assert server.end.recv(1_000) == GET, "and nothing more is sent"
