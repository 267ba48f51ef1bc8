"""A circuit breaker: a server that does not answer is left alone for a moment — sessions-and-accounts.md §5.7."""

from collections.abc import Callable

FAILURES = 5
OPEN_SECONDS = 2.0


class Breaker:
    """After 5 failures in a row nothing is sent for 2 s; then one may try, and its outcome decides for all."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._failures = 0
        self._closed_until = float("-inf")

    def allows(self) -> bool:
        """May something be sent?  Who gets True says `worked()` or `failed()` afterwards."""
        if self._failures < FAILURES:
            return True
        now = self._monotonic()
        if now < self._closed_until:
            return False
        self._closed_until = now + OPEN_SECONDS  # the others wait for this one
        return True

    def worked(self) -> None:
        self._failures = 0

    def failed(self) -> None:
        self._failures += 1
        if self._failures >= FAILURES:
            self._closed_until = self._monotonic() + OPEN_SECONDS
