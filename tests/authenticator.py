"""An authenticator in a few lines: it makes passkeys and signs with them, and lies when it is told to — WebAuthn §6."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from os import urandom
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

UP, UV, AT = 0x01, 0x04, 0x40
"""Flags of authenticator data: the user was present, was verified; a new credential is attached."""


def b64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


def plain(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Authenticator:
    """One with one passkey.  `counts`: whether it counts its signatures, as those without a twin in a cloud do."""

    origin: str
    flags: int = UP | UV
    counts: bool = True
    count: int = 0
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    id: bytes = field(default_factory=lambda: urandom(32))
    handle: bytes = b""
    rp_id: str = ""

    @property
    def cose(self) -> bytes:
        """The public key."""
        public = self.key.public_key().public_numbers()
        return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: public.x.to_bytes(32, "big"), -3: public.y.to_bytes(32, "big")})

    def make(self, options: str, **lies: Any) -> str:
        """The response to `navigator.credentials.create` with those options (JSON)."""
        asked = json.loads(options)
        self.rp_id, self.handle = asked["rp"]["id"], plain(asked["user"]["id"])
        attached = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + self.cose
        data = self._data(lies, AT) + attached
        attestation = {"fmt": "none", "attStmt": {}, "authData": data, **lies.get("attestation", {})}
        response = {
            "clientDataJSON": b64(self._client_data("webauthn.create", asked, lies)),
            "attestationObject": b64(cbor2.dumps(attestation)),
            "transports": ["internal", "hybrid"],
        }
        return self._sent(response)

    def sign(self, options: str, **lies: Any) -> str:
        """The response to `navigator.credentials.get` with those options (JSON)."""
        asked = json.loads(options)
        self.count += 1 if self.counts else 0
        data = self._data(lies, 0)
        client = self._client_data("webauthn.get", asked, lies)
        signature = self.key.sign(data + sha256(client).digest(), ec.ECDSA(SHA256()))
        handle = lies.get("handle", self.handle)
        response = {
            "clientDataJSON": b64(client),
            "authenticatorData": b64(data),
            "signature": b64(lies.get("signature", signature)),
            "userHandle": b64(handle) if handle is not None else None,
        }
        return self._sent(response, lies)

    def twin(self) -> "Authenticator":
        """A copy of it, which goes on counting from where it was copied."""
        return Authenticator(
            self.origin, self.flags, self.counts, self.count, self.key, self.id, self.handle, self.rp_id
        )

    def _data(self, lies: dict[str, Any], more: int) -> bytes:
        rp_id: str = lies.get("rp_id", self.rp_id)
        flags: int = lies.get("flags", self.flags)
        count: int = lies.get("count", self.count)
        return sha256(rp_id.encode()).digest() + bytes([flags | more]) + count.to_bytes(4, "big")

    def _client_data(self, kind: str, asked: dict[str, Any], lies: dict[str, Any]) -> bytes:
        said = {
            "type": lies.get("type", kind),
            "challenge": lies.get("challenge", asked["challenge"]),
            "origin": lies.get("origin", self.origin),
            "crossOrigin": lies.get("cross_origin", False),
        }
        return json.dumps(said).encode()

    def _sent(self, response: dict[str, Any], lies: dict[str, Any] | None = None) -> str:
        name = b64((lies or {}).get("id", self.id))
        return json.dumps({"id": name, "rawId": name, "type": "public-key", "response": response})
