"""The store in a file: private, one transaction per tick, no waiting on others, swept — spec/store.md §6."""

import asyncio
import os
import sqlite3
import stat
import threading
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from bridge.errors import Unavailable
from bridge.stores import sqlite
from bridge.stores.sqlite import SWEEP_AT_ONCE, SqliteStore
from bridge.stores.store import Add, Put, Tag
from bridge.testing.hands import Hands
from tests.patience import LetRun

A, B = "lb:a:{t}", "lb:b:{t}"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "var" / "store.db"


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
async def store(path: Path, hands: Hands) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(path, hands)
    await store.open()
    yield store
    await store.close()


async def test_nobody_else_on_the_host_may_read_it(store: SqliteStore, path: Path) -> None:
    await store.commit(Add(A, b"v", 10))
    names = ("store.db", "store.db-wal", "store.db-shm")
    assert [_mode(path.with_name(name)) for name in names] == [0o600] * 3
    assert _mode(path.parent) == 0o700


async def test_a_file_that_others_could_read_is_closed_to_them(path: Path, hands: Hands) -> None:
    path.parent.mkdir()
    os.close(os.open(path, os.O_CREAT, 0o644))
    store = SqliteStore(path, hands)
    await store.open()
    assert _mode(path) == 0o600
    await store.close()


async def test_a_new_file_that_another_writes_to_is_waited_for(
    path: Path, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite itself refuses at once to begin a write-ahead log then."""
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 30)
    path.parent.mkdir(mode=0o700)
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        ending = threading.Timer(0.1, other.execute, ("ROLLBACK",))
        ending.start()
        store = SqliteStore(path, hands)
        await store.open()
        ending.join()
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert await store.commit(Put(A, b"v", 10)) is True
    await store.close()


async def test_a_new_file_that_another_does_not_let_go_is_unavailable(path: Path, hands: Hands) -> None:
    path.parent.mkdir(mode=0o700)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="locked"):
            await SqliteStore(path, hands).open()


async def test_what_was_committed_is_there_after_reopening(path: Path, hands: Hands) -> None:
    for number in range(3):
        store = SqliteStore(path, hands)
        await store.open()
        assert await store.commit(Add(f"{A}:{number}", b"v", 10)) is True
        assert list(await store.read(*(f"{A}:{i}" for i in range(3)))) == [b"v"] * (number + 1) + [None] * (2 - number)
        await store.close()


async def test_commits_of_one_tick_share_one_transaction(store: SqliteStore) -> None:
    statements: list[str] = []
    store._opened().set_trace_callback(statements.append)
    assert await asyncio.gather(*(store.commit(Add(f"{A}:{i}", b"v", 10)) for i in range(10))) == [True] * 10
    assert statements.count("BEGIN IMMEDIATE") == statements.count("COMMIT") == 1


async def test_a_file_held_by_another_is_unavailable_after_a_fifth_of_a_second(store: SqliteStore, path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with LetRun() as ran:
        outcomes = await asyncio.gather(*(store.commit(Put(A, b"v", 10)) for _ in range(3)), return_exceptions=True)
    assert ([type(outcome) for outcome in outcomes], ran.seconds < 1) == ([Unavailable] * 3, True)
    assert list(await store.read(A)) == [None], "readers do not wait"
    other.execute("ROLLBACK")
    other.close()
    assert await store.commit(Put(A, b"v", 10)) is True


async def test_a_full_disk_fails_the_whole_commit(store: SqliteStore) -> None:
    await store.commit(Put(A, b"held", 10))
    store._opened().execute("PRAGMA max_page_count = 20")
    with pytest.raises(Unavailable, match="full"):
        await store.commit(Put(A, b"new", 10), Put(B, b"x" * 1_000_000, 10))
    assert list(await store.read(A, B)) == [b"held", None]
    store._opened().execute("PRAGMA max_page_count = 1000000")
    assert await store.commit(Put(B, b"x" * 1_000_000, 10)) is True


async def test_a_job_that_raises_fails_everybody_and_leaves_nothing(store: SqliteStore) -> None:
    def broken(file: sqlite3.Connection, now: float) -> None:
        file.execute("INSERT INTO held VALUES ('half', x'00', 1e12)")
        raise ZeroDivisionError

    outcomes = await asyncio.gather(store.run(broken), store.commit(Put(A, b"v", 10)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ZeroDivisionError, ZeroDivisionError]
    assert list(await store.read(A, "half")) == [None, None]
    assert await store.commit(Put(A, b"v", 10)) is True


async def test_what_is_over_leaves_the_file(store: SqliteStore, hands: Hands) -> None:
    for start in range(0, SWEEP_AT_ONCE + 100, 100):
        await store.commit(*(Put(f"{A}:{start + i}", b"v", 10) for i in range(100)), Tag("lb:i:{t}", str(start), 10))
    await store.commit(Put(B, b"kept", 1000), Tag("lb:i:{t}", "kept", 1000))
    hands.move(61)
    for _ in range(3):
        await store.commit(Put("lb:c:{t}", b"v", 1000))
    rows = [store._opened().execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("held", "tagged")]
    assert rows == [2, 1]


async def test_a_closed_store_is_unavailable(path: Path, hands: Hands) -> None:
    store = SqliteStore(path, hands)
    for _ in range(2):
        with pytest.raises(Unavailable, match="not open"):
            await store.read(A)
        with pytest.raises(Unavailable, match="not open"):
            await store.commit(Add(A, b"v", 10))
        await store.open()
        await store.close()


async def test_closing_finishes_what_was_asked(path: Path, hands: Hands) -> None:
    store = SqliteStore(path, hands)
    await store.open()
    asked = asyncio.ensure_future(store.commit(Add(A, b"v", 10)))
    await asyncio.sleep(0)
    await store.close()
    assert await asked is True


async def test_a_file_that_is_none_is_unavailable(tmp_path: Path, hands: Hands) -> None:
    with pytest.raises(Unavailable, match="director"):
        await SqliteStore(tmp_path, hands).open()
    with pytest.raises(Unavailable, match="not a database"):
        await SqliteStore(_scribbled(tmp_path / "store.db"), hands).open()


def _scribbled(path: Path) -> Path:
    path.write_bytes(b"not a database " * 100)
    return path


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
