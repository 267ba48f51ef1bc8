"""Alive or dead, and why: the one judgement of a login token — security §2, §11, §12; DESIGN §5, §6.

Pure: what was read goes in, the verdict comes out.  Every reader judges the same, in whatever language it is written:
docs/session-record.md.
"""

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Final, Literal

from msgspec import Struct

from bridge.sessions.options import IpCheck, SessionOptions
from bridge.sessions.record import Ended, EndReason, RecordCodec, Rotated, SessionRecord
from bridge.sessions.stamp import read_stamp, reason_of, stamp_value
from bridge.tokens import LoginToken
from bridge.types import IPAddress, Key, Place, SessionKind, StampReason

DeadReason = Literal[
    "unknown",
    "wrong-place",
    "rotated",
    "idle",
    "absolute",
    "password-changed",
    "second-factor-changed",
    "email-changed",
    "disabled",
    "ended-by-you",
    "ended-by-administrator",
    "evicted",
    "address-changed",
    "device-copied",
]
"""Why a token is nobody.  unknown: never ours, or so long ago that nothing is left; rotated: a newer token of the same
session replaced it."""


REMEMBERED: Final = "rem"
"""The `amr` of who came back on a device that stays signed in: nobody showed who he is."""
_AT_SECOND_HAND: Final = frozenset({REMEMBERED, "sso"})


class Alive(Struct, frozen=True):
    """A living session: what was read of it, and where."""

    token: LoginToken
    key: Key
    seen: bytes
    """The record's exact bytes in the store: whoever changes it swaps these."""
    record: SessionRecord


class Dead(Struct, frozen=True):
    """Nobody.  `record` is there when there was a genuine one."""

    reason: DeadReason
    record: SessionRecord | None = None


_KINDS: Final[Mapping[Place, frozenset[SessionKind]]] = {
    "issuer": frozenset({"op"}),
    "middleware": frozenset({"app", "legacy", "sso"}),
    "host": frozenset({"legacy"}),
}
_OF_STAMP: Final[Mapping[StampReason, DeadReason]] = {
    "new": "unknown",
    "password": "password-changed",
    "second-factor": "second-factor-changed",
    "email": "email-changed",
    "disabled": "disabled",
    "user": "ended-by-you",
    "admin": "ended-by-administrator",
    "import": "ended-by-administrator",
}
_OF_END: Final[Mapping[EndReason, DeadReason]] = {
    "you": "ended-by-you",
    "administrator": "ended-by-administrator",
    "evicted": "evicted",
    "address": "address-changed",
    "replaced": "ended-by-you",
    "user-gone": "disabled",
    "copied": "device-copied",
}


def judge(
    token: LoginToken,
    key: Key,
    raw: bytes | None,
    raw_stamp: bytes | None,
    *,
    place: Place,
    ip: IPAddress | None,
    now: float,
    codec: RecordCodec,
    options: SessionOptions,
) -> Alive | Dead:
    """What the session at `key` and its user's stamp, as just read, make of the token in this place.

    An absent stamp is a dead session here; whoever can ask SQL publishes it first and reads again.
    """
    verdict = judge_anywhere(token, key, raw, raw_stamp, now=now, codec=codec)
    record = verdict.record
    if record is None:
        return verdict
    if not allowed(record.kind, place, options):
        return Dead("wrong-place", record)  # before all else: elsewhere a token tells nothing of itself
    if record.bound and isinstance(verdict, Alive) and not _at_home(record, ip, options.ip_check):
        return Dead("address-changed", record)
    return verdict


def judge_anywhere(
    token: LoginToken, key: Key, raw: bytes | None, raw_stamp: bytes | None, *, now: float, codec: RecordCodec
) -> Alive | Dead:
    """The same without place and address: for whoever has judged those before, or tells the owner what became of it."""
    if raw is None:
        return Dead("unknown")
    record = codec.decode(key, raw)
    if isinstance(record, SessionRecord):
        why = refusal(record, raw_stamp, now)
        return Dead(why, record) if why else Alive(token, key, raw, record)
    match record:
        case None:
            return Dead("unknown")
        case Rotated():
            return Dead("rotated")
        case Ended(reason=reason):
            return Dead(_OF_END[reason])


def refusal(record: SessionRecord, raw_stamp: bytes | None, now: float) -> DeadReason | None:
    """Why a genuine record is nobody now: its user's stamp, or its times; None: it is alive."""
    if raw_stamp != stamp_value(record.uid, record.stamp):
        stamp = read_stamp(raw_stamp)
        return _OF_STAMP[reason_of(stamp[1])] if stamp is not None and stamp[0] == record.uid else "unknown"
    if now >= record.abs:
        return "absolute"
    if now - record.last >= record.idle:
        return "idle"
    return None


def allowed(kind: SessionKind, place: Place, options: SessionOptions) -> bool:
    """The table of kinds and places (security §2).  An `sso` session is not the person at the issuer: there it only
    brings up the question of security §8, asked by whoever finds it in the apps' cookie."""
    return kind in _KINDS[place] or (kind == "legacy" and place == "issuer" and options.legacy_at_issuer)


def in_person(amr: Iterable[str]) -> bool:
    """Whether the owner of a session himself showed who he is to get it.  Else it is never fresh (S15)."""
    return _AT_SECOND_HAND.isdisjoint(amr)


def touch_due(record: SessionRecord, now: float, options: SessionOptions) -> bool:
    """Whether this use is to be written down: the first one at once, then one per interval (S6)."""
    return unused(record) or now - record.last >= max(options.touch_interval, record.idle / 10)


def unused(record: SessionRecord) -> bool:
    """Born to lapse soon and never used: its `last` lies before its birth (docs/session-record.md)."""
    return record.last < record.iat


def _at_home(record: SessionRecord, ip: IPAddress | None, check: IpCheck) -> bool:
    if check == "off":
        return True
    if ip is None or record.ip is None:
        return False
    if check == "exact":
        return record.ip == str(ip)
    network = ipaddress.ip_network(f"{record.ip}/{64 if ':' in record.ip else 24}", strict=False)
    return ip in network
