"""Waiting for what others do, and bounds of time, on a machine that at times lets a process stand for seconds.

What shall happen is waited for with `until`; how long something took at most is counted with `LetRun`.
"""

import asyncio
import inspect
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Final, Self

PATIENCE: Final = 30.0
"""Seconds after which what shall happen will not: far beyond what it takes, since only a failure waits for them."""
_STEP, _MOST = 0.01, 0.05


async def until(true: Callable[[], object | Awaitable[object]], *, seconds: float = PATIENCE) -> None:
    """Wait until what this function returns, or what its coroutine does, is true."""
    end = time.monotonic() + seconds
    while True:
        found = true()
        if await found if inspect.isawaitable(found) else found:
            return
        assert time.monotonic() < end, f"it did not happen within {seconds} s"
        await asyncio.sleep(_STEP)


class LetRun:
    """`with LetRun() as ran:` and afterwards `ran.seconds`: for how long this process was let run in the block.

    A thread counts steps.  One that took longer than it should counts for little more, unless the process computed
    all the while: a bound holds though everything stood still, and waiting and computing are counted as they are.
    """

    def __init__(
        self, wall: Callable[[], float] = time.monotonic, computed: Callable[[], float] = time.process_time
    ) -> None:
        self.seconds = 0.0
        self._wall, self._computed = wall, computed
        self._last = (0.0, 0.0)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._count, name="let-run", daemon=True)

    def __enter__(self) -> Self:
        self._last = self._wall(), self._computed()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.step()

    def step(self) -> None:
        """Count what went by since the last step."""
        now = self._wall(), self._computed()
        wall, computed = now[0] - self._last[0], now[1] - self._last[1]
        self.seconds += min(wall, max(_MOST, computed))
        self._last = now

    def _count(self) -> None:
        while not self._stop.wait(_STEP):
            self.step()
