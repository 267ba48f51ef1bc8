"""What this provider can do, in its own words — Discovery 1.0 §3, §4; RFC 8414; RFC 9207 §3."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from bridge.asgi import Receive, Scope, Send
from bridge.clients.metadata import ENCRYPTION_ALGS, ENCRYPTION_ENCS, REQUEST_ALGS
from bridge.keys.algorithms import ALGORITHMS
from bridge.oidc.acr import ACRS
from bridge.oidc.claims import CLAIMS, SCOPES
from bridge.oidc.client_auth import ASSERTION_ALGORITHMS, METHODS
from bridge.oidc.introspection import INTROSPECTION_METHODS
from bridge.oidc.jwks import document
from bridge.oidc.request import prompts_of
from bridge.oidc.response_modes import Offer
from bridge.oidc.session_management import PATH as CHECK_SESSION

PATHS: Final[Mapping[str, str]] = {
    "authorization_endpoint": "/oauth/authorize",
    "token_endpoint": "/oauth/token",
    "userinfo_endpoint": "/oauth/userinfo",
    "jwks_uri": "/oauth/jwks",
    "revocation_endpoint": "/oauth/revoke",
    "introspection_endpoint": "/oauth/introspect",
    "end_session_endpoint": "/oauth/logout",
}
"""Where each endpoint is, below the issuer."""
REGISTRATION: Final[Mapping[str, str]] = {"registration_endpoint": "/oauth/register"}

_OF_THE_SIGN_IN: Final = ("iss", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", "sid", "amr", "acr")


def metadata(
    issuer: str,
    *,
    grant_types: Sequence[str],
    offer: Offer,
    languages: Sequence[str],
    registration: bool,
    request_objects: bool,
    request_uris: bool,
    frontchannel_logout: bool,
    session_management: bool,
) -> dict[str, object]:
    """The members of the document.  What is not in it is refused (checked by a property test)."""
    return {
        "issuer": issuer,
        **addresses(issuer, PATHS),
        **(addresses(issuer, REGISTRATION) if registration else {}),
        **(addresses(issuer, {"check_session_iframe": CHECK_SESSION}) if session_management else {}),
        "scopes_supported": list(SCOPES),
        "response_types_supported": list(offer.types),
        "response_modes_supported": list(offer.modes),
        "grant_types_supported": sorted({*grant_types, *offer.grant_types}),
        "subject_types_supported": ["public", "pairwise"],
        "id_token_signing_alg_values_supported": list(ALGORITHMS),
        "id_token_encryption_alg_values_supported": list(ENCRYPTION_ALGS),
        "id_token_encryption_enc_values_supported": list(ENCRYPTION_ENCS),
        "userinfo_signing_alg_values_supported": list(ALGORITHMS),
        "userinfo_encryption_alg_values_supported": list(ENCRYPTION_ALGS),
        "userinfo_encryption_enc_values_supported": list(ENCRYPTION_ENCS),
        "token_endpoint_auth_methods_supported": list(METHODS),
        "token_endpoint_auth_signing_alg_values_supported": list(ASSERTION_ALGORITHMS),
        "revocation_endpoint_auth_methods_supported": list(METHODS),
        "revocation_endpoint_auth_signing_alg_values_supported": list(ASSERTION_ALGORITHMS),
        "introspection_endpoint_auth_methods_supported": list(INTROSPECTION_METHODS),
        "introspection_endpoint_auth_signing_alg_values_supported": list(ASSERTION_ALGORITHMS),
        "code_challenge_methods_supported": ["S256"],
        "prompt_values_supported": sorted(prompts_of(offer)),
        "claim_types_supported": ["normal"],
        "claims_supported": [*CLAIMS, *_OF_THE_SIGN_IN, *(["c_hash"] if "code id_token" in offer.types else [])],
        "acr_values_supported": list(ACRS),
        "claims_parameter_supported": True,
        "request_parameter_supported": request_objects,
        # Discovery §3: left out, it would mean true.
        "request_uri_parameter_supported": request_uris,
        **({"require_request_uri_registration": True} if request_uris else {}),
        **(
            {"request_object_signing_alg_values_supported": list(REQUEST_ALGS)}
            if request_objects or request_uris
            else {}
        ),
        "authorization_response_iss_parameter_supported": True,
        "ui_locales_supported": list(languages),
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
        "frontchannel_logout_supported": frontchannel_logout,
        "frontchannel_logout_session_supported": frontchannel_logout,
    }


def addresses(issuer: str, paths: Mapping[str, str]) -> dict[str, str]:
    """The members that say where something is."""
    return {name: issuer + path for name, path in paths.items()}


class DiscoveryEndpoint:
    """The document, made once.  `max_age` in seconds."""

    def __init__(self, members: Mapping[str, object], *, max_age: int) -> None:
        self._body = msgspec.json.encode(members)
        self._headers = ((b"cache-control", f"public, max-age={max_age}".encode()),)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await document(scope, self._body, self._headers)(scope, receive, send)
