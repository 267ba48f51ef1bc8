"""What each signature algorithm needs: a new key, and a signature without a detour — RFC 7518 §3, RFC 8037 §3.1."""

from collections.abc import Callable
from typing import Final, Literal

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from joserfc.jwk import ECKey, OKPKey, RSAKey

Algorithm = Literal["RS256", "ES256", "EdDSA"]
ALGORITHMS: Final[tuple[Algorithm, ...]] = ("RS256", "ES256", "EdDSA")
"""What we sign with.  EdDSA is that of Ed25519, by the name that every client knows (RFC 9864: Ed25519)."""

PrivateKey = RSAKey | ECKey | OKPKey
Signer = Callable[[bytes], bytes]


def new_key(alg: Algorithm) -> PrivateKey:
    """A key for that algorithm, its `kid` the thumbprint (RFC 7638), which no command line takes for an option."""
    while str((key := _generated(alg)).kid).startswith("-"):
        pass
    return key


def signer(alg: str, pem: bytes) -> Signer | None:
    """Signs as JWS wants it, with `cryptography` alone; None: the key is none of that algorithm."""
    private = _KINDS[alg].import_key(pem).private_key if alg in _KINDS else None
    # What says how to sign is made once: for ECDSA it costs a quarter of a signature.
    if isinstance(private, rsa.RSAPrivateKey):
        pkcs1, sha256 = padding.PKCS1v15(), hashes.SHA256()
        return lambda data: private.sign(data, pkcs1, sha256)
    if isinstance(private, ec.EllipticCurvePrivateKey):
        ecdsa = ec.ECDSA(hashes.SHA256())
        return lambda data: _raw(private.sign(data, ecdsa))
    return private.sign if isinstance(private, ed25519.Ed25519PrivateKey) else None


_KINDS: Final[dict[str, type[RSAKey | ECKey | OKPKey]]] = {"RS256": RSAKey, "ES256": ECKey, "EdDSA": OKPKey}


def _generated(alg: Algorithm) -> PrivateKey:
    match alg:
        case "RS256":
            return RSAKey.generate_key(2048, auto_kid=True)
        case "ES256":
            return ECKey.generate_key("P-256", auto_kid=True)
        case "EdDSA":
            return OKPKey.generate_key("Ed25519", auto_kid=True)


def _raw(der: bytes) -> bytes:
    """An ECDSA signature as JWS wants it: r and s, 32 bytes each (RFC 7518 §3.4)."""
    r, s = decode_dss_signature(der)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")
