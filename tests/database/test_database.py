"""Transactions and trouble — DESIGN §5, §8."""

import asyncio
import os
import signal
import stat
from pathlib import Path
from typing import Any

import anyio
import pytest
from sqlalchemy import bindparam, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from bridge.clock import SystemClock
from bridge.database.address import parse_address
from bridge.database.beside import Beside, Busy
from bridge.database.database import Database, Tx
from bridge.database.lookup import LookUp
from bridge.database.sqlite import Line, connect
from bridge.database.tables import oauth_clients, store_epoch, versions
from bridge.database.versions import bump
from bridge.errors import ConfigError, Unavailable
from tests import servers
from tests.database.rows import a_client
from tests.databases import opened
from tests.patience import PATIENCE, LetRun, until

ASK = {"postgresql": "SELECT pg_backend_pid()", "mysql": "SELECT CONNECTION_ID()"}
CUT = {"postgresql": "SELECT pg_terminate_backend(:n)", "mysql": "KILL :n"}
LEFT = {
    "postgresql": "SELECT COUNT(*) FROM pg_stat_activity WHERE pid = :n",
    "mysql": "SELECT COUNT(*) FROM information_schema.processlist WHERE id = :n",
}


async def test_what_was_written_is_there_for_the_next_reader(db: Database) -> None:
    async with db.begin() as tx:
        await tx.execute(insert(versions).values(name="a", version=1))
    assert await _names(db) == ["a"]


async def test_an_exception_undoes_the_whole_transaction(db: Database) -> None:
    async def half() -> None:
        async with db.begin() as tx:
            await tx.execute(insert(versions).values(name="a", version=1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await half()
    assert await _names(db) == []


async def test_a_broken_constraint_is_no_trouble_of_the_database(db: Database) -> None:
    async def twice(tx: Tx) -> None:
        await tx.execute(insert(versions).values(name="twice", version=1))
        await tx.execute(insert(versions).values(name="twice", version=1))

    with pytest.raises(IntegrityError) as raised:
        await db.transaction(twice)
    assert "[SQL parameters hidden" in str(raised.value)


async def test_read_and_then_write_loses_nothing_among_forty_of_two_processes(database_url: str) -> None:
    """On SQLite this is what BEGIN IMMEDIATE is for: a deferred one that wants to write late fails at once."""
    async with opened(database_url) as one, opened(database_url) as other:
        async with one.begin() as tx:
            await tx.execute(insert(versions).values(name="count", version=0))

        async def add_one(db: Database) -> None:
            async with db.begin() as tx:
                seen = (await tx.execute(select(versions.c.version).with_for_update())).scalar_one()
                await tx.execute(update(versions).values(version=seen + 1))

        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(add_one, one)
                group.start_soon(add_one, other)
        async with one.read() as tx:
            assert (await tx.execute(select(versions.c.version))).scalar() == 40


async def test_a_reader_is_not_kept_waiting_by_a_writer(db: Database) -> None:
    async with db.begin() as tx:
        await tx.execute(insert(versions).values(name="a", version=1))
        with anyio.fail_after(PATIENCE):
            assert await _names(db) == []


async def test_whoever_cannot_write_in_time_is_told_unavailable(database_url: str) -> None:
    async with opened(database_url) as holder, opened(database_url, patience=2) as waiter, holder.begin() as held:
        await held.execute(update(store_epoch).values(epoch=7))
        with LetRun() as ran, pytest.raises(Unavailable):
            async with waiter.begin() as tx:
                await tx.execute(update(store_epoch).values(epoch=8))
        assert ran.seconds < 6


async def test_one_database_object_gives_its_writers_their_turn_or_says_unavailable(sqlite_url: str) -> None:
    async with opened(sqlite_url) as database, database.begin():
        database._patience = 0.2
        with pytest.raises(Unavailable):
            async with database.begin():
                pytest.fail("two writers at once")


async def test_more_requests_than_connections_wait_for_their_turn(database_url: str) -> None:
    database = Database(database_url, SystemClock(), pool_size=1)
    async with anyio.create_task_group() as group:
        for _ in range(30):
            group.start_soon(_names, database)
    await database.close()


async def test_whoever_gets_no_connection_in_time_is_told_unavailable(database_url: str) -> None:
    database = Database(database_url, SystemClock(), pool_size=1, patience=2)
    async with database.read() as one, database.read() as two:
        await one.execute(text("SELECT 1"))
        await two.execute(text("SELECT 1"))
        with pytest.raises(Unavailable, match="free in time"):
            async with database.read():
                pytest.fail("a third connection of two")
    await database.close()


async def test_sqlites_file_is_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "var" / "bridge.db"
    async with opened(f"sqlite:///{file}") as database, database.begin() as tx:
        await tx.execute(text("CREATE TABLE t (a INTEGER)"))
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in file.parent.iterdir()}
    assert modes == {"bridge.db": 0o600, "bridge.db-wal": 0o600, "bridge.db-shm": 0o600}
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


async def test_sqlite_keeps_foreign_keys_and_syncs_every_commit(sqlite_url: str) -> None:
    async with opened(sqlite_url) as database, database.read() as tx:
        said = [(await tx.execute(text(f"PRAGMA {name}"))).scalar() for name in ("foreign_keys", "synchronous")]
    assert said == [1, 2]


async def test_sqlites_thread_hears_one_word_for_each_statement(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[object] = []
    really = Line._execute

    async def execute(line: Line, *words: Any, **more: Any) -> Any:
        heard.append(words)
        return await really(line, *words, **more)

    monkeypatch.setattr(Line, "_execute", execute)
    async with opened(sqlite_url) as database:
        heard.clear()
        async with database.read() as tx:
            assert (await tx.execute(text("SELECT epoch, identity FROM store_epoch"))).all() == [(1, "")]
        reading = len(heard)
        async with database.begin() as tx:
            assert (await tx.execute(text("UPDATE store_epoch SET epoch = 2"))).rowcount == 1
            told = await tx.execute(text("UPDATE store_epoch SET epoch = 3 RETURNING epoch"))
            assert (told.scalar(), told.rowcount) == (3, 1)
        assert (reading, len(heard) - reading) == (1, 4)  # and BEGIN, and COMMIT


async def test_a_transaction_that_began_unheard_is_undone(sqlite_url: str) -> None:
    """Whoever is cancelled does not hear that SQLite's thread has begun, or will begin, what he asked for."""
    async with opened(sqlite_url) as database:
        line = connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
        await line
        asked = asyncio.ensure_future(line.cursor().execute("BEGIN IMMEDIATE"))
        await asyncio.sleep(0)
        asked.cancel()
        await line.rollback()
        async with database.begin() as tx:
            await tx.execute(text("UPDATE store_epoch SET epoch = 2"))
        await line.close()


async def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="File exists"):
        await Database(f"sqlite:///{tmp_path}/file/bridge.db", SystemClock()).open()


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
async def test_a_server_that_is_not_there_is_unavailable(scheme: str) -> None:
    database = Database(f"{scheme}://u:p@127.0.0.1:{servers.free_port()}/x", SystemClock(), patience=1)
    with pytest.raises(Unavailable) as raised:
        await database.open()
    with pytest.raises(Unavailable):
        async with database.read():
            pytest.fail("connected to nothing")
    assert "u:p@" not in str(raised.value)
    await database.close()


async def test_a_stopped_server_is_unavailable_within_the_patience_and_comes_back() -> None:
    with servers.postgres() as server:
        async with opened(server.url, patience=2) as database:
            async with database.begin() as tx:
                await tx.execute(text("CREATE TABLE t (a INTEGER)"))
            pids = _stop(server)
            with LetRun() as ran, pytest.raises(Unavailable):
                await database.ping()
            assert ran.seconds < 6
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
            await database.ping()


async def test_a_database_that_was_closed_opens_again_in_another_loop(database_url: str) -> None:
    """As a host does that starts and stops its app more than once."""
    database = Database(database_url, SystemClock())

    async def once() -> None:
        await database.open()
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(database.transaction, _raise_epoch)
        await database.close()

    for _ in range(2):
        await anyio.to_thread.run_sync(lambda: asyncio.run(once()))
    async with opened(database_url) as other, other.read() as tx:
        assert (await tx.execute(select(store_epoch.c.epoch))).scalar() == 21


async def test_a_closed_database_makes_no_new_connections(sqlite_url: str) -> None:
    async with opened(sqlite_url) as database:
        pass
    with pytest.raises(Unavailable, match="closed"):
        await _names(database)


async def test_connections_that_a_restart_cut_are_replaced_unnoticed(db: Database, database_url: str) -> None:
    if db.address.kind == "sqlite":
        return  # a file cuts no connections
    async with db.read() as tx:
        number = (await tx.execute(text(ASK[db.address.kind]))).scalar()
    await _cut(database_url, number)
    assert await _names(db) == []


async def test_a_connection_cut_within_a_transaction_is_unavailable(db: Database, database_url: str) -> None:
    if db.address.kind == "sqlite":
        return

    async def cut_short(tx: Tx) -> None:
        await tx.execute(insert(versions).values(name="lost", version=1))
        await _cut(database_url, (await tx.execute(text(ASK[db.address.kind]))).scalar())
        await tx.execute(insert(versions).values(name="lost too", version=1))

    with pytest.raises(Unavailable):
        await db.transaction(cut_short)
    assert await _names(db) == []


async def test_a_transaction_sacrificed_to_a_deadlock_is_done_again(database_url: str) -> None:
    """Two take two rows in opposite order; one is undone by the database, and both come through."""
    async with opened(database_url) as database:
        if database.address.kind == "sqlite":
            return  # one writer at a time: there is no deadlock
        async with database.begin() as tx:
            await tx.execute(insert(versions).values([{"name": "a", "version": 0}, {"name": "b", "version": 0}]))
        both = [anyio.Event(), anyio.Event()]
        runs: list[str] = []

        async def cross(first: str, second: str) -> None:
            async def work(tx: Tx) -> None:
                runs.append(first)
                await _add_one(tx, first)
                both[first == "b"].set()
                await both[first != "b"].wait()
                await _add_one(tx, second)

            await database.transaction(work, tries=6)

        async with anyio.create_task_group() as group:
            group.start_soon(cross, "a", "b")
            group.start_soon(cross, "b", "a")
        async with database.read() as tx:
            assert (await tx.execute(select(versions.c.version))).scalars().all() == [2, 2]
        assert len(runs) >= 3


@pytest.mark.parametrize(
    "url",
    [
        *("nonsense", "oracle://h/x", "sqlite://", "sqlite:///:memory:", "postgresql://h/x?sslmode=maybe"),
        *("mysql://h/x?sslmode=require&sslmode=disable", "mysql://h/x?sslmode=require&sslrootcert=/nowhere/ca.pem"),
    ],
)
def test_a_url_that_cannot_be_used_is_a_mistake_of_the_settings(url: str) -> None:
    with pytest.raises(ConfigError, match=r"database\.url"):
        parse_address(url)


def test_no_mistake_tells_the_password() -> None:
    with pytest.raises(ConfigError) as raised:
        parse_address("postgresql://u:hush@h/x?sslmode=maybe")
    assert "hush" not in str(raised.value)
    assert "hush" not in parse_address("postgresql://u:hush@h/x").shown


@pytest.mark.parametrize(
    ("mode", "checks_chain", "checks_name"),
    [("require", False, False), ("verify-ca", True, False), ("verify-full", True, True)],
)
def test_sslmode_means_what_libpq_means_by_it(mode: str, checks_chain: bool, checks_name: bool) -> None:
    for scheme in ("postgresql", "mariadb"):
        tls = parse_address(f"{scheme}://h/x?sslmode={mode}").tls
        assert tls is not None
        assert (tls.verify_mode != 0, tls.check_hostname) == (checks_chain, checks_name)


async def _names(database: Database) -> list[str]:
    async with database.read() as tx:
        return list((await tx.execute(select(versions.c.name))).scalars())


async def _cut(url: str, number: int | None) -> None:
    """End the server's side of a connection, and wait until it has."""

    async def gone() -> bool:
        async with other.read() as tx:
            return (await tx.execute(text(LEFT[other.address.kind]), {"n": number})).scalar() == 0

    async with opened(url) as other:
        async with other.begin() as tx:
            await tx.execute(text(CUT[other.address.kind]), {"n": number})
        await until(gone)


async def _raise_epoch(tx: Tx) -> None:
    await tx.execute(update(store_epoch).values(epoch=store_epoch.c.epoch + 1))


async def _add_one(tx: Tx, name: str) -> None:
    await tx.execute(update(versions).where(versions.c.name == name).values(version=versions.c.version + 1))


def _stop(server: servers.Server) -> list[int]:
    """Stop the server and all its children: a connection that hangs is worse than one that is refused."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    pids = [server.process.pid, *map(int, children)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    return pids


async def test_a_look_up_by_key_sees_what_is_committed_and_nothing_else(db: Database) -> None:
    version = LookUp(select(versions).where(versions.c.name == bindparam("name")))
    assert await db.first(version, name="users") is None
    async with db.begin() as tx:
        await bump(tx, "users")
        assert await db.first(version, name="users") is None
    assert await db.first(version, name="clients") is None
    row = await db.first(version, name="users")
    assert row is not None
    assert row.version > 0


async def test_a_look_up_gives_each_column_as_any_query_does(db: Database) -> None:
    client = select(oauth_clients).where(oauth_clients.c.client_id == bindparam("id"))
    row = {**a_client("ä"), "first_party": True, "require_pkce": False, "secret_enc": b"\x00\xff", "disabled_at": 2**40}
    async with db.begin() as tx:
        await tx.execute(insert(oauth_clients).values(**row))
        ordinary = (await tx.execute(client, {"id": "ä"})).one()._asdict()
    found = (await db.first(LookUp(client), id="ä"))._asdict()
    assert found == ordinary and found.items() >= row.items()
    assert {name: type(value) for name, value in found.items()} == {name: type(ordinary[name]) for name in found}


async def test_a_look_up_in_a_busy_file_goes_the_ordinary_way(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    async with db.begin() as tx:
        await bump(tx, "users")

    def busy(*_: object) -> None:
        raise Busy

    monkeypatch.setattr(Beside, "first", busy)
    row = await db.first(LookUp(select(versions).where(versions.c.name == bindparam("name"))), name="users")
    assert row is not None


async def test_a_look_up_of_many_rows_gives_all_of_them_wherever_it_is_read(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_up = LookUp(select(versions.c.name).order_by(versions.c.name))
    assert await db.all(look_up) == []
    for name in "abc":
        async with db.begin() as tx:
            await bump(tx, name)
            assert len(await db.all(look_up)) < ord(name) - ord("a") + 1
    for most in (3, 2):
        monkeypatch.setattr("bridge.database.beside.MOST", most)
        assert [row.name for row in await db.all(look_up)] == ["a", "b", "c"]


def test_a_look_up_with_a_list_is_a_mistake() -> None:
    """SQLite's driver would refuse its words, and each look would go the ordinary way, unnoticed."""
    with pytest.raises(ValueError, match="a list"):
        _ = LookUp(select(versions).where(versions.c.name.in_(["users", "keys"]))).on_sqlite
