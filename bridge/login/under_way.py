"""Attempts that are being checked in this process now.

An attempt is counted before it is checked, so a burst of right passwords (an office behind one address, a portal that
asks for one user many times at once) fills a window for the moment of the check.  Who finds it full waits for those
before him, as long as there are any: a right password frees a place, wrong ones do not, and then he is told to go.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

MOST_WAITING: Final = 1_000


class UnderWay:
    """Lets attempts wait for one another, at most `patience` seconds."""

    def __init__(self, *, patience: float = 5.0, most: int = MOST_WAITING) -> None:
        self._patience = patience
        self._most = most
        self._flying: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._waiters = 0

    async def admit(self, keys: Sequence[str], ask: Callable[[], Awaitable[float]]) -> float:
        """What `ask` says: 0 and the attempt is under way until it is landed; else the seconds to wait."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._patience
        while (wait := await ask()) > 0:
            if not await self._landing(keys, end - loop.time()):
                return wait
        self._flying.update(keys)
        return 0.0

    def land(self, keys: Sequence[str], *, freed: bool) -> None:
        """The attempt is over; `freed`: its place in the windows is free again."""
        self._flying.subtract(keys)
        for key in keys:
            if self._flying[key] <= 0:
                del self._flying[key]
            for _ in range(len(self._waiting.get(key, ())) if key not in self._flying else int(freed)):
                self._wake(key)

    async def _landing(self, keys: Sequence[str], seconds: float) -> bool:
        """Whether one landed within that time; False at once if none of them is under way, or too many wait."""
        mine = [key for key in keys if key in self._flying]
        if not mine or seconds <= 0 or self._waiters >= self._most:
            return False
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        for key in mine:
            self._waiting.setdefault(key, deque()).append(turn)
        self._waiters += 1
        try:
            async with asyncio.timeout(seconds):
                await turn
        except TimeoutError:
            return False
        finally:
            self._waiters -= 1
            for key in mine:
                self._forget(key, turn)
        return True

    def _wake(self, key: str) -> None:
        waiting = self._waiting.get(key, deque())
        while waiting:
            turn = waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def _forget(self, key: str, turn: asyncio.Future[None]) -> None:
        waiting = self._waiting.get(key, deque())
        with suppress(ValueError):
            waiting.remove(turn)
        if not waiting:
            self._waiting.pop(key, None)
