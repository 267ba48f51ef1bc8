"""OAuth tokens: `lbc_` code, `lba_` access, `lbr_` refresh, and 48 bytes — DESIGN §5.

16 bytes *locator* (one AES block over tag and family: tells us the slot and the family, and others nothing), 24
random ones, 8 of MAC, which is checked before anything is read: a made-up token costs no read and can neither probe
nor end a family.
"""

import binascii
import hmac
import re
import struct
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from msgspec import Struct

from bridge.clock import Chance, chance
from bridge.ring import MasterKey, Ring
from bridge.secret import Mac, Secret
from bridge.tokens import Names, b64url, digest, tag_bytes, tag_of
from bridge.types import FamilyId, Key, SlotTag, TokenKind

_OAUTH: Final = re.compile(r"(lb[car]_)([A-Za-z0-9_-]{64})", re.ASCII)
_PREFIX: Final[dict[TokenKind, str]] = {"code": "lbc_", "access": "lba_", "refresh": "lbr_"}
_STANDARD: Final = bytes.maketrans(b"-_", b"+/")
_FRAMED: Final = struct.Struct(">I16sI24s").pack
"""Locator and noise with their lengths before them, as `bridge.secret.framed` writes them."""
_KIND: Final[dict[str, TokenKind]] = {prefix: kind for kind, prefix in _PREFIX.items()}


class OAuthToken(Struct, frozen=True, eq=False):
    """A genuine code, access or refresh token: its MAC was right.  Whether it is alive is the store's to say."""

    kind: TokenKind
    text: Secret
    tag: SlotTag
    family: FamilyId
    sha256: str
    """Lower-case hex of SHA-256 of the whole token."""

    def key(self, names: Names) -> Key:
        """Where its record lies."""
        return names.token(self.kind, self.tag, self.sha256)


class TokenMint:
    """Makes OAuth tokens and tells genuine ones from made-up ones without reading anything."""

    def __init__(self, ring: Ring) -> None:
        self._dies = [_Die(key) for key in ring]

    def draw(self, kind: TokenKind, tag: SlotTag, family: FamilyId, draw: Chance = chance) -> OAuthToken:
        """A new token of that kind: 192 random bits behind its locator."""
        text = self._dies[0].strike(kind, tag, family, draw(24))
        return OAuthToken(kind, Secret(text), tag, family, digest(text))

    def parse(self, kind: TokenKind, text: str) -> OAuthToken | None:
        """The token if it is a genuine one of that kind, else None.  One spelling only."""
        match = _OAUTH.fullmatch(text)
        if match is None or _KIND.get(match[1]) != kind:
            return None
        raw = binascii.a2b_base64(match[2].encode().translate(_STANDARD))  # of no other letters: the form was checked
        for die in self._dies:
            if place := die.read(kind, raw):
                return OAuthToken(kind, Secret(text), place[0], place[1], digest(text))
        return None


def kind_of(text: str) -> TokenKind | None:
    """Which OAuth token the text claims to be, by its prefix alone."""
    return _KIND.get(text[:4])


class _Die:
    """The locator cipher and the MAC of one master key."""

    def __init__(self, key: MasterKey) -> None:
        # One block, each block once: ECB of a single random-looking block is a permutation, which is all we ask.
        cipher = Cipher(AES(key.derive("locator")), ECB())  # noqa: S305
        self._encrypt = cipher.encryptor().update
        self._decrypt = cipher.decryptor().update
        self._macs = {kind: Mac(key.derive("token-mac"), "token", kind) for kind in _PREFIX}

    def strike(self, kind: TokenKind, tag: SlotTag, family: FamilyId, noise: bytes) -> str:
        locator = self._encrypt(tag_bytes(tag) + bytes.fromhex(family))
        raw = locator + noise + self._mac(kind, locator, noise)
        return _PREFIX[kind] + b64url(raw).decode()

    def read(self, kind: TokenKind, raw: bytes) -> tuple[SlotTag, FamilyId] | None:
        locator, noise, seal = raw[:16], raw[16:40], raw[40:]
        if not hmac.compare_digest(seal, self._mac(kind, locator, noise)):
            return None
        block = self._decrypt(locator)
        return tag_of(block[:8]), FamilyId(block[8:].hex())

    def _mac(self, kind: TokenKind, locator: bytes, noise: bytes) -> bytes:
        return self._macs[kind].of(_FRAMED(16, locator, 24, noise))[:8]
