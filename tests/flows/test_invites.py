"""An invite, from CreateClientInvite over its letter to who takes part — whmcs-api §3.5."""

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from bridge.accounts.account import Account, Profile
from bridge.testing.hands import Hands
from bridge.types import Visit
from tests.flows.api import Api, caller
from tests.flows.mailbox import Mailbox, link_in
from tests.flows.visitor import Visitor
from tests.running import ADA, NEW_PASSWORD, TOM, Site, code

Visiting = Callable[[Site], Visitor]
NEW = "new.member@example.com"
WHO = {"first_name": "Nora", "last_name": "New", "new_password": NEW_PASSWORD, "new_password_again": NEW_PASSWORD}


class Office:
    """Ada's client, and a caller who invites to it."""

    def __init__(self, site: Site, api: Api, account: Account, mailbox: Mailbox) -> None:
        self.site = site
        self.api = api
        self.account = account
        self.mailbox = mailbox

    async def invite(self, email: str) -> str:
        """The path of the link that came to that address."""
        given: dict[str, str | int] = {"client_id": self.account.id, "email": email, "permissions": "tickets,orders"}
        assert await self.api.call("CreateClientInvite", **given) == {"result": "success"}
        return urlsplit(link_in(await self.mailbox.next(email))).path

    async def clients(self, email: str) -> list[Any]:
        """The clients of that user, as GetUsers shows them."""
        found = await self.api.call("GetUsers", email=email)
        return [client for user in found["users"] for client in user["clients"]]

    @property
    def member(self) -> list[Any]:
        return [{"id": self.account.id, "isOwner": False}]


@pytest.fixture
async def office(site: Site, mailbox: Mailbox) -> Office:
    rooms, api = site.bridge.rooms, await caller(site)
    ada = await site.user(ADA)
    profile = Profile(company_name="Analytical Engines", email="office@engines.example")
    account = await rooms.ledger.do(Visit("command"), lambda deed: rooms.accounts.create(deed, profile, owner=ada.id))
    assert isinstance(account, Account)
    return Office(site, api, account, mailbox)


async def test_somebody_new_gets_a_password_and_takes_part(office: Office, visit: Visiting) -> None:
    browser = visit(office.site)
    await browser.open(await office.invite(NEW))
    assert browser.at == "/invite" and "Analytical Engines" in browser.text and NEW not in browser.text
    assert await office.clients(NEW) == []
    await browser.press("invite-register", **WHO)
    assert browser.reply.status_code == 200 and "You take part in Analytical Engines" in browser.text
    assert await office.clients(NEW) == office.member
    user = await office.site.user(NEW)
    assert (user.name, user.email_verified) == ("Nora New", True)
    permissions = await office.api.call("GetUserPermissions", user_id=user.id, client_id=office.account.id)
    assert permissions["permissions"] == {"permission": ["tickets", "orders"]}
    assert "__Host-lb_op" not in browser.jar, "an invite signs nobody in"
    await browser.sign_in(NEW, NEW_PASSWORD)
    assert browser.at == "/account"


async def test_a_user_signs_in_and_accepts(office: Office, visit: Visiting) -> None:
    browser = visit(office.site)
    await browser.open(await office.invite(TOM))
    link = next(e for e in browser.page.all("a") if e.get("id") == "invite-sign-in")
    await browser.sign_in(TOM, path=str(link["href"]))
    await browser.press("second-factor-submit", code=code())
    assert browser.at == "/invite" and await office.clients(TOM) == []
    await browser.press("invite-accept")
    assert "You take part in Analytical Engines" in browser.text
    assert await office.clients(TOM) == office.member


async def test_looking_accepts_nothing_however_often_and_by_whatever_method(office: Office, visit: Visiting) -> None:
    path = await office.invite(NEW)
    scanner = visit(office.site)
    for _ in range(3):
        assert (await scanner.get(path)).status_code == 303
        assert (await scanner.get("/invite")).status_code == 200
        head = await scanner.request("HEAD", path)
        assert head.status_code == 303 and "set-cookie" not in head.headers
    assert (await scanner.post(path, {})).status_code == 405
    assert await office.clients(NEW) == []
    assert (await office.api.call("GetUsers", email=NEW))["totalresults"] == 0


async def test_the_token_leaves_the_address_bar_and_no_page_names_it(office: Office, visit: Visiting) -> None:
    path = await office.invite(NEW)
    browser = visit(office.site)
    first = await browser.get(path)
    assert first.headers["location"] == "/invite" and first.headers["referrer-policy"] == "no-referrer"
    await browser.follow()
    assert path.rpartition("/")[2] not in browser.reply.text


async def test_it_is_accepted_once(office: Office, visit: Visiting) -> None:
    path = await office.invite(NEW)
    browsers = [visit(office.site) for _ in range(10)]
    for browser in browsers:
        await browser.open(path)
    await asyncio.gather(*(browser.press("invite-register", **WHO) for browser in browsers))
    said = sorted(browser.reply.status_code for browser in browsers)
    assert said.count(200) >= 1 and set(said) <= {200, 410}
    assert sum("You take part in" in browser.text for browser in browsers) == 1
    assert (await office.api.call("GetUsers", email=NEW))["totalresults"] == 1
    assert await office.clients(NEW) == office.member
    late = visit(office.site)
    await late.open(path)
    assert late.reply.status_code == 410 and "does not work" in late.text


async def test_it_is_nobody_elses(office: Office, visit: Visiting) -> None:
    """Signed in as somebody else: there is no button, and the form of another page does not do."""
    path = await office.invite(NEW)
    thief = visit(office.site)
    await thief.sign_in(ADA)
    await thief.open(path)
    assert "went to another address" in thief.text and not thief.page.all("button")
    csrf = visit(office.site)
    await csrf.open(path)
    form = csrf.form("invite-register")
    assert (await thief.post("/invite", {**form.fields, **WHO})).status_code == 403
    assert await office.clients(NEW) == []


async def test_a_form_that_was_filled_in_before_somebody_signed_in_is_not_taken(
    office: Office, visit: Visiting
) -> None:
    browser = visit(office.site)
    await browser.open(await office.invite(NEW))
    form = browser.form("invite-register")
    await browser.sign_in(ADA)
    assert (await browser.post("/invite", {**form.fields, **WHO})).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://evil.example"}, {"sec_fetch_site": "cross-site"}, {"origin": "null", "sec_fetch_site": None}],
)
async def test_no_other_page_accepts_it(office: Office, visit: Visiting, headers: dict[str, str | None]) -> None:
    browser = visit(office.site)
    await browser.open(await office.invite(NEW))
    form = browser.form("invite-register")
    assert (await browser.post("/invite", {**form.fields, **WHO}, **headers)).status_code == 403
    assert (await browser.post("/invite", WHO)).status_code == 403
    assert await office.clients(NEW) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"first_name": " ", "last_name": ""}, "Please enter your name"),
        ({"first_name": "x" * 101}, "too long"),
        ({"new_password_again": "another one altogether"}, "not the same"),
        ({"new_password": "short", "new_password_again": "short"}, "at least 15 characters"),
        (
            {"new_password": "new.member@example.com", "new_password_again": "new.member@example.com"},
            "contains your name",
        ),
        ({"new_password": "Nora New Nora New", "new_password_again": "Nora New Nora New"}, "contains your name"),
    ],
)
async def test_a_new_user_is_judged_as_everybody_who_chooses_a_password(
    office: Office, visit: Visiting, changed: dict[str, str], said: str
) -> None:
    browser = visit(office.site)
    await browser.open(await office.invite(NEW))
    await browser.press("invite-register", **(WHO | changed))
    assert browser.reply.status_code == 422 and said in browser.text
    assert (await office.api.call("GetUsers", email=NEW))["totalresults"] == 0
    await browser.press("invite-register", **WHO)
    assert await office.clients(NEW) == office.member


async def test_a_newer_invite_and_the_end_of_its_time_close_it(office: Office, visit: Visiting, clock: Hands) -> None:
    old = await office.invite(NEW)
    waiting = visit(office.site)
    await waiting.open(old)
    new = await office.invite(NEW)
    assert (await waiting.press_only("invite-register", **WHO)).status_code == 410
    clock.move(7 * 86_400 + 1)
    for path in (old, new, "/invite/t/", "/invite/t/" + "x" * 43, "/invite/t/%00", "/invite/t/a/b"):
        assert (await visit(office.site).get(path)).status_code == 410
    assert (await visit(office.site).get("/invite")).status_code == 410


async def test_the_letter_goes_to_the_users_own_address_where_there_is_one(office: Office) -> None:
    """Security §10: what was typed may be spelt like it, and be another's."""
    given: dict[str, str | int] = {
        "client_id": office.account.id,
        "email": "\uff34om@EXAMPLE.com",
        "permissions": "orders",
    }
    assert await office.api.call("CreateClientInvite", **given) == {"result": "success"}
    letter = await office.mailbox.next(TOM)
    assert "invited" in letter["Subject"] and "Analytical" not in letter.as_string()


async def test_chinese_is_read_in_chinese(office: Office, visit: Visiting) -> None:
    browser = visit(office.site)
    browser.headers["accept-language"] = "zh-CN"
    await browser.open(await office.invite(NEW))
    assert "Analytical Engines的邀请" in browser.text
