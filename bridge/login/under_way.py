"""Attempts that are being checked in this process now.

An attempt is counted before it is checked, so a burst of right passwords (an office behind one address, a portal that
asks for one user many times at once) fills a window for the moment of the check.  Who finds it full waits for those
before him, as long as there are any: a right password frees a place, wrong ones do not, and then he is told to go.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

MOST_WAITING: Final = 1_000


class UnderWay:
    """Lets attempts wait for one another, at most `patience` seconds."""

    def __init__(self, *, patience: float = 10.0, most: int = MOST_WAITING) -> None:
        self._patience = patience
        self._most = most
        # Who is asking counts too: his answer may be on its way while a later one's is here already.
        self._active: dict[str, int] = {}
        self._freed = 0
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._waiters = 0

    async def admit(self, keys: Sequence[str], ask: Callable[[], Awaitable[float]]) -> float:
        """What `ask` says: over 0 the seconds to wait; else the attempt is under way until it is landed."""
        end = asyncio.get_running_loop().time() + self._patience
        while True:
            freed = self._freed
            self._enter(keys)
            admitted = False
            try:
                wait = await ask()
                admitted = wait <= 0
            finally:
                if not admitted:
                    self._leave(keys)
            if admitted:
                return wait
            while self._freed == freed:  # else there may be room now: ask again
                if not await self._somebody_leaves(keys, end):
                    return wait

    def land(self, keys: Sequence[str], *, freed: bool) -> None:
        """The attempt is over; `freed`: its place in the windows is free again."""
        self._freed += freed
        for key in keys if freed else ():
            self._wake(key)
        self._leave(keys)

    def _enter(self, keys: Sequence[str]) -> None:
        for key in keys:
            self._active[key] = self._active.get(key, 0) + 1

    def _leave(self, keys: Sequence[str]) -> None:
        for key in keys:
            if (left := self._active.pop(key, 1) - 1) > 0:
                self._active[key] = left
                continue
            while key in self._waiting:  # nobody is left to wait for
                self._wake(key)

    async def _somebody_leaves(self, keys: Sequence[str], end: float) -> bool:
        """Wait to be woken; False at once if nobody is under way in these windows, or too many wait already."""
        mine = [key for key in keys if key in self._active]
        if not mine or self._waiters >= self._most:
            return False
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        for key in mine:
            self._waiting.setdefault(key, deque()).append(turn)
        self._waiters += 1
        try:
            async with asyncio.timeout_at(end):
                await turn
        except TimeoutError:
            return False
        finally:
            self._waiters -= 1
            for key in mine:
                self._forget(key, turn)
        return True

    def _wake(self, key: str) -> None:
        """The next one who waits for that window."""
        waiting = self._waiting.get(key)
        while waiting:
            turn = waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                break
        if not waiting:
            self._waiting.pop(key, None)

    def _forget(self, key: str, turn: asyncio.Future[None]) -> None:
        waiting = self._waiting.get(key, deque())
        with suppress(ValueError):
            waiting.remove(turn)
        if not waiting:
            self._waiting.pop(key, None)
