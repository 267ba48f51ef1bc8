"""How long what is granted lives — DESIGN §11."""

from dataclasses import dataclass
from typing import Final

from bridge.errors import ConfigError

LONGEST_GRACE: Final = 10
"""Seconds (security §9)."""

MEMORY: Final = 600.0
"""Seconds for which a used or ended value stays: a late copy of its `Add` may still arrive (store §2, rule 2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantOptions:
    """All durations in seconds.  Raises ConfigError for values that would be unsafe."""

    code: int = 60
    """A code that was not redeemed by then is worth nothing."""

    access: int = 3_600
    """An access token is over after this time."""

    refresh_idle: int = 14 * 86_400
    """A refresh token that is not used for this long is over."""

    refresh_absolute: int = 30 * 86_400
    """Nothing that stands on one sign-in lives longer, however often it is refreshed."""

    grace: int = 10
    """A client whose refresh lost its reply gets the same tokens again within this time; 0: never."""

    codes_per_user: int = 10_000
    """So many codes that no app comes for are given out to one person in eleven minutes, by each worker; then apps are
    told `temporarily_unavailable`.  Those that are redeemed do not count."""

    def __post_init__(self) -> None:
        wrong = [
            f"grants.{name} must be {what}"
            for name, what, right in (
                ("code", "1 to 600", 1 <= self.code <= 600),
                ("access", "1 to 86400", 1 <= self.access <= 86_400),
                ("refresh_idle", "60 to grants.refresh_absolute", 60 <= self.refresh_idle <= self.refresh_absolute),
                ("refresh_absolute", "at most 180 days", self.refresh_absolute <= 180 * 86_400),
                ("codes_per_user", "100 or more", self.codes_per_user >= 100),
                ("grace", f"0 to {LONGEST_GRACE}", 0 <= self.grace <= LONGEST_GRACE),
            )
            if not right
        ]
        if wrong:
            raise ConfigError("; ".join(wrong))
