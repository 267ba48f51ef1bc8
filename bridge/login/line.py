"""Attempts at one account that are slowed down stand in one line, in this process — security §23.

Side by side they would all be as late, and as many as ever: a delay bounds guessing only if one waits for another.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

MOST_WAITING: Final = 20


@dataclass(slots=True)
class _Line:
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    length: int = 0


class Lines:
    """The lines, by name.  There is one only as long as somebody stands in it."""

    def __init__(self, *, pause: Callable[[float], Awaitable[None]], most: int = MOST_WAITING) -> None:
        """`pause`: lets that many seconds pass.  `most`: how many may wait behind the first."""
        self._pause = pause
        self._most = most
        self._lines: dict[str, _Line] = {}

    async def stand(self, name: str, seconds: float) -> float:
        """Wait for all before, then `seconds` more.  0: it is over; else the line is full, and so many seconds long."""
        line = self._lines.setdefault(name, _Line())
        if line.length > self._most:
            return max(1.0, line.length * seconds)
        line.length += 1
        try:
            async with line.turn:
                await self._pause(seconds)
        finally:
            line.length -= 1
            if line.length == 0:
                del self._lines[name]
        return 0.0
