"""What runs beside the requests: begun together, begun again when it fails, ended together — DESIGN §4."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from bridge.errors import BridgeError, Unavailable

PAUSE: Final = 1.0
"""Seconds before a chore that failed begins again."""
STEADY: Final = 5.0
"""Seconds after which a chore that began again is no longer in doubt."""

Chore = Callable[[], Awaitable[None]]

_log = logging.getLogger("bridge")


class Chores:
    """Runs each until it returns, or until `end`.

    A failure must not end what revocation stands on: it is told, and the chore begins again a second later.
    """

    def __init__(
        self,
        chores: Mapping[str, Chore],
        *,
        pause: float = PAUSE,
        steady: float = STEADY,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._chores = dict(chores)
        self._pause = pause
        self._steady = steady
        self._monotonic = monotonic
        self._failed: dict[str, float] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def begin(self) -> None:
        """All of them, in this event loop."""
        self._tasks = {name: asyncio.create_task(self._keep(name, chore)) for name, chore in self._chores.items()}

    async def left(self, name: str, seconds: float) -> None:
        """Wait for one that was asked to return, at most so long."""
        if name in self._tasks:
            await asyncio.wait([self._tasks[name]], timeout=seconds)

    async def end(self) -> None:
        """Cancel them, and wait until each has finished what it does at its end."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._tasks = {}

    def failing(self) -> list[str]:
        """Those that failed a moment ago, and have not run steadily since."""
        now = self._monotonic()
        return [name for name, at in self._failed.items() if now < at + self._pause + self._steady]

    async def check(self) -> None:
        """Raise `Unavailable` while one is failing."""
        if failing := self.failing():
            raise Unavailable(f"{', '.join(failing)} failed a moment ago")

    async def _keep(self, name: str, chore: Chore) -> None:
        while True:
            try:
                await chore()
            except Exception as error:  # noqa: BLE001  # whatever it was: the chore is needed
                self._failed[name] = self._monotonic()
                # What is expected names its reason; the rest needs its traceback.
                shown = None if isinstance(error, BridgeError) else error
                _log.critical("%s failed and begins again: %s", name, error, exc_info=shown)
                await asyncio.sleep(self._pause)
            else:
                return
