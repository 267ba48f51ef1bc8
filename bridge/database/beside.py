"""Some rows from SQLite's file, read here and now — DESIGN §5, "one host, one or two workers".

A look-up in a file takes some microseconds; handing it to a thread and back takes fifty times that.  Nothing is ever
written here, and a file that is busy, or has many rows to tell, is left to the ordinary way, which does not hold up
everybody.
"""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from bridge.database.lookup import LookUp, OnSqlite

_PATIENCE_MS: Final = 20
MOST: Final = 500
"""Rows that are read here; more take longer than handing them over."""


class Busy(Exception):
    """Read it the ordinary way."""


class Beside:
    """Reads in the event loop's own thread."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._opened: sqlite3.Connection | None = None

    def first(self, look_up: LookUp, values: Mapping[str, Any]) -> Any:
        """The first row, or None.  Raises Busy, whatever is wrong: the ordinary way tells what it is."""
        query = look_up.on_sqlite
        raws = self._read(query, values, 1)
        return query.row(raws[0]) if raws else None

    def all(self, look_up: LookUp, values: Mapping[str, Any]) -> list[Any]:
        """All rows.  Raises Busy, also where there are many."""
        query = look_up.on_sqlite
        raws = self._read(query, values, MOST + 1)
        if len(raws) > MOST:
            raise Busy
        return [query.row(raw) for raw in raws]

    def close(self) -> None:
        """Let go of the file; the next `first` opens it again."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def _read(self, query: OnSqlite, values: Mapping[str, Any], most: int) -> list[Any]:
        try:
            with closing(self._connection().execute(query.text, query.values(values))) as cursor:
                return cursor.fetchmany(most)
        except sqlite3.Error as error:
            raise Busy from error

    def _connection(self) -> sqlite3.Connection:
        if self._opened is None:
            # autocommit: a statement reads what is committed when it begins.
            opened = sqlite3.connect(self._file, isolation_level=None, check_same_thread=False)
            opened.execute(f"PRAGMA busy_timeout = {_PATIENCE_MS}")
            opened.execute("PRAGMA query_only = ON")
            self._opened = opened
        return self._opened
