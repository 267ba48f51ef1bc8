"""One row by its key from SQLite's file, read here and now — DESIGN §5, "one host, one or two workers".

A look-up in a file takes some microseconds; handing it to a thread and back takes fifty times that.  Nothing is ever
written here, and a file that is busy is left to the ordinary way, which waits without holding up everybody.
"""

from pathlib import Path
from typing import Any, Final

from sqlalchemy import Row, Select, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import ConnectionPoolEntry, StaticPool

_PATIENCE_MS: Final = 20


class Busy(Exception):
    """Read it the ordinary way."""


class Beside:
    """Reads single rows in the event loop's own thread."""

    def __init__(self, file: Path) -> None:
        self._engine = create_engine(
            f"sqlite:///{file}",
            poolclass=StaticPool,
            pool_reset_on_return=None,
            hide_parameters=True,
            # autocommit: a statement reads what is committed when it begins.
            connect_args={"isolation_level": None, "check_same_thread": False},
        )
        event.listen(self._engine, "connect", _read_only)

    def first(self, query: Select[Any]) -> Row[Any] | None:
        """The first row, if any.  Raises Busy, and SQLAlchemy's errors for what is wrong with the query."""
        try:
            with self._engine.connect() as tx:
                row: Row[Any] | None = tx.execute(query).first()
                return row
        except OperationalError as error:
            raise Busy from error

    def close(self) -> None:
        """Let go of the file; the next `first` opens it again."""
        self._engine.dispose()


def _read_only(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {_PATIENCE_MS}")
    cursor.execute("PRAGMA query_only = ON")
    cursor.close()
