"""One connection to a Redis server: a batch of commands out, their replies in — spec/store.md §3, §4.

redis-py makes the connection and ends it: TLS, unix sockets, login, database, Sentinel are its own.  In between the
replies are read here, with its parser but without its streams, which for each reply begin a coroutine and write the
sentence for an error that does not happen.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import hiredis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from bridge.errors import Unavailable

# uvloop says RuntimeError of a connection that the other side has reset.
_BROKEN = (RedisError, OSError, RuntimeError)

_ERRORS: Final = {
    "NOSCRIPT": NoScriptError,
    "READONLY": ReadOnlyError,
    "LOADING": BusyLoadingError,
    "NOAUTH": AuthenticationError,
    "WRONGPASS": AuthenticationError,
}
_LEAVE: Final = (ReadOnlyError, BusyLoadingError, AuthenticationError)
"""What is said by a server that is not the one we want: who takes writes now is reached by a new connection."""
_NO_MORE: Final = object()


class Line(asyncio.Protocol):
    """A connection with `seconds` to be made, and again for all replies of a batch; one batch at a time.

    `broken`: it is good for nothing any more.  That shows also while nobody asks.
    """

    __slots__ = (
        "_connection",
        "_made",
        "_reader",
        "_replies",
        "_seconds",
        "_transport",
        "_waiter",
        "_wanted",
        "broken",
        "generation",
    )

    def __init__(self, connection: AbstractConnection, seconds: float, generation: int) -> None:
        self._connection = connection
        self._seconds = seconds
        self._reader = hiredis.Reader(replyError=_error, notEnoughData=_NO_MORE)
        self._replies: list[Any] = []
        self._wanted = 0
        self._waiter: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport | None = None
        self.generation: int = generation
        self.broken: bool = False

    async def connect(self) -> None:
        """Raises `Unavailable`."""
        try:
            async with asyncio.timeout(self._seconds):
                await self._connection.connect()  # type: ignore[no-untyped-call]
        except _BROKEN as error:
            raise Unavailable(f"the store does not take the connection: {named(error)}") from error
        writer = self._connection._writer  # noqa: SLF001  there is no other way to it
        assert writer is not None, "it is connected"
        transport: asyncio.Transport = writer.transport  # type: ignore[assignment]  # it reads, too
        self._transport, self._made = transport, transport.get_protocol()
        transport.set_protocol(self)

    async def ask(self, commands: Sequence[bytes]) -> list[Any]:
        """Send all at once and bring the replies, in order; an error reply is one of them.

        Fewer replies than commands: the line broke, and of the rest it is not known whether they happened.
        """
        if self.broken or self._transport is None:
            return []
        loop = asyncio.get_running_loop()
        self._replies, self._wanted = [], len(commands)
        self._waiter = loop.create_future()
        clock = loop.call_later(self._seconds, self._break)
        try:
            self._transport.write(b"".join(commands))
            await self._waiter
        except _BROKEN:
            self._break()
        except BaseException:
            self.broken = True  # a reply may still come: the next one here would take it for his
            raise
        finally:
            clock.cancel()
            replies, self._replies, self._wanted, self._waiter = self._replies, [], 0, None
        return replies

    async def hang_up(self) -> None:
        """Close, and wait for it: an event loop that ends must not find it half closed.

        What a broken line has not sent yet is not sent any more: whoever asked was told that it is lost.
        """
        if self.broken and self._transport is not None:
            self._transport.abort()
        try:
            await self._connection.disconnect()
        except _BROKEN:
            await self._connection.disconnect(nowait=True)

    def data_received(self, data: bytes) -> None:
        """Some of the replies, or all of them.  What comes behind a break is nobody's: it would be misplaced."""
        if self.broken:
            return
        replies, reader = self._replies, self._reader
        try:
            reader.feed(data)
            while (reply := reader.gets()) is not _NO_MORE:
                if isinstance(reply, _LEAVE) or len(replies) == self._wanted:
                    self._break()
                    return
                replies.append(reply)
        except hiredis.ProtocolError:
            self._break()
            return
        if len(replies) == self._wanted:
            self.broken = reader.has_data()  # the beginning of a reply to nobody
            self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Whoever waits gets what came before."""
        self._break()
        self._made.connection_lost(exc)  # redis-py waits for it when it closes

    def _break(self) -> None:
        self.broken = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def named(error: Any) -> str:
    """An error for a log, one that was an answer with its words."""
    return f"{type(error).__name__}: {error}" if isinstance(error, Exception) else type(error).__name__


def _error(text: str) -> RedisError:
    code, _, _ = text.partition(" ")
    return _ERRORS.get(code, ResponseError)(text)
