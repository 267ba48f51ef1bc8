"""A device that stays signed in: its secret, its record, and what a shown secret means — sessions-and-accounts §4.4,
security §14.

A *series* belongs to one sign-in in one browser and has one good secret at a time, which is replaced by every use.  The
cookie names slot, series and turn and carries the secret under our seal, so what we never gave away is known before
anything is read and can neither probe a series nor end one.  The store knows hashes, and the successor of a secret only
as whoever shows that very secret can read it (security §9).
"""

import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Final, Literal

import msgspec
from msgspec import Struct

from bridge.clock import Chance, Clock
from bridge.ring import Ring
from bridge.secret import Secret, mac
from bridge.sessions.birth import MOST_USER_AGENT, Born
from bridge.sessions.sealed import Sealed
from bridge.stores.store import Add, Change, Swap, Tag
from bridge.tokens import LoginToken, Names, base62, digest, new_id
from bridge.types import Key, SlotTag, Stamp, UserId

GRACE: Final = 30
"""Seconds for which the secret before the present one gives the same as it gave already: two tabs at once, a reply
that was lost on its way."""
_MEMORY: Final = 600  # what was added stays while a late copy of it could arrive (store §2, rule 2)
_MOST_TURNS: Final = 999_999
_FORM: Final = re.compile(r"([0-9A-Za-z]{11})([0-9A-Za-z]{22})([0-9]{6})([0-9A-Za-z]{22})([0-9A-Za-z]{22})", re.ASCII)

Verdict = Literal["good", "again", "over", "copied", "ahead"]
"""again: the secret before the present one, within the grace; copied: one that was replaced longer ago, so two browsers
hold this series; ahead: we gave it away, and the store knows only older ones, so it went back in time."""


class DeviceSecret(Struct, frozen=True, eq=False):
    """One secret of one series.  Nobody but us can have made it."""

    text: Secret
    tag: SlotTag
    series: str
    turn: int
    """How many there were before it."""

    @property
    def digest(self) -> str:
        """What the store knows of it."""
        return digest(self.text.reveal())


class Device(Struct, frozen=True, kw_only=True):
    """As it lies in the store.  Times are Unix seconds."""

    uid: UserId
    stamp: Stamp
    """Read before the credential was checked; it never changes, and another one ends the series."""
    session: str
    """The `id` of the session that it belongs to, and of every one that is made from it: they end together."""
    auth_time: int
    """When its owner showed who he is."""
    until: int
    turn: int = 0
    secret: str
    """SHA-256 of the good one."""
    turned: int
    """When the one before it was replaced."""
    again: str = ""
    """What the one before it gave, sealed under that one."""
    ip: str | None = None
    ua: str = ""


class Given(Struct, frozen=True):
    """What a use gave: the next secret, and the tokens of the session."""

    secret: DeviceSecret
    token: LoginToken
    child: LoginToken | None


def judge(device: Device | None, shown: DeviceSecret, stamp: Stamp | None, now: float) -> Verdict:
    """Reads only its arguments.  `stamp`: the user's, as SQL says it; None: nobody may sign in as him."""
    if device is None or stamp is None or device.stamp != stamp or now >= device.until or shown.turn >= _MOST_TURNS:
        return "over"
    if shown.turn == device.turn:
        return "good" if hmac.compare_digest(shown.digest, device.secret) else "copied"
    if shown.turn > device.turn:
        return "ahead"
    return "again" if shown.turn == device.turn - 1 and now - device.turned <= GRACE else "copied"


class Series:
    """Draws, writes and reads them."""

    def __init__(self, *, names: Names, ring: Ring, clock: Clock, chance: Chance, seconds: int) -> None:
        """`seconds`: how long a device stays signed in after its owner showed who he is."""
        self._names = names
        self._ring = ring
        self._keys = ring.subkeys("device")
        self._records = Sealed(ring.subkeys("token-mac"), "device", Device)
        self._clock = clock
        self._chance = chance
        self.seconds: Final = seconds

    def parse(self, text: str | None) -> DeviceSecret | None:
        """The secret; None: it is none of ours."""
        match = _FORM.fullmatch(text or "")
        if match is None:
            return None
        tag, series, turn, secret, seal = match.groups()
        if not any(hmac.compare_digest(seal, _seal(key, tag, series, turn, secret)) for key in self._keys.values()):
            return None
        return DeviceSecret(Secret(match[0]), SlotTag(tag), series, int(turn))

    def draw(self, tag: SlotTag) -> DeviceSecret:
        """The first of a new series."""
        return self._drawn(tag, new_id(self._chance), 0)

    def after(self, shown: DeviceSecret) -> DeviceSecret:
        """The next one of the same series."""
        return self._drawn(shown.tag, shown.series, shown.turn + 1)

    def key(self, secret: DeviceSecret) -> Key:
        """Where its series lies."""
        return self._names.device(secret.tag, digest(secret.series))

    def read(self, key: Key, raw: bytes | None) -> Device | None:
        """What lies there; None: nothing, or it has ended."""
        return self._records.decode(key, raw)

    def begun(self, secret: DeviceSecret, born: Born) -> Sequence[Change]:
        """The series of a session that is born in the same commit, after its owner showed who he is."""
        record, now = born.record, int(self._clock.now())
        device = Device(
            uid=record.uid,
            stamp=record.stamp,
            session=record.id,
            auth_time=record.auth_time,
            until=now + self.seconds,
            secret=secret.digest,
            turned=now,
            ip=record.ip,
            ua=record.ua[:MOST_USER_AGENT],
        )
        key, ttl = self.key(secret), self.seconds + _MEMORY
        value = self._records.encode(key, device)
        indexes = (self._names.born_under(secret.tag, record.id), self._names.devices_of(secret.tag))
        return Add(key, value, ttl), *(Tag(index, key, ttl) for index in indexes)

    def turned(self, shown: DeviceSecret, seen: bytes, device: Device, by: DeviceSecret, born: Born) -> Change:
        """The secret that was shown is replaced, in the commit in which the session is born that it gives."""
        now = int(self._clock.now())
        plain = msgspec.json.encode([each.reveal() for each in _texts(Given(by, born.token, born.child))])
        sealed = self._ring.seal(plain, purpose="device", context=shown.text.reveal_bytes())
        turned = msgspec.structs.replace(
            device,
            turn=by.turn,
            secret=by.digest,
            turned=now,
            again=b64encode(sealed).decode(),
            ip=born.record.ip or device.ip,
            ua=born.record.ua or device.ua,
        )
        key = self.key(shown)
        return Swap(key, seen, self._records.encode(key, turned), device.until - now + _MEMORY)

    def again(self, shown: DeviceSecret, device: Device) -> Given | None:
        """What that secret gave when it was replaced; None: it was another that was."""
        plain = self._ring.open(b64decode(device.again), purpose="device", context=shown.text.reveal_bytes())
        if plain is None:
            return None
        secret, *tokens = msgspec.json.decode(plain, type=list[str])
        by, parsed = self.parse(secret), [LoginToken.parse(token) for token in tokens]
        if by is None or parsed[0] is None:
            return None
        return Given(by, parsed[0], parsed[1] if len(parsed) > 1 else None)

    def _drawn(self, tag: SlotTag, series: str, turn: int) -> DeviceSecret:
        key = next(iter(self._keys.values()))
        number, secret = f"{turn:06d}", new_id(self._chance)
        text = f"{tag}{series}{number}{secret}{_seal(key, tag, series, number, secret)}"
        return DeviceSecret(Secret(text), tag, series, turn)


def _texts(given: Given) -> list[Secret]:
    child = () if given.child is None else (given.child.text,)
    return [given.secret.text, given.token.text, *child]


def _seal(key: bytes, tag: str, series: str, turn: str, secret: str) -> str:
    return base62(int.from_bytes(mac(key, "device-secret", tag, series, turn, secret)[:16], "big"), 22)
