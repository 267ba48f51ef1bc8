"""What the store holds of an authorization: its family, codes and tokens, and what stays of those used — security §0.

A record is JSON.  One that is used or over begins with `0.`, like the trace of a session, and no reader takes it for
a living one.  Times are Unix seconds.
"""

from collections.abc import Callable
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from bridge.sessions.stamp import read_stamp
from bridge.types import ClientId, FamilyId, Stamp, Subject, UserId

Record = TypeVar("Record")

DEAD: Final = b"0."


class Family(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One authorization of one user at one client, or one token of a client's own: never changed, only ended."""

    id: FamilyId
    client: ClientId
    uid: UserId | None = None
    """None: the client itself, without a user (and without a stamp)."""
    sub: Subject | None = None
    session: str | None = None
    """The `id` of the session it ends with; None: it outlives that (offline_access), or there is none."""
    sid: str | None = None
    """What the client knows the session by: random for each client (security §19)."""
    scopes: tuple[str, ...] = ()
    consent: int = 0
    """The version of the consent it stands on."""
    auth_time: int = 0
    amr: tuple[str, ...] = ()
    acr: str | None = None
    userinfo: tuple[str, ...] = ()
    """Claims that were asked for by name, beside the scopes (Core §5.5)."""
    id_token: tuple[str, ...] = ()
    """The same, for each ID token."""
    until: int
    """Nothing of it lives past this."""


class Code(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An authorization code that was not redeemed yet."""

    family: FamilyId
    stamp: Stamp
    epoch: int
    """`store_epoch` at its birth: unequal after a loss, and then refused (store §2, rule 9)."""
    redirect_uri: str | None
    """As the authorization request named it; None: it named none, and there was one only."""
    challenge: str | None = None
    """The S256 code challenge."""
    nonce: str | None = None
    refreshable: bool = False
    """Its redemption gives a refresh token too."""
    exp: int


class Access(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An access token."""

    family: FamilyId
    stamp: Stamp | None = None
    scopes: tuple[str, ...] = ()
    iat: int
    exp: int


class Refresh(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A refresh token that was not used yet.  Its scopes are the family's."""

    family: FamilyId
    stamp: Stamp
    exp: int


class Used(Struct, frozen=True, kw_only=True, tag="used"):
    """The trace of a redeemed code.  `by` makes each one unique (store §3, no. 4)."""

    at: int
    by: str


class Tombstone(Struct, frozen=True, kw_only=True, tag="rotated"):
    """The trace of a rotated refresh token."""

    at: float
    by: str
    """SHA-256 of its successor."""
    sealed: bytes
    """Successor and access token, which only the predecessor's text opens (security §9)."""
    access_exp: int
    scopes: tuple[str, ...]


class EndedFamily(Struct, frozen=True, kw_only=True, tag="ended"):
    """The trace of a family that was ended: terminal."""

    reason: str
    at: int


_encode = msgspec.json.Encoder().encode
_family = msgspec.json.Decoder(Family).decode
_code = msgspec.json.Decoder(Code).decode
_access = msgspec.json.Decoder(Access).decode
_refresh = msgspec.json.Decoder(Refresh).decode
_tombstone = msgspec.json.Decoder(Tombstone).decode


def encode(record: Family | Code | Access | Refresh) -> bytes:
    """A living record as it lies in the store."""
    return _encode(record)


def encode_trace(trace: Used | Tombstone | EndedFamily) -> bytes:
    """A dead one, at the same key."""
    return DEAD + _encode(trace)


def read_family(raw: bytes | None, family: FamilyId, now: float) -> Family | None:
    """The living family of that id; None: absent, ended, over, another's, or unreadable."""
    found = _living(_family, raw)
    return found if found is not None and found.id == family and now < found.until else None


def read_code(raw: bytes | None) -> Code | None:
    """A code that was not used; it may be too old."""
    return _living(_code, raw)


def read_access(raw: bytes | None) -> Access | None:
    """An access token; it may be too old."""
    return _living(_access, raw)


def read_refresh(raw: bytes | None) -> Refresh | None:
    """A refresh token that was not used; it may be too old."""
    return _living(_refresh, raw)


def read_tombstone(raw: bytes | None) -> Tombstone | None:
    """The trace of a rotated refresh token; None: it is no such thing."""
    return _living(_tombstone, raw[len(DEAD) :]) if raw is not None and raw.startswith(DEAD) else None


def vouches(raw_stamp: bytes | None, user: UserId | None, stamp: Stamp | None) -> bool:
    """Whether the store's stamp is this user's and equal.  A client's own tokens have none to compare."""
    return user is None if stamp is None else read_stamp(raw_stamp) == (user, stamp)


def _living(decode: Callable[[bytes], Record], raw: bytes | None) -> Record | None:
    if raw is None or raw.startswith(DEAD):
        return None
    try:
        return decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
