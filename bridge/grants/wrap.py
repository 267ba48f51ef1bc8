"""The successor of a rotated refresh token, readable to whoever holds the predecessor — security §9.

The key is derived from the master key and the predecessor's own text, which nobody else has: a copy of the store
gives nothing away, not even together with the ring.
"""

import msgspec

from bridge.ring import Ring
from bridge.secret import Secret


class Wrap:
    """Seals and opens what a refresh gave."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring

    def seal(self, predecessor: Secret, refresh: Secret, access: Secret) -> bytes:
        """Both tokens, for the tombstone."""
        plain = msgspec.json.encode((refresh.reveal(), access.reveal()))
        return self._ring.seal(plain, purpose="refresh-wrap", context=predecessor.reveal_bytes())

    def open(self, predecessor: Secret, sealed: bytes) -> tuple[Secret, Secret] | None:
        """Refresh and access token; None: another predecessor, or a master key that is gone."""
        plain = self._ring.open(sealed, purpose="refresh-wrap", context=predecessor.reveal_bytes())
        if plain is None:
            return None
        refresh, access = msgspec.json.decode(plain, type=tuple[str, str])
        return Secret(refresh), Secret(access)
