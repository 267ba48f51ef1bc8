"""Counts the requests under way, so that nothing is closed beneath them."""

import asyncio
from types import TracebackType


class Turnstile:
    """`with turnstile:` around each request; `emptied` waits until nobody is inside."""

    def __init__(self) -> None:
        self.inside: int = 0
        self._empty: asyncio.Event | None = None

    def __enter__(self) -> None:
        self.inside += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.inside -= 1
        if self._empty is not None and not self.inside:
            self._empty.set()

    async def emptied(self, seconds: float) -> bool:
        """Whether all have left within that time."""
        self._empty = asyncio.Event()
        try:
            async with asyncio.timeout(seconds):
                while self.inside:
                    self._empty.clear()
                    await self._empty.wait()
        except TimeoutError:
            return False
        return True
