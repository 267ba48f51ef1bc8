"""What comes of a request that the bridge makes.

Nothing here says what stood in a reply that was refused: a log must not show what an inner server says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

MOST: Final = 65_536
"""Bytes of a reply's body."""

Reason = Literal[
    "not-allowed",
    "unresolved",
    "unreachable",
    "untrusted",
    "slow",
    "too-big",
    "redirected",
    "encoded",
    "garbled",
]
"""not-allowed: no address that may be called; untrusted: no TLS with a certificate of that name; encoded: packed,
although nobody asked for that."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """There was a reply, of whatever status that is no redirect."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    """By their names in small letters; of a name that comes twice, the last."""
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class NotFetched:
    """There was none, or none that is taken."""

    reason: Reason
