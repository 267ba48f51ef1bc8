"""A passkey, as its row says — WebAuthn §4, sessions-and-accounts A8."""

import hashlib
from dataclasses import dataclass
from typing import Any

from bridge.types import UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPasskey:
    """What an authenticator has made, and proved to hold."""

    credential_id: bytes
    public_key: bytes
    """In COSE."""
    sign_count: int
    transports: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Passkey:
    """One of somebody's passkeys.  Times are Unix seconds."""

    id: int
    user: UserId
    credential_id: bytes
    public_key: bytes
    transports: tuple[str, ...]
    label: str
    """What he calls it."""
    created_at: int
    last_used_at: int | None


def hash_of(credential_id: bytes) -> str:
    """By what it is found."""
    return hashlib.sha256(credential_id).hexdigest()


def passkey_of(row: Any) -> Passkey:
    """The passkey of a row of `passkeys`."""
    return Passkey(
        id=row.id,
        user=UserId(row.user_id),
        credential_id=row.credential_id,
        public_key=row.public_key,
        transports=tuple(row.transports.split()),
        label=row.label,
        created_at=row.created_at,
        last_used_at=row.last_used_at,
    )
