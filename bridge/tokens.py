"""The login token, the slots, and the names of everything in the store (DESIGN §5, spec: security §0).

A login token is 11 characters of tag and 29 random ones.  Only hashes of tokens are stored, and the kind is part of
the key: no look-up ever tries two kinds.  OAuth tokens are made in `bridge.mint`.
"""

import base64
import binascii
import hashlib
import re
from functools import lru_cache, partial
from typing import Final

from msgspec import Struct

from bridge.clock import Chance, chance
from bridge.secret import Secret, mac
from bridge.types import ClientId, FamilyId, Index, Key, SlotTag, Subject, TokenKind, UserId

_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PAIRS: Final = tuple(first + second for first in _DIGITS for second in _DIGITS)
_LOGIN: Final = re.compile(r"[0-9A-Za-z]{40}", re.ASCII)
_SHA256: Final = hashlib.sha256()
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")
TAG_LENGTH: Final = 11
_LETTER: Final[dict[TokenKind, str]] = {"code": "c", "access": "a", "refresh": "r"}


class LoginToken(Struct, frozen=True, eq=False):
    """A well-formed `login_auth_tk`.  Making one is the check of its form, not of anything else."""

    text: Secret
    tag: SlotTag
    sid: str
    """Lower-case hex of SHA-256 of the whole token: the name of the record; logs show its first 8 characters."""

    @classmethod
    def parse(cls, text: str) -> "LoginToken | None":
        """The token, or None when the text has not the form (40 characters [0-9A-Za-z])."""
        if not _LOGIN.fullmatch(text):
            return None
        return cls(Secret(text), SlotTag(text[:TAG_LENGTH]), digest(text))

    @classmethod
    def draw(cls, tag: SlotTag, draw: Chance = chance) -> "LoginToken":
        """A new token in that slot: 172 random bits."""
        text = tag + base62(int.from_bytes(draw(24), "big") % 62**29, 29)
        return cls(Secret(text), tag, digest(text))


class Slots:
    """Says in which slot a user's or a client's things lie.  Stands on the slot key, which never changes."""

    def __init__(self, slot_key: Secret) -> None:
        self._key = slot_key.reveal_bytes()
        self._of_client = lru_cache(maxsize=1_024)(partial(self._tag, "client"))  # each asks again and again

    def of_user(self, user: UserId) -> SlotTag:
        """The tag of a user: 64 bits of HMAC-SHA256 in base62."""
        return self._tag("user", str(user))

    def of_client(self, client: ClientId) -> SlotTag:
        """The tag for a client's own tokens (client_credentials), which have no user."""
        return self._of_client(client)

    def subject_for(self, sector: str | None, sub: Subject) -> Subject:
        """By which `sub` the clients of that sector know the person (Core §8.1); None: they know the one of all."""
        if sector is None:
            return sub
        return Subject(base64.urlsafe_b64encode(mac(self._key, "pairwise", sector, sub)).decode().rstrip("="))

    @property
    def fingerprint(self) -> str:
        """Names the slot key without telling it; an instance refuses to start under another one (security §6)."""
        return mac(self._key, "slot-fingerprint").hex()[:16]

    def _tag(self, purpose: str, name: str) -> SlotTag:
        return tag_of(mac(self._key, purpose, name)[:8])


class Names:
    """The name of every key and index of one instance: `lb:<instance>:<kind>:{tag}:<rest>`."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.instance: str = hashlib.sha256(issuer.encode()).hexdigest()[:8]
        self.prefix: str = f"lb:{self.instance}:"

    def session(self, token: LoginToken) -> Key:
        return Key(f"{self.prefix}s:{{{token.tag}}}:{token.sid}")

    def stamp(self, tag: SlotTag) -> Key:
        return Key(f"{self.prefix}v:{{{tag}}}")

    def token(self, kind: TokenKind, tag: SlotTag, sha256: str) -> Key:
        """A code, an access or a refresh token."""
        return Key(f"{self.prefix}{_LETTER[kind]}:{{{tag}}}:{sha256}")

    def family(self, tag: SlotTag, family: FamilyId) -> Key:
        return Key(f"{self.prefix}f:{{{tag}}}:{family}")

    def consent(self, tag: SlotTag, client: ClientId) -> Key:
        return Key(f"{self.prefix}k:{{{tag}}}:{_of_client(client)}")

    def pending(self, tag: SlotTag, token: LoginToken) -> Key:
        """A pending second factor."""
        return Key(f"{self.prefix}p:{{{tag}}}:{token.sid}")

    def device(self, tag: SlotTag, sha256: str) -> Key:
        """The series of a device that stays signed in."""
        return Key(f"{self.prefix}d:{{{tag}}}:{sha256}")

    def ticket(self, token: LoginToken) -> Key:
        """A ticket that makes a child session on another host."""
        return Key(f"{self.prefix}q:{{{token.tag}}}:{token.sid}")

    def sso(self, token: LoginToken) -> Key:
        return Key(f"{self.prefix}o:{{{token.tag}}}:{token.sid}")

    def mark(self, tag: SlotTag, purpose: str, value: str) -> Key:
        """A one-time mark in a slot: a TOTP step, a `jti`."""
        return Key(f"{self.prefix}m:{{{tag}}}:{purpose}:{value}")

    def interaction(self, interaction: str) -> Key:
        """An interaction before login belongs to nobody: it lies in a slot of its own."""
        name = digest(interaction)
        return Key(f"{self.prefix}i:{{{name[:TAG_LENGTH]}}}:{name}")

    def owner(self) -> Key:
        """Who owns this instance's part of the store (security §6)."""
        return Key(f"{self.prefix}{{owner}}")

    def version(self, name: str) -> Key:
        """The version of everything of that name that is cached (security §20)."""
        return Key(f"{self.prefix}ver:{{versions}}:{name}")

    def canary(self) -> Key:
        """Written to see whether the store takes anything."""
        return Key(f"{self.prefix}canary:{{canary}}")

    def limiter(self, name: str) -> str:
        """A counter of the login guard; outside the prefixes that the session cache tracks."""
        return f"{self.prefix}rl:{{{name}}}"

    def born_under(self, tag: SlotTag, session_id: str) -> Index:
        """Everything born under one session `id`: its records, children and families (store §2, `x`)."""
        return Index(f"{self.prefix}x:{{{tag}}}:{session_id}")

    def sessions_of(self, tag: SlotTag) -> Index:
        """All sessions of a user (store §2, `us`)."""
        return Index(f"{self.prefix}us:{{{tag}}}")

    def devices_of(self, tag: SlotTag) -> Index:
        """All devices of a user that stay signed in."""
        return Index(f"{self.prefix}ud:{{{tag}}}")

    def families_of(self, tag: SlotTag, client: ClientId) -> Index:
        """A user's families at one client (store §2, `fc`)."""
        return Index(f"{self.prefix}fc:{{{tag}}}:{_of_client(client)}")


def new_family(draw: Chance = chance) -> FamilyId:
    """64 random bits that name an authorization."""
    return FamilyId(draw(8).hex())


def new_id(draw: Chance = chance) -> str:
    """22 base62 characters, 128 random bits: the id of a session, an interaction, a message."""
    return base62(int.from_bytes(draw(16), "big"), 22)


@lru_cache(maxsize=4_096)
def tag_of(raw: bytes) -> SlotTag:
    """The tag that spells these 8 bytes."""
    return SlotTag(base62(int.from_bytes(raw, "big"), TAG_LENGTH))


@lru_cache(maxsize=4_096)
def tag_bytes(tag: SlotTag) -> bytes:
    """The 8 bytes that the tag spells.  Raises OverflowError for one that was never drawn."""
    number = 0
    for character in tag:
        number = number * 62 + _DIGITS.index(character)
    return number.to_bytes(8, "big")


def base62(number: int, width: int) -> str:
    """The number in [0-9A-Za-z], padded to `width`.  Raises OverflowError when it does not fit."""
    pairs = []
    for _ in range((width + 1) // 2):
        number, rest = divmod(number, 62 * 62)
        pairs.append(_PAIRS[rest])
    text = "".join(reversed(pairs))
    if number or (width % 2 and not text.startswith(_DIGITS[0])):
        raise OverflowError("number does not fit")
    return text[width % 2 :]


def digest(text: str) -> str:
    """Lower-case hex of SHA-256 of the text: what the store knows of a token."""
    begun = _SHA256.copy()  # to make one, OpenSSL looks the algorithm up each time
    begun.update(text.encode())
    return begun.hexdigest()


_of_client = lru_cache(maxsize=1_024)(digest)  # the same few again and again


def b64url(raw: bytes) -> bytes:
    """Base64url without padding (RFC 7515 §2)."""
    return binascii.b2a_base64(raw, newline=False).translate(_URL_SAFE).rstrip(b"=")
