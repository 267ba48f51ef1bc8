"""How many visits may be begun from one address — security §23.

Each lies in the store until it is over, and nobody need be known here to begin one.
"""

import ipaddress
import math
from typing import Final

from bridge.ring import Ring
from bridge.secret import mac
from bridge.stores.guard import Guard, Window
from bridge.tokens import Names
from bridge.types import IPAddress

_MINUTE: Final = 60.0


class Arrivals:
    """Counts them.  Names in the store are HMACs: it holds no address of anybody."""

    def __init__(self, *, guard: Guard, names: Names, ring: Ring, per_minute: int) -> None:
        self._guard = guard
        self._names = names
        self._key = ring.newest.derive("limiter")
        self._per_minute = per_minute

    async def admit(self, ip: IPAddress | None) -> int:
        """One more from that address: 0, or the seconds to wait beyond the limit.  None: it is not known, and nothing
        is counted.  Raises Unavailable."""
        return 0 if ip is None else math.ceil(await self._guard.admit([self._window(ip)]))

    def _window(self, ip: IPAddress) -> Window:
        # In IPv6 whoever has one address has 2^64 of them.
        network = ipaddress.ip_network(f"{ip}/{32 if ip.version == 4 else 64}", strict=False)
        name = mac(self._key, "visit-address", str(network)).hex()[:32]
        return Window(self._names.limiter(name), self._per_minute, _MINUTE)
