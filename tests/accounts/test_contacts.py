"""Contacts of an account — whmcs-api §3.6 (GetContacts)."""

import pytest

from bridge.accounts.account import EmailPreferences
from bridge.accounts.contacts import Contact
from bridge.accounts.outcomes import NoAccount
from bridge.database.search import Span
from bridge.database.text import InvalidField
from tests.accounts.world import NOWHERE, World


async def test_contacts_are_found_by_account_address_and_exact_names(everywhere: World) -> None:
    one, two = await everywhere.account("one"), await everywhere.account("two")
    preferences = EmailPreferences(domain=False)
    wanted = [
        Contact(
            account=one.id, first_name="Ada", city="London", email="Ada@example.com", email_preferences=preferences
        ),
        Contact(account=one.id, first_name="ada", city="Bonn", country="DE", phone_number="1"),
        Contact(account=two.id, first_name="Adam", tax_id="7"),
    ]
    a, b, c = [await everywhere.ask(everywhere.contacts.add, each) for each in wanted]
    assert (a.account, a.city, a.email_preferences) == (one.id, "London", preferences)
    assert a.created_at == int(everywhere.clock.now()) and c.tax_id == "7"
    page = everywhere.contacts.page
    assert (await page()).items == [a, b, c]
    assert (await page(Span(start=1, limit=1, descending=True))).items == [b]
    assert (await page(account=one.id)).total == 2
    assert (await page(account=one.id, fields={"first_name": "Ada"})).items == [a]
    assert (await page(fields={"first_name": "Ada", "city": "Bonn"})).items == []
    assert (await page(fields={"country": "DE"})).items == [b]
    assert (await page(email="ada@EXAMPLE.com")).items == [a]
    assert (await page(email="nonsense")).items == []
    assert everywhere.kinds.count("contact.created") == 3


async def test_a_contact_goes_with_its_account_and_needs_one(everywhere: World) -> None:
    account = await everywhere.account("one")
    await everywhere.ask(everywhere.contacts.add, Contact(account=account.id))
    assert await everywhere.ask(everywhere.contacts.add, Contact(account=NOWHERE)) == NoAccount()
    await everywhere.ask(everywhere.accounts.remove, account.id)
    assert (await everywhere.contacts.page()).total == 0


def test_a_contact_is_checked_as_an_account_is() -> None:
    with pytest.raises(InvalidField, match="postcode"):
        Contact(account=NOWHERE, postcode="x" * 33)
    with pytest.raises(InvalidField, match="email"):
        Contact(account=NOWHERE, email="nonsense")
