"""The provider's signing keys: encrypted in SQL, imported once, signing without a detour — RFC 7517, RFC 7518.

The private keys are sealed under the master ring with their place as additional data (security §5).  A token is
signed by `cryptography` directly, with a header encoded once: that saves 25 µs of every ID token (store §7).
"""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, RSAKey
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.clock import Clock
from bridge.database.database import Database
from bridge.database.tables import signing_keys
from bridge.database.versions import bump
from bridge.errors import ConfigError
from bridge.events.event import Events
from bridge.ring import Ring

Algorithm = Literal["RS256", "ES256"]
ALGORITHMS: Final[tuple[Algorithm, ...]] = ("RS256", "ES256")
LONGEST_TOKEN: Final = 8 * 1024
"""Characters; a longer one is refused before it is parsed."""

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One key, ready to sign."""

    kid: str
    alg: Algorithm
    state: str
    public: Mapping[str, Any]
    sign: Callable[[bytes], bytes]


class Keyring:
    """Signs, publishes and verifies with the keys of `signing_keys`."""

    def __init__(self, *, db: Database, ring: Ring, clock: Clock, events: Events) -> None:
        self._db = db
        self._ring = ring
        self._clock = clock
        self._events = events
        self._keys: dict[str, SigningKey] = {}
        self._active: dict[Algorithm, SigningKey] = {}
        self._headers: dict[tuple[Algorithm, str], bytes] = {}
        self._public = KeySet([])

    async def ensure(self) -> None:
        """Make the first key of each algorithm, if there is none: exactly one worker does.  Then `refresh`."""
        async with self._db.begin() as tx:
            # The bump takes the row's lock first, so the worker that comes second sees what the first has made.
            await bump(tx, "keys")
            made = [await self._make(tx, alg) for alg in await self._missing(tx)]
        await self.refresh()
        for key in made:
            self._events.tell("key.changed", actor="start", reason="made", kid=key, state="active")

    async def refresh(self) -> None:
        """Read the keys again; only those that are new to this process are opened and imported."""
        async with self._db.read() as tx:
            found = await tx.execute(select(signing_keys).order_by(signing_keys.c.created_at, signing_keys.c.kid))
            rows = [row._asdict() for row in found]
        self._keys = {row["kid"]: self._known(row) for row in rows if row["state"] != "gone"}
        self._active = {key.alg: key for key in self._keys.values() if key.state == "active"}
        self._headers = {}
        public: Any = {"keys": [dict(key.public) for key in self._keys.values()]}
        self._public = KeySet.import_key_set(public) if self._keys else KeySet([])  # before the first start: none

    def sign(self, alg: Algorithm, claims: Mapping[str, object], typ: str = "JWT") -> str:
        """A JWS in compact form, signed by the active key of that algorithm.  Raises ConfigError without one."""
        key = self._active.get(alg)
        if key is None:
            raise ConfigError(f"there is no active {alg} key")
        head = self._headers.get((alg, typ)) or self._header(key, typ)
        signed = head + b64url(_encode(claims))
        return (signed + b"." + b64url(key.sign(signed))).decode()

    def verify(self, token: str, *, typ: Sequence[str] = ("JWT",)) -> dict[str, Any] | None:
        """The claims of a token that we signed, with one of these `typ`; None for anything else.

        Times are not looked at: an expired `id_token_hint` is still a hint.  Key and algorithm come from our own
        key set, never from the token's header.
        """
        if len(token) > LONGEST_TOKEN or token.count(".") != 2:
            return None
        try:
            signed = jws.deserialize_compact(token, self._public, algorithms=list(ALGORITHMS))
            head, claims = signed.headers(), json.loads(signed.payload or b"")
        except (JoseError, ValueError):
            return None
        ours = self._keys.get(str(head.get("kid")))
        if ours is None or head.get("alg") != ours.alg or head.get("typ") not in typ:
            return None
        return claims if isinstance(claims, dict) else None

    def public_jwks(self) -> dict[str, list[Mapping[str, Any]]]:
        """What `jwks_uri` serves: public parts only, each with `kid`, `alg` and `use`."""
        return {"keys": [key.public for key in self._keys.values()]}

    def published(self) -> list[SigningKey]:
        """All that are published, oldest first."""
        return list(self._keys.values())

    async def _missing(self, tx: AsyncConnection) -> list[Algorithm]:
        found = await tx.execute(select(signing_keys.c.alg).where(signing_keys.c.state == "active"))
        active = set(found.scalars())
        return [alg for alg in ALGORITHMS if alg not in active]

    async def _make(self, tx: AsyncConnection, alg: Algorithm) -> str:
        key = RSAKey.generate_key(2048, auto_kid=True) if alg == "RS256" else ECKey.generate_key("P-256", auto_kid=True)
        kid, now = str(key.kid), int(self._clock.now())
        public = {**key.as_dict(private=False), "kid": kid, "alg": alg, "use": "sig"}
        sealed = self._ring.seal(key.as_pem(private=True), "signing_keys", "private_enc", kid)
        row = {"kid": kid, "alg": alg, "state": "active", "public_jwk": json.dumps(public), "private_enc": sealed}
        await tx.execute(insert(signing_keys).values(**row, created_at=now, changed_at=now))
        return kid

    def _known(self, row: Mapping[str, Any]) -> SigningKey:
        known = self._keys.get(row["kid"])
        sign = known.sign if known else self._open(row)
        return SigningKey(row["kid"], row["alg"], row["state"], json.loads(row["public_jwk"]), sign)

    def _open(self, row: Mapping[str, Any]) -> Callable[[bytes], bytes]:
        pem = self._ring.open(row["private_enc"], "signing_keys", "private_enc", row["kid"])
        if pem is None:
            raise ConfigError(f"signing key {row['kid']}: no key of secrets.master opens it")
        imported = (RSAKey if row["alg"] == "RS256" else ECKey).import_key(pem)
        private = imported.private_key
        if isinstance(private, rsa.RSAPrivateKey):
            return lambda data: private.sign(data, padding.PKCS1v15(), hashes.SHA256())
        if isinstance(private, ec.EllipticCurvePrivateKey):
            return lambda data: _raw(private.sign(data, ec.ECDSA(hashes.SHA256())))
        raise ConfigError(f"signing key {row['kid']}: not a private key")

    def _header(self, key: SigningKey, typ: str) -> bytes:
        head = b64url(_encode({"alg": key.alg, "kid": key.kid, "typ": typ})) + b"."
        self._headers[(key.alg, typ)] = head
        return head


def b64url(raw: bytes) -> bytes:
    """Base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def _raw(der: bytes) -> bytes:
    """An ECDSA signature as JWS wants it: r and s, 32 bytes each (RFC 7518 §3.4)."""
    r, s = decode_dss_signature(der)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")
