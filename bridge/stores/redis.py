"""The store of production: Redis or Valkey — spec/store.md §4, §5.

Everything that is asked in one tick of the loop leaves in one write: the reads as one MGET, each commit as one call of
the one script.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from bridge.errors import Unavailable
from bridge.stores.batch import Call, Item, Reading, Waiter, witness
from bridge.stores.breaker import Breaker
from bridge.stores.lines import Lines
from bridge.stores.scripts import COMMIT, MEMBERS, Script, Word, written
from bridge.stores.store import INDEX_PREFIX, Change, check

MOST_LINES = 32
HOLD_SECONDS = 0.001
"""For which what is asked waits for the answer that is under way, so that under load one write carries the more."""


class RedisStore:
    """A `Store` on one Redis primary, reached through `lines`; `monotonic` is the breaker's clock, in seconds.

    Two tries and a look at the witness end within 2.5 s; nothing else tries again (spec/store.md §3).
    """

    def __init__(self, lines: Lines, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._lines = lines
        self._breaker = Breaker(monotonic)
        self._reads: list[tuple[Sequence[str], Waiter]] = []
        self._calls: list[Call] = []
        self._due = False
        self._held: asyncio.TimerHandle | None = None
        self._sending: set[asyncio.Task[None]] = set()

    @property
    def lost(self) -> bool:
        return self._lines.lost

    def regained(self, identity: str | None = None) -> None:
        self._lines.regained(identity)

    async def open(self) -> None:
        """Connect once, so that a wrong address or password shows now; raises `Unavailable`."""
        self._lines.open()
        self._lines.give(await self._lines.take())

    async def close(self) -> None:
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)
        await self._lines.close()

    async def identity(self) -> str:
        """The run and the replication history of the server, asked for now; raises `Unavailable`."""
        return await self._lines.identity()

    async def eviction_policy(self) -> str:
        """The server's `maxmemory-policy`; anything but `noeviction` may end sessions.  Raises `Unavailable`."""
        return await self._lines.eviction_policy()

    async def read(self, *keys: str) -> Sequence[bytes | None]:
        if not keys:
            return []
        waiter = self._new_waiter()
        self._reads.append((keys, waiter))
        values: Sequence[bytes | None] = await waiter
        return values

    async def commit(self, *changes: Change) -> bool:
        check(changes)
        if not changes:
            return True
        keys, arguments = written(changes)
        return bool(await self._called(COMMIT, keys, arguments, again=True, changes=changes))

    async def members(self, index: str) -> list[str]:
        names = await self._called(MEMBERS, [INDEX_PREFIX + index], [], again=True)
        return sorted(name.decode() for name in names)

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[Word]) -> Any:
        """Call another script, in the same write as everything else; a lost answer is `Unavailable` at once."""
        return await self._called(script, keys, arguments, again=False)

    def _called(
        self,
        script: Script,
        keys: Sequence[str],
        arguments: Sequence[Word],
        *,
        again: bool,
        changes: Sequence[Change] = (),
    ) -> Waiter:
        waiter = self._new_waiter()
        self._calls.append(Call(script, keys, arguments, waiter, again=again, changes=changes))
        return waiter

    def _new_waiter(self) -> Waiter:
        loop = asyncio.get_running_loop()
        if not self._due:
            self._due = True
            if self._sending:
                self._held = loop.call_later(HOLD_SECONDS, self._flush)
            else:
                loop.call_soon(self._flush)
        return loop.create_future()

    def _flush(self) -> None:
        self._due = False
        if self._held is not None:
            self._held.cancel()
            self._held = None
        if len(self._sending) >= MOST_LINES:
            return  # what waits now leaves when a line is free
        reads = [(keys, waiter) for keys, waiter in self._reads if not waiter.done()]
        items: list[Item] = [call for call in self._calls if call.wanted]
        self._reads, self._calls = [], []
        if reads:
            items.append(Reading(reads))
        if items:
            task = asyncio.get_running_loop().create_task(self._deliver(items))
            self._sending.add(task)
            task.add_done_callback(self._sent)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        if self._reads or self._calls:
            self._flush()

    async def _deliver(self, items: list[Item]) -> None:
        """Send them, and whatever happens leave nobody waiting."""
        error: Exception = Unavailable("the store's answer was lost")
        try:
            await self._try_twice(items)
        except Exception as found:  # noqa: BLE001  it is handed to everybody who waits
            error = found
        finally:
            for item in items:
                item.fail(error)

    async def _try_twice(self, items: list[Item]) -> None:
        if not self._breaker.allows():
            raise Unavailable("the store did not answer a moment ago")
        try:
            lost = await self._send(items)
            once = [item for item in lost if not item.again]
            again = [item for item in lost if item.again]
            lost = once + (await self._send(again) if again else [])
        except Unavailable:
            self._breaker.failed()
            raise
        if lost:
            self._breaker.failed()
        else:
            self._breaker.worked()
        await self._ask_witnesses([item for item in items if isinstance(item, Call) and item.doubtful])

    async def _send(self, items: list[Item]) -> list[Item]:
        """One copy of each, on one line; returns those whose answer did not come."""
        line = await self._lines.take()
        try:
            while items and not line.broken:
                for item in items:
                    item.leaves()
                answers = await line.ask([item.command for item in items])
                pairs = zip(items, answers, strict=False)
                items = [item for item, answer in pairs if not item.take(answer)] + items[len(answers) :]
        finally:
            self._lines.give(line)
        return items

    async def _ask_witnesses(self, calls: list[Call]) -> None:
        """Our own second copy was refused: our value at the witness means that the first one won (§4)."""
        witnesses = [(call, *found) for call in calls if (found := witness(call.changes))]
        if witnesses:
            waiter: Waiter = asyncio.get_running_loop().create_future()
            reading = Reading([([key for _, key, _ in witnesses], waiter)])
            if not await self._send([reading]):
                for (call, _, ours), value in zip(witnesses, await waiter, strict=True):
                    call.settle(value == ours)
