"""How every SQLite file of ours is kept: with a write-ahead log, so that nobody waits to read — DESIGN §5, store §6."""

import sqlite3
import time


def write_ahead(file: sqlite3.Connection, patience: float) -> None:
    """Keep a write-ahead log; waits as many seconds for somebody who writes to a file that has none yet.

    Of two who open a new file at once each would wait for the other: SQLite refuses one without waiting.  Raises
    OperationalError.
    """
    end = time.monotonic() + patience
    while True:
        try:
            file.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:  # &: of every sort
                raise
        time.sleep(0.01)
