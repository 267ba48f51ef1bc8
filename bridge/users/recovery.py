"""Recovery codes: for whoever lost what shows his codes — sessions-and-accounts A8, security §5.

Ten of 80 random bits each.  SQL knows an HMAC of each, under the ring and with its owner; the person is shown them
once.
"""

import unicodedata
from collections.abc import Sequence
from typing import Final

from bridge.clock import Chance
from bridge.ring import Ring
from bridge.secret import Secret, mac
from bridge.types import UserId

AT_ONCE: Final = 10
_GROUP: Final = 4
_LENGTH: Final = 16
_DIGITS: Final = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's: none is taken for another
_MISREAD: Final = str.maketrans("oil", "011")


def draw_codes(draw: Chance) -> tuple[Secret, ...]:
    """A set of new ones, as they are shown: `x1yz-…`."""
    return tuple(_draw(draw) for _ in range(AT_ONCE))


def hashes_of(ring: Ring, user: UserId, code: Secret) -> Sequence[str]:
    """What SQL may know it by, however he typed it: the newest key's first.  None at all for what is no code."""
    typed = _plain(code.reveal())
    if len(typed) != _LENGTH:
        return ()
    return [mac(key, "recovery-code", str(user), typed).hex() for key in ring.subkeys("recovery-code").values()]


def _draw(draw: Chance) -> Secret:
    number = int.from_bytes(draw(10), "big")
    text = "".join(_DIGITS[number >> 5 * place & 31] for place in range(_LENGTH))
    return Secret("-".join(text[start : start + _GROUP] for start in range(0, _LENGTH, _GROUP)))


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text[:64]).casefold().translate(_MISREAD)
    return "".join(letter for letter in folded if letter in _DIGITS)
