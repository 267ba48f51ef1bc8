"""What the operator's log is told beside the events: what failed, what does not answer — DESIGN §11, A12."""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

from bridge.errors import Unavailable
from bridge.events.event import Event, Listener

QUIET: Final = 10.0
"""Seconds in which the same trouble at the same place is told once."""
_MOST: Final = 200

_log = logging.getLogger("bridge")


class Teller:
    """Hears of every exception that became an answer; an outage is not a line for each request."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._told: dict[tuple[str, str], float] = {}

    def __call__(self, error: Exception, *, place: str, reference: str | None) -> None:
        """`place`: the endpoint's own path; `reference`: what the caller was shown."""
        if isinstance(error, Unavailable):
            self._once_in_a_while(place, str(error))
        elif reference is not None:
            _log.error("reference %s: %s failed", reference, place, exc_info=error)
        else:
            _log.error("%s failed in the middle of its answer", place, exc_info=error)

    def _once_in_a_while(self, place: str, why: str) -> None:
        now, what = self._monotonic(), (place, why)
        if now - self._told.get(what, float("-inf")) < QUIET:
            return
        if len(self._told) >= _MOST:
            self._told.clear()
        self._told[what] = now
        _log.warning("%s cannot be served: %s", place, why or "a server that it needs does not answer")


class Outage:
    """Does something again and again, and tells when it begins to fail, and when it works again."""

    def __init__(self, work: Callable[[], Awaitable[None]], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._work = work
        self._monotonic = monotonic
        self._since: float | None = None

    async def once(self) -> None:
        """Do it; `Unavailable` is told, and not raised."""
        try:
            await self._work()
        except Unavailable as error:
            if self._since is None:
                self._since = self._monotonic()
                _log.error("an outage begins: %s", error)
        else:
            if self._since is not None:
                _log.warning("the outage is over, after %.0f s", self._monotonic() - self._since)
                self._since = None


class Careful:
    """A listener of the operator's: what it raises is told, and nobody's sign-in fails of it."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def hear(self, event: Event) -> None:
        """Let it hear."""
        try:
            self._listener.hear(event)
        except Exception as error:  # noqa: BLE001  # it is not ours
            _log.error("a listener failed to hear %s", event.kind, exc_info=error)
