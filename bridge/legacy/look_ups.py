"""How often one credential may ask who somebody is — security §23.

What a caller is answered about people is no secret from him, one at a time.  Whoever asks for all of them, because he
found the credential, is slow at least, and the log tells of him.
"""

from contextlib import suppress
from typing import Final

from bridge.errors import Unavailable
from bridge.legacy.options import LegacyOptions
from bridge.ring import Ring
from bridge.secret import mac
from bridge.stores.guard import Guard, Window
from bridge.tokens import Names

LOOK_UPS: Final = frozenset(
    {
        "getusers",
        "getclients",
        "getclientsdetails",
        "getcontacts",
        "getuserpermissions",
        "listoauthcredentials",
        "resetpassword",
    }
)
"""What tells of people, if only that there is somebody of that address.  ValidateLogin has limits of its own."""


class LookUps:
    """Counts by credential."""

    def __init__(self, *, guard: Guard, names: Names, ring: Ring, options: LegacyOptions) -> None:
        self._guard = guard
        self._names = names
        self._key = ring.newest.derive("limiter")
        self._most = options.look_ups_per_minute

    async def admit(self, action: str, credential: str) -> float:
        """Seconds to wait; 0: it may be asked, and counts if it is one of `LOOK_UPS`.

        Counters that cannot be reached stop nobody: the database that is asked may be there all the same.
        """
        if action.lower() not in LOOK_UPS:
            return 0
        name = self._names.limiter(mac(self._key, "look-up", credential).hex()[:32])
        with suppress(Unavailable):
            return await self._guard.admit([Window(name, self._most, 60)])
        return 0
