"""What is said of a person, by scope — Core §5.1, §5.4."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from bridge.accounts.membership import Membership
from bridge.types import Subject
from bridge.users.user import User

Value: TypeAlias = str | bool | int | Sequence[Mapping[str, int | bool | Sequence[str]]]

_OF_SCOPE: Final[Mapping[str, Callable[[User], Mapping[str, Value]]]] = {
    "profile": lambda user: {
        # Not `user.name`: that falls back to the address, which only the scope `email` may tell.
        "name": " ".join(part for part in (user.first_name, user.last_name) if part),
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
"""What may be asked for; of an address or a phone number nothing is known."""

CLAIMS: Final = (
    "sub",
    "name",
    "given_name",
    "family_name",
    "locale",
    "updated_at",
    "email",
    "email_verified",
    ACCOUNTS,
)
"""What may be said of a person."""


def claims_of(user: User, sub: Subject, scopes: Collection[str]) -> dict[str, Value]:
    """The claims that these scopes give, each of its right type; one without a value is left out (Core §5.3.2)."""
    claims: dict[str, Value] = {"sub": sub}
    for scope, tell in _OF_SCOPE.items():
        if scope in scopes:
            claims |= {name: value for name, value in tell(user).items() if value != ""}
    return claims


def accounts_claim(memberships: Iterable[Membership]) -> Value:
    """Each account with what he may do there; who belongs to none has an empty list, which says so."""
    return [{"id": each.account, "owner": each.owner, "permissions": each.permissions} for each in memberships]
