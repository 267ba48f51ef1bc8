"""Which of a database's errors mean that it did not answer, and which are our own fault — DESIGN §5, §8."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import exc

from bridge.errors import Unavailable

_OUR_FAULT: Final = (exc.IntegrityError, exc.ProgrammingError, exc.DataError, exc.NotSupportedError)
# PostgreSQL's driver tells some of them only by SQLSTATE: data exception, constraint, syntax or access, not supported.
_OUR_STATES: Final = ("22", "23", "42", "0A")
# PostgreSQL: serialization failure, deadlock.  MariaDB and MySQL: deadlock.
_SACRIFICED: Final = {"40001", "40P01", 1213}


class Sacrificed(Unavailable):
    """The database undid our transaction to end a deadlock: nothing of it happened."""


@contextmanager
def told() -> Iterator[None]:
    """Raise `Unavailable` for trouble with the database; an error of ours (a broken constraint, say) stays itself."""
    try:
        yield
    except exc.DBAPIError as error:
        if _is_ours(error):
            raise
        kind = Sacrificed if _code(error) in _SACRIFICED else Unavailable
        raise kind(_shown(error.orig)) from error
    except exc.TimeoutError as error:
        raise Unavailable("no connection to the database was free in time") from error
    except OSError as error:  # TimeoutError too; a driver that cannot connect does not wrap it
        raise Unavailable(_shown(error)) from error


def _is_ours(error: exc.DBAPIError) -> bool:
    if error.connection_invalidated:
        return False
    if isinstance(error, _OUR_FAULT) or str(getattr(error.orig, "sqlstate", "")).startswith(_OUR_STATES):
        return True
    # SQLite calls everything operational; a table that is not there is a plain SQLITE_ERROR.
    return getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR


def _code(error: exc.DBAPIError) -> object:
    """SQLSTATE on PostgreSQL, the server's number on MariaDB."""
    state = getattr(error.orig, "sqlstate", None)
    return state or next(iter(getattr(error.orig, "args", ())), None)


def _shown(error: BaseException | None) -> str:
    """One line for the operator; what broke a constraint, and so names a row, never comes here."""
    return f"the database did not answer: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
