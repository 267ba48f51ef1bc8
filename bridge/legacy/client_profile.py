"""What callers say of a client, and what they are shown of one, in their words — whmcs-api §3.6."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, cast

from babel import Locale
from msgspec import structs

from bridge.accounts.account import Account, Billing, CustomField, EmailPreferences, Profile, Status
from bridge.accounts.membership import Member
from bridge.database.text import InvalidField, one_line
from bridge.legacy.actions import Answer, failure
from bridge.legacy.lists import minute
from bridge.legacy.params import Params
from bridge.legacy.php_array import read_fields
from bridge.legacy.wire import Value
from bridge.types import AccountId

TEXTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "first_name": "firstname",
        "last_name": "lastname",
        "company_name": "companyname",
        "email": "email",
        "address1": "address1",
        "address2": "address2",
        "city": "city",
        "state": "state",
        "postcode": "postcode",
        "country": "country",
        "phone_number": "phonenumber",
        "tax_id": "tax_id",
        "language": "language",
        "notes": "notes",
    }
)
"""Our names of texts → theirs, in the documented order."""

_FLAGS: Final[Mapping[str, str]] = {
    "tax_exempt": "taxexempt",
    "marketing_opt_in": "marketingoptin",
    "allow_single_sign_on": "allowSingleSignOn",
}
_BILLING: Final[Mapping[str, str]] = {
    "late_fee_override": "latefeeoveride",
    "overdue_notices_override": "overideduenotices",
    "separate_invoices": "separateinvoices",
    "disable_auto_card": "disableautocc",
    "override_auto_close": "overrideautoclose",
}
_PREFERENCES: Final = structs.fields(EmailPreferences)
_SHOWN_PREFERENCES: Final = ("general", "invoice", "support", "product", "domain", "affiliate")

PROFILE: Final = frozenset(
    {*TEXTS.values(), *_FLAGS.values(), *_BILLING.values(), "status", "groupid", "currency", "paymentmethod"}
    | {"email_preferences", "customfields"}
)
"""The parameters that `changed` reads."""


def changed(profile: Profile, params: Params) -> Profile:
    """The profile with what the caller gave in place of what there was; what is absent stays.

    Raises InvalidField for a value that it cannot have.
    """
    texts = {ours: params.optional(theirs) for ours, theirs in TEXTS.items() if params.optional(theirs)}
    flags = {ours: value for ours, theirs in _FLAGS.items() if (value := params.flag(theirs)) is not None}
    more: dict[str, Any] = {}
    if country := texts.get("country"):
        more["country"] = country.strip().upper()
    if status := params.optional("status").strip():
        more["status"] = cast("Status", status.capitalize())
    if (group := params.number("groupid")) is not None:
        more["group_id"] = group
    if (currency := params.optional("currency").strip().upper()) and not currency.isdigit():
        more["currency"] = currency  # a number is of a table that is not here
    return replace(
        profile,
        **(texts | flags | more),
        email_preferences=_preferences(profile.email_preferences, params),
        billing=_billing(profile.billing, params),
        custom_fields=_fields(profile.custom_fields, params),
    )


def client_number(params: Params, name: str = "clientid") -> AccountId:
    """The number of a client; 0, which none has, for what is none."""
    return AccountId(params.row(name))


def invalid(error: InvalidField) -> Answer:
    """Of what the documentation says nothing: a value that would have to be cut, or cannot be."""
    word = TEXTS.get(error.field, error.field.replace("group_id", "groupid").replace("payment_method", "paymentmethod"))
    return failure(f"{word}: {error.why}")


def is_country(code: str) -> bool:
    """Whether that is the code of a country (ISO 3166), in whatever case."""
    return len(code) == 2 and code.upper() in _countries()


def details(account: Account, members: Sequence[Member]) -> dict[str, Value]:
    """All that GetClientsDetails shows, in the documented order."""
    profile, billing = account.profile, account.profile.billing
    return {
        "client_id": account.id,
        "owner_user_id": account.owner,
        "userid": account.id,
        "id": account.id,
        "uuid": account.uuid,
        "firstname": profile.first_name,
        "lastname": profile.last_name,
        "fullname": account.name,
        "companyname": profile.company_name,
        "email": profile.email,
        "address1": profile.address1,
        "address2": profile.address2,
        "city": profile.city,
        "fullstate": profile.state,
        "state": profile.state,
        "postcode": profile.postcode,
        "countrycode": profile.country,
        "country": profile.country,
        "phonenumber": profile.phone_number,
        "tax_id": profile.tax_id,
        "email_preferences": preferences(profile.email_preferences),
        "statecode": profile.state,
        "countryname": _countries().get(profile.country, ""),
        "phonecc": "",
        "phonenumberformatted": profile.phone_number,
        "telephoneNumber": profile.phone_number,
        "billingcid": 0,
        "notes": profile.notes,
        "currency": 1,
        "defaultgateway": billing.payment_method,
        "groupid": profile.group_id,
        "status": profile.status,
        "credit": profile.credit,
        "taxexempt": profile.tax_exempt,
        "latefeeoveride": billing.late_fee_override,
        "overideduenotices": billing.overdue_notices_override,
        "separateinvoices": billing.separate_invoices,
        "disableautocc": billing.disable_auto_card,
        "emailoptout": not profile.marketing_opt_in,
        "marketing_emails_opt_in": profile.marketing_opt_in,
        "overrideautoclose": billing.override_auto_close,
        "allowSingleSignOn": int(profile.allow_single_sign_on),
        "email_verified": account.email_verified,
        "language": profile.language,
        "isOptedInToMarketingEmails": profile.marketing_opt_in,
        "lastlogin": _last_login(account, members),
        "currency_code": profile.currency,
        "customfields": [{"id": each.id, "value": each.value} for each in profile.custom_fields],
        **{f"customfields{place}": each.value for place, each in enumerate(profile.custom_fields, 1)},
        "users": {"user": [_member(each) for each in members]},
    }


def preferences(chosen: EmailPreferences) -> dict[str, Value]:
    """`{"general": "1", …}`: texts, as documented."""
    return {kind: str(int(getattr(chosen, kind))) for kind in _SHOWN_PREFERENCES}


def _last_login(account: Account, members: Iterable[Member]) -> str:
    owner = next((each for each in members if each.membership.user == account.owner), None)
    if owner is None or owner.last_login_at is None:
        return "No Login Logged"
    address = owner.last_login_ip or ""
    return f"Date: {minute(owner.last_login_at)}<br>IP Address: {address}<br>Host: {address}"


def _member(member: Member) -> dict[str, Value]:
    whose = member.membership
    return {"id": whose.user, "name": member.name, "email": member.email, "is_owner": whose.owner}


def _preferences(before: EmailPreferences, params: Params) -> EmailPreferences:
    given = params.values.get("email_preferences")
    if not isinstance(given, dict):
        return before
    inner = Params(given)
    wanted = {field.name: flag for field in _PREFERENCES if (flag := inner.flag(field.name)) is not None}
    return structs.replace(before, **wanted)


def _billing(before: Billing, params: Params) -> Billing:
    wanted: dict[str, Any] = {
        ours: flag for ours, theirs in _BILLING.items() if (flag := params.flag(theirs)) is not None
    }
    if method := one_line(params.optional("paymentmethod")):
        wanted["payment_method"] = method
    return structs.replace(before, **wanted)


def _fields(before: tuple[CustomField, ...], params: Params) -> tuple[CustomField, ...]:
    """Serialized as documented, or `customfields[7]=…`; a field that is not named stays."""
    given = params.values.get("customfields", "")
    if isinstance(given, str) and not params.optional("customfields"):
        return before
    try:
        named = read_fields(given) if isinstance(given, str) else _numbered(given)
    except ValueError as error:
        raise InvalidField("customfields", str(error)) from None
    merged = {each.id: each.value for each in before} | dict(named)
    return tuple(CustomField(id=number, value=merged[number]) for number in sorted(merged))


def _numbered(given: Mapping[str, Any]) -> Mapping[int, str]:
    if any(not key.isascii() or not key.isdigit() or len(key) > 9 for key in given):
        raise ValueError("not numbered by its fields")
    return {int(key): value for key, value in given.items() if isinstance(value, str)}


@lru_cache(maxsize=1)
def _countries() -> Mapping[str, str]:
    """Code → English name.  Codes of no country are left out: ZZ is unknown, XA and XB are for tests."""
    names = cast("Mapping[str, str]", Locale("en").territories)
    return {code: names[code] for code in names if len(code) == 2 and code.isalpha() and code not in {"ZZ", "XA", "XB"}}
