"""What may be said of a person: the claims, and the scopes that give them — Core §5.1, §5.4."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from bridge.accounts.account import Profile
from bridge.accounts.membership import Membership
from bridge.types import Subject
from bridge.users.user import User

Value: TypeAlias = str | bool | int | Mapping[str, str] | Sequence[Mapping[str, int | bool | Sequence[str]]]

_OF_USER: Final[Mapping[str, Callable[[User], Mapping[str, Value]]]] = {
    "profile": lambda user: {
        # Not `user.name`: that falls back to the address, which only the scope `email` may tell.
        "name": " ".join(filter(None, (user.first_name, user.last_name))),
        "given_name": user.first_name,
        "family_name": user.last_name,
        "locale": user.language,
        "updated_at": user.updated_at,
    },
    "email": lambda user: {"email": user.email, "email_verified": user.email_verified},
}

ACCOUNTS: Final = "clients"
"""Scope and claim: the customer accounts that a person belongs to (whmcs-api §3.5).  Only a client whose registration
names it may ask for it."""

SCOPES: Final = ("openid", "profile", "email", "address", "phone", "offline_access", ACCOUNTS)
"""What may be asked for."""

_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "profile": ("name", "given_name", "family_name", "locale", "updated_at"),
    "email": ("email", "email_verified"),
    "address": ("address",),
    "phone": ("phone_number", "phone_number_verified"),
    ACCOUNTS: (ACCOUNTS,),
}

SCOPE_OF: Final[Mapping[str, str]] = {name: scope for scope, names in _NAMES.items() for name in names}
"""Claim → the scope that gives it, and without which no client is told it."""

CLAIMS: Final = ("sub", *SCOPE_OF)
"""What may be said of a person."""

OF_ACCOUNT: Final = frozenset({"address", "phone"})
"""Scopes that tell of the customer account which a person owns."""


def claims_of(user: User, sub: Subject, scopes: Collection[str], names: Collection[str] = ()) -> dict[str, Value]:
    """What these scopes give, and what was asked for by name, each of its right type; a claim without a value is left
    out (Core §5.3.2)."""
    claims: dict[str, Value] = {"sub": sub}
    for scope, tell in _OF_USER.items():
        if scope in scopes:
            claims |= tell(user)
        elif names:
            claims |= {name: value for name, value in tell(user).items() if name in names}
    return {name: value for name, value in claims.items() if value != ""}


def accounts_claim(memberships: Iterable[Membership]) -> Value:
    """Each account with what he may do there; who belongs to none has an empty list, which says so."""
    return [{"id": each.account, "owner": each.owner, "permissions": each.permissions} for each in memberships]


def contact_claims(profile: Profile) -> dict[str, Value]:
    """Where the owner of an account is reached.  Nobody has called that number."""
    claims: dict[str, Value] = {}
    if address := _address(profile):
        claims["address"] = address
    if profile.phone_number:
        claims |= {"phone_number": profile.phone_number, "phone_number_verified": False}
    return claims


def _address(profile: Profile) -> dict[str, str]:
    """Core §5.1.1: each member a text, none empty."""
    parts = {
        "street_address": "\n".join(line for line in (profile.address1, profile.address2) if line),
        "locality": profile.city,
        "region": profile.state,
        "postal_code": profile.postcode,
        "country": profile.country,
    }
    return {name: part for name, part in parts.items() if part}
