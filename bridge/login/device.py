"""The known-device mark: a browser that signed in once has a bucket of its own — sessions-and-accounts §8.1.

It is not what keeps a browser signed in: that is `bridge.login.series`, in a cookie of its own.

So nobody can lock the owner of an account out by guessing at it from elsewhere, and the owner hears of a sign-in from
a browser that has none (A9).  The mark is for one account, opens nothing by itself, and is worth to a thief a few more
guesses.  A browser keeps those of the last few people who signed in with it: a family's computer is nobody's new one.
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

MOST: Final = 4
"""Accounts to which one browser is known."""
_BETWEEN: Final = "~"  # in no mark, and allowed in a cookie
_FORM: Final = re.compile(r"1\.([A-Za-z0-9_-]{1,16})\.(\d{1,12})\.([0-9A-Za-z]{22})\.([0-9a-f]{64})", re.ASCII)


class Devices:
    """Makes and reads the values of the cookie `known`."""

    def __init__(self, *, ring: Ring, clock: Clock, chance: Chance, days: int) -> None:
        self._keys: Mapping[str, bytes] = ring.subkeys("device")
        self._clock = clock
        self._chance = chance
        self.seconds: Final = days * 86_400
        """How long a mark is good for: the cookie's Max-Age."""

    def mark(self, email: str, beside: str | None = None) -> str:
        """The cookie's value for a browser that has just signed in to the account of that address.

        `beside`: the value that it had until now, whose marks of other accounts stay.
        """
        key_id, key = next(iter(self._keys.items()))
        made, device = str(int(self._clock.now())), new_id(self._chance)
        new = f"1.{key_id}.{made}.{device}.{_seal(key, made, device, email)}"
        others = [mark for mark in _split(beside) if self._recent(mark) and self._of(mark, email) is None]
        return _BETWEEN.join([new, *others[: MOST - 1]])

    def device(self, marks: str | None, email: str) -> str | None:
        """The device's id, if one of the marks is ours, of this account, and not too old; else None."""
        found = [device for mark in _split(marks) if (device := self._of(mark, email)) is not None]
        return found[0] if found else None

    def _of(self, mark: str, email: str) -> str | None:
        match = self._recent(mark)
        if match is None:
            return None
        key_id, made, device, seal = match.groups()
        return device if hmac.compare_digest(seal, _seal(self._keys[key_id], made, device, email)) else None

    def _recent(self, mark: str) -> re.Match[str] | None:
        """Its parts, if it has our form, names a key of ours, and is not too old."""
        match = _FORM.fullmatch(mark)
        if match is None or match[1] not in self._keys or not 0 <= self._clock.now() - int(match[2]) < self.seconds:
            return None
        return match


def _split(marks: str | None) -> list[str]:
    return (marks or "").split(_BETWEEN, MOST)[:MOST]


def _seal(key: bytes, made: str, device: str, email: str) -> str:
    return mac(key, "known-device", made, device, email_key(email) or "").hex()
