"""Bring the tables of a database up to date, also when two workers start at once — DESIGN §5.

Imports Alembic: whoever calls this imports it when it is called.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Final

from alembic import command
from alembic.config import Config
from sqlalchemy import text
from sqlalchemy.engine import Connection

from bridge.database.address import Address, parse_address
from bridge.database.database import Tx, make_file
from bridge.database.engine import WRITES, make_engine
from bridge.database.revision import HEAD, refuse_a_newer, revision_of
from bridge.database.trouble import told
from bridge.errors import Unavailable

FOLDER: Final = Path(__file__).with_name("migrations")
_PATIENCE: Final = 60.0  # seconds to wait for another worker's migration
_ALEMBIC: Final = Lock()  # held in one process by one upgrade, of whichever database and event loop


async def migrate(url: str, target: str = HEAD) -> str:
    """Upgrade to `target`, and say which revision that is.  Whoever comes second waits, and finds it done.

    Raises ConfigError for a wrong URL or tables of a newer version, Unavailable when the database does not answer or
    the other one never ends.
    """
    async with _locked(parse_address(url)) as tx:
        found = await revision_of(tx)
        refuse_a_newer(found)
        if found != target:
            async with _alembic():
                await tx.run_sync(_upgrade, target)
    return target


async def revision(url: str) -> str | None:
    """The revision of the tables; None: there are none yet.  Raises as `migrate`."""
    address = parse_address(url)
    if address.file is not None and not address.file.exists():
        return None
    async with _connected(address) as tx:
        return await revision_of(tx)


def alembic_config(connection: Connection) -> Config:
    """Alembic's settings for our folder, on that connection."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


@asynccontextmanager
async def _alembic() -> AsyncIterator[None]:
    """Alembic for oneself: it keeps the connection that it works on in variables of its modules."""
    end = time.monotonic() + _PATIENCE
    while not _ALEMBIC.acquire(blocking=False):
        if time.monotonic() > end:
            raise Unavailable("the migration of another database, in this process, does not end")
        await asyncio.sleep(0.01)
    try:
        yield
    finally:
        _ALEMBIC.release()


def _upgrade(connection: Connection, target: str) -> None:
    driver = logging.getLogger("asyncmy")
    driver.addFilter(_tells_news)
    try:
        command.upgrade(alembic_config(connection), target)
    finally:
        driver.removeFilter(_tells_news)


def _tells_news(record: logging.LogRecord) -> bool:
    """MariaDB remarks for every table that its primary key has no name of its own."""
    return "ignored for PRIMARY key" not in record.getMessage()


@asynccontextmanager
async def _connected(address: Address) -> AsyncIterator[Tx]:
    engine = make_engine(address, pool_size=1, patience=_PATIENCE)
    try:
        # SQLite: nobody else reads half of it, either.
        with told():
            async with engine.execution_options(**{WRITES: "EXCLUSIVE"}).begin() as tx:
                yield tx
    finally:
        await engine.dispose()


@asynccontextmanager
async def _locked(address: Address) -> AsyncIterator[Tx]:
    """A transaction in which nobody else migrates this database."""
    if address.file is not None:
        make_file(address.file)
    async with _connected(address) as tx:
        match address.kind:
            case "sqlite":
                pass  # BEGIN EXCLUSIVE is the lock
            case "postgresql":
                await tx.execute(text(f"SET LOCAL lock_timeout = '{_PATIENCE:.0f}s'"))
                await tx.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _key(address)})
            case "mysql":
                await _mysql_lock(tx, f"login-bridge-{_key(address)}")
        yield tx


async def _mysql_lock(tx: Tx, name: str) -> None:
    """Held until the connection is closed: a statement that changes a table ends the transaction there."""
    held = (await tx.execute(text("SELECT GET_LOCK(:name, :wait)"), {"name": name, "wait": _PATIENCE})).scalar()
    if held != 1:
        raise Unavailable("another migration of this database does not end")


def _key(address: Address) -> int:
    """63 bits that name this database among those of its server."""
    digest = sha256(f"login-bridge migrate {address.url.database}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
