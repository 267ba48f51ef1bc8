"""The known-device mark: a browser that signed in once has a bucket of its own — sessions-and-accounts §8.1.

So nobody can lock the owner of an account out by guessing at it from elsewhere.  The mark is for one account, opens
nothing by itself, and is worth to a thief a few more guesses.
"""

import hmac
import re
from collections.abc import Mapping
from typing import Final

from bridge.clock import Chance, Clock
from bridge.ring import Ring
from bridge.secret import mac
from bridge.tokens import new_id
from bridge.users.email import email_key

_FORM: Final = re.compile(r"1\.([A-Za-z0-9_-]{1,16})\.(\d{1,12})\.([0-9A-Za-z]{22})\.([0-9a-f]{64})", re.ASCII)


class Devices:
    """Makes and reads the values of the cookie `dev`."""

    def __init__(self, *, ring: Ring, clock: Clock, chance: Chance, days: int) -> None:
        self._keys: Mapping[str, bytes] = ring.subkeys("device")
        self._clock = clock
        self._chance = chance
        self.seconds: Final = days * 86_400
        """How long a mark is good for: the cookie's Max-Age."""

    def mark(self, email: str) -> str:
        """The cookie's value for a browser that has just signed in to the account of that address."""
        key_id, key = next(iter(self._keys.items()))
        made, device = str(int(self._clock.now())), new_id(self._chance)
        return f"1.{key_id}.{made}.{device}.{_seal(key, made, device, email)}"

    def device(self, mark: str | None, email: str) -> str | None:
        """The device's id, if the mark is ours, of this account, and not too old; else None."""
        match = _FORM.fullmatch(mark) if mark else None
        key = self._keys.get(match[1]) if match else None
        if match is None or key is None:
            return None
        made, device = match[2], match[3]
        if not 0 <= self._clock.now() - int(made) < self.seconds:
            return None
        return device if hmac.compare_digest(match[4], _seal(key, made, device, email)) else None


def _seal(key: bytes, made: str, device: str, email: str) -> str:
    return mac(key, "known-device", made, device, email_key(email) or "").hex()
