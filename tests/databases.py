"""Databases for the tests of every room that has rows: SQLite, PostgreSQL and MariaDB, empty or with today's tables."""

import contextlib
import shutil
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from zlib import crc32

import pytest
from sqlalchemy import delete, make_url, text

from bridge.clock import SystemClock
from bridge.database.database import Database
from bridge.database.migrate import migrate
from bridge.database.tables import metadata, store_epoch
from tests.patience import PATIENCE

SERVERS = ["postgresql", "mariadb"]
KINDS = ["sqlite", *SERVERS]
THEMSELVES = Path(__file__).with_name("database")
"""The room whose subject is how the three behave."""


def leave_one_server_each(items: Sequence[pytest.Item]) -> None:
    """Of a test that runs on all three, the quick suite takes SQLite and one of the servers: by chance, but always the
    same one, so that every room meets both.  The slow suite takes the other; what is about databases runs on all."""
    runs: defaultdict[tuple[str, str], dict[str, pytest.Item]] = defaultdict(dict)
    for item in items:
        case = getattr(item, "callspec", None)
        kind = case.params.get("database_url") if case is not None else None
        if case is not None and kind in KINDS and THEMSELVES not in item.path.parents:
            runs[item.nodeid.partition("[")[0], case.id.replace(kind, "", 1)][kind] = item
    for names, on in runs.items():
        if len(on) == len(KINDS):
            on[SERVERS[crc32("".join(names).encode()) % len(SERVERS)]].add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
async def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with today's tables, to be copied: a migration for each test would take longer than the test."""
    file = tmp_path_factory.mktemp("template") / "bridge.db"
    await migrate(f"sqlite:///{file}")
    return file


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A SQLite database with today's tables, empty, for this test alone."""
    return copy_of(sqlite_template, tmp_path)


@pytest.fixture(params=KINDS)
async def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """A database without any table, once on each of the three."""
    match request.param:
        case "sqlite":
            yield f"sqlite:///{tmp_path / 'new' / 'bridge.db'}"
        case "postgresql":
            async with _database_on(request.getfixturevalue("postgres_url")) as url:
                yield url
        case _:
            async with _database_on(request.getfixturevalue("mariadb_url")) as url:
                yield url


@pytest.fixture(params=KINDS)
async def database_url(server: Database | None, sqlite_template: Path, tmp_path: Path) -> str:
    """A database with today's tables and no rows, once on each of the three."""
    if server is None:
        return copy_of(sqlite_template, tmp_path)
    await _begin_anew(server)
    return server.engine.url.render_as_string(hide_password=False)


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    """`database_url`, opened."""
    async with opened(database_url) as database:
        yield database


@contextlib.asynccontextmanager
async def opened(url: str, *, patience: float = PATIENCE) -> AsyncIterator[Database]:
    """A database from `open` to `close`."""
    database = Database(url, SystemClock(), patience=patience)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


def copy_of(template: Path, folder: Path) -> str:
    """The URL of a copy of that file in that folder.  Its last connection is closed, so there is no -wal beside it."""
    return f"sqlite:///{shutil.copy(template, folder / 'bridge.db')}"


_TABLES = list(reversed(metadata.sorted_tables))
_FILLED = text(" UNION ALL ".join(f"SELECT '{each}' FROM (SELECT 1 FROM {each} LIMIT 1) AS a_row" for each in _TABLES))
"""The names of the tables that have rows: to delete from each takes ten times as long as to ask which need it."""


async def _begin_anew(database: Database) -> None:
    async with database.begin() as tx:
        filled = set((await tx.execute(_FILLED)).scalars())
        for table in (table for table in _TABLES if table.name in filled):
            await tx.execute(delete(table))
        await tx.execute(store_epoch.insert().values(id=1, epoch=1, identity=""))


@contextlib.asynccontextmanager
async def _database_on(server: str) -> AsyncIterator[str]:
    name = f"test_{uuid.uuid4().hex[:8]}"
    await _alone(server, f"CREATE DATABASE {name}")
    try:
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        await _alone(server, f"DROP DATABASE {name}")


async def _alone(url: str, statement: str) -> None:
    """Outside of any transaction, as PostgreSQL wants it for whole databases."""
    async with opened(url) as database, database.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as tx:
        await tx.execute(text(statement))
