"""The settings of customer accounts — whmcs-api §3.5, §3.6."""

import re
from dataclasses import dataclass

from bridge.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountOptions:
    """What a new account has, and how long an invite waits.

    Raises ConfigError for what cannot be meant.
    """

    currency: str = "USD"
    """The currency of a new account that names none: three capital letters (ISO 4217)."""
    invite_lifetime: int = 604_800
    """Seconds for which an invite to an account can be accepted."""

    def __post_init__(self) -> None:
        if not re.fullmatch("[A-Z]{3}", self.currency) or self.invite_lifetime < 60:
            raise ConfigError("accounts.currency must be three capital letters, accounts.invite_lifetime 60 or more")
