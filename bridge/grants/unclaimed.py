"""Codes that nobody came for: how many of them one person may leave in the store — security §23; docs/decisions/0261.

A code is had for the asking by whoever is signed in, and lies there for minutes.  Whoever redeems what he asks for is
never held up.
"""

from typing import Final

from msgspec import Struct

from bridge.grants.options import MEMORY, GrantOptions
from bridge.types import SlotTag

MOST_PEOPLE: Final = 10_000


class _Count(Struct):
    since: float
    codes: int


class Unclaimed:
    """Counted by each worker for itself, so that no request asks the store for it."""

    def __init__(self, options: GrantOptions) -> None:
        self._most = options.codes_per_user
        self._seconds = options.code + MEMORY
        self._of: dict[SlotTag, _Count] = {}

    def admit(self, tag: SlotTag, now: float) -> bool:
        """One more code for that person.  False: there are too many that nobody came for."""
        count = self._of.get(tag)
        if count is None or now - count.since >= self._seconds:
            self._of.pop(tag, None)
            if len(self._of) >= MOST_PEOPLE:
                del self._of[next(iter(self._of))]  # the one that began to count the longest ago
            count = self._of[tag] = _Count(now, 0)
        if count.codes >= self._most:
            return False
        count.codes += 1
        return True

    def claimed(self, tag: SlotTag) -> None:
        """Somebody came for one."""
        count = self._of.get(tag)
        if count is not None and count.codes:
            count.codes -= 1
