"""Every action, told as a story by every client that knows it, against a running bridge on both kinds of store.

What one action changed is read back by another — whmcs-api §3, §11.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.clients.credential import Rights
from bridge.secret import Secret
from tests.clients.callers import CLIENTS, KNOWN_TO_WHMCS, Call, Said
from tests.databases import sqlite_template
from tests.running import Furnished, Site, furnished, on_a_port
from tests.servers import SmtpSink

__all__ = ["sqlite_template"]

IDENTIFIER, SECRET = "teller", "t" * 32
JOHN = {
    "firstname": "John",
    "lastname": "O'Neill & <Sons>",
    "address1": "123 Main Street",
    "city": "Anytown",
    "state": "State",
    "postcode": "12345",
    "country": "US",
    "phonenumber": "800-555-1234",
    "password2": "a good p&ssword; = +",
}


ABLE = [name for name in CLIENTS if name != "whmcs"]
"""Who can call any action."""


class Teller:
    """One client, and the bridge that it talks to.  An action that it does not know is passed over."""

    def __init__(self, client: str, site: Site) -> None:
        self.client = client
        self._url = f"{site.url}/includes/api.php"

    def knows(self, action: str) -> bool:
        """Whether this client has a way to call it."""
        return self.client != "whmcs" or action in KNOWN_TO_WHMCS

    def call(self, action: str, **values: str) -> Said:
        """What the client made of the answer."""
        return CLIENTS[self.client](Call(self._url, action, values, IDENTIFIER, SECRET))

    def told(self, action: str, **values: str) -> dict[str, str]:
        """The scalars of a success, as text."""
        said = self.call(action, **values)
        assert said.error == "", (action, said.error)
        return {name: str(value) for name, value in said.values.items() if isinstance(value, str | int)}

    def expects(self, error: str, action: str, **values: str) -> None:
        """That error, if the client knows the action."""
        if self.knows(action):
            assert self.call(action, **values).error == error


@pytest.fixture(scope="module")
async def stage(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Furnished:
    return await furnished(sqlite_template, tmp_path_factory.mktemp("stage"))


@pytest.fixture(scope="module", params=["redis", pytest.param("embedded", marks=pytest.mark.slow)])
def site(
    request: pytest.FixtureRequest, stage: Furnished, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    more: dict[tuple[str, ...], Any] = {("store", "url"): redis_url} if request.param == "redis" else {}
    with (
        SmtpSink.listening() as sink,
        on_a_port(stage.copy(tmp_path_factory.mktemp(request.param)), sink, more=more) as running,
    ):
        yield running


@pytest.fixture(scope="module")
async def credential(site: Site) -> None:
    """One that may do everything, powerful actions by name."""
    named = [action.name for action in site.bridge._local_api._actions.values()]
    made = site.bridge.rooms.credentials.create
    await site.ask(made("teller", Rights.parse(actions=named), identifier=IDENTIFIER, secret=Secret(SECRET)))


@pytest.mark.usefixtures("credential")
@pytest.mark.parametrize("client", ABLE)
async def test_a_person_is_added_found_changed_and_mailed(client: str, site: Site) -> None:
    teller, email = Teller(client, site), f"ann@{client}.example"
    given = {"firstname": client, "lastname": "Able", "email": email, "password2": JOHN["password2"]}
    user = teller.told("AddUser", **given)["user_id"]
    teller.expects("A user already exists with that email address", "AddUser", **given)
    assert teller.told("GetUsers", search=email)["totalresults"] == "1"
    assert teller.told("UpdateUser", user_id=user, lastname=f"Zed {client}")["user_id"] == user
    assert teller.told("GetUsers", search=f"{client} Zed")["totalresults"] == "1"
    assert teller.told("ResetPassword", id=user)["result"] == "success"
    teller.expects("User Not Found", "ResetPassword", email="nobody@example.com")
    assert teller.told("ValidateLogin", email=email, password2=JOHN["password2"])["userid"] == user


@pytest.mark.usefixtures("credential")
@pytest.mark.parametrize("client", CLIENTS)
async def test_a_client_is_added_read_changed_closed_and_deleted(client: str, site: Site) -> None:
    teller, email = Teller(client, site), f"john@{client}.example"
    made = teller.told("AddClient", **JOHN, email=email)
    number, owner = made["clientid"], made["owner_id"]
    shown = teller.told("GetClientsDetails", clientid=number)
    expected = {"email": email, "lastname": JOHN["lastname"], "owner_user_id": owner, "status": "Active"}
    assert {name: shown[name] for name in expected} == expected
    assert teller.told("UpdateClient", clientid=number, city="Bonn")["clientid"] == number
    assert teller.told("GetClientsDetails", clientid=number)["city"] == "Bonn"
    assert teller.told("GetContacts", userid=number)["totalresults"] == "0"
    login = teller.told("ValidateLogin", email=email, password2=JOHN["password2"])
    assert login["userid"] == owner and len(login["passwordhash"]) == 40
    if teller.knows("GetClients"):
        assert teller.told("GetClients", search=email)["totalresults"] == "1"
        teller.told("CloseClient", clientid=number)
        assert teller.told("GetClientsDetails", clientid=number)["status"] == "Closed"
    # `whmcs` has no way to say `deleteusers`
    assert teller.told("DeleteClient", clientid=number, deleteusers="true")["clientid"] == number
    teller.expects("Client Not Found", "GetClientsDetails", clientid=number)
    if teller.knows("GetClients"):
        login_again = {"email": email, "password2": JOHN["password2"]}
        teller.expects("Email or Password Invalid", "ValidateLogin", **login_again)


@pytest.mark.usefixtures("credential")
@pytest.mark.parametrize("client", ABLE)
async def test_permissions_are_listed_set_and_taken(client: str, site: Site) -> None:
    teller = Teller(client, site)
    made = teller.told("AddClient", **JOHN, email=f"perm@{client}.example")
    owner = {"user_id": made["owner_id"], "client_id": made["clientid"]}
    for action in ("GetPermissionsList", "GetUserPermissions"):
        assert teller.told(action, **owner if action == "GetUserPermissions" else {})["result"] == "success"
    invited = {"client_id": made["clientid"], "email": f"new@{client}.example", "permissions": "invoices"}
    assert teller.told("CreateClientInvite", **invited)["result"] == "success"
    teller.expects("Permissions cannot be set on a client owner", "UpdateUserPermissions", **owner, permissions="a")
    teller.expects("You cannot remove the account owner", "DeleteUserClient", **owner)
    teller.expects("Invalid client id", "GetUserPermissions", user_id=made["owner_id"], client_id="999999")


@pytest.mark.usefixtures("credential")
@pytest.mark.parametrize("client", ABLE)
async def test_it_is_asked_what_it_is(client: str, site: Site) -> None:
    teller = Teller(client, site)
    assert teller.told("WhmcsDetails")["result"] == "success"
    assert teller.told("GetConfigurationValue", setting="SystemURL")["value"] == f"{site.url}/"
    assert teller.told("GetAdminDetails")["name"] == "teller"


@pytest.mark.usefixtures("credential")
@pytest.mark.parametrize("client", ABLE)
async def test_an_app_is_registered_listed_changed_and_removed(client: str, site: Site) -> None:
    teller, callback = Teller(client, site), f"https://{client}.example/callback"
    given = {"grantType": "authorization_code", "scope": "openid email", "name": client, "redirectUri": callback}
    made = teller.told("CreateOAuthCredential", **given)
    assert len(made["clientSecret"]) == 88
    assert teller.told("ListOAuthCredentials", grantType="authorization_code")["result"] == "success"
    number = made["credentialId"]
    changed = teller.told("UpdateOAuthCredential", credentialId=number, resetSecret="true")
    assert changed["credentialId"] == number and changed["newClientSecret"] != made["clientSecret"]
    assert teller.told("DeleteOAuthCredential", credentialId=number)["credentialId"] == number
    teller.expects("Invalid Credential ID provided.", "DeleteOAuthCredential", credentialId=number)
    teller.expects("A valid grant type is required.", "CreateOAuthCredential", scope="openid")


@pytest.mark.usefixtures("credential")
@pytest.mark.parametrize("client", ABLE)
async def test_a_link_signs_a_person_in_until_his_client_is_closed(client: str, site: Site) -> None:
    teller = Teller(client, site)
    made = teller.told("AddClient", **JOHN, email=f"sso@{client}.example")
    link = teller.told("CreateSsoToken", client_id=made["clientid"])
    assert link["redirect_url"] == f"{site.url}/oauth/singlesignon.php?access_token={link['access_token']}"
    teller.told("CloseClient", clientid=made["clientid"])
    assert "Closed" in teller.call("CreateSsoToken", client_id=made["clientid"]).error
