"""What a member may do with an account: the thirteen names of GetPermissionsList — whmcs-api §3.5."""

from collections.abc import Iterable
from typing import Final, Literal, get_args

Permission = Literal[
    "profile",
    "contacts",
    "products",
    "manageproducts",
    "productsso",
    "domains",
    "managedomains",
    "invoices",
    "quotes",
    "tickets",
    "affiliates",
    "emails",
    "orders",
]

Permissions = tuple[Permission, ...]
"""Each at most once, in the order of `EVERY_PERMISSION`."""

EVERY_PERMISSION: Final[Permissions] = get_args(Permission)
"""What an owner has."""


def parse_permissions(text: str) -> Permissions:
    """A comma list, as callers write it, and rows too.  A name that is none gives nothing."""
    return in_order(name.strip().lower() for name in text.split(","))


def in_order(names: Iterable[str]) -> Permissions:
    """Those of the names that are permissions, each once, in the documented order."""
    given = frozenset(names)
    return tuple(permission for permission in EVERY_PERMISSION if permission in given)
