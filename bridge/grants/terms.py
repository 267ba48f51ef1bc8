"""What goes into a decision on a code or a refresh token, and what may come of it.  Values, not errors — style §7."""

from msgspec import Struct

from bridge.grants.options import GrantOptions
from bridge.grants.records import Family
from bridge.mint import OAuthToken
from bridge.secret import Secret
from bridge.tokens import Names
from bridge.types import UserId


class Moment(Struct, frozen=True):
    """Where, by which rules and when (Unix seconds) a decision is made."""

    names: Names
    options: GrantOptions
    now: float

    def left(self, end: float) -> float:
        """The ttl of what is over at `end`: never nothing, which no store takes."""
        return max(end - self.now, 1.0)


class Fresh(Struct, frozen=True, kw_only=True):
    """Tokens that were drawn before the decision, so that deciding twice gives the same."""

    access: OAuthToken
    refresh: OAuthToken | None
    """None: the client may not refresh."""


class Tokens(Struct, frozen=True, kw_only=True):
    """What a client receives."""

    family: Family
    access: Secret
    access_exp: int
    """Unix seconds."""
    scopes: tuple[str, ...]
    refresh: Secret | None = None
    nonce: str | None = None
    """For the ID token, at redemption only."""


class Invalid(Struct, frozen=True):
    """`invalid_grant`; `why` is for the log, and for the developer."""

    why: str


class WrongScope(Struct, frozen=True):
    """`invalid_scope`: more was asked for than was granted."""


class Replay(Struct, frozen=True):
    """Used before: the family is to be ended, in SQL first, and the answer is `invalid_grant`."""

    family: Family


class StampUnknown(Struct, frozen=True):
    """The store has no stamp of this user: SQL is to be asked, the answer published, and the decision made again."""

    user: UserId
