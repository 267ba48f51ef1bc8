"""Passkeys as browsers speak of them — WebAuthn Level 3.

Judged here is whether a response is what it must be: from our origin, for our name, over this challenge, by this key.
Whose key it is, and what it opens, others decide.  Origin and name come from `server.base_url`, never from a request.
What is asked for a sign-in, which every sign-in page does, is written here; the rest is in `bridge.login.ceremonies`,
which comes with the first passkey: most workers never see one.
"""

import ipaddress
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

import msgspec

from bridge.asgi import origin_of
from bridge.login.challenge import SECONDS
from bridge.users.passkey import NewPasskey, Passkey
from bridge.users.user import User

if TYPE_CHECKING:
    from bridge.login.ceremonies import Ceremonies

TRANSPORTS: Final = frozenset({"ble", "cable", "hybrid", "internal", "nfc", "smart-card", "usb"})


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
        return self._ceremonies.creation(user, handle_of(user), challenge, known)

    def request(self, challenge: bytes, known: Sequence[Passkey], *, verified: bool) -> str:
        """The options of a sign-in, as JSON: by one of these, or by whatever the authenticator finds.  `verified`: by a
        PIN, a finger or a face too."""
        asked = {
            "challenge": _text(challenge),
            "timeout": SECONDS * 1_000,
            "rpId": self.id,
            "allowCredentials": [_described(each) for each in known],
            "userVerification": "required" if verified else "discouraged",
        }
        return msgspec.json.encode(asked).decode()

    def registered(self, response: str, challenge: bytes) -> NewPasskey | None:
        """The new passkey; None: the response is not what it must be."""
        return self._ceremonies.registered(response, challenge)

    def asserted(self, response: str, challenge: bytes, public_key: bytes, *, verified: bool) -> int | None:
        """The count of signatures that the authenticator gives; None: the response is not what it must be.  `verified`:
        it must have asked for a PIN, a finger or a face."""
        return self._ceremonies.asserted(response, challenge, public_key, verified=verified)

    @property
    def _ceremonies(self) -> "Ceremonies":
        from bridge.login.ceremonies import Ceremonies  # noqa: PLC0415  5.6 MB in each worker

        return Ceremonies(id=self.id, origin=self.origin, name=self.name)


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


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode("ascii").rstrip("=")


def _described(passkey: Passkey) -> dict[str, object]:
    described: dict[str, object] = {"type": "public-key", "id": _text(passkey.credential_id)}
    transports = [each for each in passkey.transports if each in TRANSPORTS]
    return described | ({"transports": transports} if transports else {})
