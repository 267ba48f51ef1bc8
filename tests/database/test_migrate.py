"""Migrations — DESIGN §5."""

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import anyio
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Column, MetaData, Table, delete, func, insert, select, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError

from bridge.database import migrate as migration
from bridge.database.address import parse_address
from bridge.database.database import Database
from bridge.database.migrate import FOLDER, migrate, revision
from bridge.database.revision import HEAD, check_revision
from bridge.database.sqlite import connect
from bridge.database.tables import metadata, oauth_clients, store_epoch, users
from bridge.errors import ConfigError, Unavailable
from tests.database.rows import a_client, a_user
from tests.databases import opened

REVISIONS = [script.revision for script in reversed(list(ScriptDirectory(str(FOLDER)).walk_revisions()))]


def test_a_worker_knows_the_newest_revision_without_alembic() -> None:
    assert REVISIONS[-1] == HEAD


@pytest.mark.parametrize("stops", [[HEAD], REVISIONS], ids=["at once", "one by one"])
async def test_the_tables_after_the_migrations_are_those_the_code_names(empty_url: str, stops: Sequence[str]) -> None:
    for stop in stops:
        assert await migrate(empty_url, stop) == stop
    async with opened(empty_url) as database, database.read() as tx:
        assert await tx.run_sync(_differences) == []


async def test_a_database_without_tables_has_no_revision(empty_url: str) -> None:
    assert await revision(empty_url) is None
    await migrate(empty_url)
    assert await revision(empty_url) == HEAD


async def test_asking_for_the_revision_makes_no_file(tmp_path: object) -> None:
    assert await revision(f"sqlite:///{tmp_path}/none.db") is None
    assert await revision(f"sqlite:///{tmp_path}/none.db") is None


async def test_workers_that_start_at_once_migrate_once(empty_url: str) -> None:
    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(migrate, empty_url)
    async with opened(empty_url) as database, database.read() as tx:
        assert (await tx.execute(select(func.count()).select_from(store_epoch))).scalar() == 1
        assert await tx.run_sync(_differences) == []


async def test_two_databases_are_migrated_at_once_in_one_process(tmp_path: Path) -> None:
    urls = [f"sqlite:///{tmp_path / name}.db" for name in ("ours", "theirs", "another")]
    async with anyio.create_task_group() as group:
        for url in urls:
            group.start_soon(migrate, url)
    assert [await revision(url) for url in urls] == [HEAD] * 3


async def test_a_migration_waits_no_longer_than_its_patience_for_another_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migration, "_PATIENCE", 0.1)
    async with migration._alembic():
        with pytest.raises(Unavailable, match="another database"):
            await migrate(f"sqlite:///{tmp_path / 'ours.db'}")
    assert await migrate(f"sqlite:///{tmp_path / 'ours.db'}") == HEAD


@pytest.fixture
def written(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A new file, without a write-ahead log yet, that somebody else is writing to."""
    with closing(sqlite3.connect(tmp_path / "new.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


async def test_who_opens_a_new_file_waits_for_who_writes_to_it(tmp_path: Path, written: sqlite3.Connection) -> None:
    """SQLite itself does not: asked for a write-ahead log, it refuses at once."""
    opening = asyncio.ensure_future(connect(str(tmp_path / "new.db"), isolation_level=None, timeout=60))
    await asyncio.sleep(0.2)
    assert not opening.done()
    written.execute("ROLLBACK")
    async with asyncio.timeout(30):
        line = await opening
    assert written.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    await line.close()


@pytest.mark.usefixtures("written")
async def test_who_opens_a_new_file_waits_no_longer_than_his_patience(tmp_path: Path) -> None:
    async with asyncio.timeout(30):
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            await connect(str(tmp_path / "new.db"), isolation_level=None, timeout=0.1)


async def test_a_migration_that_never_ends_is_not_waited_for_for_ever(
    empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migration, "_PATIENCE", 1.0)
    async with migration._locked(parse_address(empty_url)):
        with pytest.raises(Unavailable):
            await migrate(empty_url)
    assert await migrate(empty_url) == HEAD


async def test_an_interrupted_first_migration_is_finished_by_the_next(empty_url: str) -> None:
    """MariaDB ends its transaction at every CREATE TABLE, so half of them may stand there."""
    await migrate(empty_url)
    async with opened(empty_url) as database, database.begin() as tx:
        for statement in ("DROP TABLE audit", "DELETE FROM alembic_version", "DELETE FROM store_epoch"):
            await tx.execute(text(statement))
        await tx.run_sync(next(iter(users.indexes)).drop)
    await migrate(empty_url)
    async with opened(empty_url) as database, database.read() as tx:
        assert await tx.run_sync(_differences) == []
        assert (await tx.execute(select(store_epoch.c.epoch))).scalar() == 1


async def test_users_of_the_first_revision_are_found_by_their_names_after_the_second(
    empty_url: str,
) -> None:
    await migrate(empty_url, "0001")
    old = ["id", "tag", "sub", "email", "email_key", "email_verified", "first_name", "last_name", "language", "groups"]
    old += ["credential_version", "reset_gen", "stamp", "stamp_changed_at", "second_factor_state", "authority"]
    old += ["created_at", "updated_at"]
    table = Table("users", MetaData(), *(Column(name, users.c[name].type) for name in old))
    zero = {"email_verified": False, "language": "", "groups": "[]", "credential_version": 0, "reset_gen": 0}
    people = [("José", "MÜLLER"), ("", ""), ("王", "小明"), *((f"U{n}", "x") for n in range(1_100))]
    rows = [
        a_user(tag=str(n), sub=str(n), email_key=str(n), stamp=str(n), id=n + 1, first_name=first, last_name=last)
        | {**zero, "second_factor_state": "none", "authority": "bridge"}
        for n, (first, last) in enumerate(people)
    ]
    async with opened(empty_url) as database, database.begin() as tx:
        await tx.execute(insert(table), rows)
    await migrate(empty_url)
    async with opened(empty_url) as database, database.read() as tx:
        wanted = select(users.c.first_name_key, users.c.last_name_key, users.c.full_name_key).order_by(users.c.id)
        found = [tuple(row) for row in await tx.execute(wanted)]
    assert found[:3] == [("jose", "muller", "jose muller"), ("", "", ""), ("王", "小明", "王 小明")]
    assert found[-1] == ("u1099", "x", "u1099 x")


async def test_an_interrupted_second_migration_is_finished_by_the_next(empty_url: str) -> None:
    await migrate(empty_url)
    async with opened(empty_url) as database, database.begin() as tx:
        for statement in (
            "DROP TABLE credential_roles",
            "DROP TABLE contacts",
            "DROP TABLE invites",
            "UPDATE alembic_version SET version_num = '0001'",
        ):
            await tx.execute(text(statement))
        await tx.run_sync(next(each for each in users.indexes if each.name == "ix_users_last_name_key").drop)
    await migrate(empty_url)
    async with opened(empty_url) as database, database.read() as tx:
        assert await tx.run_sync(_differences) == []


async def test_a_worker_refuses_tables_of_another_version(empty_url: str) -> None:
    async with opened(empty_url) as database:
        with pytest.raises(ConfigError, match="login-bridge migrate"):
            await check_revision(database)
        await migrate(empty_url)
        await check_revision(database)


async def test_tables_of_a_newer_version_are_left_alone(empty_url: str) -> None:
    """The program was put back to an older one."""
    await migrate(empty_url)
    async with opened(empty_url) as database:
        async with database.begin() as tx:
            await tx.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        with pytest.raises(ConfigError, match="revision 9999, of a newer version"):
            await check_revision(database)
    with pytest.raises(ConfigError, match="revision 9999, of a newer version"):
        await migrate(empty_url)


async def test_a_second_migration_leaves_the_rows(empty_url: str) -> None:
    await migrate(empty_url)
    async with opened(empty_url) as database:
        async with database.begin() as tx:
            await tx.execute(insert(users).values(**a_user()))
        await migrate(empty_url)
        async with database.read() as tx:
            assert (await tx.execute(select(func.count()).select_from(users))).scalar() == 1


@pytest.mark.parametrize("column", ["email_key", "tag", "sub"])
async def test_no_two_users_share_what_names_them(db: Database, column: str) -> None:
    async with db.begin() as tx:
        await tx.execute(insert(users).values(**a_user()))
    with pytest.raises(IntegrityError):
        async with db.begin() as tx:
            await tx.execute(insert(users).values(**a_user(email_key="b", tag="b", sub="b") | {column: "a"}))


@pytest.mark.parametrize("column", ["email_key", "tag", "sub", "stamp"])
async def test_names_compare_byte_by_byte(db: Database, column: str) -> None:
    """MariaDB's own collations find "A", "á" and "a " where "a" was asked for."""
    others = ["A", "á", "a ", "ａ", "a\t", "a\u0301", "\xaa"]
    async with db.begin() as tx:
        await tx.execute(insert(users).values(**a_user()))
        for number, other in enumerate(others):
            name = f"b{number}"
            row = a_user(email_key=name, tag=name, sub=name, stamp=name) | {column: other}
            await tx.execute(insert(users).values(**row))
    async with db.read() as tx:
        for name in ("a", *others):
            found = (await tx.execute(select(users.c[column]).where(users.c[column] == name))).scalars().all()
            assert found == [name]


async def test_a_client_of_trailing_blanks_is_another(db: Database) -> None:
    async with db.begin() as tx:
        await tx.execute(insert(oauth_clients).values(**a_client("app")))
        await tx.execute(insert(oauth_clients).values(**a_client("app ")))
    async with db.read() as tx:
        found = await tx.execute(select(oauth_clients.c.client_id).where(oauth_clients.c.client_id == "app"))
        assert found.scalars().all() == ["app"]


async def test_the_number_of_a_removed_user_is_not_used_again(db: Database) -> None:
    async with db.begin() as tx:
        first = (await tx.execute(insert(users).values(**a_user()))).inserted_primary_key
        await tx.execute(delete(users))
        second = (await tx.execute(insert(users).values(**a_user()))).inserted_primary_key
    assert first is not None
    assert second is not None
    assert second[0] > first[0]


async def test_what_does_not_fit_is_refused_not_cut(database_url: str) -> None:
    """A cut `sub` would be another person's.  (SQLite knows no lengths, and cuts nothing.)"""
    long = "x" * 256
    async with opened(database_url) as database:
        try:
            async with database.begin() as tx:
                await tx.execute(insert(users).values(**a_user(sub=long)))
        except DBAPIError:
            return
        async with database.read() as tx:
            assert (await tx.execute(select(users.c.sub))).scalar() == long


def _differences(connection: Connection) -> Sequence[object]:
    options = {"compare_type": True, "compare_server_default": True}
    differences: Sequence[object] = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
    return differences
