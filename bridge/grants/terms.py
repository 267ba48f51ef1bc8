"""What goes into a decision on a code or a refresh token, and what may come of it.  Values, not errors — style §7."""

from dataclasses import dataclass

from bridge.grants.options import GrantOptions
from bridge.grants.records import Family
from bridge.mint import OAuthToken
from bridge.secret import Secret
from bridge.tokens import Names
from bridge.types import UserId


@dataclass(frozen=True, slots=True)
class Moment:
    """Where, by which rules and when (Unix seconds) a decision is made."""

    names: Names
    options: GrantOptions
    now: float

    def left(self, end: float) -> float:
        """The ttl of what is over at `end`: never nothing, which no store takes."""
        return max(end - self.now, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fresh:
    """Tokens that were drawn before the decision, so that deciding twice gives the same."""

    access: OAuthToken
    refresh: OAuthToken | None
    """None: the client may not refresh."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What a client receives."""

    family: Family
    access: Secret
    access_exp: int
    """Unix seconds."""
    scopes: tuple[str, ...]
    refresh: Secret | None = None
    nonce: str | None = None
    """For the ID token, at redemption only."""


@dataclass(frozen=True, slots=True)
class Invalid:
    """`invalid_grant`; `why` is for the log, and for the developer."""

    why: str


@dataclass(frozen=True, slots=True)
class WrongScope:
    """`invalid_scope`: more was asked for than was granted."""


@dataclass(frozen=True, slots=True)
class Replay:
    """Used before: the family is to be ended, in SQL first, and the answer is `invalid_grant`."""

    family: Family


@dataclass(frozen=True, slots=True)
class StampUnknown:
    """The store has no stamp of this user: SQL is to be asked, the answer published, and the decision made again."""

    user: UserId
