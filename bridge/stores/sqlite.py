"""The embedded store: one file, one host, one or two workers — spec/store.md §6."""

import asyncio
import os
import sqlite3
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from bridge.clock import Clock
from bridge.errors import Unavailable
from bridge.stores.store import Add, Change, Drop, Expect, Put, Swap, Tag, Take, Untag, check
from bridge.write_ahead import write_ahead

Result = TypeVar("Result")
Job: TypeAlias = Callable[[sqlite3.Connection, float], Result]

BUSY_SECONDS = 0.2
SWEEP_EVERY = 60.0
SWEEP_AT_ONCE = 500

_SCHEMA = """
CREATE TABLE IF NOT EXISTS held (key TEXT PRIMARY KEY, value BLOB NOT NULL, ends REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS held_ends ON held (ends);
CREATE TABLE IF NOT EXISTS tagged (name TEXT, member TEXT, ends REAL NOT NULL, PRIMARY KEY (name, member))
    WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS tagged_ends ON tagged (ends);
CREATE TABLE IF NOT EXISTS counted (key TEXT PRIMARY KEY, slot INTEGER NOT NULL, now INTEGER NOT NULL,
    before INTEGER NOT NULL, ends REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS counted_ends ON counted (ends);
"""
_GET = "SELECT value FROM held WHERE key = ? AND ends > ?"
_GET_MANY = "SELECT key, value FROM held WHERE key IN ({}) AND ends > ?"
_SET = "INSERT OR REPLACE INTO held VALUES (?, ?, ?)"
_DEL = "DELETE FROM held WHERE key = ?"
_TAG = "INSERT INTO tagged VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET ends = max(ends, excluded.ends)"
_UNTAG = "DELETE FROM tagged WHERE name = ? AND member = ?"
_MEMBERS = "SELECT member FROM tagged WHERE name = ? AND ends > ? ORDER BY member"
_SWEEPS = (
    "DELETE FROM held WHERE key IN (SELECT key FROM held WHERE ends <= ? LIMIT ?)",
    "DELETE FROM tagged WHERE (name, member) IN (SELECT name, member FROM tagged WHERE ends <= ? LIMIT ?)",
    "DELETE FROM counted WHERE key IN (SELECT key FROM counted WHERE ends <= ? LIMIT ?)",
)


class SqliteStore:
    """A `Store` in one file of mode 0600.  Calls run in the event loop: a worker thread would cost 2–8 times more.

    The commits of one loop tick share one transaction.  Where another process holds the file for longer than 200 ms
    the answer is `Unavailable`.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path = path
        self._clock = clock
        self._file: sqlite3.Connection | None = None
        self._jobs: list[tuple[Job[Any], asyncio.Future[Any]]] = []
        self._swept = 0.0

    @property
    def lost(self) -> bool:
        return False

    def regained(self, identity: str | None = None) -> None:
        """Nothing was lost: a file does not fail over."""

    async def open(self) -> None:
        """Make or open the file; raises `Unavailable` where that cannot be done."""
        try:
            _make_private(self.path)
            self._file = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
            write_ahead(self._file, BUSY_SECONDS)
            self._file.execute("PRAGMA synchronous = NORMAL")
            self._file.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            await self.close()
            raise Unavailable(f"the store's file {self.path}: {error}") from error

    async def close(self) -> None:
        self._flush()
        file, self._file = self._file, None
        if file is not None:
            file.close()

    async def identity(self) -> str:
        return "sqlite"

    async def read(self, *keys: str) -> Sequence[bytes | None]:
        rows = self._select(_get_many(len(keys)), *keys, self._clock.now())
        held = dict(rows)
        return [held.get(key) for key in keys]

    async def commit(self, *changes: Change) -> bool:
        check(changes)
        return await self.run(partial(_commit, changes))

    async def members(self, index: str) -> list[str]:
        return [member for (member,) in self._select(_MEMBERS, index, self._clock.now())]

    async def run(self, job: Job[Result]) -> Result:
        """Run `job(file, now)` inside the transaction of this loop tick; it judges before it writes."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Result] = loop.create_future()
        if not self._jobs:
            loop.call_soon(self._flush)
        self._jobs.append((job, waiter))
        return await waiter

    def _select(self, statement: str, *values: str | float) -> list[tuple[Any, ...]]:
        try:
            return self._opened().execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise _translated(error) from error

    def _flush(self) -> None:
        jobs, self._jobs = self._jobs, []
        if not jobs:
            return
        try:
            results = self._transact([job for job, _ in jobs])
        except Exception as error:  # noqa: BLE001  whatever it was: nobody may be left waiting
            _fail(jobs, error)
            return
        for (_, waiter), result in zip(jobs, results, strict=True):
            if not waiter.done():
                waiter.set_result(result)

    def _transact(self, jobs: list[Job[Any]]) -> list[Any]:
        file, now = self._opened(), self._clock.now()
        file.execute("BEGIN IMMEDIATE")
        try:
            results = [job(file, now) for job in jobs]
            self._sweep(file, now)
            file.execute("COMMIT")
        finally:
            if file.in_transaction:
                file.execute("ROLLBACK")
        return results

    def _sweep(self, file: sqlite3.Connection, now: float) -> None:
        if abs(now - self._swept) < SWEEP_EVERY:
            return
        swept = [file.execute(statement, (now, SWEEP_AT_ONCE)).rowcount for statement in _SWEEPS]
        if max(swept) < SWEEP_AT_ONCE:  # otherwise the next transaction goes on
            self._swept = now

    def _opened(self) -> sqlite3.Connection:
        if self._file is None:
            raise Unavailable("the store is not open")
        return self._file


def _fail(jobs: list[tuple[Job[Any], asyncio.Future[Any]]], error: Exception) -> None:
    for _, waiter in jobs:
        if not waiter.done():
            waiter.set_exception(_translated(error))


def _translated(error: Exception) -> Exception:
    return Unavailable(f"the store's file: {error}") if isinstance(error, sqlite3.Error) else error


def _make_private(path: Path) -> None:
    """SQLite gives its journal the mode of the file; another user of the host reads neither."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    path.chmod(0o600)


@cache
def _get_many(count: int) -> str:
    return _GET_MANY.format(", ".join("?" * count))


def _commit(changes: Sequence[Change], file: sqlite3.Connection, now: float) -> bool:
    if not all(_holds(file, change, now) for change in changes):
        return False
    for change in changes:
        _write(file, change, now)
    return True


def _holds(file: sqlite3.Connection, change: Change, now: float) -> bool:
    match change:
        case Add(key):
            return _get(file, key, now) is None
        case Take(key, seen) | Swap(key, seen) | Expect(key, seen):
            return _get(file, key, now) == seen
        case _:
            return True


def _get(file: sqlite3.Connection, key: str, now: float) -> bytes | None:
    row: tuple[bytes] | None = file.execute(_GET, (key, now)).fetchone()
    return None if row is None else row[0]


def _write(file: sqlite3.Connection, change: Change, now: float) -> None:
    match change:
        case Add(key, value, ttl) | Put(key, value, ttl) | Swap(key, _, value, ttl):
            file.execute(_SET, (key, value, now + ttl))
        case Take(key) | Drop(key):
            file.execute(_DEL, (key,))
        case Tag(index, member, ttl):
            file.execute(_TAG, (index, member, now + ttl))
        case Untag(index, member):
            file.execute(_UNTAG, (index, member))
        case Expect():
            pass
