"""A conversation with one connection in memory: what it heard, what its app saw, and what it said."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import uvicorn
from uvicorn.server import ServerState

from bridge.asgi import ASGIApp, Message

BODY: Message = {"type": "http.response.body", "body": b"hi"}
DATE = (b"date", b"Sat, 28 Nov 2026 12:00:00 GMT")
TURNS = 8
"""Of the loop, in which what was heard is answered."""


def begun(status: int = 200, *headers: tuple[bytes, bytes]) -> Message:
    return {"type": "http.response.start", "status": status, "headers": [*headers]}


class Wire(asyncio.Transport):
    """What was written to it, and how it ended."""

    def __init__(self, **extra: Any) -> None:
        super().__init__(extra)
        self.heard: list[bytes | str] = []
        self.late: list[bytes] = []  # what was written after it was closed, which none hears
        self.reading = True
        self.held = 0  # bytes of what was written that the client has not taken
        self._closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._closing:
            self.late.append(bytes(data))
        elif data:
            self.heard.append(bytes(data))

    def close(self) -> None:
        if not self._closing:
            self.heard.append("closed")
        self._closing = True

    def abort(self) -> None:
        self.heard.append("aborted")
        self._closing = True

    def get_write_buffer_size(self) -> int:
        return self.held

    def is_closing(self) -> bool:
        return self._closing

    def pause_reading(self) -> None:
        assert self.reading
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading
        self.reading = True

    def said(self) -> bytes:
        return b"".join(part for part in self.heard if isinstance(part, bytes))


class Speaks(Protocol):
    """The class of a connection: ours, or uvicorn's."""

    def __call__(
        self, config: uvicorn.Config, server_state: ServerState, app_state: dict[str, Any], /, _loop: Any = None
    ) -> Any: ...


class Talk:
    """One connection of that class with that app behind it."""

    def __init__(self, speaks: Speaks, app: ASGIApp, wire: Wire | None = None, **options: Any) -> None:
        config = uvicorn.Config(app, ws="none", lifespan="off", log_config=None, access_log=False, **options)
        config.load()
        self.state = ServerState()
        self.state.default_headers = [DATE]
        self.wire = wire or Wire()
        self.connection = speaks(config, self.state, {"a": "state"}, asyncio.get_running_loop())
        self.connection.connection_made(self.wire)

    async def say(self, packets: Iterable[bytes]) -> None:
        """Each by itself, with time between them; who is closed hears no more."""
        for packet in packets:
            if not self.wire.is_closing():
                self.connection.data_received(packet)
                await self.wait()

    async def wait(self) -> None:
        for _ in range(TURNS):
            await asyncio.sleep(0)

    async def end(self) -> bytes:
        """What was said, and whether the connection was closed then; the client goes away."""
        while self.state.tasks and not self.wire.is_closing():
            before = len(self.wire.heard)
            await self.wait()
            if len(self.wire.heard) == before:
                break
        said = self.wire.said() + (b" closed" if self.wire.is_closing() else b"")
        self.connection.connection_lost(None)
        async with asyncio.timeout(5):
            while self.state.tasks:
                await asyncio.gather(*self.state.tasks)
                await asyncio.sleep(0)
        assert not self.state.connections
        return said


async def talked(speaks: Speaks, packets: Sequence[bytes], app: ASGIApp, **options: Any) -> bytes:
    """What is answered to those packets, and whether the connection was closed then."""
    talk = Talk(speaks, app, **options)
    await talk.say(packets)
    return await talk.end()


class Logged(logging.Handler):
    """What uvicorn's log was told."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
