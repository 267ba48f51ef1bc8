"""How often something may be begun from one address by whom nobody knows — security §17, §23.

A visit lies in the store until it is over, a client that registers itself in the database for longer.
"""

import ipaddress
import math
from typing import Final

from bridge.ring import Ring
from bridge.secret import mac
from bridge.stores.guard import Guard, Window
from bridge.tokens import Names
from bridge.types import IPAddress

MINUTE: Final = 60.0
HOUR: Final = 3_600.0


class Arrivals:
    """Counts them.  Names in the store are HMACs: it holds no address of anybody."""

    def __init__(
        self,
        *,
        guard: Guard,
        names: Names,
        ring: Ring,
        limit: int,
        seconds: float = MINUTE,
        what: str = "visit-address",
        in_all: int | None = None,
    ) -> None:
        """At most `limit` in `seconds`, and `in_all` from all addresses together.  `what` is begun: each has a count of
        its own."""
        self._guard = guard
        self._names = names
        self._key = ring.newest.derive("limiter")
        self._limit = limit
        self._seconds = seconds
        self._what = what
        self._in_all = in_all

    async def admit(self, ip: IPAddress | None) -> int:
        """One more from that address: 0, or the seconds to wait beyond the limit.  None: it is not known, and counted
        only among all.  Raises Unavailable."""
        windows: list[Window] = []
        if ip is not None:
            # In IPv6 whoever has one address has 2^64 of them.
            network = ipaddress.ip_network(f"{ip}/{32 if ip.version == 4 else 64}", strict=False)
            windows.append(self._window(str(network), self._limit))
        if self._in_all is not None:
            windows.append(self._window("all", self._in_all))
        return math.ceil(await self._guard.admit(windows)) if windows else 0

    def _window(self, whence: str, limit: int) -> Window:
        name = mac(self._key, self._what, whence).hex()[:32]
        return Window(self._names.limiter(name), limit, self._seconds)
