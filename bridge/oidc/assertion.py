"""A client that signs who it is: client_secret_jwt and private_key_jwt — RFC 7523 §3; Core §9; RFC 8725 §3."""

import math
from collections.abc import Collection, Mapping
from typing import Any, Final

from msgspec import Struct

from bridge.clients.client import Client
from bridge.clients.metadata import ASSERTION_ALGS
from bridge.clock import Chance, Clock
from bridge.keys.foreign import Unverified
from bridge.oidc.client_keys import ClientKeys
from bridge.stores.store import Add, Store
from bridge.tokens import Names, Slots, digest
from bridge.types import ClientId

TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LONGEST_LIFE: Final = 3_600
"""Seconds.  Without it an assertion that leaked would be good for as long as its maker liked."""
SKEW: Final = 10
"""Seconds by which clocks may differ."""
_LONGEST_JTI: Final = 255
_TYPES: Final = (None, "jwt", "client-authentication+jwt")


class Signed(Struct, frozen=True):
    """An assertion that its client signed, whose claims are right.  It was not yet marked as used."""

    client: ClientId
    jti: str
    exp: float


class Assertions:
    """Judges them, and takes each once."""

    def __init__(
        self, *, keys: ClientKeys, store: Store, names: Names, slots: Slots, clock: Clock, chance: Chance
    ) -> None:
        self._keys = keys
        self._store = store
        self._names = names
        self._slots = slots
        self._clock = clock
        self._chance = chance

    async def objection(self, client: Client, token: Unverified, audiences: Collection[str]) -> str | None:
        """What is wrong with it as that client's; None: nothing, and it is used up by that.  Raises Unavailable."""
        algorithms = ASSERTION_ALGS.get(client.auth_method, ())
        if client.auth_alg is not None:
            algorithms = tuple(alg for alg in algorithms if alg == client.auth_alg)
        match await self._keys.judge(client, token, algorithms):
            case "unknown-key":
                return "the client assertion is signed with a key that this client did not register"
            case "forged":
                return "client authentication failed"
            case "signed":
                pass
        signed = judge_claims(token, client.client_id, audiences, self._clock.now())
        if isinstance(signed, str):
            return signed
        return None if await self._first(signed) else "the client assertion was used before"

    async def _first(self, signed: Signed) -> bool:
        """A mark of its own, before anything that stands on it (store §2)."""
        mark = self._names.mark(self._slots.of_client(signed.client), "jti", digest(signed.jti))
        left = max(signed.exp - self._clock.now(), 0.0) + 2 * SKEW
        return await self._store.commit(Add(mark, self._chance(16), left))


def judge_claims(token: Unverified, client: ClientId, audiences: Collection[str], now: float) -> Signed | str:
    """Pure: RFC 7523 §3 on what was signed.  A text: what is wrong."""
    claims = token.claims
    if token.typ not in _TYPES:
        return "the client assertion is a token of another kind"
    if claims.get("iss") != client or claims.get("sub") != client:
        return "iss and sub of the client assertion must both be the client_id"
    if not names_one(claims.get("aud"), audiences):
        return "aud of the client assertion must be the issuer or the address of this endpoint"
    if (why := outside(claims, now)) is not None:
        return f"{why} in the client assertion"
    exp, jti = number(claims.get("exp")), claims.get("jti")
    if exp is None:
        return "exp is missing in the client assertion"
    if not isinstance(jti, str) or not 0 < len(jti) <= _LONGEST_JTI:
        return f"jti of the client assertion must be a text of at most {_LONGEST_JTI} characters"
    return Signed(client, jti, exp)


def names_one(aud: object, audiences: Collection[str]) -> bool:
    """Whether one of them is meant, exactly: what looks alike is another server (RFC 9700 §4.4)."""
    if isinstance(aud, list):
        return all(isinstance(one, str) for one in aud) and any(one in audiences for one in aud)
    return isinstance(aud, str) and aud in audiences


def outside(claims: Mapping[str, Any], now: float) -> str | None:
    """Which of its times, as far as there are any, is not now; None: all are right."""
    for name in ("exp", "nbf", "iat"):
        if name in claims and number(claims[name]) is None:
            return f"{name} is no number"
    exp, nbf, iat = (number(claims.get(name)) for name in ("exp", "nbf", "iat"))
    if exp is not None and now >= exp + SKEW:
        return "exp is over"
    if exp is not None and exp - now > LONGEST_LIFE:
        return f"exp is more than {LONGEST_LIFE} seconds away"
    if nbf is not None and nbf - now > SKEW:
        return "nbf is not yet"
    return "iat is not yet" if iat is not None and iat - now > SKEW else None


def number(value: object) -> float | None:
    """A point in time (RFC 7519 §2, NumericDate); None: it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e15 and math.isfinite(value) else None
