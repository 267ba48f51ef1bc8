"""Proof Key for Code Exchange — RFC 7636, S256 only."""

import hmac
import re
from collections.abc import Mapping
from typing import Final

from authlib.oauth2.rfc7636 import create_s256_code_challenge

from bridge.clients.client import Client
from bridge.oidc.errors import OAuthError

_VERIFIER: Final = re.compile(r"[A-Za-z0-9\-._~]{43,128}", re.ASCII)  # §4.1
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9\-_]{43}", re.ASCII)  # §4.2: base64url of SHA-256


def challenge_of(parameters: Mapping[str, str], client: Client) -> str | None:
    """The S256 challenge of an authorization request; None: none was sent, nor need be.  Raises OAuthError."""
    challenge, method = parameters.get("code_challenge"), parameters.get("code_challenge_method")
    if challenge is None:
        if method is not None:
            raise OAuthError("invalid_request", "code_challenge is missing")
        if client.require_pkce or client.public:
            raise OAuthError("invalid_request", "code_challenge is missing: this client must use PKCE")
        return None
    # §4.3: an absent method means plain, which we do not offer.
    if method != "S256":
        raise OAuthError("invalid_request", "code_challenge_method must be S256")
    if not _CHALLENGE.fullmatch(challenge):
        raise OAuthError("invalid_request", "code_challenge must be 43 characters of base64url")
    return challenge


def objection(challenge: str | None, verifier: str | None) -> str | None:
    """What is wrong with the verifier; None: nothing (§4.6).  Compares in constant time."""
    if challenge is None:
        # RFC 9700 §4.8.2: else an attacker strips the challenge from the request and injects the code.
        return None if verifier is None else "code_verifier was sent, but no code_challenge before it"
    if verifier is None:
        return "code_verifier is missing"
    if not _VERIFIER.fullmatch(verifier):
        return "code_verifier must be 43 to 128 characters of [A-Za-z0-9-._~]"
    computed: str = create_s256_code_challenge(verifier)
    return None if hmac.compare_digest(computed, challenge) else "code_verifier does not match"
