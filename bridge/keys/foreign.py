"""JWTs that others signed, with keys that we know them by — RFC 7515, RFC 7517, RFC 7519; RFC 8725 §3.

Which key and which algorithm may have signed is told by whoever asks, never by the token: its header only chooses among
them.  What a token says before its signature was looked at is `Unverified`, and nothing of it is to be believed.
"""

import re
from base64 import urlsafe_b64decode
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, Key, OctKey, OKPKey, RSAKey

from bridge.keys.registry import Registry
from bridge.secret import Secret

ASYMMETRIC: Final = ("RS256", "PS256", "ES256", "EdDSA")
SYMMETRIC: Final = ("HS256",)
LONGEST_JWT: Final = 8 * 1024
"""Characters; a longer one is refused before it is parsed."""
SHORTEST_SECRET: Final = 32
"""Bytes of a secret that is a key (RFC 7518 §3.2; Core §10.1, §16.19)."""
MOST_KEYS: Final = 20
_RSA_BITS: Final = range(2_048, 4_097)
_MOST_EXPONENT: Final = 32
_COMPACT: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]*)", re.ASCII)
_FITS: Final = {"RS256": RSAKey, "PS256": RSAKey, "ES256": ECKey, "EdDSA": OKPKey}
_CURVES: Final = {"ES256": "P-256", "EdDSA": "Ed25519"}

Verdict = Literal["signed", "forged", "unknown-key"]
"""unknown-key: none of the keys is the one that it names; a newer set may hold it."""


@dataclass(frozen=True, slots=True)
class Unverified:
    """What a token says of itself."""

    text: str
    header: Mapping[str, Any]
    claims: Mapping[str, Any]

    @property
    def alg(self) -> str:
        """The algorithm that it claims, by the name that we know it by."""
        return _known_as(str(self.header.get("alg")))

    @property
    def typ(self) -> str | None:
        """What it claims to be, in small letters and without `application/`; None: it does not say."""
        typ = self.header.get("typ")
        return None if typ is None else str(typ).lower().removeprefix("application/")


class PublicKeys:
    """Somebody's key set: those of its keys that can verify what we take.  Imported once."""

    def __init__(self, keys: Sequence[tuple[Mapping[str, Any], Key]]) -> None:
        self._keys = keys

    @classmethod
    def parse(cls, document: bytes | str) -> Self:
        """Keys of kinds that we do not know are passed over (RFC 7517 §5).  Raises ValueError: it is no key set."""
        try:
            found = msgspec.json.decode(document)
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            raise ValueError("it is not JSON") from None
        keys = found.get("keys") if isinstance(found, dict) else None
        if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
            raise ValueError("it is no key set")
        if len(keys) > MOST_KEYS:
            raise ValueError(f"it has more than {MOST_KEYS} keys")
        return cls([(jwk, key) for jwk in keys if (key := _imported(jwk)) is not None])

    def __len__(self) -> int:
        return len(self._keys)

    def candidates(self, alg: str, kid: object) -> list[Key]:
        """The keys that may have signed by that algorithm; of that `kid`, if one is named."""
        return [
            key
            for jwk, key in self._keys
            if _fits(jwk, key, alg) and jwk.get("use", "sig") == "sig" and (kid is None or jwk.get("kid") == kid)
        ]

    def for_encryption(self, alg: str) -> tuple[Key, str | None] | None:
        """The first key to which something can be encrypted by that algorithm, and its `kid`; None: there is none."""
        wanted = RSAKey if alg.startswith("RSA") else (ECKey, OKPKey)
        for jwk, key in self._keys:
            meant = jwk.get("use", "enc") == "enc" and jwk.get("alg", alg) == alg and jwk.get("crv") != "Ed25519"
            if isinstance(key, wanted) and meant:
                kid = jwk.get("kid")
                return key, kid if isinstance(kid, str) else None
        return None


def read(text: str) -> Unverified | None:
    """What it says; None: it is no JWT of the compact form, or too long to be one.

    Headers that change what is signed, or that must be understood, are not understood here (RFC 7515 §4.1.11).
    """
    if len(text) > LONGEST_JWT or (parts := _COMPACT.fullmatch(text)) is None:
        return None
    try:
        signed = jws.extract_compact(text.encode(), registry=Registry(algorithms=()))
        header, claims = signed.headers(), msgspec.json.decode(signed.payload)
    except (JoseError, msgspec.DecodeError, ValueError, TypeError, RecursionError):
        return None
    if not isinstance(claims, dict) or header.keys() & {"crit", "b64", "zip", "enc"}:
        return None
    if (parts[3] == "") != (header.get("alg") == "none"):
        return None
    return Unverified(text, header, claims)


def judge(token: Unverified, keys: PublicKeys | Secret, algorithms: Collection[str]) -> Verdict:
    """Whether one of those keys signed it, by one of those algorithms.

    A secret is a key of symmetric algorithms only, and public keys are of the others only, whatever was asked.
    """
    kind = SYMMETRIC if isinstance(keys, Secret) else ASYMMETRIC
    if token.alg not in algorithms or token.alg not in kind:
        return "forged"
    if isinstance(keys, Secret):
        return "signed" if _verifies_by_secret(token, keys.reveal_bytes()) else "forged"
    found = keys.candidates(token.alg, token.header.get("kid"))
    if not found:
        return "unknown-key"
    return "signed" if any(_verifies(token, key) for key in found) else "forged"


def _verifies_by_secret(token: Unverified, secret: bytes) -> bool:
    try:
        return len(secret) >= SHORTEST_SECRET and _verifies(token, OctKey.import_key(secret))
    except ValueError:
        return False  # it is a public key: the library will not have it for a secret, nor will we


def _verifies(token: Unverified, key: Key) -> bool:
    try:
        jws.deserialize_compact(token.text, key, registry=Registry(algorithms=(str(token.header.get("alg")),)))
    except (JoseError, ValueError, TypeError):
        return False
    return True


def _imported(jwk: Mapping[str, Any]) -> Key | None:
    """The public key; None: of another kind, or none at all.  Raises ValueError for one that is not public."""
    if "d" in jwk or "k" in jwk or "p" in jwk:
        raise ValueError("it holds a key that is not public")
    if jwk.get("kty") not in ("RSA", "EC", "OKP"):
        return None
    # what we choose by, we compare ourselves: `use`, `alg` and `key_ops` make the library refuse what it may do
    plain = {name: jwk[name] for name in ("kty", "n", "e", "crv", "x", "y") if name in jwk}
    try:
        if plain["kty"] == "RSA" and not (_bits(plain["n"]) in _RSA_BITS and _bits(plain["e"]) <= _MOST_EXPONENT):
            return None  # before the library sees it, which warns of a small one and works long on a large one
        return JWKRegistry.import_key(plain)
    except (JoseError, ValueError, TypeError, AttributeError, KeyError):
        return None


def _bits(number: str) -> int:
    return int.from_bytes(urlsafe_b64decode(number + "==")).bit_length()


def _fits(jwk: Mapping[str, Any], key: Key, alg: str) -> bool:
    return isinstance(key, _FITS[alg]) and _known_as(jwk.get("alg", alg)) == alg and jwk.get("crv") == _CURVES.get(alg)


def _known_as(alg: str) -> str:
    """RFC 9864 gave the one algorithm of Ed25519 keys its own name; some clients say that, and some EdDSA still."""
    return "EdDSA" if alg == "Ed25519" else alg
