"""The signed reset link: made, and read — sessions-and-accounts §6.1, security §24.

The signature tells who; a fingerprint ties the link to the account as it was: any password change, any change of the
address, or `reset_gen`, makes every earlier link void.  Nothing is stored, and nothing in the link is a secret of the
account.  That it works once is decided by SQL (`bridge.resets.complete`), never by the token's text, which is
malleable.
"""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Any

from itsdangerous import BadData, SignatureExpired, TimestampSigner, URLSafeTimedSerializer

from bridge.clock import Clock
from bridge.ring import Ring
from bridge.secret import Secret, mac
from bridge.types import UserId

_LONGEST = 512
_SALT = "lb.reset.v1"  # another purpose has another salt, and refuses this one's links


@dataclass(frozen=True, slots=True)
class AccountState:
    """What a link is tied to, besides the user."""

    email_key: str
    credential_version: int
    reset_gen: int


@dataclass(frozen=True, slots=True)
class Genuine:
    """We signed it and its time is not over.  Whether the account is still as it was, `Links.fits` says."""

    user: UserId
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Expired:
    """We signed it, and its time is over."""


@dataclass(frozen=True, slots=True)
class Bad:
    """Not ours."""


class Links:
    """Makes and reads the tokens of reset links, `lifetime` seconds long."""

    def __init__(self, *, ring: Ring, clock: Clock, lifetime: int) -> None:
        newest_last = [key.derive("reset-sign") for key in reversed(list(ring))]
        # Every one of these differs from the library's default, which is SHA-1 and a common salt.
        strict = {"key_derivation": "hmac", "digest_method": hashlib.sha256, "clock": clock}
        self._serializer: URLSafeTimedSerializer = URLSafeTimedSerializer(
            newest_last, salt=_SALT, signer=_Signer, signer_kwargs=strict
        )
        self._fingerprint_keys = [key.derive("reset-fp") for key in ring]
        self.lifetime = lifetime

    def make(self, user: UserId, state: AccountState) -> Secret:
        """The token that goes into the mail."""
        return Secret(self._serializer.dumps([user, _fingerprint(self._fingerprint_keys[0], user, state)]))

    def read(self, token: str) -> Genuine | Expired | Bad:
        """What the token is.  Reads no store and no database."""
        if len(token) > _LONGEST:
            return Bad()
        try:
            user, fingerprint = self._serializer.loads(token, max_age=self.lifetime)
        except SignatureExpired:
            return Expired()
        except (BadData, TypeError, ValueError):
            return Bad()
        return Genuine(UserId(user), fingerprint)

    def fits(self, link: Genuine, state: AccountState) -> bool:
        """Whether the account is as it was when the link was made; in constant time."""
        return any(
            hmac.compare_digest(link.fingerprint, _fingerprint(key, link.user, state)) for key in self._fingerprint_keys
        )


def _fingerprint(key: bytes, user: UserId, state: AccountState) -> str:
    parts = (str(user), state.email_key, str(state.credential_version), str(state.reset_gen))
    return mac(key, "reset-fp", *parts).hex()[:22]


class _Signer(TimestampSigner):
    """A signer on our clock."""

    def __init__(self, *args: Any, clock: Clock, **options: Any) -> None:
        super().__init__(*args, **options)
        self._clock = clock

    def get_timestamp(self) -> int:
        return int(self._clock.now())
