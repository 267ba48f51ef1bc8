"""What passkeys are made and checked with — WebAuthn §7.1, §7.2, by py_webauthn, which is imported here alone.

Who wants it is `bridge.login.relying_party`, which loads it with the first passkey.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from webauthn import (
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceremonies:
    """Those of one relying party."""

    id: str
    origin: str
    name: str

    def creation(self, user: User, handle: bytes, challenge: bytes, known: Sequence[Passkey]) -> str:
        """The options of a new passkey, as JSON."""
        options = generate_registration_options(
            rp_id=self.id,
            rp_name=self.name,
            user_id=handle,
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
        """The count of signatures that the authenticator gives; None: the response is not what it must be."""
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


def _described(passkey: Passkey) -> Any:
    transports = [_TRANSPORTS[each] for each in passkey.transports if each in _TRANSPORTS]
    return PublicKeyCredentialDescriptor(id=passkey.credential_id, transports=transports or None)
