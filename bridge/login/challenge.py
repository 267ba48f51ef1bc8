"""The challenges that passkeys sign — WebAuthn §13.4.3, A8, security §14, §26.

A challenge is 128 random bits under a MAC that covers what it is for and the browser it was given to.  Nothing is
stored when one is made: a page that anybody may open must not fill the store.  That each is good once is said by a
mark, written before what it opens.
"""

import hmac
from collections.abc import Callable
from typing import Final, Literal

from bridge.clock import Chance, Clock
from bridge.ring import Ring
from bridge.secret import mac

SECONDS: Final = 600
_RANDOM: Final = 16
_TIMES: Final = 12  # until when: 8 bytes; the store's epoch: 4
_MAC: Final = 32

Purpose = Literal["add", "second-step", "sign-in"]


class Challenges:
    """Makes and knows them."""

    def __init__(self, *, ring: Ring, clock: Clock, chance: Chance, epoch: Callable[[], int]) -> None:
        """`epoch`: the store's, as SQL last said it.  With the store the marks of the used ones are lost (rule 9)."""
        self._keys = list(ring.subkeys("challenge").values())
        self._clock = clock
        self._chance = chance
        self._epoch = epoch

    def make(self, purpose: Purpose, *bound: str) -> bytes:
        """One for that purpose, and for what it is bound to: the browser, a session, a pending sign-in."""
        until = int(self._clock.now()) + SECONDS
        body = self._chance(_RANDOM) + until.to_bytes(8, "big") + self._epoch().to_bytes(4, "big")
        return body + _seal(self._keys[0], purpose, body, bound)

    def good(self, challenge: bytes, purpose: Purpose, *bound: str) -> bool:
        """Whether we made it, for this, and not too long ago.  It may have been used: the mark says so."""
        body, seal = challenge[: _RANDOM + _TIMES], challenge[_RANDOM + _TIMES :]
        if len(challenge) != _RANDOM + _TIMES + _MAC:
            return False
        if not any(hmac.compare_digest(seal, _seal(key, purpose, body, bound)) for key in self._keys):
            return False
        until, epoch = int.from_bytes(body[_RANDOM : _RANDOM + 8], "big"), int.from_bytes(body[_RANDOM + 8 :], "big")
        return self._clock.now() < until and epoch == self._epoch()


def _seal(key: bytes, purpose: str, body: bytes, bound: tuple[str, ...]) -> bytes:
    return mac(key, "challenge", purpose, body, *bound)
