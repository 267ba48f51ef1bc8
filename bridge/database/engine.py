"""The engine of an address: what each database must be told so that all of them behave alike — DESIGN §5.

Every one reads what is committed (READ COMMITTED; SQLite's snapshots begin with the first read), refuses what does
not fit instead of cutting it, and waits for a lock no longer than `patience`.
"""

from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.engine import Connection
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, PoolResetState

from bridge.database.address import Address
from bridge.database.sqlite import connect

WRITES: Final = "bridge_writes"
"""Execution option of a connection: how it begins on SQLite.  Any text: the word after BEGIN, IMMEDIATE to take the
write lock at once; empty: not at all, so that each statement reads what is committed, as on the others."""

_STRICT: Final = "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"


def make_engine(address: Address, *, pool_size: int, patience: float, answer: float | None = None) -> AsyncEngine:
    """An engine that has not connected yet.

    `patience`: seconds to wait for a connection or a lock; `answer`: for a server to answer a statement (None: ever,
    as a migration must).
    """
    engine = create_async_engine(
        address.url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=patience,
        pool_recycle=1800,
        # After a restart of the server the pool is full of dead connections.  SQLite's cannot die.
        pool_pre_ping=address.kind != "sqlite",
        # The text of an SQL error would hold hashes and addresses.
        hide_parameters=True,
        connect_args=_connect_args(address, patience, answer),
        **({"pool_reset_on_return": None} if address.kind == "sqlite" else {"isolation_level": "READ COMMITTED"}),
    )
    if address.kind == "sqlite":
        event.listen(engine.sync_engine, "reset", _reset_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _connect_args(address: Address, patience: float, answer: float | None) -> dict[str, Any]:
    tls = {"ssl": address.tls} if address.tls else {}
    match address.kind:
        case "sqlite":
            # autocommit: it is we who say BEGIN, and mean IMMEDIATE.
            return {"isolation_level": None, "timeout": patience, "async_creator_fn": connect}
        case "postgresql":
            settings = {"application_name": "login-bridge", "lock_timeout": f"{patience * 1000:.0f}"}
            return {"timeout": patience, "command_timeout": answer, "server_settings": settings, **tls}
        case "mysql":
            wait = max(1, round(patience))
            say = f"SET SESSION sql_mode = '{_STRICT}', innodb_lock_wait_timeout = {wait}, lock_wait_timeout = {wait}"
            return {"connect_timeout": wait, "read_timeout": answer, "init_command": say, **tls}


def _begin_sqlite(connection: Connection) -> None:
    """IMMEDIATE: a transaction that reads before it writes would find the database changed, and fail at once."""
    how = connection.get_execution_options().get(WRITES, "DEFERRED")
    if how:  # every word to SQLite's thread and back costs as much as the reading itself
        connection.exec_driver_sql(f"BEGIN {how}")


def _reset_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry, _state: PoolResetState) -> None:
    """What the pool does by itself, but without a word to SQLite's thread where there is nothing to undo."""
    line = getattr(connection, "driver_connection", None)
    if line is None or line.in_transaction:
        connection.rollback()
