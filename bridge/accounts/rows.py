"""What rows of accounts, their members and contacts say, in the words of this room, and back — DESIGN §5."""

import json
from dataclasses import fields
from typing import Any, Final

import msgspec

from bridge.accounts.account import Account, Billing, CustomField, EmailPreferences, Profile
from bridge.database.text import fold, many_lines, one_line
from bridge.types import AccountId, UserId
from bridge.users.email import email_key

_STRUCTURED: Final = ("email_preferences", "billing", "custom_fields")
_LINES: Final = (
    *("first_name", "last_name", "company_name", "address1", "address2", "city", "state", "postcode", "country"),
    *("phone_number", "tax_id", "language"),
)
_AS_IT_IS: Final = ("status", "group_id", "credit", "tax_exempt", "marketing_opt_in", "allow_single_sign_on")
_PLAIN: Final = tuple(each.name for each in fields(Profile) if each.name not in _STRUCTURED)


def account_of(row: Any) -> Account:
    """The account of a row of `accounts`."""
    columns: dict[str, Any] = row._asdict()
    profile: dict[str, Any] = {name: columns[name] for name in _PLAIN}
    for name in ("tax_exempt", "marketing_opt_in", "allow_single_sign_on"):
        profile[name] = bool(profile[name])
    return Account(
        id=AccountId(row.id),
        uuid=row.uuid,
        owner=UserId(row.owner_id),
        profile=Profile(
            **profile,
            email_preferences=preferences_of(row.email_preferences),
            billing=msgspec.json.decode(row.billing, type=Billing),
            custom_fields=tuple(CustomField(id=number, value=value) for number, value in json.loads(row.custom_fields)),
        ),
        email_verified=bool(row.email_verified),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def profile_values(profile: Profile, *, currency: str) -> dict[str, Any]:
    """The columns of a profile; `currency` where it names none."""
    lines = {name: one_line(getattr(profile, name)) for name in _LINES}
    values = {
        **lines,
        **{name: getattr(profile, name) for name in _AS_IT_IS},
        "email": profile.email.strip(),
        "email_key": email_key(profile.email) if profile.email else None,
        "currency": profile.currency or currency,
        "notes": many_lines(profile.notes),
        "email_preferences": preferences_value(profile.email_preferences),
        "billing": msgspec.json.encode(profile.billing).decode(),
        "custom_fields": json.dumps([[each.id, many_lines(each.value)] for each in profile.custom_fields]),
    }
    searched = {f"{name}_key": fold(lines[name]) for name in ("first_name", "last_name", "company_name")}
    return {**values, **searched, "full_name_key": fold(f"{lines['first_name']} {lines['last_name']}")}


def preferences_of(text: str) -> EmailPreferences:
    """The preferences of a row."""
    return msgspec.json.decode(text, type=EmailPreferences)


def preferences_value(preferences: EmailPreferences) -> str:
    """Preferences as a row keeps them."""
    return msgspec.json.encode(preferences).decode()
