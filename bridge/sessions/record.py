"""The session record `1.<key id>.<hmac hex>.<json>` and what stays of one that ended — security §0, §11, §12.

The MAC covers the store key and the exact bytes, so a record moved to another key, or written by somebody who can
only write to the store, is no session.  An ended or rotated session leaves a *trace* at the same key, in a form that
no reader of records takes for one.
"""

import base64
import hmac
import re
from collections.abc import Mapping
from typing import Final, Literal, get_args

import msgspec
from msgspec import Struct

from bridge.errors import ConfigError
from bridge.secret import mac
from bridge.types import ClientId, Key, SessionKind, Stamp, UserId

_RECORD: Final = re.compile(rb"1\.([A-Za-z0-9_-]{1,16})\.([0-9a-f]{64})\.(\{.*\})", re.DOTALL)
_KEY_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,16}", re.ASCII)

EndReason = Literal["you", "administrator", "evicted", "address", "replaced", "user-gone", "copied"]
"""Why one session was ended; copied: somebody else held what kept its device signed in.  What ends all of a
user's sessions is told by his stamp."""


class SessionRecord(Struct, frozen=True, kw_only=True):
    """One session.  Times are Unix seconds, durations seconds; what each member means: docs/session-record.md."""

    v: int = 1
    id: str
    iss: str
    uid: UserId
    kind: SessionKind
    parent: str | None = None
    via: str
    stamp: Stamp
    iat: int
    auth_time: int
    last: int
    idle: int
    abs: int
    amr: tuple[str, ...] = ()
    acr: str | None = None
    ip: str | None = None
    bound: bool = False
    ua: str = ""
    clients: dict[ClientId, str] = {}


class Ended(Struct, frozen=True, tag="ended", kw_only=True):
    """The trace of a session that was ended: terminal, and the answer to "why was I signed out?".

    The same bytes lie at the keys of its children and families: whatever begins with `0.` is dead to every reader.
    """

    id: str
    uid: UserId
    reason: EndReason
    at: int


class Rotated(Struct, frozen=True, tag="rotated", kw_only=True):
    """The trace of a session whose token was replaced.  `by` makes each one unique (store §3, no. 4)."""

    id: str
    uid: UserId
    at: int
    by: str


Trace = Ended | Rotated
_encode = msgspec.json.Encoder().encode
_decode_record = msgspec.json.Decoder(SessionRecord).decode
_decode_trace = msgspec.json.Decoder(Trace).decode
_TRACE: Final = b"0."
MOST_REMEMBERED: Final = 2_000
"""Records whose MAC was found right, which need not be computed again: about 3 MB."""


class RecordCodec:
    """Writes and reads records with the derived record-mac keys, newest first (key id → 32 bytes)."""

    def __init__(self, keys: Mapping[str, bytes], issuer: str) -> None:
        self._keys = dict(keys)
        self._newest = next(iter(self._keys))
        self._verified: dict[bytes, tuple[Key, SessionRecord]] = {}
        self.issuer = issuer

    def encode(self, key: Key, record: SessionRecord) -> bytes:
        """The record as it lies at `key`."""
        body = _encode(record)
        seal = _seal(self._keys[self._newest], key, body)
        return b"1.%b.%b.%b" % (self._newest.encode(), seal, body)

    def decode(self, key: Key, raw: bytes | None) -> SessionRecord | Trace | None:
        """What lies at `key`: a record with a right MAC and our issuer, the trace of one, or None for anything else."""
        if raw is None:
            return None
        # The same bytes at the same key say the same: what is remembered is the reading, not that the session lives.
        known = self._verified.get(raw)
        if known is not None and known[0] == key:
            return known[1]
        if raw.startswith(_TRACE):
            return _trace(raw)
        record = self._read(key, raw)
        if record is not None:
            self._remember(key, raw, record)
        return record

    def _read(self, key: Key, raw: bytes) -> SessionRecord | None:
        match = _RECORD.fullmatch(raw)
        if match is None or (secret := self._keys.get(match[1].decode())) is None:
            return None
        if not hmac.compare_digest(match[2], _seal(secret, key, match[3])):
            return None
        return self._ours(match[3])

    def _remember(self, key: Key, raw: bytes, record: SessionRecord) -> None:
        if len(self._verified) >= MOST_REMEMBERED:
            del self._verified[next(iter(self._verified))]
        self._verified[raw] = key, record

    def _ours(self, body: bytes) -> SessionRecord | None:
        try:
            record = _decode_record(body)
        except msgspec.MsgspecError:
            return None
        return record if record.v == 1 and record.iss == self.issuer else None


def known_reason(text: str) -> EndReason:
    """The reason that SQL remembers; one that we do not know was an administrator's."""
    return next((reason for reason in get_args(EndReason) if reason == text), "administrator")


def parse_record_keys(text: str) -> dict[str, bytes]:
    """Key id → 32 bytes, from lines of `id:base64url`, newest first: what a reader of records is given, never the
    master key (security §12).  Raises ConfigError."""
    keys: dict[str, bytes] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        key_id, colon, key = line.partition(":")
        try:
            raw = base64.b64decode(key.rstrip("=") + "=" * (-len(key.rstrip("=")) % 4), altchars=b"-_", validate=True)
        except ValueError:
            raw = b""
        if not (colon and _KEY_ID.fullmatch(key_id)) or len(raw) != 32 or key_id in keys:
            raise ConfigError("record keys: each line must be `id:` and 43 characters of base64url (32 bytes)")
        keys[key_id] = raw
    if not keys:
        raise ConfigError("record keys: there is none")
    return keys


def show_record_keys(keys: Mapping[str, bytes]) -> str:
    """The same as text."""
    shown = {key_id: base64.urlsafe_b64encode(key).decode().rstrip("=") for key_id, key in keys.items()}
    return "".join(f"{key_id}:{key}\n" for key_id, key in shown.items())


def encode_trace(trace: Trace) -> bytes:
    """A trace as it lies at the key of the session that is no more."""
    return _TRACE + _encode(trace)


def _trace(raw: bytes) -> Trace | None:
    try:
        trace: Trace = _decode_trace(raw[len(_TRACE) :])
    except msgspec.MsgspecError:
        return None
    return trace


def _seal(secret: bytes, key: Key, body: bytes) -> bytes:
    return mac(secret, "record", key, body).hex().encode()
