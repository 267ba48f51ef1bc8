"""The settings of reset links — sessions-and-accounts §6."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetOptions:
    """How long a reset link lives, and how many may be asked for.

    Raises ValueError for a lifetime of more than two hours.
    """

    lifetime: int = 3_600
    """Seconds that a link is good for; at most 7200."""
    per_account: int = 3
    """Links an hour for one account; more are silently not sent."""
    per_address: int = 20
    """Requests an hour from one address (one /64 of IPv6); more are silently not sent."""
    per_network: int = 100
    """Requests an hour from one /24 (one /48 of IPv6); more are silently not sent."""
    in_all: int = 1_000
    """Requests an hour for all accounts together; more are silently not sent."""

    def __post_init__(self) -> None:
        if not 60 <= self.lifetime <= 7_200:
            raise ValueError("lifetime must be from 60 to 7200 seconds")
