"""Create-, List-, Update- and DeleteOAuthCredential, read back by signing in with them — whmcs-api §3.4, §6.3."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from sqlalchemy import select

from bridge.database.tables import audit, oauth_clients
from bridge.legacy.oauth_credentials import said_as
from bridge.testing.hands import Hands
from tests.flows.oauth import App
from tests.flows.portal import Portal, account, portal
from tests.flows.visitor import Visitor
from tests.patience import until
from tests.running import ADA, CLIENT_SECRET, CLIENTS, Furnished, Given, Site, in_process

Visiting = Callable[..., Visitor]
ACTIONS = ("CreateOAuthCredential", "ListOAuthCredentials", "UpdateOAuthCredential", "DeleteOAuthCredential")
CALLBACK = "https://forum.example.net/callback"
FORUM = {"grantType": "authorization_code", "scope": "openid profile email", "name": "Forum", "redirectUri": CALLBACK}
BRAND: Given = {("pages", "brand_name"): "Company Name", ("legacy", "service_ids"): "clients"}


@pytest.fixture
async def site(database: Furnished, clock: Hands) -> AsyncIterator[Site]:
    async with in_process(database, more=BRAND, clock=clock) as site:
        yield site


@dataclass
class Made(App):
    """An application by the credential that it was given."""

    secret: str = ""
    where: str = CALLBACK

    @property
    def callback(self) -> str:
        return self.where

    async def _token(self, **form: str) -> httpx2.Response:
        return await self.http.post(
            "/oauth/token.php", data={**form, "client_id": self.client, "client_secret": self.secret}
        )


async def forum(site: Site, caller: Portal, **more: str | int) -> tuple[int, Made]:
    """A new credential, and its application."""
    said = await caller.call("CreateOAuthCredential", **{**FORUM, **more})
    assert said["result"] == "success", said
    return said["credentialId"], Made(site, client=said["clientIdentifier"], secret=said["clientSecret"])


async def listed(caller: Portal, **asked: str | int) -> list[dict[str, Any]]:
    said = await caller.call("ListOAuthCredentials", **asked)
    assert said["result"] == "success"
    return list(said["clients"])


async def of(caller: Portal, number: int) -> dict[str, Any]:
    (found,) = [each for each in await listed(caller) if each["credentialId"] == number]
    return found


# Create


async def test_a_credential_signs_people_in(site: Site, visit: Visiting) -> None:
    caller = await portal(site, *ACTIONS)
    said = await caller.call("CreateOAuthCredential", **FORUM)
    assert list(said) == ["result", "credentialId", "clientIdentifier", "clientSecret"]
    assert isinstance(said["credentialId"], int)
    company, _, random = said["clientIdentifier"].partition(".")
    assert company == "COMPANY-NAME" and len(base64.b64decode(random, validate=True)) == 16
    assert len(said["clientSecret"]) == 88 and len(base64.b64decode(said["clientSecret"], validate=True)) == 64
    app, browser = Made(site, client=said["clientIdentifier"], secret=said["clientSecret"]), visit(site)
    await browser.sign_in(ADA)
    tokens = await app.tokens(browser, "openid email")
    assert (await app.userinfo(tokens["access_token"])).json()["email"] == ADA
    assert "refresh_token" not in tokens
    form = {"grant_type": "authorization_code", "code": "x"}
    basic = await app.http.post("/oauth/token.php", data=form, auth=(app.client, app.secret))
    assert basic.json()["error"] == "invalid_request" or basic.json()["error"] == "invalid_grant"


async def test_it_must_use_pkce_unless_the_setting_says_otherwise(database: Furnished, visit: Visiting) -> None:
    for needed in (True, False):
        async with in_process(database, more={("legacy", "credentials_require_pkce"): needed}) as site:
            async with site.bridge.rooms.database.begin() as tx:
                await tx.execute(oauth_clients.delete().where(oauth_clients.c.source == "legacy"))
            rooms = site.bridge.rooms
            await rooms.credentials.remove("shop")
            _, app = await forum(site, await portal(site, *ACTIONS))
            found = await rooms.clients.get(app.client)
            assert found is not None and found.require_pkce is needed and not found.first_party


async def test_the_errors_of_create_are_the_documented_ones_in_their_order(site: Site) -> None:
    caller, ada = await portal(site, *ACTIONS), await site.user(ADA)
    shop = await account(site, ada.id)
    sso: dict[str, str | int] = {"grantType": "single_sign_on"}
    cases: list[tuple[dict[str, str | int], str]] = [
        ({}, "A valid grant type is required."),
        ({"grantType": "", "scope": "x"}, "A valid grant type is required."),
        ({"grantType": "implicit", "scope": "x"}, 'The requested grant type "implicit" is invalid.'),
        ({"grantType": "client_credentials"}, 'The requested grant type "client_credentials" is invalid.'),
        ({"grantType": "authorization_code", "serviceId": "x"}, "A name for the Client Credential is required."),
        ({**sso, "name": "x"}, "A service ID is required for the single sign-on grant type."),
        ({**sso, "serviceId": "x"}, "At least one valid scope is required."),
        ({**FORUM, "scope": " "}, "At least one valid scope is required."),
        ({**FORUM, "scope": "openid admin"}, 'The requested scope "admin" is invalid.'),
        ({**sso, "serviceId": "x", "scope": "clientarea:sso"}, "A valid Service ID is required."),
        ({**sso, "serviceId": "-1", "scope": "clientarea:sso"}, "A valid Service ID is required."),
        ({**sso, "serviceId": shop.id + 1, "scope": "clientarea:sso"}, "Service ID not associated with valid Client."),
        ({**FORUM, "redirectUri": "http://forum.example.net/"}, "The requested redirect URI is invalid."),
        ({**FORUM, "redirectUri": "javascript:alert(1)"}, "The requested redirect URI is invalid."),
        ({**FORUM, "logoUri": "javascript:alert(1)"}, "The requested logo URI is invalid."),
    ]
    before = await site.bridge.rooms.clients.list()
    for values, message in cases:
        assert await caller.call("CreateOAuthCredential", **values) == {"result": "error", "message": message}, values
    assert await site.bridge.rooms.clients.list() == before
    assert (await caller.call("CreateOAuthCredential", **sso, serviceId=shop.id, scope="clientarea:sso"))[
        "result"
    ] == "success"


async def test_without_the_setting_there_are_no_services(database: Furnished) -> None:
    """A number of WHMCS's must not become another customer's here."""
    async with in_process(database) as site:
        caller, shop = await portal(site, *ACTIONS), await account(site, (await site.user(ADA)).id)
        said = await caller.call(
            "CreateOAuthCredential", grantType="single_sign_on", scope="clientarea:sso", serviceId=shop.id
        )
        assert said["message"] == "Service ID not associated with valid Client."


# List


async def test_the_list_has_the_documented_shape_and_no_secret(site: Site, clock: Any) -> None:
    caller, ada = await portal(site, *ACTIONS), await site.user(ADA)
    shop = await account(site, ada.id)
    made = await caller.call(
        "CreateOAuthCredential",
        grantType="single_sign_on",
        scope="clientarea:sso clientarea:invoices",
        serviceId=shop.id,
        description="Panel",
    )
    found = await of(caller, made["credentialId"])
    at = found["createdAt"]
    assert re.fullmatch(r"\d{1,2}(st|nd|rd|th) [A-Z][a-z]+ \d{4} \d{1,2}:\d\d:\d\d[ap]m", at)
    assert found == {
        "credentialId": made["credentialId"],
        "name": "",
        "description": "Panel",
        "grantTypes": "single_sign_on",
        "scope": "clientarea:sso clientarea:invoices",
        "clientIdentifier": made["clientIdentifier"],
        "clientSecret": "",
        "uuid": None,
        "serviceId": shop.id,
        "logoUri": "",
        "redirectUri": [],
        "rsaKeyPairId": 0,
        "createdAt": at,
        "updatedAt": at,
    }
    assert list(found)[:4] == ["credentialId", "name", "description", "grantTypes"]


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (1479461544, "18th November 2016 9:32:24am"),
        (1483228800, "1st January 2017 12:00:00am"),
        (1483358399, "2nd January 2017 11:59:59am"),
        (1483444800, "3rd January 2017 12:00:00pm"),
        (1484136000, "11th January 2017 12:00:00pm"),
        (1485136922, "23rd January 2017 2:02:02am"),
        (1485907199, "31st January 2017 11:59:59pm"),
    ],
)
def test_times_are_written_as_the_documentation_does(at: int, said: str) -> None:
    assert said_as(at) == said


async def test_the_list_is_filtered_sorted_and_cut(site: Site) -> None:
    caller, ada = await portal(site, *ACTIONS), await site.user(ADA)
    shop = await account(site, ada.id)
    first, _ = await forum(site, caller, name="Beta")
    second, _ = await forum(site, caller, name="alpha")
    sso = await caller.call(
        "CreateOAuthCredential", grantType="single_sign_on", scope="clientarea:sso", serviceId=shop.id
    )
    third = sso["credentialId"]
    ours = {first, second, third}

    async def order(**asked: str | int) -> list[int]:
        return [each["credentialId"] for each in await listed(caller, **asked) if each["credentialId"] in ours]

    assert await order() == await order(sortField="nonsense") == [first, second, third]
    assert await order(sortOrder="DESC") == [third, second, first]
    assert await order(sortField="name", grantType="authorization_code") == [second, first]
    assert await order(grantType="single_sign_on") == [third]
    assert len(await listed(caller, limit=1)) == 1


async def test_what_is_the_operators_own_is_not_a_callers(site: Site) -> None:
    """First-party, of the command line, self-registered, public: no redirect URI of those is changed by a caller."""
    caller, rooms = await portal(site, *ACTIONS), site.bridge.rooms
    document = {"client_name": "Own", "redirect_uris": [CALLBACK]}
    await rooms.clients.create(document, client_id="commanded")
    await rooms.clients.create(document, client_id="registered", source="registration")
    await rooms.clients.import_({**document, "client_id": "first", "client_secret": "s", "first_party": True})
    async with rooms.database.read() as tx:
        rows = (await tx.execute(select(oauth_clients.c.id, oauth_clients.c.client_id))).all()
    numbers = {row.client_id: row.id for row in rows}
    assert {each["clientIdentifier"] for each in await listed(caller)} == {"notes", "ours"}
    for name in ("commanded", "registered", "first", "spa"):
        said = await caller.call(
            "UpdateOAuthCredential", credentialId=numbers[name], redirectUri="https://evil.example/"
        )
        assert said["message"] == "Invalid Credential ID provided."
        said = await caller.call("UpdateOAuthCredential", clientApiIdentifier=name, redirectUri="https://evil.example/")
        assert said["message"] == "Invalid Client Identifier provided."
        said = await caller.call("DeleteOAuthCredential", credentialId=numbers[name])
        assert said["message"] == "Invalid Credential ID provided."
        found = await rooms.clients.get(name)
        assert found is not None and "https://evil.example/" not in found.redirect_uris


# Update


async def test_an_update_changes_what_it_names_and_nothing_else(site: Site, visit: Visiting) -> None:
    caller, browser = await portal(site, *ACTIONS), visit(site)
    number, app = await forum(site, caller, description="One")
    before = await of(caller, number)
    said = await caller.call("UpdateOAuthCredential", clientApiIdentifier=app.client, name="Board")
    assert said == {"result": "success", "credentialId": number}
    assert await of(caller, number) == {**before, "name": "Board"}
    moved = "https://board.example.net/cb"
    said = await caller.call(
        "UpdateOAuthCredential",
        credentialId=number,
        **{
            "redirectUri[0]": moved,
            "redirectUri[1]": CALLBACK,
            "scope": "openid",
            "description": "",
        },  # empty is as good as absent
    )
    after = await of(caller, number)
    assert (after["redirectUri"], after["scope"], after["description"]) == ([moved, CALLBACK], "openid", "One")
    await browser.sign_in(ADA)
    app.where = moved
    assert "id_token" in await app.tokens(browser)
    assert (await app.tokens(browser, "openid email"))["scope"] == "openid"
    await caller.call("UpdateOAuthCredential", credentialId=number, **{"redirectUri[]": CALLBACK})
    assert (await browser.get(app.request())).status_code == 400


async def test_a_reset_secret_is_new_and_the_old_one_nobodys(site: Site) -> None:
    caller = await portal(site, *ACTIONS)
    number, app = await forum(site, caller)
    old = app.secret
    assert "newClientSecret" not in await caller.call("UpdateOAuthCredential", credentialId=number, resetSecret="false")
    said = await caller.call("UpdateOAuthCredential", credentialId=number, resetSecret="true")
    assert list(said) == ["result", "credentialId", "newClientSecret"] and len(said["newClientSecret"]) == 88
    assert said["newClientSecret"] != old
    assert (await app.redeem("x")).json()["error"] == "invalid_client"
    app.secret = said["newClientSecret"]
    assert (await app.redeem("x")).json()["error"] == "invalid_grant"


async def test_an_imported_client_keeps_what_is_not_named(site: Site) -> None:
    caller, rooms = await portal(site, *ACTIONS), site.bridge.rooms
    before = await rooms.clients.get("notes")
    said = await caller.call("UpdateOAuthCredential", clientApiIdentifier="notes", description="theirs")
    after = await rooms.clients.get("notes")
    assert said["result"] == "success" and before is not None and after is not None
    assert after.metadata == {**before.metadata, "description": "theirs"}
    assert (after.require_pkce, after.allow_query_token) == (before.require_pkce, before.allow_query_token)
    app = App(site)
    assert (await app.refresh("x")).json()["error"] == "invalid_grant" and CLIENT_SECRET and CLIENTS


async def test_the_errors_of_update_and_delete_are_the_documented_ones(site: Site) -> None:
    caller = await portal(site, *ACTIONS)
    number, app = await forum(site, caller)
    cases: list[tuple[dict[str, str | int], str]] = [
        ({"name": "x"}, "A Credential ID or Client Identifier is required."),
        ({"credentialId": 999, "clientApiIdentifier": app.client}, "Invalid Credential ID provided."),
        ({"credentialId": "x"}, "Invalid Credential ID provided."),
        ({"clientApiIdentifier": app.client.lower()}, "Invalid Client Identifier provided."),
        ({"clientApiIdentifier": "a\x00b"}, "Invalid Client Identifier provided."),
        ({"credentialId": number, "grantType": "x"}, 'The requested grant type "x" is invalid.'),
        (
            {"credentialId": number, "grantType": "single_sign_on"},
            "A service ID is required for the single sign-on grant type.",
        ),
        ({"credentialId": number, "scope": "y"}, 'The requested scope "y" is invalid.'),
        ({"credentialId": number, "serviceId": "y"}, "A valid Service ID is required."),
        ({"credentialId": number, "serviceId": 999}, "Service ID not associated with valid Client."),
        ({"credentialId": number, "redirectUri": "http://a.example/"}, "The requested redirect URI is invalid."),
    ]
    before = await of(caller, number)
    for values, message in cases:
        assert await caller.call("UpdateOAuthCredential", **values) == {"result": "error", "message": message}, values
    assert await of(caller, number) == before
    for wrong in ("", "x", "999", "0", str(10**30)):
        said = await caller.call("DeleteOAuthCredential", credentialId=wrong)
        assert said == {"result": "error", "message": "Invalid Credential ID provided."}


# Delete


async def test_what_was_given_to_a_deleted_one_ends(site: Site, visit: Visiting) -> None:
    caller, browser = await portal(site, *ACTIONS), visit(site)
    number, app = await forum(site, caller)
    await browser.sign_in(ADA)
    tokens = await app.tokens(browser)
    assert (await app.userinfo(tokens["access_token"])).status_code == 200
    await browser.get(app.request())
    code = app.answer(browser)["code"]
    assert await caller.call("DeleteOAuthCredential", credentialId=number) == {
        "result": "success",
        "credentialId": number,
    }
    assert [each for each in await listed(caller) if each["credentialId"] == number] == []
    assert (await app.redeem(code)).json()["error"] == "invalid_client"
    assert (await browser.get(app.request())).status_code == 400

    async def ended() -> bool:
        return (await app.userinfo(tokens["access_token"])).status_code == 401

    await until(ended)
    assert (await caller.call("DeleteOAuthCredential", credentialId=number))["result"] == "error"


# Who may, and what is written down


@pytest.mark.parametrize("action", [name for name in ACTIONS if not name.startswith("List")])
async def test_only_a_credential_that_names_the_action_may_call_it(site: Site, action: str) -> None:
    reply = await (await portal(site, "*")).send(action=action, responsetype="json", **FORUM)
    assert reply.status_code == 403


async def test_each_change_has_its_audit_row_or_does_not_happen(site: Site, monkeypatch: Any) -> None:
    caller = await portal(site, *ACTIONS)
    number, app = await forum(site, caller)
    await caller.call("UpdateOAuthCredential", credentialId=number, resetSecret=1)
    await caller.call("UpdateOAuthCredential", credentialId=number, name="x")
    gone, other = await forum(site, caller)
    await caller.call("DeleteOAuthCredential", credentialId=gone)
    async with site.bridge.rooms.database.read() as tx:
        rows = (await tx.execute(select(audit).where(audit.c.kind == "client.changed"))).all()
    assert [(row.client_id, row.actor, row.reason) for row in rows] == [
        (app.client, "shop", "made"),
        (app.client, "shop", "secret reset"),
        (app.client, "shop", "changed"),
        (other.client, "shop", "made"),
        (other.client, "shop", "removed"),
    ]

    async def lost(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no room for the row")

    monkeypatch.setattr(site.bridge.rooms.audit, "write", lost)
    before = await listed(caller)
    for asked in (
        {"action": "CreateOAuthCredential", **FORUM},
        {"action": "UpdateOAuthCredential", "credentialId": number, "name": "y", "resetSecret": 1},
        {"action": "DeleteOAuthCredential", "credentialId": number},
    ):
        assert (await caller.send(responsetype="json", **asked)).status_code == 500
    assert await listed(caller) == before


async def test_two_updates_at_once_do_not_undo_one_another(site: Site) -> None:
    caller = await portal(site, *ACTIONS)
    number, _ = await forum(site, caller)
    await asyncio.gather(
        caller.call("UpdateOAuthCredential", credentialId=number, name="Board"),
        caller.call("UpdateOAuthCredential", credentialId=number, description="A board"),
        caller.call("UpdateOAuthCredential", credentialId=number, scope="openid"),
    )
    found = await of(caller, number)
    assert (found["name"], found["description"], found["scope"]) == ("Board", "A board", "openid")
