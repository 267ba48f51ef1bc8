"""Time and chance, handed in as arguments so that a test can hold them."""

import os
import time
from collections.abc import Callable
from typing import Protocol

Chance = Callable[[int], bytes]
"""Gives that many unpredictable bytes.  In production the operating system's."""

chance: Chance = os.urandom


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> float:
        """Unix time in seconds."""
        ...


class SystemClock:
    """The machine's own clock."""

    now: "staticmethod[[], float]" = staticmethod(time.time)
    """As a `Clock`: the system's own function, without one of ours around it at each request."""
