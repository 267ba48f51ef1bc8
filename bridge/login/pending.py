"""A right password, or a link in its place, that waits for its code — store §2, security §14, A7.

Not a session: it opens nothing but the second step.  It carries the stamp read before the password was checked and the
epoch of the store, and is dead when either differs.
"""

from msgspec import Struct

from bridge.clients.credential import SessionTerms
from bridge.ring import Ring
from bridge.sessions.sealed import Sealed
from bridge.types import Stamp, UserId


class Vouched(Struct, frozen=True, kw_only=True):
    """An API caller said who it is, and nobody gave a password (security §8)."""

    via: str
    """The credential."""
    terms: SessionTerms


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
    keep: bool = False
    """He asked to stay signed in on this device."""
    vouched: Vouched | None = None
    """What came before the code, where it was no password: then only a session of kind `sso` is born."""


def pending_codec(ring: Ring) -> Sealed[Pending]:
    """Writes and reads them."""
    return Sealed(ring.subkeys("token-mac"), "pending", Pending)
