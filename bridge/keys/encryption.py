"""What only its receiver may read: JWE to a client's own key — RFC 7516, RFC 7518 §4, §5.

Neither RSA1_5, whose errors tell what it holds, nor compression, whose length does.
"""

from typing import Final

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwe import JWERegistry

from bridge.keys.foreign import PublicKeys

_ALGS: Final = ("RSA-OAEP", "RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW")
_ENCS: Final = ("A128CBC-HS256", "A256CBC-HS512", "A128GCM", "A256GCM")


def encrypt(plain: str | bytes, keys: PublicKeys, *, alg: str, enc: str, cty: str | None) -> str | None:
    """In compact form, to the first of those keys that is for that; None: none of them is.

    `cty`: "JWT" for what is itself a JWT (RFC 7519 §5.2).
    """
    found = keys.for_encryption(alg)
    if alg not in _ALGS or enc not in _ENCS or found is None:
        return None
    key, kid = found
    header = {"alg": alg, "enc": enc, **({"kid": kid} if kid else {}), **({"cty": cty} if cty else {})}
    try:
        return jwe.encrypt_compact(header, plain, key, registry=JWERegistry(algorithms=[alg, enc]))
    except (JoseError, ValueError):
        return None  # a key that looked like one
