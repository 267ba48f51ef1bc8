"""A user, as one row said he was."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Required, TypedDict

from msgspec import Struct

from bridge.errors import BridgeError
from bridge.secret import Secret
from bridge.types import SlotTag, Stamp, Standing, Subject, UserId

SecondFactorState = Literal["none", "totp", "passkey", "re-enrol"]
"""none: the password is enough; totp: a code is owed, or one of his passkeys; passkey: he has no authenticator app, but
passkeys; re-enrol: imported without a usable secret (security §7)."""


class Taken(BridgeError):
    """Another user has this e-mail address, subject or external id.  Nothing was written."""


class User(Struct, frozen=True, kw_only=True):
    """What the doors may know of a user.  The password hash is not in here; it never leaves `bridge.users`."""

    id: UserId
    sub: Subject
    tag: SlotTag
    email: str
    """The stored address, as it was given: mail goes there and nowhere else."""
    email_key: str = ""
    """Its key (security §10)."""
    email_verified: bool = False
    first_name: str = ""
    last_name: str = ""
    language: str = ""
    groups: tuple[str, ...] = ()
    disabled: bool = False
    stamp: Stamp
    credential_version: int = 0
    reset_gen: int = 0
    second_factor: SecondFactorState = "none"
    authority: str = "bridge"
    last_login_at: int | None = None
    """Unix seconds, as of a second ago; None: nobody ever signed in to this account."""
    created_at: int = 0
    updated_at: int = 0

    @property
    def name(self) -> str:
        """Both names, or the e-mail address for somebody without any."""
        return " ".join(part for part in (self.first_name, self.last_name) if part) or self.email

    @property
    def standing(self) -> Standing:
        """What a birth expects of this row."""
        return Standing(self.id, self.tag, self.stamp)


class UserFacts(TypedDict, total=False):
    """What may be said of a new user."""

    email: Required[str]
    password: Secret | None
    password_hash: str | None
    """A hash that was brought along, in place of `password`."""
    totp: Secret | None
    """The base32 secret of his second factor."""
    second_factor: SecondFactorState
    first_name: str
    last_name: str
    language: str
    groups: Sequence[str]
    email_verified: bool
    sub: Subject | None
    """His OpenID subject, 1 to 255 ASCII characters; else a new uuid."""
    authority: str
    source: str | None
    external_id: str | None


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user who is not there yet.  Made by `SqlUsers.draft`, which hashes his password before any transaction."""

    values: Mapping[str, Any] = field(repr=False)
    totp: Secret | None = None


@dataclass(frozen=True, slots=True)
class AddressTaken:
    """Another user has this e-mail address.  Nothing was written."""
