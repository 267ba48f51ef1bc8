"""How much may be written in a minute of what people cause whom nobody knows — security §30, sessions-and-accounts A12.

Audit rows and lines of the log have each a budget of their own; what is beyond it is counted, and the count written.
"""

from collections import Counter
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

from bridge.events.event import Event, EventKind

MINUTE: Final = 60
REFUSALS: Final[frozenset[EventKind]] = frozenset(
    {
        "credential.refused",
        "token.refused",
        "session.refused",
        "reset.refused",
        "ticket.refused",
        "sso.refused",
        "email.refused",
        "sign-up.refused",
    }
)
"""What a request without any right causes, as often as it is sent."""
ATTEMPTS: Final[frozenset[EventKind]] = frozenset(
    {"login.fail", "login.blocked", "reset.requested", "sign-up.requested", "upstream.down"}
)
"""What everybody may try too, but tells who is under attack: ten times as many are kept."""
ATTEMPTS_TO_REFUSAL: Final = 10

What = TypeVar("What", bound=Hashable)


class Minute(Generic[What]):
    """So many of each within a minute; what is beyond it is counted."""

    def __init__(self) -> None:
        self._minute = self._told = 0
        self._used: Counter[What] = Counter()
        self._over: Counter[What] = Counter()

    def admits(self, what: What, most: int, now: float) -> bool:
        """Is it one of the first `most` of this minute?"""
        if (minute := int(now // MINUTE)) != self._minute:
            self._minute = minute
            self._used.clear()
        self._used[what] += 1
        if self._used[what] <= most:
            return True
        self._over[what] += 1
        return False

    def summary(self, now: float) -> Counter[What]:
        """How many of each were beyond it since the last; nothing twice in one minute."""
        if not self._over or (minute := int(now // MINUTE)) == self._told:
            return Counter()
        self._told = minute
        return self.rest()

    def rest(self) -> Counter[What]:
        """The same, at the end."""
        over, self._over = self._over, Counter()
        return over

    def has_room_for(self, what: What, most: int) -> bool:
        """Is it one of at most so many different ones?"""
        return what in self._used or len(self._used) < most


class Budget:
    """Events of such kinds within a minute; each kind has its own, and what is beyond it is counted.

    Takes the number of refusals of one kind that a minute may have.
    """

    def __init__(self, refusals: int) -> None:
        self._most = dict.fromkeys(REFUSALS, refusals) | dict.fromkeys(ATTEMPTS, refusals * ATTEMPTS_TO_REFUSAL)
        self._minute: Minute[EventKind] = Minute()

    def admits(self, kind: EventKind, now: float) -> bool:
        """May it be written by itself?  Else it is counted."""
        most = self._most.get(kind)
        return most is None or self._minute.admits(kind, most, now)

    def summary(self, now: float) -> list[Event]:
        """One event for each kind that went beyond its budget since the last; nothing twice in one minute."""
        return _told(self._minute.summary(now), now)

    def rest(self, now: float) -> list[Event]:
        """The same, at the end."""
        return _told(self._minute.rest(), now)


def _told(over: Counter[EventKind], now: float) -> list[Event]:
    return [Event(kind=kind, at=now, reason="too-many", details={"rows": str(n)}) for kind, n in over.items()]
