"""The actions about clients over the whole bridge: whom they let in and whom out — whmcs-api §3.6, security §30."""

import asyncio
from typing import Any

import httpx2
import pytest

from bridge.clients.credential import Rights
from bridge.secret import Secret
from bridge.sessions.judge import Alive
from bridge.tokens import LoginToken
from bridge.types import UserId
from tests.flows.api import Api, caller
from tests.legacy.customers import JOHN
from tests.running import ADA, API_SECRET, IDENTIFIER, PASSWORD, Site

LOGIN = {"email": JOHN["email"], "password2": JOHN["password2"]}
WRONG = {"result": "error", "message": "Email or Password Invalid"}


async def lives(site: Site, token: str) -> bool:
    """Whether somebody is signed in by it."""
    parsed = LoginToken.parse(token)
    assert parsed is not None
    return isinstance(await site.bridge.rooms.sessions.resolve(parsed, "middleware", None), Alive)


async def test_whoever_was_added_as_a_client_signs_in_and_is_signed_out_when_he_is_deleted(site: Site) -> None:
    api = await caller(site)
    added = await api.call("AddClient", **JOHN)
    said = await api.call("ValidateLogin", **LOGIN)
    assert said["userid"] == added["owner_id"] and await lives(site, said["passwordhash"])
    assert await api.call("DeleteClient", clientid=added["clientid"], deleteusers="true") == {
        "result": "success",
        "clientid": added["clientid"],
    }
    assert not await lives(site, said["passwordhash"])
    assert await api.call("ValidateLogin", **LOGIN) == WRONG
    assert (await api.call("GetClientsDetails", clientid=added["clientid"]))["message"] == "Client Not Found"
    assert (await api.call("ResetPassword", id=added["owner_id"]))["message"] == "User Not Found"
    again = await api.call("AddClient", **JOHN)
    assert again["owner_id"] > added["owner_id"], "no number is ever another's"


async def test_a_client_alone_is_deleted_and_its_owner_stays_signed_in(site: Site) -> None:
    api = await caller(site)
    added = await api.call("AddClient", **JOHN)
    token = (await api.call("ValidateLogin", **LOGIN))["passwordhash"]
    await api.call("CloseClient", clientid=added["clientid"])
    await api.call("DeleteClient", clientid=added["clientid"], deleteusers="false")
    assert await lives(site, token)


async def test_to_know_of_a_client_is_not_to_be_signed_in(site: Site) -> None:
    """Whoever is shown, nobody has a session of it, and nothing in the answer can be shown as one."""
    api = await caller(site)
    added = await api.call("AddClient", **JOHN)
    for asked in ({"clientid": added["clientid"]}, {"email": JOHN["email"], "password2": JOHN["password2"]}):
        said = await api.call("GetClientsDetails", stats="1", **asked)
        assert said["result"] == "success" and not {"passwordhash", "password"} & said.keys()
        assert not [text for text in texts(said) if LoginToken.parse(text) is not None]
    assert await site.sessions(UserId(added["owner_id"])) == []
    assert "login.succeeded" not in site.told.kinds()


def texts(value: Any) -> list[str]:
    """Every text in it."""
    match value:
        case dict():
            return [text for each in value.values() for text in texts(each)]
        case list():
            return [text for each in value for text in texts(each)]
        case _:
            return [str(value)]


async def test_fifty_who_add_the_same_client_at_once_add_one(site: Site) -> None:
    api = await caller(site)
    said = await asyncio.gather(*(api.call("AddClient", **JOHN) for _ in range(50)))
    assert sorted({each.get("message", "") for each in said}) in (
        ["", "The email address entered is not available for use."],
        ["", "A user already exists with that email address"],
        ["", "A user already exists with that email address", "The email address entered is not available for use."],
    )
    assert sum(each["result"] == "success" for each in said) == 1
    assert (await api.call("GetClients", search=JOHN["email"]))["totalresults"] == 1
    assert (await api.call("GetUsers", search=JOHN["email"]))["totalresults"] == 1
    kinds = site.told.kinds()
    assert (kinds.count("account.created"), kinds.count("user.created")) == (1, 1)


async def test_fifty_who_delete_the_same_client_at_once_delete_it_once(site: Site) -> None:
    api = await caller(site)
    number = (await api.call("AddClient", **JOHN))["clientid"]
    said = await asyncio.gather(*(api.call("DeleteClient", clientid=number, deleteusers="1") for _ in range(50)))
    assert sum(each["result"] == "success" for each in said) == 1
    assert {each.get("message") for each in said} == {None, "Client ID Not Found"}
    kinds = site.told.kinds()
    assert (kinds.count("account.removed"), kinds.count("user.removed")) == (1, 1)


@pytest.mark.parametrize("before", [0, 1, 10, 20])
async def test_nobody_stays_signed_in_who_signs_in_while_he_is_deleted(site: Site, before: int) -> None:
    api = await caller(site)
    number = (await api.call("AddClient", **JOHN))["clientid"]
    logins = [api.call("ValidateLogin", **LOGIN) for _ in range(20)]
    deletion = api.call("DeleteClient", clientid=number, deleteusers="1")
    said = await asyncio.gather(*logins[:before], deletion, *logins[before:])
    tokens = [each["passwordhash"] for each in said if "passwordhash" in each]
    assert not [token for token in tokens if await lives(site, token)]
    assert await api.call("ValidateLogin", **LOGIN) == WRONG


async def test_a_client_that_is_deleted_takes_nobody_who_belongs_to_another(site: Site) -> None:
    api, ada = await caller(site), await site.user(ADA)
    await api.call("AddClient", **{**JOHN, "owner_user_id": str(ada.id)})
    second = await api.call("AddClient", **{**JOHN, "email": "two@example.com", "owner_user_id": str(ada.id)})
    token = (await api.call("ValidateLogin", email=ADA, password2=PASSWORD))["passwordhash"]
    await api.call("DeleteClient", clientid=second["clientid"], deleteusers="1")
    assert await lives(site, token)


async def test_what_is_sent_twice_counts_as_php_counts_it(site: Site) -> None:
    """The last wins, and one client is closed, not two."""
    api = await caller(site)
    for email in ("one@example.com", "two@example.com"):
        await api.call("AddClient", **(JOHN | {"email": email}))
    body = b"action=CloseClient&identifier=everything&secret=" + b"x" * 32 + b"&responsetype=json&clientid=1&clientid=2"
    form = {"content-type": "application/x-www-form-urlencoded"}
    transport = httpx2.ASGITransport(site.bridge, client=("127.0.0.1", 1))
    async with httpx2.AsyncClient(transport=transport, base_url=site.url) as http:
        reply = await http.post("/includes/api.php?clientid=1", content=body, headers=form)
    assert reply.json() == {"result": "success", "clientid": 2}
    states = {each["id"]: each["status"] for each in (await api.call("GetClients"))["clients"]["client"]}
    assert states == {1: "Active", 2: "Closed"}


@pytest.mark.parametrize("action", ["AddClient", "UpdateClient", "CloseClient", "DeleteClient"])
async def test_a_credential_for_everything_may_not_change_clients_unless_it_names_that(site: Site, action: str) -> None:
    api = await caller(site)
    await api.call("AddClient", **JOHN)
    await site.bridge.rooms.credentials.create(
        "reader", Rights.parse(actions=["GetClients"]), identifier="reader", secret=Secret("y" * 32)
    )
    transport = httpx2.ASGITransport(site.bridge, client=("127.0.0.1", 1))
    async with httpx2.AsyncClient(transport=transport, base_url=site.url) as http:
        for identifier, secret in ((IDENTIFIER, API_SECRET), ("reader", "y" * 32)):
            form = {"identifier": identifier, "secret": secret, "responsetype": "json", "action": action}
            reply = await http.post("/includes/api.php", data={**form, **JOHN, "clientid": "1", "city": "Bonn"})
            assert reply.status_code == 403
            assert reply.json()["message"] == f'Invalid Permissions: API action "{action.lower()}" is not allowed'
    shown = await api.call("GetClientsDetails", clientid=1)
    assert (shown["city"], shown["status"]) == (JOHN["city"], "Active")


async def test_the_deletion_of_an_account_is_written_down_with_it_or_does_not_happen(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    api: Api = await caller(site)
    number = (await api.call("AddClient", **JOHN))["clientid"]
    token = (await api.call("ValidateLogin", **LOGIN))["passwordhash"]

    async def full(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(site.bridge.rooms.audit, "write", full)
    refused = await api.call("DeleteClient", clientid=number, deleteusers="1")
    assert refused["result"] == "error" and refused["message"] != "Client ID Not Found"
    assert await lives(site, token)
    assert (await api.call("GetClientsDetails", clientid=number))["result"] == "success"
