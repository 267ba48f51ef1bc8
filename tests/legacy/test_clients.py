"""GetClientsDetails, GetClients, GetContacts, AddClient, UpdateClient, CloseClient, DeleteClient — whmcs-api §3.6."""

import base64
import uuid
from typing import Any

import pytest

from bridge.accounts.contacts import Contact
from bridge.legacy.actions import POWERFUL
from bridge.legacy.params import merge
from bridge.legacy.wire import Content
from bridge.secret import Secret
from bridge.types import AccountId
from bridge.users.backend import Authenticated
from tests.accounts.world import World
from tests.legacy.customers import JOHN, Customers
from tests.legacy.people import CALLER


@pytest.fixture
def customers(world: World) -> Customers:
    return Customers(world)


async def test_who_was_added_is_a_client_and_a_user_who_signs_in(customers: Customers) -> None:
    assert await customers.ask("AddClient", **JOHN) == {"result": "success", "clientid": 1, "owner_id": 1}
    shown = DETAILS | {"uuid": (await customers.details(clientid=1))["uuid"]}
    assert list(await customers.details(clientid=1)) == list(DETAILS), "in the documented order"
    assert uuid.UUID(shown["uuid"]).version == 4
    assert await customers.ask("GetClientsDetails", clientid=1) == {"result": "success", "client": shown, **shown}
    answer = await customers.world.users.authenticate("john.doe@example.com", Secret("a good password"))
    assert isinstance(answer, Authenticated) and answer.user.name == "John Doe"
    assert (await customers.found())[0]["clients"] == [{"id": 1, "isOwner": True}]
    assert await customers.world.rows() == [("user.created", 1), ("account.created", 1)]


DETAILS: dict[str, Any] = {
    "client_id": 1,
    "owner_user_id": 1,
    "userid": 1,
    "id": 1,
    "uuid": "00000000-0000-4000-8000-000000000000",
    "firstname": "John",
    "lastname": "Doe",
    "fullname": "John Doe",
    "companyname": "",
    "email": "john.doe@example.com",
    "address1": "123 Main Street",
    "address2": "",
    "city": "Anytown",
    "fullstate": "State",
    "state": "State",
    "postcode": "12345",
    "countrycode": "US",
    "country": "US",
    "phonenumber": "800-555-1234",
    "tax_id": "",
    "email_preferences": {
        "general": "1",
        "invoice": "1",
        "support": "1",
        "product": "1",
        "domain": "1",
        "affiliate": "1",
    },
    "statecode": "State",
    "countryname": "United States",
    "phonecc": "",
    "phonenumberformatted": "800-555-1234",
    "telephoneNumber": "800-555-1234",
    "billingcid": 0,
    "notes": "",
    "currency": 1,
    "defaultgateway": "",
    "groupid": 0,
    "status": "Active",
    "credit": "0.00",
    "taxexempt": False,
    "latefeeoveride": False,
    "overideduenotices": False,
    "separateinvoices": False,
    "disableautocc": False,
    "emailoptout": True,
    "marketing_emails_opt_in": False,
    "overrideautoclose": False,
    "allowSingleSignOn": 1,
    "email_verified": False,
    "language": "",
    "isOptedInToMarketingEmails": False,
    "lastlogin": "No Login Logged",
    "currency_code": "EUR",
    "customfields": [],
    "users": {"user": [{"id": 1, "name": "John Doe", "email": "john.doe@example.com", "is_owner": True}]},
}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"owner_user_id": "7", "firstname": ""}, "Invalid Owner User ID"),
        ({"owner_user_id": "nobody"}, "Invalid Owner User ID"),
        (dict.fromkeys(JOHN, ""), "You did not enter your first name"),
        ({"firstname": " \t"}, "You did not enter your first name"),
        ({"lastname": "", "email": ""}, "You did not enter your last name"),
        ({"email": "", "address1": ""}, "You did not enter your email address"),
        ({"address1": "", "city": ""}, "You did not enter your  address line 1"),
        ({"city": "", "state": ""}, "You did not enter your city"),
        ({"state": "", "postcode": ""}, "You did not enter your state"),
        ({"postcode": "", "phonenumber": ""}, "You did not enter your postcode"),
        ({"phonenumber": "", "email": "no address"}, "You did not enter your phone number"),
        ({"password2": "", "email": "no address"}, "You did not enter a password"),
        ({"email": "no address", "country": ""}, "The email address you entered was not valid"),
        ({"country": ""}, "Valid country required"),
        ({"country": "ZZ"}, "Valid country required"),
        ({"country": "U"}, "Valid country required"),
        ({"email": "taken@accounts.example"}, "The email address entered is not available for use."),
        ({"email": "OWNER.of.taken@example.com"}, "A user already exists with that email address"),
        ({"firstname": "x" * 101}, "firstname: more than 100 characters"),
        ({"groupid": "-1"}, "groupid: not a number of a group"),
        ({"status": "Gone"}, "status: not one of Active, Inactive, Closed"),
        ({"customfields": "???"}, "customfields: not base64"),
        ({"password2": "x" * 1_025}, "The password entered is not valid"),
        ({"skipvalidation": "1", "email": ""}, "You did not enter your email address"),
        ({"skipvalidation": "1", "country": "ZZ"}, "Valid country required"),
    ],
)
async def test_addclient_refuses_in_the_documented_words_and_order(
    customers: Customers, changed: dict[str, str], message: str
) -> None:
    await customers.world.account("taken")
    before = await customers.world.rows()
    assert await customers.says("AddClient", **(JOHN | changed)) == message
    assert await customers.world.rows() == before
    assert len(await customers.companies()) == 1 and len(await customers.found()) == 1


async def test_an_owner_who_is_there_needs_no_password_and_may_have_several_clients(customers: Customers) -> None:
    user = await customers.world.user("ann")
    for number, email in ((1, "one@example.com"), (2, "two@example.com")):
        values = JOHN | {"password2": "", "owner_user_id": str(user.id), "email": email}
        assert await customers.ask("AddClient", **values) == {
            "result": "success",
            "clientid": number,
            "owner_id": user.id,
        }
    assert [each["id"] for each in (await customers.found())[0]["clients"]] == [1, 2]


async def test_skipvalidation_spares_what_a_client_may_lack(customers: Customers) -> None:
    said = await customers.ask("AddClient", email="a@example.com", password2="a good password", skipvalidation="true")
    assert said["result"] == "success"
    assert (await customers.details(email="A@example.com"))["country"] == ""


async def test_what_was_updated_is_shown_and_the_rest_stays(customers: Customers) -> None:
    await customers.ask("AddClient", **JOHN)
    fields = base64.b64encode(b'a:2:{i:7;s:6:"S\xc3\xbcche";s:2:"12";i:5;}').decode()
    changes = {
        "city": "Bonn",
        "country": "de",
        "email": "doe@example.com",
        "groupid": "4",
        "notes": "two\nlines",
        "taxexempt": "on",
        "marketingoptin": "true",
        "allowSingleSignOn": "0",
        "latefeeoveride": "1",
        "paymentmethod": "paypal",
        "currency": "usd",
        "customfields": fields,
        "language": "german",
        "status": "inactive",
    }
    assert await customers.ask("UpdateClient", clientid=1, **changes) == {"result": "success", "clientid": 1}
    shown = await customers.details(clientid=1)
    assert shown == DETAILS | {
        "uuid": shown["uuid"],
        "city": "Bonn",
        "country": "DE",
        "countrycode": "DE",
        "countryname": "Germany",
        "email": "doe@example.com",
        "groupid": 4,
        "notes": "two\nlines",
        "taxexempt": True,
        "emailoptout": False,
        "marketing_emails_opt_in": True,
        "isOptedInToMarketingEmails": True,
        "allowSingleSignOn": 0,
        "latefeeoveride": True,
        "defaultgateway": "paypal",
        "currency_code": "USD",
        "language": "german",
        "status": "Inactive",
        "customfields": [{"id": 7, "value": "S\u00fcche"}, {"id": 12, "value": "5"}],
        "customfields1": "S\u00fcche",
        "customfields2": "5",
    }
    assert (await customers.world.rows())[-1] == ("account.changed", None)
    assert await customers.ask("UpdateClient", clientemail="DOE@example.com", city="K\u00f6ln") == {
        "result": "success",
        "clientid": 1,
    }
    assert (await customers.details(clientid=1))["city"] == "K\u00f6ln"
    assert await customers.ask("GetClientsDetails", email="john.doe@example.com") == {
        "result": "error",
        "message": "Client Not Found",
    }


async def test_what_is_a_users_since_8_0_is_not_heeded_by_updateclient_and_the_log_says_so(
    customers: Customers,
) -> None:
    await customers.ask("AddClient", **JOHN)
    given = [("clientid", "1"), ("password2", "another password"), ("securityqid", "2"), ("securityqans", "blue")]
    answer = await customers.actions["updateclient"].run(merge([], given), CALLER)
    assert answer.content == {"result": "success", "clientid": 1}
    assert answer.why == "password2, securityqid, securityqans not heeded: a user's since 8.0"
    asked = customers.world.users.authenticate
    assert isinstance(await asked("john.doe@example.com", Secret("a good password")), Authenticated)
    assert not isinstance(await asked("john.doe@example.com", Secret("another password")), Authenticated)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "Client ID Not Found"),
        ({"clientid": "9", "email": "no address"}, "Client ID Not Found"),
        ({"clientid": "-1"}, "Client ID Not Found"),
        ({"clientid": "9" * 30}, "Client ID Not Found"),
        ({"clientemail": "nobody@example.com"}, "Client ID Not Found"),
        ({"clientid": "1", "email": "no address"}, "The email address entered is not valid"),
        ({"clientid": "1", "email": "Two@accounts.example"}, "Duplicate Email Address"),
        ({"clientid": "1", "country": "Germany"}, "Valid country required"),
        ({"clientid": "1", "paymentmethod": "x" * 65}, "paymentmethod: more than 64 characters"),
    ],
)
async def test_updateclient_refuses_in_the_documented_words_and_writes_nothing(
    customers: Customers, values: dict[str, str], message: str
) -> None:
    await customers.world.account("one")
    await customers.world.account("two")
    before = await customers.details(clientid=1), await customers.world.rows()
    assert await customers.says("UpdateClient", **values) == message
    assert (await customers.details(clientid=1), await customers.world.rows()) == before


async def test_a_php_array_sets_the_preferences_it_names_and_no_other(customers: Customers) -> None:
    await customers.world.account("one")
    pairs = [("clientid", "1"), ("email_preferences[general]", "0"), ("email_preferences[odd]", "0")]
    pairs += [("customfields[3]", "three")]
    params = merge([], pairs)
    assert (await customers.actions["updateclient"].run(params, CALLER)).content["result"] == "success"
    shown = await customers.details(clientid=1)
    assert shown["email_preferences"] == DETAILS["email_preferences"] | {"general": "0"}
    assert shown["customfields"] == [{"id": 3, "value": "three"}]


async def test_a_client_is_asked_for_by_number_or_exact_address(customers: Customers) -> None:
    await customers.world.account("one")
    assert await customers.says("GetClientsDetails") == "Either clientid Or email Is Required"
    assert await customers.says("GetClientsDetails", clientid="undefined", email="null") == (
        "Either clientid Or email Is Required"
    )
    assert (await customers.details(clientid="undefined", email="one@accounts.example"))["id"] == 1
    assert await customers.says("GetClientsDetails", clientid=2) == "Client Not Found"
    assert await customers.says("GetClientsDetails", email="one@accounts") == "Client Not Found"
    assert await customers.says("GetClientsDetails", clientid=2, email="one@accounts.example") == "Client Not Found"
    assert (await customers.details(email=" ONE@accounts.example"))["id"] == 1


async def test_statistics_are_given_when_asked_for_and_are_nought(customers: Customers) -> None:
    await customers.world.account("one")
    stats: Any = (await customers.ask("GetClientsDetails", clientid=1, stats="true"))["stats"]
    assert stats["numdueinvoices"] == 0 and stats["income"] == "0.00 EUR" and stats["isAffiliate"] is False
    assert list(stats)[:4] == ["numdueinvoices", "dueinvoicesbalance", "incredit", "creditbalance"]
    assert {type(value) for name, value in stats.items() if name.endswith(("balance", "amount", "Balance"))} == {str}
    assert {type(value) for name, value in stats.items() if name.startswith(("num", "productsnum"))} == {int}
    assert "stats" not in await customers.ask("GetClientsDetails", clientid=1, stats="0")


async def test_nothing_about_a_client_tells_a_hash_or_a_second_factor(customers: Customers) -> None:
    """Bridges once verified passwords with what this answered; what is not there cannot be taken for proof."""
    await customers.ask("AddClient", **JOHN)
    said: Content = await customers.ask("GetClientsDetails", clientid=1, stats="1")
    assert not {"password", "twofaenabled", "securityqid", "securityqans"} & said.keys()


async def test_clients_are_listed_by_page_status_search_and_order(customers: Customers) -> None:
    for name, company, status in (("c", "Zeta", "Active"), ("a", "Alpha", "Inactive"), ("b", "Beta %", "Active")):
        await customers.world.account(name, company_name=company, status=status)
    assert await customers.ask("GetClients", limitnum=1, limitstart=1) == {
        "result": "success",
        "totalresults": 3,
        "startnumber": 1,
        "numreturned": 1,
        "clients": {
            "client": [
                {
                    "id": 2,
                    "firstname": "a",
                    "lastname": "",
                    "companyname": "Alpha",
                    "email": "a@accounts.example",
                    "datecreated": "2027-01-15",
                    "groupid": 0,
                    "status": "Inactive",
                }
            ]
        },
    }
    assert await customers.companies(sorting="DESC") == ["Beta %", "Alpha", "Zeta"]
    assert await customers.companies(orderby="companyname") == ["Alpha", "Beta %", "Zeta"]
    assert await customers.companies(orderby="firstname", sorting="desc") == ["Zeta", "Beta %", "Alpha"]
    assert await customers.companies(orderby="password") == ["Zeta", "Alpha", "Beta %"]
    assert await customers.companies(status="active") == ["Zeta", "Beta %"]
    assert await customers.companies(status="All of them") == []
    assert await customers.companies(search="BET") == ["Beta %"]
    assert await customers.companies(search="%") == []
    assert await customers.companies(search="a@accounts.ex") == ["Alpha"]


async def test_contacts_are_listed_by_client_and_by_what_they_are(customers: Customers) -> None:
    one, two = await customers.world.account("one"), await customers.world.account("two")
    for account, name in ((one, "Test"), (two, "Other")):
        made = Contact(account=account.id, email=f"{name}@example.com", first_name=name, country="GB")
        await customers.world.ask(customers.world.contacts.add, made)
    said: Any = await customers.ask("GetContacts", userid=one.id)
    assert (said["totalresults"], said["startnumber"], said["numreturned"]) == (1, 0, 1)
    assert said["contacts"]["contact"] == [
        {
            "id": 1,
            "userid": 1,
            "firstname": "Test",
            "lastname": "",
            "companyname": "",
            "email": "Test@example.com",
            "address1": "",
            "address2": "",
            "city": "",
            "state": "",
            "postcode": "",
            "country": "GB",
            "phonenumber": "",
            "tax_id": "",
            "domainemails": "1",
            "generalemails": "1",
            "invoiceemails": "1",
            "productemails": "1",
            "supportemails": "1",
            "affiliateemails": "1",
            "created_at": "2027-01-15 08:00:00",
            "updated_at": "2027-01-15 08:00:00",
        }
    ]

    async def ids(**values: str | int) -> list[int]:
        content: Any = await customers.ask("GetContacts", **values)
        return [each["id"] for each in content["contacts"]["contact"]]

    assert await ids() == [1, 2]
    assert await ids(email="OTHER@example.com") == [2]
    assert await ids(firstname="Other", country="GB") == [2]
    assert await ids(firstname="Oth") == []
    assert await ids(userid="none") == []


async def test_a_closed_client_is_shown_as_closed(customers: Customers) -> None:
    await customers.ask("AddClient", **JOHN)
    assert await customers.ask("CloseClient", clientid=1) == {"result": "success", "clientid": 1}
    assert (await customers.details(clientid=1))["status"] == "Closed"
    assert (await customers.world.rows())[-1] == ("account.closed", None)
    for wrong in ("", "2", "x", "-1"):
        assert await customers.says("CloseClient", clientid=wrong) == "Client ID Not Found"


async def test_a_deleted_client_is_gone_and_its_users_stay_unless_they_are_to_go_too(customers: Customers) -> None:
    await customers.ask("AddClient", **JOHN)
    assert await customers.ask("DeleteClient", clientid=1) == {"result": "success", "clientid": 1}
    assert await customers.says("GetClientsDetails", clientid=1) == "Client Not Found"
    assert await customers.names() == ["john.doe"] and customers.published == []
    assert (await customers.world.rows())[-1] == ("account.removed", None)
    for wrong in ("1", "", "x"):
        assert await customers.says("DeleteClient", clientid=wrong, deleteusers="1") == "Client ID Not Found"


@pytest.mark.parametrize("down", [False, True])
async def test_deleteusers_removes_who_belongs_to_no_other_client_and_ends_his_sessions(
    customers: Customers, down: bool
) -> None:
    leaving = await customers.world.user("owner.of.one", password=Secret("a good password"))
    one = await customers.world.account("one", leaving.id)
    two = await customers.world.account("two")
    await customers.world.join(two.owner, one.id)
    asked = customers.world.users.authenticate
    assert isinstance(await asked("owner.of.one@example.com", Secret("a good password")), Authenticated)
    customers.down = down
    said = await customers.ask("DeleteClient", clientid=one.id, deleteusers="true", deletetransactions="true")
    assert said == {"result": "success", "clientid": one.id}
    assert await customers.names() == ["owner.of.two"]
    assert customers.published == ([] if down else [one.owner])
    assert not isinstance(await asked("owner.of.one@example.com", Secret("a good password")), Authenticated)
    gone = (await customers.world.rows())[-2:]
    assert gone == [("account.removed", None), ("user.removed", one.owner)]
    assert await customers.world.accounts.by_id(AccountId(one.id)) is None


async def test_whoever_changes_a_client_must_be_named(customers: Customers) -> None:
    for name in ("AddClient", "UpdateClient", "CloseClient", "DeleteClient"):
        assert customers.actions[name.lower()].must_be_named
    assert not {"getclientsdetails", "getclients", "getcontacts"} & POWERFUL
