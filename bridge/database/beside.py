"""One row by its key from SQLite's file, read here and now — DESIGN §5, "one host, one or two workers".

A look-up in a file takes some microseconds; handing it to a thread and back takes fifty times that.  Nothing is ever
written here, and a file that is busy is left to the ordinary way, which waits without holding up everybody.
"""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from bridge.database.lookup import LookUp

_PATIENCE_MS: Final = 20


class Busy(Exception):
    """Read it the ordinary way."""


class Beside:
    """Reads single rows in the event loop's own thread."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._opened: sqlite3.Connection | None = None

    def first(self, look_up: LookUp, values: Mapping[str, Any]) -> Any:
        """The first row, or None.  Raises Busy, whatever is wrong: the ordinary way tells what it is."""
        query = look_up.on_sqlite
        try:
            with closing(self._connection().execute(query.text, query.values(values))) as cursor:
                raw = cursor.fetchone()
        except sqlite3.Error as error:
            raise Busy from error
        return None if raw is None else query.row(raw)

    def close(self) -> None:
        """Let go of the file; the next `first` opens it again."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def _connection(self) -> sqlite3.Connection:
        if self._opened is None:
            # autocommit: a statement reads what is committed when it begins.
            opened = sqlite3.connect(self._file, isolation_level=None, check_same_thread=False)
            opened.execute(f"PRAGMA busy_timeout = {_PATIENCE_MS}")
            opened.execute("PRAGMA query_only = ON")
            self._opened = opened
        return self._opened
