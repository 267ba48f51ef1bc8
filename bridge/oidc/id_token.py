"""The ID token — Core §2, §3.1.3.6 (at_hash), §3.3.2.11 (c_hash), §12.2 (after a refresh)."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Protocol

from bridge.clients.client import Client
from bridge.clock import Clock
from bridge.grants.records import Family
from bridge.keys.algorithms import ALGORITHMS, Algorithm
from bridge.secret import Secret
from bridge.tokens import b64url
from bridge.types import Subject

_HASHES: Final[Mapping[str, Callable[[bytes], Any]]] = {
    **{f"{family}256": hashlib.sha256 for family in ("HS", "RS", "PS", "ES")},
    **{f"{family}384": hashlib.sha384 for family in ("HS", "RS", "PS", "ES")},
    **{f"{family}512": hashlib.sha512 for family in ("HS", "RS", "PS", "ES")},
    "ES256K": hashlib.sha256,
    # Ed25519 hashes by SHA-512 itself (RFC 8032 §5.1); of EdDSA's curves we know no other.
    "EdDSA": hashlib.sha512,
    "Ed25519": hashlib.sha512,
}


NOTHING: Final[Mapping[str, object]] = MappingProxyType({})
"""No more is said than who it is."""


class Signs(Protocol):
    """Signs with the active key of an algorithm (`bridge.keys.keyring.Keyring`)."""

    def sign(self, alg: Algorithm, claims: dict[str, object], typ: str = "JWT") -> str: ...


class IdTokens:
    """Makes them.  `lifetime` in seconds."""

    def __init__(self, *, issuer: str, keys: Signs, clock: Clock, lifetime: int) -> None:
        self._issuer = issuer
        self._keys = keys
        self._clock = clock
        self._lifetime = lifetime

    def make(
        self,
        client: Client,
        family: Family,
        *,
        nonce: str | None,
        access: Secret | None = None,
        code: Secret | None = None,
        more: Mapping[str, object] = NOTHING,
    ) -> str:
        """Who signed in, for that client.  `access`, `code`: what goes with it, and must not be exchanged on the way;
        `more`: what else is said of the person."""
        now, alg = int(self._clock.now()), algorithm_of(client)
        claims: dict[str, object] = {
            **more,
            "iss": self._issuer,
            "sub": family.sub,
            "aud": client.client_id,
            "exp": now + self._lifetime,
            "iat": now,
            "auth_time": family.auth_time,
        }
        if access is not None:
            claims["at_hash"] = half_hash(access.reveal(), alg)
        if code is not None:
            claims["c_hash"] = half_hash(code.reveal(), alg)
        known = {"nonce": nonce, "sid": family.sid, "acr": family.acr, "amr": family.amr}
        claims |= {name: value for name, value in known.items() if value}
        return self._keys.sign(alg, claims)


class Verifies(Protocol):
    """Knows our own tokens again, expired ones too (`bridge.keys.keyring.Keyring`)."""

    def verify(self, token: str, *, typ: Sequence[str] = ("JWT",)) -> dict[str, Any] | None: ...


@dataclass(frozen=True, slots=True)
class Hint:
    """What an ID token that we once gave out says (`id_token_hint`)."""

    sub: Subject
    aud: str
    sid: str | None


def read_hint(token: str, *, issuer: str, keys: Verifies) -> Hint | None:
    """Its time does not matter (Core §3.1.2.1), its signature does; None: not an ID token of ours."""
    claims = keys.verify(token) or {}
    sub, aud, sid = claims.get("sub"), claims.get("aud"), claims.get("sid")
    if claims.get("iss") != issuer or not isinstance(sub, str) or not isinstance(aud, str):
        return None
    return Hint(Subject(sub), aud, sid if isinstance(sid, str) else None)


def algorithm_of(client: Client) -> Algorithm:
    """What the client registered for.  Raises ValueError for what we do not sign with."""
    for alg in ALGORITHMS:
        if alg == client.id_token_alg:
            return alg
    raise ValueError(f"ID tokens are not signed with {client.id_token_alg}")


def half_hash(text: str, alg: str) -> str:
    """The left half of the text's hash, by the algorithm's own hash.  Raises KeyError rather than leave it out."""
    digest: bytes = _HASHES[alg](text.encode("ascii")).digest()
    return b64url(digest[: len(digest) // 2]).decode()
