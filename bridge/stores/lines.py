"""Connections to a Redis server: made, checked, dropped; never a retry of the library's — spec/store.md §3, §4."""

import asyncio
import re
from typing import Any, Protocol

from redis.asyncio.connection import AbstractConnection

from bridge.errors import Unavailable
from bridge.stores.line import Line, named
from bridge.stores.scripts import packed

_INFO = (packed("INFO", "server"), packed("INFO", "replication"))
_RUN_ID = re.compile(r"^run_id:(\S+)", re.MULTILINE)
_POLICY = re.compile(r"^maxmemory_policy:(\S+)", re.MULTILINE)
_REPLICATION_ID = re.compile(r"^master_replid:(\S+)", re.MULTILINE)


class Server(Protocol):
    """Where connections come from; it has `seconds` for every answer."""

    seconds: float

    def connection(self) -> AbstractConnection: ...
    async def close(self) -> None: ...


class Lines:
    """The open connections to one server, and what is known about the server's identity.

    `reader`: the server lets us read values and nothing else (security.md §11), so its identity is not asked for.
    """

    def __init__(self, server: Server, *, reader: bool = False) -> None:
        self._server = server
        self._reader = reader
        self._idle: list[Line] = []
        self._closing: set[asyncio.Task[None]] = set()
        self._generation = 0
        self._met: str | None = None
        self._believed: str | None = None
        self._closed = False
        self.lost: bool = False

    def open(self) -> None:
        """From now on lines are made."""
        self._closed = False

    async def take(self) -> Line:
        """A line for one's own use, that is not known to be broken; raises `Unavailable`."""
        while self._idle:
            line = self._idle.pop()
            if not line.broken:
                return line
            self.give(line)
        return await self._new()

    def give(self, line: Line) -> None:
        """Bring it back.  If it broke, so did probably the idle ones: they are closed (spec/store.md §4)."""
        if line.broken:
            self._drop_idle()
        if line.broken or line.generation != self._generation:
            self._let_go(line)
        else:
            self._idle.append(line)

    async def close(self) -> None:
        """Close them all; who is still at work, or comes now, gets no new one."""
        self._closed = True
        self._drop_idle()
        await asyncio.gather(*self._closing)
        await self._server.close()

    async def identity(self) -> str:
        """Ask the server who it is now; raises `Unavailable`."""
        if not self._reader and self._idle:
            line = self._idle.pop()
            try:
                await self._meet(line)
            except Unavailable:
                line.broken = True
            finally:
                self.give(line)
        if not self._idle:
            self.give(await self._new())
        return self._met or ""

    async def eviction_policy(self) -> str:
        """The server's `maxmemory-policy`; anything but `noeviction` may end sessions.  Raises `Unavailable`."""
        line = await self.take()
        try:
            answers = await line.ask([packed("INFO", "memory")])
        finally:
            self.give(line)
        found = _POLICY.search(_text(answers[0])) if answers else None
        if found is None:
            raise Unavailable("the store does not say what it does when it is full")
        return found[1]

    def regained(self, identity: str | None) -> None:
        """Believe in the server that was met last, unless it is another than `identity`."""
        if identity is None or identity == self._met:
            self._believed = self._met
            self.lost = False

    async def _new(self) -> Line:
        if self._closed:
            raise Unavailable("the store is closed")
        line = Line(self._server.connection(), self._server.seconds, self._generation)
        try:
            await line.connect()
            if not self._reader:
                await self._meet(line)
        except BaseException:
            self._let_go(line)
            raise
        line.generation = self._generation
        return line

    async def _meet(self, line: Line) -> None:
        answers = await line.ask(_INFO)
        if len(answers) < len(_INFO):
            raise Unavailable("the store does not say who it is")
        identity = _identity_of(*answers)
        if identity == self._met:
            return
        # Lines to the server of before must not answer for the one of now.
        self._drop_idle()
        self._met = identity
        self._believed = self._believed or identity
        self.lost = self.lost or identity != self._believed

    def _drop_idle(self) -> None:
        self._generation += 1
        for line in self._idle:
            self._let_go(line)
        self._idle = []

    def _let_go(self, line: Line) -> None:
        """Close it without making anybody wait."""
        task = asyncio.get_running_loop().create_task(line.hang_up())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def _identity_of(server: Any, replication: Any) -> str:
    run_id, replication_id = _RUN_ID.search(_text(server)), _REPLICATION_ID.search(_text(replication))
    if run_id is None or replication_id is None:
        raise Unavailable(f"the store does not say who it is: {named(server)}; its user needs +info")
    return f"{run_id[1]}:{replication_id[1]}"


def _text(answer: Any) -> str:
    return answer.decode() if isinstance(answer, bytes) else str(answer)
