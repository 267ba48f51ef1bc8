"""Who is calling: address, credentials, role — whmcs-api §2, security §22.

The order is the documented one: address or access key, then (in `endpoint`) the empty action, credentials, the unknown
action, the role.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from msgspec import Struct

from bridge.clients.credential import Credential
from bridge.clients.credentials import Credentials
from bridge.legacy.actions import Action
from bridge.legacy.bans import Bans
from bridge.legacy.options import LegacyOptions
from bridge.legacy.params import CREDENTIALS, Params
from bridge.secret import Secret
from bridge.types import IPAddress

_UNKNOWN: Final = "unknown (a socket, or a proxy on this machine that server.trusted_proxies does not name)"
_MD5: Final = re.compile(r"[0-9a-f]{32}")


class AuthenticatedCaller(Struct, frozen=True):
    """The credential that was shown was right, and may be used from where it was."""

    credential: Credential
    address: IPAddress | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """HTTP 403: `message` for the caller, `why` for the log."""

    message: str
    why: str
    credential: str = ""
    """Its name, where one was found."""


class Callers:
    """Lets callers in."""

    def __init__(self, *, credentials: Credentials, options: LegacyOptions, bans: Bans) -> None:
        self._credentials = credentials
        self._options = options
        self._bans = bans
        self._allowed = lru_cache(maxsize=1_024)(self._is_allowed)  # portals are few, and call all day

    def admit(self, params: Params, address: IPAddress | None) -> Refusal | None:
        """The first gate: an allowed address, or the access key.  None: come in."""
        if address is not None and self._allowed(address):
            return None
        key = self._options.access_key
        given = Secret(params.optional("accesskey"))
        if key is not None and "accesskey" not in params.conflicts and key.matches(given):
            return None
        return _wrong_address(address, "not in legacy.allowed_ips" + (", wrong accesskey" if given else ""))

    async def authenticate(self, params: Params, address: IPAddress | None) -> AuthenticatedCaller | Refusal:
        """Check the credentials that were sent.  Raises Unavailable."""
        if conflicting := [name for name in CREDENTIALS if name in params.conflicts]:
            return self._failed(f"query and body differ in {', '.join(conflicting)}")
        found = await self._check(params, address)
        if isinstance(found, Refusal):
            return found
        if found.disabled:
            return self._failed("the credential is disabled", found.name)
        if not found.may_come_from(address):
            return _wrong_address(address, "not on the credential's own list", found.name)
        return AuthenticatedCaller(found, address)

    def may_call(self, caller: AuthenticatedCaller, action: Action) -> Refusal | None:
        """Whether the credential, or any of its roles, allows it.  None: it does."""
        name, credential = action.name.lower(), caller.credential
        if credential.may_call(name, powerful=action.must_be_named):
            return None
        why = f"{action.name} is not among its actions"
        if credential.roles:
            why += f" nor those of its roles {', '.join(credential.roles)}"
        if action.must_be_named:
            why += " (it must be named, * does not give it)"
        return Refusal(f'Invalid Permissions: API action "{name}" is not allowed', why, credential.name)

    def _is_allowed(self, address: IPAddress) -> bool:
        return any(address in network for network in self._options.allowed_ips)

    async def _check(self, params: Params, address: IPAddress | None) -> Credential | Refusal:
        """The first pair that is there: identifier and secret, else username and password."""
        if identifier := params.optional("identifier"):
            return await self._check_identifier(identifier, Secret(params.optional("secret")))
        username, password = params.optional("username"), params.secret("password")
        if not username:
            return self._failed("no credentials were sent")
        found = await self._check_identifier(username, password)
        if isinstance(found, Refusal) and self._options.admin_md5_login:
            return await self._check_admin(username, password, address)
        return found

    async def _check_identifier(self, identifier: str, secret: Secret) -> Credential | Refusal:
        credential = await self._credentials.find(identifier)
        if credential is None or credential.kind != "identifier":
            return self._failed("no such identifier")
        if not secret:
            return self._failed("no secret was sent", credential.name)
        if not await self._credentials.check(credential, secret):
            return self._failed("wrong secret", credential.name)
        return credential

    async def _check_admin(self, username: str, md5: Secret, address: IPAddress | None) -> Credential | Refusal:
        if not _MD5.fullmatch(md5.reveal()):
            return self._failed("neither an identifier nor an admin with the md5 of his password")
        if not await self._bans.admit(address):
            return Refusal(f"Forbidden IP {_shown(address)}", "too many wrong admin logins from this address")
        credential = await self._credentials.find(username)
        if credential is None or credential.kind != "admin":
            await self._credentials.check_nobody(md5)
            return self._failed("no such admin")
        if not await self._credentials.check(credential, md5):
            return self._failed("wrong admin login", credential.name)
        await self._bans.forgive(address)
        return credential

    def _failed(self, why: str, credential: str = "") -> Refusal:
        return Refusal(self._options.auth_failed_text, why, credential)


def _wrong_address(address: IPAddress | None, why: str, credential: str = "") -> Refusal:
    return Refusal(f"Invalid IP {_shown(address)}", f"{address or _UNKNOWN} is {why}", credential)


def _shown(address: IPAddress | None) -> str:
    return "unknown" if address is None else str(address)
