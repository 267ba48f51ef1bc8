"""What each of the 25 actions answers: its documented errors, in their order, and its success — whmcs-api §3.

One file for each action and form, every answer of it after the other.  GOLDEN=write makes them anew.
"""

import os
from collections.abc import AsyncIterator, Mapping
from itertools import count
from pathlib import Path
from typing import Final

import pytest

from bridge.legacy.options import LegacyOptions
from bridge.legacy.wire import Format, reply
from bridge.testing.hands import Hands
from tests.accounts.world import World
from tests.databases import opened, sqlite_template, sqlite_url
from tests.house.project import ROOT
from tests.legacy.customers import JOHN
from tests.legacy.desk import PASSWORD
from tests.legacy.everything import Everything

__all__ = ["sqlite_template", "sqlite_url"]

Given = Mapping[str, str | int]

GOLDEN: Final = Path(__file__).parent / "golden_answers"
FORMS: Final[tuple[Format, ...]] = ("json", "xml", "nvp")
NEW: Final = {"firstname": "New", "lastname": "Person", "email": "new@example.com", "password2": "a good password"}
APP: Final = {"grantType": "authorization_code", "scope": "openid email", "name": "Notes"}
LINK: Final = {"grantType": "single_sign_on", "scope": "clientarea:sso", "serviceId": "1"}


def without(whole: Given, *names: str) -> list[Given]:
    """The same, each time without one of these."""
    return [{name: value for name, value in whole.items() if name != gone} for gone in names]


ASKED: Final[dict[str, list[Given]]] = {
    "ValidateLogin": [{}, {"email": "user@example.com", "password2": "wrong"}, {"email": "totp@example.com"}],
    "ResetPassword": [{"email": "nonsense"}, {"email": "nobody@example.com"}, {"id": 99}, {}, {"id": 1}],
    "CreateSsoToken": [
        {"client_id": 99},
        {"user_id": 99},
        {"user_id": 3, "client_id": 1},
        {"client_id": 1, "contact_id": 99},
        {},
        {"user_id": 1, "destination": "clientarea:nowhere"},
        {"user_id": 4},
        {"user_id": 5},
        {"user_id": 6},
        {"user_id": 1},
    ],
    "CreateOAuthCredential": [
        *without(APP, "grantType"),
        {**APP, "grantType": "implicit"},
        *without(APP, "name"),
        *without(LINK, "serviceId"),
        *without(APP, "scope"),
        {**APP, "scope": "openid everything"},
        {**LINK, "serviceId": "x"},
        {**LINK, "serviceId": "99"},
        {**APP, "redirectUri": "http://evil.example/#"},
        APP,
        LINK,
    ],
    "ListOAuthCredentials": [{}],
    "UpdateOAuthCredential": [
        {},
        {"credentialId": 99},
        {"clientApiIdentifier": "ACME-LTD.nobody"},
        {"credentialId": 1, "grantType": "implicit"},
        {"credentialId": 1, "grantType": "single_sign_on"},
        {"credentialId": 1, "scope": "everything"},
        {"credentialId": 1, "serviceId": "x"},
        {"credentialId": 1, "serviceId": "99"},
        {"credentialId": 1, "description": "<new> & improved;"},
        {"clientApiIdentifier": "ACME-LTD.AAAAAAAAAAAAAAAAAAAAAw==", "resetSecret": "true"},
    ],
    "DeleteOAuthCredential": [{}, {"credentialId": "x"}, {"credentialId": 99}, {"credentialId": 1}],
    "AddUser": [
        *without(NEW, "firstname", "lastname", "email", "password2"),
        {**NEW, "email": "nonsense"},
        {**NEW, "email": "OWNER@example.com"},
        NEW,
    ],
    "GetUsers": [{"search": "owner"}],
    "UpdateUser": [
        {"user_id": 99, "firstname": "x"},
        {"user_id": 1},
        {"user_id": 1, "email": "nonsense"},
        {"user_id": 1, "email": "member@example.com"},
        {"user_id": 1, "email": "another@example.com"},
    ],
    "GetPermissionsList": [{}],
    "GetUserPermissions": [
        {"user_id": 99, "client_id": 1},
        {"user_id": 1, "client_id": 99},
        {"user_id": 3, "client_id": 1},
        {"user_id": 2, "client_id": 1},
    ],
    "UpdateUserPermissions": [
        {"user_id": 99, "client_id": 1, "permissions": "orders"},
        {"user_id": 2, "client_id": 99, "permissions": "orders"},
        {"user_id": 1, "client_id": 1, "permissions": "orders"},
        {"user_id": 2, "client_id": 1},
        {"user_id": 3, "client_id": 1, "permissions": "orders"},
        {"user_id": 2, "client_id": 1, "permissions": "orders"},
    ],
    "CreateClientInvite": [
        {"client_id": 1, "permissions": "orders"},
        {"client_id": 99, "email": "x@example.com", "permissions": "orders"},
        {"client_id": 1, "email": "nonsense", "permissions": "orders"},
        {"client_id": 1, "email": "x@example.com"},
        {"client_id": 1, "email": "member@example.com", "permissions": "orders"},
        {"client_id": 1, "email": "x@example.com", "permissions": "orders"},
    ],
    "DeleteUserClient": [
        {"user_id": 99, "client_id": 1},
        {"user_id": 2, "client_id": 99},
        {"user_id": 3, "client_id": 1},
        {"user_id": 1, "client_id": 1},
        {"user_id": 2, "client_id": 1},
    ],
    "GetClientsDetails": [{}, {"clientid": 99}, {"clientid": 1}],
    "GetClients": [{"search": "acme"}],
    "GetContacts": [{}],
    "AddClient": [
        {**JOHN, "owner_user_id": 99},
        *without(JOHN, "firstname", "lastname", "email", "address1", "city", "state", "postcode", "phonenumber"),
        *without(JOHN, "password2"),
        {**JOHN, "email": "nonsense"},
        {**JOHN, "country": "ZZ"},
        {**JOHN, "email": "acme@accounts.example"},
        {**JOHN, "email": "member@example.com"},
        JOHN,
    ],
    "UpdateClient": [
        {"clientid": 99},
        {"clientid": 1, "email": "closed@accounts.example"},
        {"clientid": 1, "email": "nonsense"},
        {"clientid": 1, "city": "Bonn"},
    ],
    "CloseClient": [{}, {"clientid": 99}, {"clientid": 1}],
    "DeleteClient": [{}, {"clientid": 99}, {"clientid": 1}],
    "WhmcsDetails": [{}],
    "GetConfigurationValue": [{}, {"setting": "SMTPPassword"}, {"setting": "SystemURL"}],
    "GetAdminDetails": [{}],
}

ALIKE: Final = {"ValidateLogin", "ResetPassword", "DeleteOAuthCredential", "CloseClient", "DeleteClient"}
"""Those that say the same of several."""


@pytest.fixture
async def everything(sqlite_url: str) -> AsyncIterator[Everything]:
    """Users 1 (owner), 2 (member), 3 (alone), 4 and 5 (of a closed, of a blocked account), 6 (disabled); app 1."""
    async with opened(sqlite_url) as database:
        world = World(database, Hands())
        counted = count()
        world.accounts._draw = draw = lambda length: next(counted).to_bytes(length, "big")
        owner, member, _, closed, blocked, disabled = [
            await world.user(name) for name in ("owner", "member", "alone", "closed", "blocked", "disabled")
        ]
        acme = await world.account("acme", owner.id)
        await world.join(member.id, acme.id)
        shut = await world.account("closed", closed.id)
        await world.account("blocked", blocked.id, allow_single_sign_on=False)
        await world.ask(world.accounts.close, shut.id)
        await world.users.disable(disabled.id)
        yield Everything(world, draw)


@pytest.mark.parametrize("action", ASKED)
async def test_the_answers_are_the_golden_ones(everything: Everything, action: str) -> None:
    if action in ("ListOAuthCredentials", "UpdateOAuthCredential", "DeleteOAuthCredential"):
        await everything.ask("CreateOAuthCredential", **APP)
    answers = [await everything.ask(action, **given) for given in ASKED[action]]
    said = [answer["message"] for answer in answers if answer["result"] == "error"]
    assert action in ALIKE or len(said) == len(set(said)), "each is refused for what it was made for"
    for form in FORMS:
        body = b"\n".join(reply(action, answer, form, LegacyOptions()).body for answer in answers) + b"\n"
        kept = GOLDEN / f"{action}.{form}"
        if os.environ.get("GOLDEN") == "write":
            kept.write_bytes(body)
        assert body == kept.read_bytes(), kept.name


async def test_these_are_all_actions_and_the_documentation_names_each(everything: Everything) -> None:
    assert {action.name for action in everything.actions.values()} == set(ASKED) and len(ASKED) == 25
    documented = (ROOT / "docs" / "legacy-api.md").read_text("utf-8")
    assert [name for name in ASKED if f"`{name}`" not in documented] == []


def test_every_golden_file_is_compared() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == {f"{name}.{form}" for name in ASKED for form in FORMS}
    assert PASSWORD not in "".join(path.read_text("utf-8") for path in GOLDEN.iterdir())
