"""A value that must not be seen — passwords, tokens, keys — and the one way to authenticate bytes with it."""

import hashlib
import hmac
from functools import lru_cache
from typing import ClassVar, Final, Never

_BLOCK: Final = 64
"""Bytes that SHA-256 takes at once."""


class Secret:
    """Text or bytes that never show in a repr, a log line, a pickle or an ordinary comparison.

    `matches` compares in constant time; `reveal` is the word to grep for.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str | bytes) -> None:
        self._value = value

    def reveal(self) -> str:
        """The text itself.  Raises UnicodeDecodeError when it holds bytes that are no UTF-8."""
        return self._value if isinstance(self._value, str) else self._value.decode()

    def reveal_bytes(self) -> bytes:
        """The bytes themselves (UTF-8 of a text)."""
        return self._value if isinstance(self._value, bytes) else self._value.encode("utf-8", "surrogatepass")

    def matches(self, other: "Secret | str | bytes") -> bool:
        """Whether both are the same, in time that does not depend on where they differ."""
        theirs = other if isinstance(other, Secret) else Secret(other)
        return hmac.compare_digest(self.reveal_bytes(), theirs.reveal_bytes())

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        raise TypeError("compare secrets with .matches(), in constant time")

    __hash__: ClassVar[None]  # type: ignore[assignment]  # a secret is no dictionary key

    def __reduce__(self) -> Never:
        raise TypeError("a secret is not pickled")


def framed(*parts: str | bytes) -> bytes:
    """The parts with their lengths (4 bytes, big endian) before them: "1"+"23" is not "12"+"3"."""
    out = b""  # the parts are few and short: a buffer would cost more than it saves
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        out += len(raw).to_bytes(4, "big") + raw
    return out


def mac(key: bytes, *parts: str | bytes) -> bytes:
    """HMAC-SHA256 over the framed parts, the first of which names the purpose."""
    return hmac_sha256(key, framed(*parts))


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """RFC 2104, with nothing between what is authenticated and its MAC: whoever calls it frames it."""
    return _ended(*_begun(key), message)


class Mac:
    """`mac` over parts of which the first are always the same: those are taken in once, with the key."""

    def __init__(self, key: bytes, *parts: str | bytes) -> None:
        inner, self._outer = _begun(key)
        self._inner = inner.copy()
        self._inner.update(framed(*parts))

    def of(self, rest: bytes) -> bytes:
        """The MAC over the first parts and the rest, which comes framed."""
        return _ended(self._inner, self._outer, rest)


@lru_cache(maxsize=64)
def _begun(key: bytes) -> "tuple[hashlib._Hash, hashlib._Hash]":
    """RFC 2104 §4: both hashes with the key taken in.  Keys are few and used all day, and `hmac`'s own object spends
    more on its copy than on most messages."""
    block = (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
    within, around = (bytes(byte ^ pad for byte in block) for pad in (0x36, 0x5C))
    return hashlib.sha256(within), hashlib.sha256(around)


def _ended(inner: "hashlib._Hash", outer: "hashlib._Hash", message: bytes) -> bytes:
    within, around = inner.copy(), outer.copy()
    within.update(message)
    around.update(within.digest())
    return around.digest()
