"""The master key ring: one secret from which every other key is derived — HKDF-SHA256 (RFC 5869), AES-256-GCM.

The ring lives outside SQL and the store (spec: security §5).  It is a list of keys with ids, newest first; what is
made is made with the newest, what is checked is checked with all.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Sequence
from typing import Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bridge.clock import Chance, chance
from bridge.errors import ConfigError
from bridge.secret import Secret, framed, hmac_sha256

Purpose = Literal[
    "locator",
    "token-mac",
    "record-mac",
    "csrf",
    "reset-sign",
    "reset-fp",
    "limiter",
    "refresh-wrap",
    "device",
    "column-enc",
    "client-secret",
    "credential-secret",
    "challenge",
    "enrolment",
    "recovery-code",
    "registration",
]
"""One label for each use: two keys derived under different labels know nothing of one another."""

_LINE = re.compile(r"([A-Za-z0-9_-]{1,16})[: ]([A-Za-z0-9_-]{43})=?")


class MasterKey:
    """One key of the ring, known by its id."""

    def __init__(self, key_id: str, key: Secret) -> None:
        self.id = key_id
        self._extracted = hmac_sha256(bytes(32), key.reveal_bytes())  # RFC 5869 §2.2, without a salt: once for all
        self._derived: dict[Purpose, bytes] = {}

    def derive(self, purpose: Purpose, context: bytes = b"") -> bytes:
        """32 bytes for one purpose, and within it for one context.  Those of a context are not kept."""
        if context:
            return self._hkdf(purpose, context)
        if purpose not in self._derived:
            self._derived[purpose] = self._hkdf(purpose, b"")
        return self._derived[purpose]

    def _hkdf(self, purpose: Purpose, context: bytes) -> bytes:
        return hmac_sha256(self._extracted, framed("lb1", purpose, context) + b"\x01")  # §2.3: one block is enough

    def __repr__(self) -> str:
        return f"MasterKey({self.id!r})"


class Ring:
    """All master keys, newest first.  Never empty."""

    def __init__(self, keys: Sequence[MasterKey]) -> None:
        if not keys:
            raise ConfigError("secrets.master holds no key")
        if len({key.id for key in keys}) != len(keys):
            raise ConfigError("secrets.master holds two keys of one id")
        self._keys = tuple(keys)
        self._by_id = {key.id: key for key in keys}

    @classmethod
    def parse(cls, text: str) -> "Ring":
        """Lines of `id:base64url of 32 bytes`, newest first; `#` begins a comment.  Raises ConfigError."""
        lines = [line.strip() for line in text.splitlines()]
        return cls([_parse_line(line) for line in lines if line and not line.startswith("#")])

    @staticmethod
    def new_line(key_id: str, draw: Chance = chance) -> str:
        """A fresh line for `parse`."""
        return f"{key_id}:{base64.urlsafe_b64encode(draw(32)).decode().rstrip('=')}"

    @property
    def newest(self) -> MasterKey:
        """The key that makes."""
        return self._keys[0]

    def get(self, key_id: str) -> MasterKey | None:
        """The key of that id, if it is still on the ring."""
        return self._by_id.get(key_id)

    def __iter__(self) -> Iterator[MasterKey]:
        return iter(self._keys)

    def subkeys(self, purpose: Purpose) -> dict[str, bytes]:
        """Key id → derived key, newest first: all that a reader of records may be given (security §12)."""
        return {key.id: key.derive(purpose) for key in self._keys}

    def seal(self, plain: bytes, *aad: str, purpose: Purpose = "column-enc", context: bytes = b"") -> bytes:
        """Encrypt under the newest key.  `aad` names the place (table, column, row), so that a sealed value moved
        elsewhere does not open.  Returns `key id . nonce ciphertext`."""
        key = self.newest
        nonce = chance(12)
        sealed = AESGCM(key.derive(purpose, context)).encrypt(nonce, plain, framed(*aad, key.id))
        return key.id.encode() + b"." + nonce + sealed

    def open(self, sealed: bytes, *aad: str, purpose: Purpose = "column-enc", context: bytes = b"") -> bytes | None:
        """The plain bytes, or None: another place, another purpose, a key no longer on the ring, or tampered."""
        key_id, dot, rest = sealed.partition(b".")
        key = self.get(key_id.decode("ascii", "replace"))
        if not dot or key is None or len(rest) < 28:
            return None
        try:
            return AESGCM(key.derive(purpose, context)).decrypt(rest[:12], rest[12:], framed(*aad, key.id))
        except InvalidTag:
            return None


def slot_key(text: str) -> Secret:
    """The slot key from its file: base64url of 32 bytes.  Raises ConfigError."""
    return Secret(_unb64(text.strip(), "secrets.slot"))


def _parse_line(line: str) -> MasterKey:
    if not (match := _LINE.fullmatch(line)):
        raise ConfigError("secrets.master: each line must be `id:` and 43 characters of base64url (32 bytes)")
    return MasterKey(match[1], Secret(_unb64(match[2], "secrets.master")))


def _unb64(text: str, name: str) -> bytes:
    try:
        raw = base64.b64decode(text.rstrip("=") + "=", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError(f"{name}: not base64url") from None
    if len(raw) != 32:
        raise ConfigError(f"{name}: must be 32 bytes, is {len(raw)}")
    return raw
