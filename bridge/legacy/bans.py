"""Who guessed at an admin's login too often — whmcs-api §2.4."""

from collections import OrderedDict
from typing import Final

from bridge.clock import Clock
from bridge.types import IPAddress

_MOST_ADDRESSES: Final = 10_000


class Bans:
    """Wrong admin logins by address, in this process.  A ban closes admin login to the address, nothing else: other
    callers may share it."""

    def __init__(self, clock: Clock, *, failures: int, seconds: int) -> None:
        self._clock = clock
        self._failures = failures
        self._seconds = seconds
        self._wrong: OrderedDict[IPAddress | None, tuple[int, float]] = OrderedDict()

    def holds(self, address: IPAddress | None) -> bool:
        """Whether that address is banned now."""
        count, since = self._wrong.get(address, (0, 0.0))
        return count >= self._failures and self._clock.now() < since + self._seconds

    def count(self, address: IPAddress | None) -> None:
        """One more wrong login, which counts for as long as a ban lasts."""
        count, since = self._wrong.pop(address, (0, 0.0))
        now = self._clock.now()
        self._wrong[address] = (count + 1 if now < since + self._seconds else 1, now)
        if len(self._wrong) > _MOST_ADDRESSES:
            self._wrong.popitem(last=False)

    def forgive(self, address: IPAddress | None) -> None:
        """A right login."""
        self._wrong.pop(address, None)
