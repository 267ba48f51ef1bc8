"""Time-based one-time passwords — RFC 6238: 30 s, six digits, SHA-1, as every authenticator app shows them."""

import base64
import binascii
import hmac
import unicodedata
from typing import Final

from pyotp.totp import TOTP

from bridge.clock import Chance
from bridge.secret import Secret

STEP: Final = 30
_NEW_BYTES: Final = 20  # RFC 4226 §4, R6: 160 bits
_SHORTEST_BYTES: Final = 10


def draw_secret(draw: Chance) -> Secret:
    """A new secret in base32: 160 random bits."""
    return Secret(base64.b32encode(draw(_NEW_BYTES)).decode())


def otpauth_uri(secret: Secret, *, account: str, issuer: str) -> Secret:
    """What an authenticator app reads from the picture: a secret too."""
    return Secret(TOTP(secret.reveal(), name=account, issuer=issuer.replace(":", " ")).provisioning_uri())


def step_of(secret: Secret, code: str, *, now: float, skew: int) -> int | None:
    """The 30-second step whose code this is, at most `skew` steps from now; None: of none.  Spaces do not matter."""
    typed = "".join(unicodedata.normalize("NFKC", code[:64]).split()).replace("-", "").encode("utf-8", "replace")
    present, found = int(now // STEP), None
    try:
        totp = _Enrolled(secret.reveal())
        for step in range(present - skew, present + skew + 1):  # all of them: the time tells nothing
            if hmac.compare_digest(totp.generate_otp(step).encode(), typed):
                found = step
    except (binascii.Error, ValueError):  # a secret that was never one
        return None
    return found


class _Enrolled(TOTP):
    """The library refuses what is shorter than 112 bits, and 80 bits are what most authenticators were given for years.
    Nobody who was enrolled so elsewhere is to be locked out; new secrets are longer."""

    def byte_secret(self) -> bytes:
        """Raises ValueError for less than 80 bits, or what is no base32."""
        decoded = base64.b32decode(self.secret + "=" * (-len(self.secret) % 8), casefold=True)
        if len(decoded) < _SHORTEST_BYTES:
            raise ValueError("a secret of less than 80 bits")
        return decoded
