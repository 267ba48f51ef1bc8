"""How many audit rows a minute may be caused by people whom nobody knows — security §30, sessions-and-accounts A12."""

from collections import Counter
from typing import Final

from bridge.events.event import Event, EventKind

MINUTE: Final = 60
REFUSALS: Final[frozenset[EventKind]] = frozenset(
    {"credential.refused", "token.refused", "session.refused", "reset.refused", "ticket.refused"}
)
"""What a request without any right causes, as often as it is sent."""
ATTEMPTS: Final[frozenset[EventKind]] = frozenset({"login.fail", "login.blocked", "reset.requested"})
"""What everybody may try too, but tells who is under attack: ten times as many are kept."""
ATTEMPTS_TO_REFUSAL: Final = 10


class Budget:
    """Rows of such kinds within a minute; each kind has its own, and what is beyond it is counted.

    Takes the number of refusals of one kind that a minute may have.
    """

    def __init__(self, refusals: int) -> None:
        self._most = dict.fromkeys(REFUSALS, refusals) | dict.fromkeys(ATTEMPTS, refusals * ATTEMPTS_TO_REFUSAL)
        self._minute = self._told = 0
        self._used: Counter[EventKind] = Counter()
        self._over: Counter[EventKind] = Counter()

    def admits(self, kind: EventKind, now: float) -> bool:
        """May it have a row of its own?  Else it is counted."""
        if kind not in self._most:
            return True
        if (minute := int(now // MINUTE)) != self._minute:
            self._minute = minute
            self._used.clear()
        self._used[kind] += 1
        if self._used[kind] <= self._most[kind]:
            return True
        self._over[kind] += 1
        return False

    def summary(self, now: float) -> list[Event]:
        """One event for each kind that went beyond its budget since the last; nothing twice in one minute."""
        if not self._over or (minute := int(now // MINUTE)) == self._told:
            return []
        self._told = minute
        return self.rest(now)

    def rest(self, now: float) -> list[Event]:
        """The same, at the end."""
        over, self._over = self._over, Counter()
        return [Event(kind=kind, at=now, reason="too-many", details={"rows": str(n)}) for kind, n in over.items()]
