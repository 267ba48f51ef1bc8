"""What came of a login — DESIGN §8.  Expected answers are values; the doors match over all of them."""

from typing import Literal

from msgspec import Struct

from bridge.sessions.birth import Born
from bridge.tokens import LoginToken
from bridge.users.user import User

Why = Literal["wrong", "used", "copied", "stale", "not-admitted"]
"""wrong: the password, code or passkey is not right, whatever the reason; used: it was right once; copied: somebody
holds a copy of this passkey; stale: it is too old, or something changed since, and he has to begin again; not-admitted:
it was right, and this door is not for him."""


class LoggedIn(Struct, frozen=True):
    """It is him.  `born`: the session that was wished for."""

    user: User
    born: Born | None


class SecondFactorNeeded(Struct, frozen=True):
    """The password was right and a code is owed.

    `pending` is to be brought to `Login.finish` with the code; None: there is no second step at this door, or he has to
    enrol again first (`user.second_factor` says so).
    """

    user: User
    pending: LoginToken | None


class SecondFactorElsewhere(Struct, frozen=True):
    """The password was right, and only the authority at that address can ask for the second factor."""

    url: str


class Refused(Struct, frozen=True):
    """No.  At the first step always `wrong`, unless the door itself admits not everybody: nobody is told what was wrong
    with it."""

    why: Why = "wrong"


class TooMany(Struct, frozen=True):
    """Too many wrong attempts; nothing was checked.  Not to be told apart from `Refused` where a program asks."""

    retry_after: float
    """Seconds."""


class Unreachable(Struct, frozen=True):
    """The authority over this user did not answer.  Never shown as a wrong password."""


Outcome = LoggedIn | SecondFactorNeeded | SecondFactorElsewhere | Refused | TooMany | Unreachable
