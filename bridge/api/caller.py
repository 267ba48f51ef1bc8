"""Who calls the JSON API: an API credential by HTTP Basic or in the body, from an allowed address — DESIGN §7."""

import base64
import binascii
from dataclasses import dataclass
from typing import Protocol

from bridge.asgi import Scope, header
from bridge.clients.credential import Credential
from bridge.secret import Secret
from bridge.types import IPAddress


class Credentials(Protocol):
    """`bridge.clients.credentials.Credentials`."""

    async def find(self, identifier: str) -> Credential | None: ...

    async def check(self, credential: Credential, secret: Secret) -> bool: ...


@dataclass(frozen=True, slots=True)
class Refusal:
    """The call is not allowed: `status` 401 (who are you?) or 403 (not from there, not this)."""

    status: int
    message: str
    why: str
    """For the log."""
    credential: str = ""


async def authenticate(
    credentials: Credentials, shown: tuple[str, Secret] | None, *, action: str, ip: IPAddress | None
) -> Credential | Refusal:
    """The credential, if what was shown is right and it may do this from there.  Raises Unavailable."""
    if shown is None:
        return Refusal(401, "Show an API credential.", "no credential")
    identifier, secret = shown
    credential = await credentials.find(identifier)
    if credential is None or credential.kind != "identifier" or not await credentials.check(credential, secret):
        return Refusal(401, "The API credential is not right.", "wrong credential")
    if credential.disabled:
        return Refusal(401, "The API credential is not right.", "disabled credential", credential.name)
    if not credential.may_come_from(ip):
        return Refusal(403, "The API credential may not be used from this address.", "wrong address", credential.name)
    if not credential.may_call(action):
        return Refusal(403, "The API credential may not do this.", f"may not {action}", credential.name)
    return credential


def basic(scope: Scope) -> tuple[str, Secret] | None:
    """Identifier and secret of `Authorization: Basic` (RFC 7617); None: there is none, or it cannot be read."""
    scheme, _, encoded = (header(scope, b"authorization") or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        text = base64.b64decode(encoded.strip(" "), validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    identifier, colon, secret = text.partition(":")
    return (identifier, Secret(secret)) if colon else None
