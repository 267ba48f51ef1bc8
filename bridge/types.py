"""The words of the field as types: an id of one kind is never taken for another."""

import ipaddress
from typing import Literal, NewType

from msgspec import Struct

UserId = NewType("UserId", int)
"""The number of a user: the legacy `userid`.  Never reused."""

AccountId = NewType("AccountId", int)
"""The number of a customer account: the legacy `clientid`.  Never reused."""

Subject = NewType("Subject", str)
"""The OpenID `sub` of a user: unique, never reused, at most 255 ASCII characters."""

ClientId = NewType("ClientId", str)
"""The identifier of a registered OAuth client."""

SlotTag = NewType("SlotTag", str)
"""Eleven base62 characters that name a slot: a user's, or that of a client for its own tokens.  A locator, never a
secret, never an identity."""

FamilyId = NewType("FamilyId", str)
"""Sixteen hex digits: one authorization of one user at one client."""

Stamp = NewType("Stamp", str)
"""The random mark of a user's sign-in generation.  Its first letter says why it was drawn (`StampReason`)."""

StampReason = Literal["new", "password", "second-factor", "email", "disabled", "user", "admin", "import"]
"""Why a stamp was drawn: a person reads it on the signed-out page."""

FactorChange = Literal["totp-added", "totp-removed", "passkey-added", "passkey-removed", "codes-renewed", "all-removed"]
"""What was done with somebody's second factors: the audit says it, and a letter tells him."""

Key = NewType("Key", str)
"""The name of a value in the store, with its slot in braces."""

Index = NewType("Index", str)
"""The name of a set of members in the store, with its slot in braces."""

SessionKind = Literal["op", "app", "legacy", "sso"]
"""op: the person at the issuer's pages; app: behind the middleware; legacy: made by ValidateLogin; sso: made by
singlesignon."""

Place = Literal["issuer", "middleware", "host"]
"""Where a login token is presented: the issuer's pages, the middleware, or the host app's own session."""

TokenKind = Literal["code", "access", "refresh"]

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

Door = Literal["legacy", "pages", "oidc", "api", "local", "command"]


class Visit(Struct, frozen=True):
    """Who knocks: what a door knows of a request besides its content."""

    door: Door
    ip: IPAddress | None = None
    """The person's address, as far as we may believe it (trusted proxies); None: not known."""
    user_agent: str = ""
    caller: str | None = None
    """The API credential's name, where one was used."""
    device: str | None = None
    """The known-device mark of this browser, where it showed a good one (sessions-and-accounts §8.1)."""
    language: str = ""
    """The language in which a page speaks with him: a letter's, if his record names none."""


class Standing(Struct, frozen=True):
    """What one SQL row said of a user before his credential was checked: who, where, and his stamp (store §2, rule 3).

    Everything that is born expects this very stamp.
    """

    user: UserId
    tag: SlotTag
    stamp: Stamp
