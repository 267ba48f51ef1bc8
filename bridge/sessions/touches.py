"""Touching in the background: after the answer, at most one at a time for each session — S6."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from bridge.errors import Unavailable
from bridge.sessions.judge import Alive
from bridge.types import Key

MOST: Final = 1_000
"""Touches under way at one time; beyond that a use is written down by a later request."""


class Touches:
    """Writes uses down by `touch`, which may fail: the session is then touched by its next use."""

    def __init__(self, touch: Callable[[Alive], Awaitable[object]]) -> None:
        self._touch = touch
        self._under_way: dict[Key, asyncio.Task[None]] = {}

    def soon(self, alive: Alive) -> None:
        """Touch it in the background, unless that is under way."""
        if alive.key in self._under_way or len(self._under_way) >= MOST:
            return
        task = asyncio.get_running_loop().create_task(self._quietly(alive))
        self._under_way[alive.key] = task
        task.add_done_callback(lambda _: self._under_way.pop(alive.key, None))

    async def finish(self) -> None:
        """Wait for what is under way; at shut-down."""
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def _quietly(self, alive: Alive) -> None:
        with suppress(Unavailable):
            await self._touch(alive)
