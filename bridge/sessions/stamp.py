"""The stamp: a random mark of a user's sign-in generation — store §2, security §15.

Random, not a counter.  Its first letter says why it was drawn, so that a session that died of it can tell the person
why.  The store's copy names the user too, so that two users of one tag could never vouch for one another.
"""

from typing import Final

from bridge.clock import Chance, chance
from bridge.tokens import new_id
from bridge.types import Stamp, StampReason, UserId

_LETTERS: Final[dict[StampReason, str]] = {
    "new": "n",
    "password": "p",
    "second-factor": "f",
    "email": "e",
    "disabled": "d",
    "user": "u",
    "admin": "a",
    "import": "i",
}
_REASONS: Final[dict[str, StampReason]] = {letter: reason for reason, letter in _LETTERS.items()}


GONE: Final = Stamp("d")
"""What is published for a user who is no more: no session carries it."""


def draw_stamp(reason: StampReason, draw: Chance = chance) -> Stamp:
    """A new stamp: the reason's letter and 128 random bits, 23 characters."""
    return Stamp(_LETTERS[reason] + new_id(draw))


def reason_of(stamp: Stamp) -> StampReason:
    """Why it was drawn."""
    return _REASONS.get(stamp[:1], "new")


def stamp_value(user: UserId, stamp: Stamp) -> bytes:
    """What the store holds at `v:{tag}`."""
    return f"{user}.{stamp}".encode()


def read_stamp(value: bytes | None) -> tuple[UserId, Stamp] | None:
    """User and stamp of a stored value; None: absent, or not one of ours."""
    head, dot, stamp = (value or b"").decode("ascii", "replace").partition(".")
    return (UserId(int(head)), Stamp(stamp)) if dot and head.isdecimal() and head.isascii() else None
