"""The database: one engine, write and read transactions, and trouble that is never "not found" — DESIGN §5.

async with db.begin() as tx:      # a write transaction
    await tx.execute(...)
async with db.read() as tx:       # a new transaction on the primary
    ...
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bridge.clock import Clock
from bridge.database.address import Address, parse_address
from bridge.database.beside import Beside, Busy
from bridge.database.engine import WRITES, make_engine
from bridge.database.lookup import LookUp
from bridge.database.trouble import Sacrificed, told
from bridge.errors import Unavailable

Tx: TypeAlias = AsyncConnection
"""A running transaction."""

Result = TypeVar("Result")


class Database:
    """Connections to one database.  Every verb raises `Unavailable` for trouble with it."""

    def __init__(self, url: str, clock: Clock, *, pool_size: int = 5, patience: float = 3.0) -> None:
        """`patience`: seconds to wait for a connection, a lock, an answer.  Raises ConfigError for a wrong URL."""
        self.clock = clock
        self.address: Address = parse_address(url)
        # A moment more for the answer, so that a lock that is not had is the server's to tell.
        self.engine: AsyncEngine = make_engine(
            self.address, pool_size=pool_size, patience=patience, answer=patience + 1
        )
        self._writing = self.engine.execution_options(**{WRITES: "IMMEDIATE"})
        self._reading = self.engine.execution_options(**{WRITES: ""})
        self._beside = Beside(self.address.file) if self.address.file is not None else None
        self._patience = patience
        self._closed = False
        self._turn = self._new_turn()

    async def open(self) -> None:
        """Make SQLite's folder and file, and see that the database answers.  May follow a `close`, in another loop."""
        self._closed = False
        self._turn = self._new_turn()
        if (file := self.address.file) is not None:
            make_file(file)
        await self.ping()

    async def close(self) -> None:
        """Let go of all connections; who is still at work, or comes now, makes no new ones."""
        self._closed = True
        if self._beside is not None:
            self._beside.close()
        await self.engine.dispose()

    async def ping(self) -> None:
        """Nothing, if the database answers within the patience."""
        with self._told():
            async with asyncio.timeout(self._patience), self._reading.connect() as tx:
                await tx.execute(text("SELECT 1"))

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Tx]:
        """A write transaction: committed at the end of the block, rolled back by an exception.

        The block does nothing but SQL: an OSError from within it is taken for the database's.
        """
        with self._told():
            async with self._my_turn(), self._writing.begin() as tx:
                yield tx

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Tx]:
        """For reading, on the primary: each statement sees what is committed when it begins."""
        with self._told():
            async with self._reading.connect() as tx:
                yield tx

    async def first(self, look_up: LookUp, **values: Any) -> Any:
        """The row of those values, as it is committed now: an attribute for each column, `_asdict()`; None: there is
        none."""
        if self._beside is not None and not self._closed:
            with suppress(Busy):
                return self._beside.first(look_up, values)
        async with self.read() as tx:
            return (await tx.execute(look_up.query, values)).first()

    async def all(self, look_up: LookUp, **values: Any) -> Sequence[Any]:
        """All rows of those values, as they are committed now; each as `first` gives it."""
        if self._beside is not None and not self._closed:
            with suppress(Busy):
                return self._beside.all(look_up, values)
        async with self.read() as tx:
            return (await tx.execute(look_up.query, values)).all()

    async def transaction(self, work: Callable[[Tx], Awaitable[Result]], tries: int = 3) -> Result:
        """`work` in a write transaction, again when the database sacrificed ours to end a deadlock.

        Nothing of it had happened then.  Other trouble, a lost connection above all, is not tried again: it might have.
        """
        for _ in range(tries - 1):
            try:
                return await self._once(work)
            except Sacrificed:
                continue
        return await self._once(work)

    def _new_turn(self) -> asyncio.Lock | None:
        """SQLite has one writer.  Waiting here is fair and wakes at once; SQLite's own waiting sleeps, and starves."""
        return asyncio.Lock() if self.address.kind == "sqlite" else None

    @contextmanager
    def _told(self) -> Iterator[None]:
        if self._closed:
            raise Unavailable("the database is closed")
        with told():
            yield

    async def _once(self, work: Callable[[Tx], Awaitable[Result]]) -> Result:
        async with self.begin() as tx:
            return await work(tx)

    @asynccontextmanager
    async def _my_turn(self) -> AsyncIterator[None]:
        if self._turn is None:
            yield
            return
        async with asyncio.timeout(self._patience):
            await self._turn.acquire()
        try:
            yield
        finally:
            self._turn.release()


def make_file(file: Path) -> None:
    """SQLite's file, readable by nobody else, and its folder.  Raises Unavailable."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # SQLite gives its -wal and -shm files the mode of this one.
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise Unavailable(f"{file}: {error.strerror}") from error
