"""Passkeys as browsers speak of them — WebAuthn Level 3, by py_webauthn, which is imported here alone.

Judged here is whether a response is what it must be: from our origin, for our name, over this challenge, by this key.
Whose key it is, and what it opens, others decide.  Origin and name come from `server.base_url`, never from a request.
"""

import ipaddress
from base64 import urlsafe_b64decode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import urlsplit

import msgspec
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import parse_attestation_object, parse_registration_credential_json
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.structs import (
    AttestationConveyancePreference,
    AttestationFormat,
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from bridge.asgi import origin_of
from bridge.login.challenge import SECONDS
from bridge.users.passkey import NewPasskey, Passkey
from bridge.users.user import User

ALGORITHMS: Final = [
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
]
LONGEST_ID: Final = 1_023  # WebAuthn §7.1, step 25
_TRANSPORTS: Final = {each.value: each for each in AuthenticatorTransport}


@dataclass(frozen=True, slots=True)
class Said:
    """What a response says of itself, before anything of it is believed."""

    credential_id: bytes
    challenge: bytes
    user_handle: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RelyingParty:
    """We, as an authenticator knows us."""

    id: str
    """The host: passkeys are good for it, and for nothing else."""
    origin: str
    name: str

    @classmethod
    def at(cls, base_url: str, name: str) -> Self | None:
        """That of an installation; None: its address has no name, only a number, and browsers make no passkeys."""
        host = urlsplit(base_url).hostname or ""
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return cls(id=host, origin=origin_of(base_url), name=name)
        return None

    def creation(self, user: User, challenge: bytes, known: Sequence[Passkey]) -> str:
        """The options of a new passkey, as JSON.  Discoverable where the authenticator can, so that it signs in alone;
        not on one that has a passkey of his already."""
        options = generate_registration_options(
            rp_id=self.id,
            rp_name=self.name,
            user_id=handle_of(user),
            user_name=user.email,
            user_display_name=user.name,
            challenge=challenge,
            timeout=SECONDS * 1_000,
            attestation=AttestationConveyancePreference.NONE,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.PREFERRED, user_verification=UserVerificationRequirement.PREFERRED
            ),
            exclude_credentials=[_described(each) for each in known],
            supported_pub_key_algs=ALGORITHMS,
        )
        return options_to_json(options)

    def request(self, challenge: bytes, known: Sequence[Passkey], *, verified: bool) -> str:
        """The options of a sign-in, as JSON: by one of these, or by whatever the authenticator finds.  `verified`: by a
        PIN, a finger or a face too."""
        required, discouraged = UserVerificationRequirement.REQUIRED, UserVerificationRequirement.DISCOURAGED
        options = generate_authentication_options(
            rp_id=self.id,
            challenge=challenge,
            timeout=SECONDS * 1_000,
            allow_credentials=[_described(each) for each in known],
            user_verification=required if verified else discouraged,
        )
        return options_to_json(options)

    def registered(self, response: str, challenge: bytes) -> NewPasskey | None:
        """The new passkey; None: the response is not what it must be."""
        try:
            credential = parse_registration_credential_json(response)
            statement = parse_attestation_object(credential.response.attestation_object)
            # What we did not ask for is not looked into: certificates of strangers are a large surface.
            if statement.fmt != AttestationFormat.NONE and (
                statement.fmt != AttestationFormat.PACKED or statement.att_stmt.x5c
            ):
                return None
            found = verify_registration_response(
                credential=credential,
                expected_challenge=challenge,
                expected_rp_id=self.id,
                expected_origin=self.origin,
                supported_pub_key_algs=ALGORITHMS,
            )
        except Exception:  # noqa: BLE001  a hostile response may make the library raise whatever it likes
            return None
        if len(found.credential_id) > LONGEST_ID:
            return None
        return NewPasskey(
            credential_id=found.credential_id,
            public_key=found.credential_public_key,
            sign_count=found.sign_count,
            transports=tuple(each.value for each in credential.response.transports or ()),
        )

    def asserted(self, response: str, challenge: bytes, public_key: bytes, *, verified: bool) -> int | None:
        """The count of signatures that the authenticator gives; None: the response is not what it must be.  `verified`:
        it must have asked for a PIN, a finger or a face."""
        try:
            found = verify_authentication_response(
                credential=response,
                expected_challenge=challenge,
                expected_rp_id=self.id,
                expected_origin=self.origin,
                credential_public_key=public_key,
                credential_current_sign_count=0,  # compared where it is kept, by who writes it
                require_user_verification=verified,
            )
        except Exception:  # noqa: BLE001  as above
            return None
        return found.new_sign_count


def handle_of(user: User) -> bytes:
    """What an authenticator keeps beside the passkey, and shows when it signs in alone: nothing personal (§14.6.1)."""
    return user.tag.encode()


class _Inner(msgspec.Struct):
    clientDataJSON: str  # noqa: N815  as browsers write it
    userHandle: str | None = None  # noqa: N815


class _Outer(msgspec.Struct):
    rawId: str  # noqa: N815
    response: _Inner


class _ClientData(msgspec.Struct):
    challenge: str
    crossOrigin: bool = False  # noqa: N815


def read(response: str) -> Said | None:
    """What it says of itself; None: it cannot be read, or comes out of a frame in somebody else's page."""
    try:
        outer = msgspec.json.decode(response.encode(), type=_Outer)
        client = msgspec.json.decode(_plain(outer.response.clientDataJSON), type=_ClientData)
        handle = outer.response.userHandle
        said = Said(_plain(outer.rawId), _plain(client.challenge), _plain(handle) if handle else None)
    except (msgspec.MsgspecError, ValueError, RecursionError):  # among them what is no base64, or nested without end
        return None
    return None if client.crossOrigin else said


def _plain(text: str) -> bytes:
    return urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))


def _described(passkey: Passkey) -> Any:
    transports = [_TRANSPORTS[each] for each in passkey.transports if each in _TRANSPORTS]
    return PublicKeyCredentialDescriptor(id=passkey.credential_id, transports=transports or None)
