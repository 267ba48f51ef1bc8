"""The ID token — Core §2, §3.1.3.6 (at_hash), §12.2 (after a refresh)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from authlib.oidc.core.util import create_half_hash

from bridge.clients.client import Client
from bridge.clock import Clock
from bridge.grants.terms import Tokens
from bridge.keys.algorithms import ALGORITHMS, Algorithm
from bridge.types import Subject


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

    def make(self, client: Client, tokens: Tokens) -> str:
        """Who signed in, for that client, beside that access token."""
        family, now = tokens.family, int(self._clock.now())
        alg = algorithm_of(client)
        claims: dict[str, object] = {
            "iss": self._issuer,
            "sub": family.sub,
            "aud": client.client_id,
            "exp": now + self._lifetime,
            "iat": now,
            "auth_time": family.auth_time,
            "at_hash": half_hash(tokens.access.reveal(), alg),
        }
        known = {"nonce": tokens.nonce, "sid": family.sid, "acr": family.acr, "amr": family.amr}
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
    """The left half of the text's hash, by the algorithm's own hash.  Raises ValueError rather than leave it out."""
    if alg == "EdDSA":  # with Ed25519, which hashes with SHA-512 itself
        alg = "RS512"
    made = create_half_hash(text, alg)
    if made is None:
        raise ValueError(f"no half hash for {alg}")
    return made.decode() if isinstance(made, bytes) else str(made)
