"""The settings of the login — sessions-and-accounts §8.1, security §23, A5, A7."""

from dataclasses import dataclass, fields
from typing import Literal

from bridge.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginOptions:
    """How often somebody may guess, and what a second factor must be.

    Only wrong attempts count, those on unknown accounts too.  Raises ConfigError for values that cannot be used.
    """

    account_per_5_minutes: int = 5
    """Wrong passwords for one account from all browsers that never signed in to it, together; a browser that did, or a
    legacy caller's user from one network, has as many of its own."""
    account_per_hour: int = 20
    """The same within an hour."""
    address_per_minute: int = 20
    """Wrong passwords from one address, or IPv6 /64."""
    address_per_hour: int = 100
    """The same within an hour."""
    network_per_hour: int = 200
    """Wrong passwords from one /24, or IPv6 /48."""
    unknown_browsers_per_minute: int = 0
    """Wrong passwords of all browsers together that never signed in to the account they try; 0: no such limit.  For the
    hours of an attack: it closes the door to new devices, and to them only."""
    legacy_account_per_hour: int = 100
    """Wrong passwords for one account through the legacy API from everywhere; beyond it one after the other is
    delayed, and refused where 20 wait already."""
    legacy_delay: float = 2.0
    """Seconds of that delay."""
    codes_per_5_minutes: int = 5
    """Wrong codes of the second factor for one account."""
    codes_per_hour: int = 20
    """The same within an hour."""
    code_tries: int = 5
    """Wrong codes after which the password must be given again."""
    code_skew: Literal[0, 1] = 1
    """How many steps of 30 seconds a code may be early or late."""
    pending_seconds: int = 600
    """How long a right password waits for its code."""
    sso_seconds: int = 60
    """How long a link of CreateSsoToken is good, once."""
    device_days: int = 180
    """How long a browser that signed in is known."""
    many_failures: int = 10
    """Wrong passwords and codes for one account within a day, through all doors together, after which its owner is told
    by mail that somebody signed in."""
    notices_per_day: int = 10
    """Letters of each kind that one user gets within a day because somebody signed in, after many failures or on a
    device that was not known, or because what kept a device signed in was copied; 0: none."""
    floor_ms: int = 150
    """No answer about a password comes earlier than this: longer than the slowest hash in use, an older scheme's and
    argon2's together.  0 where only argon2 is in use."""

    def __post_init__(self) -> None:
        may_be_zero = {"unknown_browsers_per_minute", "legacy_delay", "code_skew", "notices_per_day", "floor_ms"}
        wrong = [
            each.name for each in fields(self) if getattr(self, each.name) < (0 if each.name in may_be_zero else 1)
        ]
        if wrong:
            raise ConfigError("; ".join(f"login.{name} is too small" for name in wrong))
        if self.code_skew > 1:
            raise ConfigError("login.code_skew must be 0 or 1")
        if not 30 <= self.pending_seconds <= 3600:
            raise ConfigError("login.pending_seconds must be 30 to 3600")
        if not 5 <= self.sso_seconds <= 60:
            raise ConfigError("login.sso_seconds must be 5 to 60")
