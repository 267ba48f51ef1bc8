"""A right password that waits for its code — store §2 "pending second factor", security §14, A7.

Not a session: it opens nothing but the second step.  It carries the stamp read before the password was checked and the
epoch of the store, and is dead when either differs.
"""

from msgspec import Struct

from bridge.ring import Ring
from bridge.sessions.sealed import Sealed
from bridge.types import Stamp, UserId


class Pending(Struct, frozen=True, kw_only=True):
    """One login between its two steps.  Times are Unix seconds."""

    uid: UserId
    stamp: Stamp
    epoch: int
    until: int
    tries: int = 0
    """Wrong codes so far."""
    nonce: str
    """New with every change: two writers never write the same bytes (store §3, no. 4)."""


def pending_codec(ring: Ring) -> Sealed[Pending]:
    """Writes and reads them."""
    return Sealed(ring.subkeys("token-mac"), "pending", Pending)
