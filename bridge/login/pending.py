"""A right password that waits for its code — store §2 "pending second factor", security §14, A7.

Not a session: it opens nothing but the second step.  It carries the stamp read before the password was checked and the
epoch of the store, and is dead when either differs.  A MAC covers its key and its bytes: whoever can write to the
store cannot say that a password was right.
"""

import hmac
import re
from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Struct

from bridge.ring import Ring
from bridge.secret import mac
from bridge.types import Key, Stamp, UserId

_FORM: Final = re.compile(rb"1\.([A-Za-z0-9_-]{1,16})\.([0-9a-f]{64})\.(\{.*\})", re.DOTALL)
_USED: Final = b"0.used."


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


class PendingCodec:
    """Writes and reads them with keys that no reader of session records is given."""

    def __init__(self, ring: Ring) -> None:
        self._keys: Mapping[str, bytes] = ring.subkeys("token-mac")

    def encode(self, key: Key, pending: Pending) -> bytes:
        """What lies at `key`."""
        key_id, secret = next(iter(self._keys.items()))
        body = msgspec.json.encode(pending)
        return b"1.%b.%b.%b" % (key_id.encode(), _seal(secret, key, body), body)

    def decode(self, key: Key, raw: bytes | None) -> Pending | None:
        """The pending login at `key`; None: absent, used, or not ours."""
        match = _FORM.fullmatch(raw or b"")
        secret = self._keys.get(match[1].decode()) if match else None
        if match is None or secret is None or not hmac.compare_digest(match[2], _seal(secret, key, match[3])):
            return None
        try:
            return msgspec.json.decode(match[3], type=Pending)
        except msgspec.MsgspecError:
            return None


def used(nonce: str) -> bytes:
    """What stays where a pending login was used up."""
    return _USED + nonce.encode()


def _seal(secret: bytes, key: Key, body: bytes) -> bytes:
    return mac(secret, "pending", key, body).hex().encode()
