"""A TCP proxy that lets a server act and then loses its answer — spec/store.md §4, §8."""

import asyncio
import re
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Literal, Self

Loss = Literal["cut", "hang", "cut before"]
"""cut: the server acts, then the connection ends; hang: the server acts, then silence; cut before: it ends unheard."""

_HANDSHAKE = re.compile(rb"\r\n(?:AUTH|HELLO|CLIENT|SELECT|INFO|PING)\r\n", re.IGNORECASE)


class LossyProxy:
    """Stands between a store and its server, on a free loopback port.

    `seen`: what clients sent, chunk by chunk, handshakes left out.  `hung`: called where silence begins.
    """

    def __init__(self, host: str, port: int) -> None:
        self._server_address = (host, port)
        self._listener: asyncio.Server | None = None
        self._losses: list[Loss] = []
        self._talks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.port: int = 0
        self.seen: list[bytes] = []
        self.hung: Callable[[], None] = lambda: None

    def lose(self, *losses: Loss) -> None:
        """These happen to the next requests, one each, in this order."""
        self._losses = list(losses)

    def move(self, host: str, port: int) -> None:
        """New connections lead there; the present ones stay where they are."""
        self._server_address = (host, port)

    @property
    def losses_left(self) -> int:
        return len(self._losses)

    def sent(self, word: bytes) -> int:
        """How often `word` went to the server."""
        return sum(chunk.count(word) for chunk in self.seen)

    async def cut_all(self) -> None:
        """End every connection now."""
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    async def reset_all(self) -> None:
        """End every connection now, and not politely: what is sent into it afterwards is an error (RST)."""
        for writer in self._writers:
            at_once = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
            writer.transport.abort()
        await self.cut_all()

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self._listener
        self._listener.close()
        await self.cut_all()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._talks.add(task)
        self._writers.add(writer)
        try:
            await self._talk(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._talks.discard(task)
            self._writers.discard(writer)
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_reader, to_writer = await asyncio.open_connection(*self._server_address)
        answers = asyncio.ensure_future(_copy(to_reader, writer))
        try:
            while chunk := await reader.read(65536):
                loss = self._next_loss(chunk)
                if loss == "cut before":
                    return
                if loss:
                    answers.cancel()
                    with suppress(asyncio.CancelledError):
                        await answers
                to_writer.write(chunk)
                if loss:
                    await to_reader.read(65536)  # the server has acted
                if loss == "cut":
                    return
                if loss == "hang":
                    self.hung()
        finally:
            answers.cancel()
            to_writer.close()

    def _next_loss(self, chunk: bytes) -> Loss | None:
        if _HANDSHAKE.search(chunk):
            return None
        self.seen.append(chunk)
        return self._losses.pop(0) if self._losses else None


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
        writer.close()
