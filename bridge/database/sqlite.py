"""SQLite's connections: told once what holds for all of them, asked once for each statement — DESIGN §5.

Whoever uses them may be cancelled at any moment.  A request that ends early, a timeout or a shutdown must leave neither
a lock in the file nor a task that never ends.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, suppress
from functools import partial
from typing import Any, NamedTuple, Self

import aiosqlite

from bridge.write_ahead import write_ahead


def connect(database: str, **settings: Any) -> "Line":
    """A connection that opens when it is awaited; the arguments are those of `sqlite3.connect`."""
    return Line(partial(_opened, database, **settings), iter_chunk_size=64)


class File(sqlite3.Connection):
    """Ends its transaction before it closes.

    A statement that was cancelled may have begun one, and whoever begins a transaction holds the write lock.
    """

    def close(self) -> None:
        with suppress(sqlite3.Error):
            self.rollback()
        super().close()


class Line(aiosqlite.Connection):
    """Stops once, and says nothing to the file's thread where there is nothing to say.

    Asked twice to stop, aiosqlite would wait for an answer of the thread that the first call ended: for ever.
    """

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._thread.daemon = True  # a process that was not closed in order ends all the same
        self._stopped = False
        self._answered = True

    def cursor(self) -> "Question":  # type: ignore[override]  # SQLAlchemy takes any cursor that can be entered
        """One statement, and what it gave."""
        return Question(self)

    async def ask(self, question: Callable[[sqlite3.Connection], "Answer"]) -> "Answer":
        """The file's answer, from its thread."""
        answer: Answer = await self._execute(question, self._conn)
        return answer

    async def rollback(self) -> None:
        """End the transaction, if there is one, or could be: somebody was cancelled before he heard what he began."""
        if self.in_transaction or not self._answered:
            await super().rollback()

    def stop(self) -> asyncio.Future[Any] | None:
        """Close the file and end the thread, after what waits for it."""
        if self._stopped:
            return None
        self._stopped = True
        return super().stop()

    async def _execute(self, fn: Any, *arguments: Any, **settings: Any) -> Any:
        self._answered = False
        answer = await super()._execute(fn, *arguments, **settings)  # type: ignore[no-untyped-call]
        self._answered = True  # what was asked before is answered too: the thread takes one after the other
        return answer


class Answer(NamedTuple):
    """What a statement gave."""

    rows: list[Any]
    description: Sequence[Any] | None
    rowcount: int
    lastrowid: int | None


class Question:
    """A cursor that goes to the file's thread once for each statement, and brings all rows along.

    Every word to that thread and back costs more than most statements; aiosqlite's cursor needs four.
    """

    arraysize = 1

    def __init__(self, line: Line) -> None:
        self._line = line
        self._answer = Answer([], None, -1, None)

    async def __aenter__(self) -> Self:
        return self

    async def execute(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Do it, with these values."""
        self._answer = await self._line.ask(partial(_execute, sql, parameters))

    async def executemany(self, sql: str, parameters: Iterable[Sequence[Any]]) -> None:
        """Do it for each of these."""
        self._answer = await self._line.ask(partial(_execute_many, sql, parameters))

    async def fetchall(self) -> list[Any]:
        """The rows."""
        return self._answer.rows

    async def close(self) -> None:
        """Nothing is open: the file's own cursor was closed where it was read."""

    @property
    def description(self) -> Sequence[Any] | None:
        """Of the columns; None: it gives no rows."""
        return self._answer.description

    @property
    def rowcount(self) -> int:
        """How many rows were changed."""
        return self._answer.rowcount

    @property
    def lastrowid(self) -> int | None:
        """The number of the row that was written last."""
        return self._answer.lastrowid


def _opened(database: str, *, timeout: float = 5.0, **settings: Any) -> File:
    file = sqlite3.connect(database, factory=File, timeout=timeout, **settings)
    try:
        write_ahead(file, timeout)
        # FULL: an ending that was acknowledged must not be undone by a power cut.
        file.execute("PRAGMA synchronous = FULL")
        file.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        file.close()
        raise
    return file


def _execute(sql: str, parameters: Sequence[Any], file: sqlite3.Connection) -> Answer:
    with closing(file.execute(sql, parameters)) as cursor:
        return _answer_of(cursor)


def _execute_many(sql: str, parameters: Iterable[Sequence[Any]], file: sqlite3.Connection) -> Answer:
    with closing(file.executemany(sql, parameters)) as cursor:
        return _answer_of(cursor)


def _answer_of(cursor: sqlite3.Cursor) -> Answer:
    rows = cursor.fetchall()  # first: the count of what RETURNING tells is known only then
    return Answer(rows, cursor.description, cursor.rowcount, cursor.lastrowid)
