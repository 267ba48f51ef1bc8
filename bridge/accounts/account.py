"""A customer account, as one row said it was — whmcs-api §3.6."""

import re
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

from msgspec import Struct

from bridge.database.text import InvalidField, check_length
from bridge.types import AccountId, UserId
from bridge.users.email import email_key

Status = Literal["Active", "Inactive", "Closed"]

_LONGEST: Final = {
    "first_name": 100,
    "last_name": 100,
    "company_name": 200,
    "address1": 200,
    "address2": 200,
    "city": 100,
    "state": 100,
    "postcode": 32,
    "phone_number": 64,
    "tax_id": 64,
    "language": 35,
    "notes": 60_000,
}
_MOST: Final = 60_000
_LARGEST: Final = 2**31 - 1
_COUNTRY: Final = re.compile("(?:[A-Z]{2})?")
_CURRENCY: Final = re.compile("(?:[A-Z]{3})?")
_MONEY: Final = re.compile(r"-?\d{1,18}\.\d{2}", re.ASCII)


class EmailPreferences(Struct, frozen=True, kw_only=True):
    """Which mail of the company's an address receives: `email_preferences[…]`."""

    general: bool = True
    product: bool = True
    domain: bool = True
    invoice: bool = True
    support: bool = True
    affiliate: bool = True


class Billing(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the bridge keeps for a billing system, and does nothing with."""

    payment_method: str = ""
    """`paymentmethod`, shown as `defaultgateway`."""
    late_fee_override: bool = False
    """`latefeeoveride`."""
    overdue_notices_override: bool = False
    """`overideduenotices`."""
    separate_invoices: bool = False
    """`separateinvoices`."""
    disable_auto_card: bool = False
    """`disableautocc`."""
    override_auto_close: bool = False
    """`overrideautoclose`."""


@dataclass(frozen=True, slots=True)
class CustomField:
    """The value of one of the operator's own fields, by its number."""

    id: int
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What can be said of an account, and changed.  Making one is the check: raises InvalidField.

    Controls and line breaks become blanks when it is written; nothing is cut.
    """

    first_name: str = ""
    last_name: str = ""
    company_name: str = ""
    email: str = ""
    """Of the account, not of anybody who signs in.  No two accounts have one; any number have none."""
    address1: str = ""
    address2: str = ""
    city: str = ""
    state: str = ""
    postcode: str = ""
    country: str = ""
    """Two capital letters (ISO 3166), or nothing."""
    phone_number: str = ""
    tax_id: str = ""
    status: Status = "Active"
    """A closed one opens nothing: no SSO (whmcs-api §3.3)."""
    group_id: int = 0
    currency: str = ""
    """Three capital letters (ISO 4217); nothing is written as `accounts.currency`."""
    credit: str = "0.00"
    """Money in text, as the API shows it."""
    language: str = ""
    """As callers write it: `english`."""
    notes: str = ""
    tax_exempt: bool = False
    marketing_opt_in: bool = False
    allow_single_sign_on: bool = True
    email_preferences: EmailPreferences = field(default_factory=EmailPreferences)
    billing: Billing = field(default_factory=Billing)
    custom_fields: tuple[CustomField, ...] = ()

    def __post_init__(self) -> None:
        check_details(self)
        check_length("payment_method", self.billing.payment_method, 64)
        for name, what, right in (
            ("status", f"not one of {', '.join(get_args(Status))}", self.status in get_args(Status)),
            ("currency", "not three capital letters", _CURRENCY.fullmatch(self.currency)),
            ("credit", "not an amount such as 0.00", _MONEY.fullmatch(self.credit)),
            ("group_id", "not a number of a group", 0 <= self.group_id <= _LARGEST),
            ("custom_fields", f"more than {_MOST} characters", sum(len(f.value) for f in self.custom_fields) <= _MOST),
        ):
            if not right:
                raise InvalidField(name, what)


def check_details(details: Any) -> None:
    """Raise InvalidField for what an account or a contact cannot have as its name or address."""
    for name, most in _LONGEST.items():
        check_length(name, getattr(details, name, ""), most)
    if details.email and email_key(details.email) is None:
        raise InvalidField("email", "not an e-mail address")
    if not _COUNTRY.fullmatch(details.country):
        raise InvalidField("country", "not two capital letters")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account."""

    id: AccountId
    uuid: str
    owner: UserId
    """Its one owner, who is a member with every permission."""
    profile: Profile
    email_verified: bool = False
    created_at: int = 0
    updated_at: int = 0

    @property
    def name(self) -> str:
        """Both names: `fullname`."""
        return " ".join(part for part in (self.profile.first_name, self.profile.last_name) if part)

    @property
    def closed(self) -> bool:
        """Whether nobody gets in by it."""
        return self.profile.status == "Closed"
