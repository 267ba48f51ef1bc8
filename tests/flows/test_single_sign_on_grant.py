"""Credentials for single sign-on at the token endpoint, and the links that come of it — whmcs-api §5.2, §10 no. 20."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Any

import httpx2
import pytest
from sqlalchemy import select

from bridge.accounts.account import Account
from bridge.database.tables import audit
from bridge.testing.hands import Hands
from bridge.types import AccountId
from tests.flows.portal import COMMAND, Portal, account, portal
from tests.flows.visitor import Visitor
from tests.running import ADA, LI, TOM, Furnished, Given, Site, in_process
from tests.security.holdings import scope_with

Visiting = Callable[..., Visitor]
ACTIONS = ("CreateOAuthCredential", "UpdateOAuthCredential", "DeleteOAuthCredential")
APP = "__Host-login_auth_tk"
MORE: Given = {
    ("legacy", "service_ids"): "clients",
    ("legacy", "sso_destinations"): ["clientarea:invoices=/bills", "clientarea:product_details=/p/{service_id}"],
}
SCOPE = "clientarea:sso clientarea:invoices clientarea:product_details clientarea:tickets"


@pytest.fixture
async def site(database: Furnished, clock: Hands) -> AsyncIterator[Site]:
    async with in_process(database, more=MORE, clock=clock) as site:
        yield site


@dataclass
class Panel:
    """A hosting panel with the credential of one service."""

    site: Site
    number: int
    client: str
    secret: str
    service: Account

    async def ask(self, *, grant_type: str = "single_sign_on", **form: str) -> httpx2.Response:
        """The documented request."""
        shown = {"client_id": self.client, "client_secret": self.secret, "grant_type": grant_type, **form}
        return await self.send({name: value for name, value in shown.items() if value})

    async def send(self, form: dict[str, str], **more: Any) -> httpx2.Response:
        transport = httpx2.ASGITransport(self.site.bridge)
        async with httpx2.AsyncClient(transport=transport, base_url=self.site.url, trust_env=False) as http:
            return await http.post("/oauth/token.php", data=form, **more)

    async def token(self, scope: str = "clientarea:sso", **form: str) -> str:
        reply = await self.ask(scope=scope, **form)
        assert reply.status_code == 200, reply.text
        return str(reply.json()["access_token"])


async def panel(site: Site, caller: Portal, email: str = ADA) -> Panel:
    """With a credential for a new service of that person's."""
    service = await account(site, (await site.user(email)).id)
    said = await caller.call(
        "CreateOAuthCredential", grantType="single_sign_on", scope=SCOPE, serviceId=service.id, name="Panel"
    )
    return Panel(site, said["credentialId"], said["clientIdentifier"], said["clientSecret"], service)


async def refused(reply: httpx2.Response) -> tuple[int, str, str]:
    said = reply.json()
    return reply.status_code, said["error"], said["error_description"]


@pytest.mark.parametrize("grant_type", ["single_sign_on", "client_credentials"])
async def test_its_token_signs_the_owner_of_the_service_in_once(site: Site, visit: Visiting, grant_type: str) -> None:
    theirs = await panel(site, await portal(site, *ACTIONS))
    reply = await theirs.ask(grant_type=grant_type, scope="clientarea:sso clientarea:invoices")
    assert reply.status_code == 200 and reply.headers["cache-control"] == "no-store"
    said = reply.json()
    assert said == {
        "access_token": said["access_token"],
        "token_type": "Bearer",
        "expires_in": 60,
        "scope": "clientarea:sso clientarea:invoices",
    }
    browser = visit(site)
    link = f"/oauth/singlesignon.php?access_token={said['access_token']}&scope=clientarea:sso+clientarea:invoices"
    await browser.get(link)
    assert (browser.reply.status_code, browser.reply.headers["location"]) == (303, "/bills")
    alive = (await site.bridge.who(scope_with(cookies={APP: browser.jar[APP]}))).alive
    assert alive is not None
    assert (alive.record.uid, alive.record.kind, alive.record.via) == ((await site.user(ADA)).id, "sso", theirs.client)
    assert (await visit(site).get(link)).status_code == 400
    async with site.bridge.rooms.database.read() as tx:
        (row,) = (await tx.execute(select(audit).where(audit.c.kind == "sso.created"))).all()
    assert (row.client_id, row.door, row.user_id) == (theirs.client, "oidc", alive.record.uid)


@pytest.mark.parametrize(
    ("asked", "at", "leads"),
    [
        ("clientarea:sso", "", "/"),
        ("clientarea:sso", "clientarea:sso", "/"),
        ("clientarea:invoices", "", "/bills"),
        (" clientarea:sso  clientarea:product_details clientarea:invoices ", "", "/p/{service}"),
        ("clientarea:sso clientarea:product_details clientarea:invoices", "clientarea:invoices", "/bills"),
        ("clientarea:sso", "clientarea:invoices", None),
        ("clientarea:sso clientarea:invoices", "clientarea:invoices openid", None),
        ("clientarea:sso", "https://evil.example/", None),
    ],
)
async def test_it_leads_where_its_scope_says_and_nowhere_else(
    site: Site, visit: Visiting, asked: str, at: str, leads: str | None
) -> None:
    theirs, browser = await panel(site, await portal(site, *ACTIONS)), visit(site)
    token = await theirs.token(asked)
    await browser.get(f"/oauth/singlesignon.php?{httpx2.QueryParams(access_token=token, scope=at)}")
    if leads is None:
        assert browser.reply.status_code == 400 and APP not in browser.jar
        await browser.get(f"/oauth/singlesignon.php?access_token={token}")
        assert browser.reply.status_code == 303  # nothing was used up
    else:
        assert browser.reply.headers["location"] == leads.format(service=theirs.service.id)


async def test_the_answer_to_the_question_keeps_the_place(site: Site, visit: Visiting) -> None:
    theirs, browser = await panel(site, await portal(site, *ACTIONS)), visit(site)
    await browser.sign_in(LI)
    token = await theirs.token("clientarea:sso clientarea:product_details clientarea:invoices")
    await browser.get(f"/oauth/singlesignon.php?access_token={token}&scope=clientarea:invoices")
    await browser.press_only("arrive")
    assert "/bills" in browser.reply.text and APP in browser.jar


async def test_each_thing_that_is_missing_is_named(site: Site) -> None:
    theirs = await panel(site, await portal(site, *ACTIONS))
    allowed = f"this client may ask for {SCOPE}"
    needed = "client credentials are required"
    shown = {"client_id": theirs.client, "client_secret": theirs.secret}
    grant = {"grant_type": "single_sign_on"}
    cases: list[tuple[dict[str, str], tuple[int, str, str]]] = [
        (grant, (401, "invalid_client", f"{needed}: client_id and client_secret are missing")),
        ({**grant, "client_secret": "x"}, (401, "invalid_client", f"{needed}: client_id is missing")),
        ({**grant, "client_id": theirs.client}, (401, "invalid_client", f"{needed}: client_secret is missing")),
        ({**grant, "client_id": "nobody"}, (401, "invalid_client", f"{needed}: client_secret is missing")),
        ({**grant, **shown, "client_secret": "x"}, (401, "invalid_client", "client authentication failed")),
        ({**grant, **shown}, (400, "invalid_scope", f"scope is missing: {allowed}")),
        (shown, (400, "invalid_request", "grant_type is missing")),
        (
            {**grant, **shown, "scope": "openid"},
            (400, "invalid_scope", f"scope goes beyond what this client may have: {SCOPE}"),
        ),
        (
            {**grant, **shown, "scope": "clientarea:sso\xa0clientarea:invoices"},
            (400, "invalid_scope", f"scope goes beyond what this client may have: {SCOPE}"),
        ),
        (
            {**grant, **shown, "scope": "clientarea:tickets"},
            (400, "invalid_scope", "there is no destination clientarea:tickets: see legacy.sso_destinations"),
        ),
        (
            {**shown, "grant_type": "authorization_code", "code": "x"},
            (400, "unauthorized_client", "this client may not use this grant_type"),
        ),
    ]
    for form, answer in cases:
        assert await refused(await theirs.send(form)) == answer, form
    assert "sso.created" not in site.told.kinds()


async def test_no_other_client_may_use_the_grant(site: Site) -> None:
    theirs, rooms = await panel(site, await portal(site, *ACTIONS)), site.bridge.rooms
    robot = {
        "client_name": "Robot",
        "grant_types": ["client_credentials"],
        "response_types": [],
        "scope": "clientarea:sso",
    }
    secret = (await rooms.clients.create(robot, client_id="robot")).secret
    assert secret is not None
    auth = ("robot", secret.reveal())
    form = {"grant_type": "single_sign_on", "scope": "clientarea:sso"}
    assert (await theirs.send(form, auth=auth)).json()["error"] == "unauthorized_client"
    own = await theirs.send({**form, "grant_type": "client_credentials"}, auth=auth)
    assert own.json()["access_token"].startswith("lba_")


async def test_neither_token_is_good_in_the_others_place(site: Site, visit: Visiting) -> None:
    """§1."""
    theirs = await panel(site, await portal(site, *ACTIONS))
    token = await theirs.token()
    http = httpx2.AsyncClient(transport=httpx2.ASGITransport(site.bridge), base_url=site.url, trust_env=False)
    async with http:
        reply = await http.get("/oauth/userinfo.php", headers={"authorization": f"Bearer {token}"})
        assert reply.status_code == 401
    who = await site.bridge.who(scope_with(cookies={APP: token}))
    assert who.alive is None
    assert (await visit(site).get(f"/oauth/singlesignon.php?access_token={token}")).status_code == 303


@pytest.mark.parametrize("how", ["closed", "blocked", "disabled", "deleted"])
async def test_who_may_not_be_signed_in_gets_no_token_and_no_session(site: Site, visit: Visiting, how: str) -> None:
    caller = await portal(site, *ACTIONS)
    theirs, rooms, number = await panel(site, caller, LI), site.bridge.rooms, AccountId(0)
    number = theirs.service.id
    token, li = await theirs.token(), await site.user(LI)
    match how:
        case "closed":
            await rooms.ledger.do(COMMAND, lambda deed: rooms.accounts.close(deed, number))
            said = f"Single Sign-On authentication denied for 'Closed' User ID: {number}"
        case "blocked":
            await rooms.ledger.do(
                COMMAND,
                lambda deed: rooms.accounts.update(deed, number, lambda p: replace(p, allow_single_sign_on=False)),
            )
            said = f"Single Sign-On can only be performed for clients that allow it: {number}"
        case "disabled":
            await rooms.users.disable(li.id)
            said = f"Single Sign-On authentication denied for 'Disabled' User ID: {li.id}"
        case _:
            await caller.call("DeleteOAuthCredential", credentialId=theirs.number)
            said = "client authentication failed"
    status, error = (401, "invalid_client") if how == "deleted" else (400, "invalid_grant")
    assert await refused(await theirs.ask(scope="clientarea:sso")) == (status, error, said)
    browser = visit(site)
    await browser.get(f"/oauth/singlesignon.php?access_token={token}")
    assert browser.reply.status_code in (400, 403) and APP not in browser.jar


async def test_a_second_factor_is_owed_here_too(site: Site, visit: Visiting) -> None:
    theirs, browser = await panel(site, await portal(site, *ACTIONS), TOM), visit(site)
    await browser.open(f"/oauth/singlesignon.php?access_token={await theirs.token()}")
    assert browser.at.startswith("/login/code") and APP not in browser.jar


async def test_of_fifty_who_follow_its_link_one_comes_in(site: Site, visit: Visiting) -> None:
    theirs = await panel(site, await portal(site, *ACTIONS))
    link = f"/oauth/singlesignon.php?access_token={await theirs.token()}"
    replies = await asyncio.gather(*(visit(site).get(link) for _ in range(50)))
    assert sorted(reply.status_code for reply in replies) == [303] + [400] * 49


async def test_without_services_there_is_nobody_to_sign_in(database: Furnished) -> None:
    async with in_process(database, more=MORE) as site:
        theirs = await panel(site, await portal(site, *ACTIONS))
    async with in_process(database) as site:
        said = await refused(await replace(theirs, site=site).ask(scope="clientarea:sso"))
        assert said == (400, "invalid_grant", "the service of this client belongs to nobody")
