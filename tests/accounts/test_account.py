"""What can be said of an account: making a profile is the check — whmcs-api §3.6."""

from dataclasses import replace

import pytest

from bridge.accounts.account import Billing, CustomField, Profile
from bridge.accounts.options import AccountOptions
from bridge.database.text import InvalidField
from bridge.errors import ConfigError


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "nonsense"),
        ("email", "a@b@"),
        ("email", "a\x00@example.com"),
        ("status", "active"),
        ("status", "Open"),
        ("country", "de"),
        ("country", "DEU"),
        ("country", "D\n"),
        ("currency", "eur"),
        ("currency", "EURO"),
        ("credit", "1"),
        ("credit", "1,00"),
        ("credit", "1.00\n"),
        ("credit", "\u0661.00"),
        ("group_id", -1),
        ("group_id", 2**31),
        ("first_name", "x" * 101),
        ("last_name", "x" * 101),
        ("company_name", "x" * 201),
        ("address1", "x" * 201),
        ("address2", "x" * 201),
        ("city", "x" * 101),
        ("state", "x" * 101),
        ("postcode", "x" * 33),
        ("phone_number", "x" * 65),
        ("tax_id", "x" * 65),
        ("language", "x" * 36),
        ("notes", "x" * 60_001),
        ("custom_fields", (CustomField(1, "x" * 30_000), CustomField(2, "x" * 30_001))),
    ],
)
def test_what_a_row_cannot_take_is_named(field: str, value: object) -> None:
    with pytest.raises(InvalidField) as raised:
        replace(Profile(), **{field: value})  # type: ignore[arg-type]
    assert raised.value.field == field


def test_a_payment_method_has_a_length_too() -> None:
    with pytest.raises(InvalidField, match="payment_method: more than 64 characters"):
        Profile(billing=Billing(payment_method="x" * 65))


@pytest.mark.parametrize("credit", ["0.00", "-3.50", "999999999999999999.99"])
def test_money_is_text(credit: str) -> None:
    assert Profile(credit=credit).credit == credit


@pytest.mark.parametrize("options", [{"currency": "eur"}, {"currency": ""}, {"invite_lifetime": 59}])
def test_settings_that_cannot_be_meant_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"accounts\."):
        AccountOptions(**options)  # type: ignore[arg-type]
