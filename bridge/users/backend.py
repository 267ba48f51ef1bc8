"""What a user backend must be able to do — DESIGN §8.

A backend is an authority, not a hash table: it answers whether this person may come in.  What it cannot do it does
not declare, and pages, resets and legacy actions follow the declared capabilities.
"""

from enum import Flag, auto
from typing import Protocol

from msgspec import Struct

from bridge.secret import Secret
from bridge.types import UserId
from bridge.users.user import User


class Capability(Flag):
    """What a backend can do besides checking a password and looking a user up."""

    NONE = 0
    SET_PASSWORD = auto()
    SEND_RESET = auto()
    LIST = auto()
    SECOND_FACTOR = auto()
    CREATE = auto()


class Authenticated(Struct, frozen=True):
    """The password was right; `user` is the row that was read before it was checked."""

    user: User


class SecondFactorElsewhere(Struct, frozen=True):
    """The password was right, and the second factor is known only to the authority, at that address."""

    url: str


class Refused(Struct, frozen=True):
    """Unknown, wrong, disabled, without a password: which of them is told to nobody but the log."""

    why: str = ""
    user: UserId | None = None
    """Whom it concerns, where there is such a user: for the log, too."""


class Unreachable(Struct, frozen=True):
    """The authority did not answer.  Never shown as a wrong password, never counted as one."""


Answer = Authenticated | SecondFactorElsewhere | Refused | Unreachable


class UserBackend(Protocol):
    """An authority over users."""

    name: str
    capabilities: Capability

    async def authenticate(self, email: str, password: Secret) -> Answer:
        """Check a password as received (no trimming).  Takes as long for an unknown user as for a wrong password."""
        ...

    async def by_id(self, user: UserId) -> User | None:
        """The row now, from the primary; None: no such user."""
        ...

    async def by_email(self, email: str) -> User | None:
        """The row of that address (security §10), from the primary; None: no such user."""
        ...
