"""What lies in the store between two steps, and could become a session: under a MAC, and good once — security §11, §14.

`1.<key id>.<hmac hex>.<json>`, as a session record, but with keys that no reader of sessions is given.  The MAC covers
the store key and the exact bytes: whoever can only write to the store cannot say that a password was right, nor that
a person asked for a session.
"""

import hmac
import re
from collections.abc import Mapping
from typing import Final, Generic, TypeVar

import msgspec

from bridge.secret import mac
from bridge.types import Key

Record = TypeVar("Record")

_FORM: Final = re.compile(rb"1\.([A-Za-z0-9_-]{1,16})\.([0-9a-f]{64})\.(\{.*\})", re.DOTALL)
_USED: Final = b"0.used."


class Sealed(Generic[Record]):
    """Writes and reads one class of records, which `purpose` keeps apart.  `keys`: id → 32 bytes, newest first."""

    def __init__(self, keys: Mapping[str, bytes], purpose: str, record: type[Record]) -> None:
        self._keys = keys
        self._purpose = purpose
        self._record = record

    def encode(self, key: Key, record: Record) -> bytes:
        """What lies at `key`."""
        key_id, secret = next(iter(self._keys.items()))
        body = msgspec.json.encode(record)
        return b"1.%b.%b.%b" % (key_id.encode(), self._seal(secret, key, body), body)

    def decode(self, key: Key, raw: bytes | None) -> Record | None:
        """The record at `key`; None: absent, used, or not ours."""
        match = _FORM.fullmatch(raw or b"")
        secret = self._keys.get(match[1].decode()) if match else None
        if match is None or secret is None or not hmac.compare_digest(match[2], self._seal(secret, key, match[3])):
            return None
        try:
            return msgspec.json.decode(match[3], type=self._record)
        except msgspec.MsgspecError:
            return None

    def _seal(self, secret: bytes, key: Key, body: bytes) -> bytes:
        return mac(secret, self._purpose, key, body).hex().encode()


def used(by: str) -> bytes:
    """What stays where a record was used up.  `by` makes each one unique (store §3, no. 4)."""
    return _USED + by.encode()


def was_used(raw: bytes | None) -> bool:
    """Whether that is what lies there."""
    return raw is not None and raw.startswith(_USED)
