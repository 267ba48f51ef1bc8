"""The login guard's counters in the SQLite store's file — sessions-and-accounts.md §8.2."""

import sqlite3
from collections.abc import Sequence
from functools import partial

from bridge.stores.guard import NOTHING, Count, Window, judge, slot_of
from bridge.stores.sqlite import SqliteStore


class SqliteGuard:
    """A `Guard` in the store's file."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    async def admit(self, windows: Sequence[Window], cap: Window | None = None) -> float:
        return await self._store.run(partial(_admit, windows, cap))

    async def refund(self, windows: Sequence[Window]) -> None:
        await self._store.run(partial(_refund, windows))

    async def count(self, window: Window) -> int:
        return await self._store.run(partial(_weigh, window))

    async def clear(self, key: str) -> None:
        await self._store.run(partial(_clear, key))


def _admit(windows: Sequence[Window], cap: Window | None, file: sqlite3.Connection, now: float) -> float:
    verdict, counts = judge(windows, cap, lambda window: _count(file, window, now), now)
    for window, count in counts.items():
        _keep(file, window, count, now)
    return verdict


def _refund(windows: Sequence[Window], file: sqlite3.Connection, now: float) -> None:
    for window in dict.fromkeys(windows):
        _keep(file, window, _count(file, window, now).fewer(), now)


def _weigh(window: Window, file: sqlite3.Connection, now: float) -> int:
    return int(_count(file, window, now).weight(window, now))


def _clear(key: str, file: sqlite3.Connection, now: float) -> None:  # noqa: ARG001  a job is handed the time
    file.execute("DELETE FROM counted WHERE key = ?", (key,))


def _count(file: sqlite3.Connection, window: Window, now: float) -> Count:
    row = file.execute("SELECT slot, now, before FROM counted WHERE key = ?", (window.key,)).fetchone()
    return (Count(*row) if row else NOTHING).at(slot_of(window, now))


def _keep(file: sqlite3.Connection, window: Window, count: Count, now: float) -> None:
    ends = now + 2 * window.seconds
    file.execute(
        "INSERT OR REPLACE INTO counted VALUES (?, ?, ?, ?, ?)", (window.key, count.slot, count.now, count.before, ends)
    )
