"""What clients sign with, and how: keys of every kind, and tokens that are right but for what is said otherwise."""

import base64
import json
import secrets
from functools import cache
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from bridge.keys.registry import Registry
from tests.oidc.world import ISSUER

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
TOKEN_URL = f"{ISSUER}/oauth/token"
AnyKey = RSAKey | ECKey | OKPKey | OctKey


@cache
def key(alg: str, name: str = "one") -> Any:
    """The private key of that name for that algorithm; making one of RSA takes a while."""
    match alg:
        case "RS256" | "PS256":
            return RSAKey.generate_key(2048, {"kid": f"rsa-{name}"})
        case "ES256":
            return ECKey.generate_key("P-256", {"kid": f"ec-{name}"})
        case _:
            return OKPKey.generate_key("Ed25519", {"kid": f"ed-{name}"})


def public(*keys: Any) -> dict[str, list[dict[str, Any]]]:
    """The key set that holds them."""
    return {"keys": [{**one.as_dict(private=False), "kid": one.kid} for one in keys]}


def sign(claims: dict[str, Any], by: Any, alg: str, **header: Any) -> str:
    """A JWT; a header of None is left out."""
    kid = {"kid": by.kid} if by.kid else {}
    said = {name: value for name, value in {"alg": alg, **kid, **header}.items() if value is not None}
    return jws.serialize_compact(said, json.dumps(claims), by, registry=Registry(algorithms=(alg,)))


def unsigned(claims: dict[str, Any], **header: Any) -> str:
    """`none`."""
    parts = ({"alg": "none", **header}, claims)
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."


def claims_of(client: str, now: float, **other: Any) -> dict[str, Any]:
    """An assertion's; None: without it."""
    usual = {
        "iss": client,
        "sub": client,
        "aud": ISSUER,
        "exp": int(now) + 60,
        "iat": int(now),
        "jti": secrets.token_hex(8),
    }
    return {name: value for name, value in {**usual, **other}.items() if value is not None}
