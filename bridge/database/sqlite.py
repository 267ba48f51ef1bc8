"""SQLite's connections, made to bear that whoever uses them is cancelled at any moment — DESIGN §5.

A request that ends early, a timeout or a shutdown must leave neither a lock in the file nor a task that never ends.
"""

import asyncio
import sqlite3
from contextlib import suppress
from typing import Any

import aiosqlite


def connect(database: str, **settings: Any) -> "Line":
    """A connection that opens when it is awaited; the arguments are those of `sqlite3.connect`."""
    return Line(lambda: sqlite3.connect(database, factory=File, **settings), iter_chunk_size=64)


class File(sqlite3.Connection):
    """Ends its transaction before it closes.

    A SELECT that was cancelled leaves its statement behind.  SQLite puts off the closing of a connection that has one,
    and with it the release of the write lock, until somebody collects the statement.
    """

    def close(self) -> None:
        with suppress(sqlite3.Error):
            self.rollback()
        super().close()


class Line(aiosqlite.Connection):
    """Stops once.

    Asked twice, aiosqlite would wait for an answer of the thread that the first call ended: for ever.
    """

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._thread.daemon = True  # a process that was not closed in order ends all the same
        self._stopped = False

    def stop(self) -> asyncio.Future[Any] | None:
        """Close the file and end the thread, after what waits for it."""
        if self._stopped:
            return None
        self._stopped = True
        return super().stop()
