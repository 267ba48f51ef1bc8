"""Counters that slow guessing down — sessions-and-accounts.md §8.1, §8.2, security.md §23.

A sliding window of two slots: what the slot before counted fades out while the present one fills.  An attempt is
counted when it is admitted, in every window or in none, and refunded when it was no failure: counted afterwards, fifty
parallel guesses would all slip through.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from msgspec import Struct

from bridge.clock import Clock
from bridge.errors import Unavailable

MOST_COUNTS = 100_000


class Window(Struct, frozen=True):
    """At most `limit` attempts in any `seconds`.  `key` lies outside the tracked prefixes: `lb:<instance>:rl:…`."""

    key: str
    limit: int
    seconds: float


class Guard(Protocol):
    """Counts attempts.  Every verb raises `Unavailable` when the counters cannot be reached."""

    async def admit(self, windows: Sequence[Window], cap: Window | None = None) -> float:
        """0: admitted, and counted in every window.  Over 0: the seconds to wait; nothing was counted anywhere.

        `cap` turns nobody away: it counts those whom the windows admit.  Below 0: admitted, but the cap was full and
        did not count him.
        """
        ...

    async def refund(self, windows: Sequence[Window]) -> None:
        """The attempt that was admitted was no failure after all: a success, or somebody else's error."""
        ...

    async def count(self, window: Window) -> int:
        """How many are counted in it now."""
        ...

    async def clear(self, key: str) -> None:
        """Forget one window."""
        ...


@dataclass(frozen=True, slots=True)
class Count:
    """What one window holds: the number of a slot, what was counted in it, and in the one before."""

    slot: int
    now: int
    before: int

    def at(self, slot: int) -> "Count":
        """The same count seen from a later slot (or, after a clock was set back, an earlier one: nothing)."""
        if slot == self.slot:
            return self
        return Count(slot, 0, self.now if slot == self.slot + 1 else 0)

    def wait(self, window: Window, now: float) -> float:
        """Seconds until it makes sense to come back; 0: one more is within the limit."""
        if self.weight(window, now) + 1 <= window.limit:
            return 0.0
        return window.seconds - now % window.seconds

    def weight(self, window: Window, now: float) -> float:
        """What it counts: of the slot before only the part that has not faded."""
        return self.before * (1 - now % window.seconds / window.seconds) + self.now

    def more(self) -> "Count":
        return Count(self.slot, self.now + 1, self.before)

    def fewer(self) -> "Count":
        """One back: from this slot, else from the one before, in which it was admitted."""
        if self.now:
            return Count(self.slot, self.now - 1, self.before)
        return Count(self.slot, 0, max(0, self.before - 1))


NOTHING = Count(-1, 0, 0)


def slot_of(window: Window, now: float) -> int:
    """The number of the present slot."""
    return math.floor(now / window.seconds)


def judge(
    windows: Sequence[Window], cap: Window | None, count: Callable[[Window], Count], now: float
) -> tuple[float, dict[Window, Count]]:
    """What `Guard.admit` answers, and the counts to keep then."""
    counts = {window: count(window) for window in windows}
    worst = max((counted.wait(window, now) for window, counted in counts.items()), default=0.0)
    if worst:
        return worst, {}
    counts = {window: counted.more() for window, counted in counts.items()}
    if cap is None:
        return 0.0, counts
    counted = count(cap)
    if wait := counted.wait(cap, now):
        return -wait, counts
    return 0.0, {**counts, cap: counted.more()}


class MemoryGuard:
    """A `Guard` of one process, with at most `most` counts; whoever sprays names pushes out the oldest."""

    def __init__(self, clock: Clock, *, most: int = MOST_COUNTS) -> None:
        self._clock = clock
        self._most = most
        self._counts: dict[str, tuple[Count, float]] = {}

    async def admit(self, windows: Sequence[Window], cap: Window | None = None) -> float:
        now = self._clock.now()
        verdict, counts = judge(windows, cap, lambda window: self._count(window, now), now)
        for window, count in counts.items():
            self._keep(window, count, now)
        return verdict

    @property
    def counts(self) -> bool:
        """Whether there is any count at all."""
        return bool(self._counts)

    async def refund(self, windows: Sequence[Window]) -> None:
        now = self._clock.now()
        for window in dict.fromkeys(windows):
            if window.key in self._counts:
                self._keep(window, self._count(window, now).fewer(), now)

    async def count(self, window: Window) -> int:
        now = self._clock.now()
        return int(self._count(window, now).weight(window, now))

    async def clear(self, key: str) -> None:
        self._counts.pop(key, None)

    def _count(self, window: Window, now: float) -> Count:
        count, _ = self._counts.get(window.key, (NOTHING, 0.0))
        return count.at(slot_of(window, now))

    def _keep(self, window: Window, count: Count, now: float) -> None:
        self._counts.pop(window.key, None)
        self._counts[window.key] = (count, now + 2 * window.seconds)
        if len(self._counts) > self._most:
            alive = [(key, held) for key, held in self._counts.items() if held[1] > now]
            self._counts = dict(alive[-(self._most // 2) :])


class FallbackGuard:
    """A `Guard` that counts in this process, at its share of the limit, while the one behind it cannot be reached.

    Neither open nor closed: an attacker who takes the store down gains nothing, and the others still sign in.
    """

    def __init__(self, guard: Guard, clock: Clock, *, workers: int) -> None:
        self._guard = guard
        self._own = MemoryGuard(clock)
        self._workers = workers

    async def admit(self, windows: Sequence[Window], cap: Window | None = None) -> float:
        try:
            return await self._guard.admit(windows, cap)
        except Unavailable:
            return await self._own.admit(self._shares(windows), self._share(cap) if cap else None)

    async def refund(self, windows: Sequence[Window]) -> None:
        """Where it was counted is not known any more; one too few here is at most a share of the limit."""
        if self._own.counts:
            await self._own.refund(self._shares(windows))
        try:
            await self._guard.refund(windows)
        except Unavailable:
            return

    async def count(self, window: Window) -> int:
        try:
            return await self._guard.count(window)
        except Unavailable:
            return await self._own.count(window)

    async def clear(self, key: str) -> None:
        await self._own.clear(key)
        try:
            await self._guard.clear(key)
        except Unavailable:
            return

    def _shares(self, windows: Sequence[Window]) -> list[Window]:
        return [self._share(window) for window in windows]

    def _share(self, window: Window) -> Window:
        return Window(window.key, max(1, window.limit // self._workers), window.seconds)
