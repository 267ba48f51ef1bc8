"""What a client is told, signed and encrypted as it registered for — Core §5.3.2, §10.1, §10.2; RFC 7519 §11.2."""

from collections.abc import Mapping
from typing import Final

import msgspec

from bridge.clients.client import Client, Encryption
from bridge.keys.algorithms import ALGORITHMS, Algorithm
from bridge.keys.encryption import encrypt
from bridge.oidc.client_keys import ClientKeys
from bridge.oidc.errors import OAuthError
from bridge.oidc.id_token import Signs

USERINFO_TYPE: Final = "userinfo+jwt"
"""Not that of an ID token: what userinfo says is no hint of who shall come back (RFC 8725 §3.11)."""
_encode: Final = msgspec.json.Encoder().encode


class ClientTokens:
    """Wraps answers for their client.  What it wants encrypted never leaves in the clear."""

    def __init__(self, *, issuer: str, keys: Signs, client_keys: ClientKeys) -> None:
        self._issuer = issuer
        self._keys = keys
        self._client_keys = client_keys

    async def id_token(self, client: Client, signed: str) -> str:
        """The signed ID token, or what holds it.  Raises OAuthError: the client has no key for that."""
        return (
            signed if client.id_token_encryption is None else await self._to(client, signed, client.id_token_encryption)
        )

    async def userinfo(self, client: Client, claims: Mapping[str, object]) -> tuple[bytes, bytes]:
        """The body, and its media type.  Raises OAuthError."""
        if client.userinfo_alg is None and client.userinfo_encryption is None:
            return _encode(claims), b"application/json"
        if (alg := _algorithm(client.userinfo_alg)) is None:
            plain: str | bytes = _encode(claims)
        else:
            plain = self._keys.sign(alg, {**claims, "iss": self._issuer, "aud": client.client_id}, USERINFO_TYPE)
        if client.userinfo_encryption is not None:
            plain = await self._to(client, plain, client.userinfo_encryption)
        return plain.encode() if isinstance(plain, str) else plain, b"application/jwt"

    async def _to(self, client: Client, plain: str | bytes, how: Encryption) -> str:
        cty = "JWT" if isinstance(plain, str) else None
        sealed = encrypt(plain, await self._client_keys.public(client), alg=how.alg, enc=how.enc, cty=cty)
        if sealed is None:
            raise OAuthError("invalid_request", f"this client has no key to which we could encrypt by {how.alg}")
        return sealed


def _algorithm(name: str | None) -> Algorithm | None:
    for alg in ALGORITHMS:
        if alg == name:
            return alg
    return None
