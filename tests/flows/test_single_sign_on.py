"""CreateSsoToken, and the link that comes of it — whmcs-api §3.3, §5.1; security §1, §8, §14, §30."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import select

from bridge.accounts.contacts import Contact
from bridge.clients.credential import SessionTerms
from bridge.database.tables import audit
from bridge.sessions.judge import Alive
from bridge.stores.store import Put
from bridge.tokens import LoginToken
from tests.flows.portal import COMMAND, Portal, account, portal
from tests.flows.visitor import Visitor
from tests.running import ADA, DAN, LI, TOM, Furnished, Site, code, in_process
from tests.security.holdings import scope_with

Visiting = Callable[..., Visitor]
ACTIONS = ("CreateSsoToken", "ValidateLogin")
APP = "__Host-login_auth_tk"
OP = "__Host-lb_op"
ROUNDS = 3


def link_of(said: dict[str, Any]) -> str:
    """The path that the person follows."""
    assert said["result"] == "success", said
    assert (
        said["redirect_url"] == f"https://login.example.com/oauth/singlesignon.php?access_token={said['access_token']}"
    )
    parts = urlsplit(said["redirect_url"])
    return f"{parts.path}?{parts.query}"


async def adas(site: Site, caller: Portal, **more: str | int) -> str:
    """A link for Ada."""
    return link_of(await caller.call("CreateSsoToken", user_id=(await site.user(ADA)).id, **more))


async def session_of(site: Site, browser: Visitor) -> Alive | None:
    """What the browser is at the apps."""
    who = await site.bridge.who(scope_with(cookies={APP: browser.jar.get(APP, "x")}))
    return who.alive


async def refusal(browser: Visitor, link: str) -> tuple[int, str]:
    """What a link that opens nothing is answered."""
    jar = {name: value for name, value in browser.jar.items() if name in (APP, OP)}
    reply = await browser.get(link)
    assert {name: value for name, value in browser.jar.items() if name in (APP, OP)} == jar
    return reply.status_code, browser.page.one("code").text


# What it answers


async def test_the_reply_is_a_token_and_an_address_under_the_system_url(site: Site) -> None:
    said = await (await portal(site, *ACTIONS)).call("CreateSsoToken", user_id=(await site.user(ADA)).id)
    assert list(said) == ["result", "access_token", "redirect_url"]
    assert len(said["access_token"]) == 40 and said["access_token"].isalnum() and link_of(said)


async def test_the_errors_are_the_documented_ones_in_their_order(site: Site) -> None:
    caller, ada, li = await portal(site, *ACTIONS), await site.user(ADA), await site.user(LI)
    shop, closed = await account(site, ada.id), await account(site, ada.id)
    blocked = await account(site, li.id, allow_single_sign_on=False)
    rooms = site.bridge.rooms
    await rooms.ledger.do(COMMAND, lambda deed: rooms.accounts.close(deed, closed.id))
    dan = await site.user(DAN)
    cases: list[tuple[dict[str, str | int], str]] = [
        ({"client_id": 999, "user_id": 999, "destination": "x"}, "Invalid client_id"),
        ({"client_id": "one"}, "Invalid client_id"),
        ({"client_id": 0}, "Invalid client_id"),
        ({"client_id": 10**18}, "Invalid client_id"),
        ({"client_id": shop.id, "user_id": 999, "destination": "x"}, "Invalid user_id"),
        ({"user_id": "-1"}, "Invalid user_id"),
        ({"client_id": shop.id, "user_id": li.id, "destination": "x"}, "Invalid user_id for client"),
        ({"destination": "x"}, "A valid client_id or user_id is required"),
        ({"client_id": "", "user_id": "null"}, "A valid client_id or user_id is required"),
        ({"client_id": shop.id, "contact_id": 7}, "Invalid contact_id"),
        ({"client_id": closed.id, "destination": "clientarea:invoices"}, "Invalid destination"),
        (
            {"user_id": dan.id},
            f'Token could not be provisioned: Single Sign-On authentication denied for "Disabled" User ID: {dan.id}',
        ),
        (
            {"client_id": closed.id},
            f'Token could not be provisioned: Single Sign-On authentication denied for "Closed" User ID: {closed.id}',
        ),
        ({"client_id": blocked.id}, f"SSO authentication blocked for client {blocked.id}"),
        ({"user_id": li.id}, f"SSO authentication blocked for client {blocked.id}"),
    ]
    for values, message in cases:
        assert await caller.call("CreateSsoToken", **values) == {"result": "error", "message": message}, values
    assert "sso.created" not in site.told.kinds()


async def test_a_client_means_its_owner_or_the_member_that_is_named(site: Site, visit: Visiting) -> None:
    caller, ada, li = await portal(site, *ACTIONS), await site.user(ADA), await site.user(LI)
    shop, rooms = await account(site, ada.id), site.bridge.rooms
    await rooms.ledger.do(COMMAND, lambda deed: rooms.members.add(deed, li.id, shop.id, ("profile",)))
    for values, user in (({}, ada), ({"user_id": li.id}, li)):
        browser = visit(site)
        await browser.get(link_of(await caller.call("CreateSsoToken", client_id=shop.id, **values)))
        found = await session_of(site, browser)
        assert found is not None and found.record.uid == user.id


async def test_a_sub_account_of_7x_is_the_member_of_the_contacts_address(site: Site, visit: Visiting) -> None:
    caller, ada, li = await portal(site, *ACTIONS), await site.user(ADA), await site.user(LI)
    shop, other, rooms = await account(site, ada.id), await account(site, ada.id), site.bridge.rooms

    async def contact(of: Any, email: str) -> int:
        made = await rooms.ledger.do(COMMAND, lambda deed: rooms.contacts.add(deed, Contact(account=of, email=email)))
        assert isinstance(made, Contact)
        return made.id

    his, stranger, elsewhere = [await contact(*of) for of in ((shop.id, LI), (shop.id, TOM), (other.id, LI))]
    for number in (his, stranger, elsewhere):  # Li is no member yet
        said = await caller.call("CreateSsoToken", client_id=shop.id, contact_id=number)
        assert said["message"] == "Invalid contact_id"
    await rooms.ledger.do(COMMAND, lambda deed: rooms.members.add(deed, li.id, shop.id, ("profile",)))
    for number in (stranger, elsewhere):
        assert (await caller.call("CreateSsoToken", client_id=shop.id, contact_id=number))["result"] == "error"
    browser = visit(site)
    await browser.get(link_of(await caller.call("CreateSsoToken", client_id=shop.id, contact_id=his)))
    found = await session_of(site, browser)
    assert found is not None and found.record.uid == li.id


async def test_one_open_account_of_several_is_enough(site: Site) -> None:
    caller, ada = await portal(site, *ACTIONS), await site.user(ADA)
    closed, blocked = await account(site, ada.id), await account(site, ada.id, allow_single_sign_on=False)
    rooms = site.bridge.rooms
    await rooms.ledger.do(COMMAND, lambda deed: rooms.accounts.close(deed, closed.id))
    said = await caller.call("CreateSsoToken", user_id=ada.id)
    assert said["message"] == f"SSO authentication blocked for client {blocked.id}"
    await account(site, ada.id)
    assert (await caller.call("CreateSsoToken", user_id=ada.id))["result"] == "success"


async def test_only_a_credential_that_names_the_action_may_call_it(site: Site) -> None:
    caller = await portal(site, "*")
    reply = await caller.send(action="createssotoken", responsetype="json", user_id=1)
    assert (reply.status_code, reply.json()["message"]) == (
        403,
        'Invalid Permissions: API action "createssotoken" is not allowed',
    )


async def test_the_audit_names_the_credential_before_there_is_a_token(site: Site, monkeypatch: Any) -> None:
    caller, ada = await portal(site, *ACTIONS), await site.user(ADA)
    await adas(site, caller)
    async with site.bridge.rooms.database.read() as tx:
        rows = (await tx.execute(select(audit).where(audit.c.kind == "sso.created"))).all()
    assert [(row.user_id, row.actor, row.door) for row in rows] == [(ada.id, "shop", "legacy")]

    async def lost(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no room for the row")

    made: list[Any] = []
    monkeypatch.setattr(site.bridge.rooms.audit, "write", lost)
    monkeypatch.setattr(site.bridge.rooms.links_in, "issue", made.append)
    reply = await caller.send(action="CreateSsoToken", responsetype="json", user_id=ada.id)
    assert reply.status_code == 500 and made == []


# Where it leads


@pytest.fixture
async def mapped(database: Furnished) -> Any:
    """A site with destinations."""
    lines = ["clientarea:sso=/home", "clientarea:invoices=/billing?a=1", "clientarea:product_details=/p/{service_id}"]
    async with in_process(database, more={("legacy", "sso_destinations"): lines}) as site:
        yield site


@pytest.mark.parametrize(
    ("asked", "target"),
    [
        ({}, "/home"),
        ({"destination": "clientarea:sso"}, "/home"),
        ({"destination": "clientarea:invoices"}, "/billing?a=1"),
        ({"destination": "clientarea:product_details", "service_id": "5"}, "/p/5"),
        ({"destination": "clientarea:product_details"}, None),
        ({"destination": "clientarea:product_details", "service_id": "5/../x"}, None),
        ({"destination": "clientarea:tickets"}, None),
        ({"destination": "sso:custom_redirect"}, None),
        ({"destination": "/billing"}, None),
        ({"destination": "sso:custom_redirect", "sso_redirect_path": "/cart.php?a=add&pid=1"}, "/cart.php?a=add&pid=1"),
        ({"destination": "sso:custom_redirect", "sso_redirect_path": "cart.php"}, "/cart.php"),
        (
            {"destination": "sso:custom_redirect", "sso_redirect_path": "/c?u=https%3A%2F%2Fa.example"},
            "/c?u=https%3A%2F%2Fa.example",
        ),
        ({"sso_redirect_path": "/cart.php"}, "/home"),
    ],
)
async def test_it_leads_where_the_setting_says(
    mapped: Site, visit: Visiting, asked: dict[str, str], target: str | None
) -> None:
    caller, ada = await portal(mapped, *ACTIONS), await mapped.user(ADA)
    said = await caller.call("CreateSsoToken", user_id=ada.id, **asked)
    if target is None:
        assert said == {"result": "error", "message": "Invalid destination"}
    else:
        reply = await visit(mapped).get(link_of(said))
        assert (reply.status_code, reply.headers["location"]) == (303, target)


@pytest.mark.parametrize(
    "path",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "/a//evil.example",
        "%2f%2fevil.example",
        "/%2Fevil.example",
        "/%5cevil.example",
        "/%255Cevil.example",
        "/%25252525252fevil.example",
        "javascript:alert(1)",
        "javascript%3Aalert(1)",
        "data:text/html,x",
        "/a\r\nset-cookie: x=1",
        "/a%0d%0aset-cookie:%20x=1",
        "/a%00b",
        "/a\tb",
        "/a b",
        "/\u00e9",
        "/" + "a" * 3_000,
        " /a",
    ],
)
async def test_a_path_of_the_callers_never_leads_to_another_host(site: Site, path: str) -> None:
    caller, ada = await portal(site, *ACTIONS), await site.user(ADA)
    asked = {"destination": "sso:custom_redirect", "sso_redirect_path": path}
    said = await caller.call("CreateSsoToken", user_id=ada.id, **asked)
    assert said == {"result": "error", "message": "Invalid destination"}


# Redeeming it


async def test_the_link_makes_a_session_of_its_own_kind_once(site: Site, visit: Visiting) -> None:
    caller, browser = await portal(site, *ACTIONS), visit(site)
    link = await adas(site, caller)
    reply = await browser.get(link, sec_fetch_mode="navigate", sec_fetch_dest="document")
    assert (reply.status_code, reply.headers["location"]) == (303, "/")
    assert reply.headers["cache-control"] == "no-store" and reply.headers["referrer-policy"] == "no-referrer"
    found = await session_of(site, browser)
    assert found is not None
    record = found.record
    assert (record.kind, record.amr, record.acr, record.via, record.parent) == ("sso", ("sso",), None, "shop", None)
    assert OP not in browser.jar and "__Host-lb_known" not in browser.jar
    for again_by in (browser, visit(site)):
        assert await refusal(again_by, link) == (400, "access_token: used")
    assert [kind for kind in site.told.kinds() if kind.startswith("sso.")] == [
        "sso.created",
        "sso.redeemed",
        "sso.refused",
        "sso.refused",
    ]


async def test_after_sixty_seconds_it_is_too_old(site: Site, visit: Visiting, clock: Any) -> None:
    caller = await portal(site, *ACTIONS)
    first, second = await adas(site, caller), await adas(site, caller)
    clock.move(59)
    assert (await visit(site).get(first)).status_code == 303
    clock.move(1)
    assert await refusal(visit(site), second) == (400, "access_token: too-old")


async def test_one_byte_changed_or_a_parameter_repeated_is_nobody(site: Site, visit: Visiting) -> None:
    link = await adas(site, await portal(site, *ACTIONS))
    path, _, token = link.partition("=")
    for position in range(0, 40, 3):
        other = "A" if token[position] != "A" else "B"
        assert await refusal(visit(site), f"{path}={token[:position]}{other}{token[position + 1 :]}") == (
            400,
            "access_token: unknown",
        )
    for wrong in (f"{path}=", f"{path}={token}x", path.partition("?")[0], f"{path}={token}%00"):
        assert await refusal(visit(site), wrong) == (400, "access_token: unknown")
    assert (await visit(site).get(f"{link}&access_token={token}")).status_code == 400
    assert (await visit(site).get(link)).status_code == 303


@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_mode": "no-cors", "sec_fetch_dest": "image"},
        {"sec_fetch_mode": "navigate", "sec_fetch_dest": "iframe"},
        {"sec_fetch_mode": "cors", "sec_fetch_dest": "empty"},
        {"sec_fetch_mode": "navigate", "sec_fetch_dest": "document", "sec_purpose": "prefetch"},
        {"sec_fetch_mode": "navigate", "sec_fetch_dest": "document", "sec_purpose": "prefetch;prerender"},
    ],
)
async def test_nothing_but_a_person_who_goes_there_uses_it_up(
    site: Site, visit: Visiting, headers: dict[str, str]
) -> None:
    link, browser = await adas(site, await portal(site, *ACTIONS)), visit(site)
    assert (await browser.get(link, **headers)).status_code == 400 and APP not in browser.jar
    assert (await browser.request("HEAD", link)).status_code == 200 and APP not in browser.jar
    assert (await browser.request("PUT", link)).status_code == 405
    assert (await browser.get(link)).status_code == 303 and APP in browser.jar


async def test_of_fifty_who_follow_one_link_one_comes_in(any_site: Site, visit: Visiting) -> None:
    site = any_site
    caller = await portal(site, *ACTIONS)
    for _ in range(ROUNDS):
        link = await adas(site, caller)
        browsers = [visit(site) for _ in range(50)]
        replies = await asyncio.gather(*(browser.get(link) for browser in browsers))
        assert sorted(reply.status_code for reply in replies) == [303] + [400] * 49
        assert [APP in browser.jar for browser in browsers].count(True) == 1


@pytest.mark.parametrize("end", ["all", "disabled", "closed", "blocked", "left"])
async def test_what_ends_meanwhile_ends_the_link_too(site: Site, visit: Visiting, end: str) -> None:
    caller, li, rooms = await portal(site, *ACTIONS), await site.user(LI), site.bridge.rooms
    shop = await account(site, (await site.user(ADA)).id)
    await rooms.ledger.do(COMMAND, lambda deed: rooms.members.add(deed, li.id, shop.id, ("profile",)))
    link = link_of(await caller.call("CreateSsoToken", client_id=shop.id, user_id=li.id))
    match end:
        case "all":
            await rooms.sessions.end_all(li.id, li.tag, "user")
            said = (400, "access_token: signed-out")
        case "disabled":
            await rooms.users.disable(li.id)
            said = (403, f'Single Sign-On authentication denied for "Disabled" User ID: {li.id}')
        case "closed":
            await rooms.ledger.do(COMMAND, lambda deed: rooms.accounts.close(deed, shop.id))
            said = (403, f'Single Sign-On authentication denied for "Closed" User ID: {shop.id}')
        case "blocked":
            await rooms.ledger.do(
                COMMAND,
                lambda deed: rooms.accounts.update(deed, shop.id, lambda p: replace(p, allow_single_sign_on=False)),
            )
            said = (403, f"Single Sign-On can only be performed for clients that allow it: {shop.id}")
        case _:
            await rooms.ledger.do(COMMAND, lambda deed: rooms.members.remove(deed, li.id, shop.id))
            said = (403, f"Single Sign-On can only be performed for clients of the user: {shop.id}")
    assert await refusal(visit(site), link) == said


async def test_a_store_that_lost_data_refuses_it(site: Site, visit: Visiting) -> None:
    """store §2, rule 9."""
    link = await adas(site, await portal(site, *ACTIONS))
    site.bridge.rooms.endings._epoch += 1  # type: ignore[operator]
    assert await refusal(visit(site), link) == (400, "access_token: unknown")


async def test_whoever_can_only_write_to_the_store_makes_none(site: Site, visit: Visiting) -> None:
    """§11: its MAC covers its key and its bytes."""
    rooms, caller = site.bridge.rooms, await portal(site, *ACTIONS)
    token = LoginToken.parse((await adas(site, caller)).partition("=")[2])
    assert token is not None
    key = rooms.names.sso(token)
    (raw,) = await rooms.store.read(key)
    assert raw is not None
    other = LoginToken.draw(token.tag)
    await rooms.store.commit(Put(rooms.names.sso(other), raw, 600.0))
    await rooms.store.commit(Put(key, raw.replace(b'"target":"/"', b'"target":"/x"'), 600.0))
    for each in (other, token):
        link = f"/oauth/singlesignon.php?access_token={each.text.reveal()}"
        assert await refusal(visit(site), link) == (400, "access_token: unknown")


async def test_its_session_lives_as_its_credential_says(site: Site, visit: Visiting) -> None:
    caller = await portal(site, *ACTIONS, sessions=SessionTerms(lifetime=3_600, idle=120, cap=1))
    first, second = visit(site), visit(site)
    await first.get(await adas(site, caller))
    found = await session_of(site, first)
    assert found is not None and (found.record.abs - found.record.iat, found.record.idle) == (3_600, 120)
    await second.get(await adas(site, caller))
    assert await session_of(site, first) is None and await session_of(site, second) is not None


# Nobody is signed in as somebody else without his doing (security §8)


async def test_whoever_is_signed_in_is_asked_before_he_is_replaced(site: Site, visit: Visiting) -> None:
    caller, browser = await portal(site, *ACTIONS), visit(site)
    await browser.sign_in(LI)
    before = dict(browser.jar)
    link = await adas(site, caller)
    reply = await browser.get(link)
    assert reply.status_code == 200 and "Ada Lovelace" in browser.text
    assert {name: browser.jar[name] for name in (OP, APP)} == {name: before[name] for name in (OP, APP)}
    assert reply.headers["referrer-policy"] == "strict-origin" and reply.headers["cache-control"] == "no-store"
    li = await site.user(LI)
    assert len(await site.sessions(li.id)) == 1
    await browser.press_only("arrive")
    found = await session_of(site, browser)
    assert found is not None and found.record.uid == (await site.user(ADA)).id
    assert OP not in browser.jar and await site.sessions(li.id) == []
    assert await refusal(visit(site), link) == (400, "access_token: used")


async def test_who_says_no_stays_who_he_is(site: Site, visit: Visiting) -> None:
    caller, browser = await portal(site, *ACTIONS), visit(site)
    await browser.sign_in(LI)
    await browser.get(await adas(site, caller))
    await browser.press("arrive-cancel")
    assert browser.at == "/account" and "Li Wei" in browser.text


async def test_the_answer_must_come_from_our_own_page_in_this_browser(site: Site, visit: Visiting) -> None:
    """A form on another site, and a form that another browser was shown, change nothing."""
    caller, victim, thief = await portal(site, *ACTIONS), visit(site), visit(site)
    await victim.sign_in(LI)
    await thief.sign_in(TOM)  # he owes a code: nobody yet
    link = await adas(site, caller)
    await victim.get(link)
    form = victim.form("arrive")
    before = victim.jar[APP]
    await victim.post(form.action, form.fields, origin="https://evil.example", sec_fetch_site="cross-site")
    assert victim.reply.status_code == 403
    await victim.post(form.action, {**form.fields, "csrf": "x" * 64})
    assert victim.reply.status_code == 403
    other = await adas(site, caller)
    await victim.post(form.action, {**form.fields, "access_token": other.partition("=")[2]})
    assert victim.reply.status_code == 403
    await thief.post(form.action, form.fields)
    assert thief.reply.status_code == 403 and APP not in thief.jar
    assert victim.jar[APP] == before
    assert (await visit(site).get(link)).status_code == 303  # none of it used the link up


async def test_his_own_link_gives_him_a_new_session_and_ends_the_old(site: Site, visit: Visiting) -> None:
    """No fixation: a token that somebody planted or saw before is nobody afterwards."""
    caller, browser = await portal(site, *ACTIONS), visit(site)
    await browser.get(await adas(site, caller))
    planted = browser.copy()
    await browser.get(await adas(site, caller))
    assert browser.jar[APP] != planted.jar[APP]
    assert await session_of(site, planted) is None and await session_of(site, browser) is not None


async def test_it_is_nobody_at_the_issuer(site: Site, visit: Visiting) -> None:
    """§2: it signs in to no connected application."""
    browser = visit(site)
    await browser.get(await adas(site, await portal(site, *ACTIONS)))
    await browser.open("/account")
    assert browser.at.startswith("/login")
    browser.jar[OP] = browser.jar[APP]
    await browser.open("/account")
    assert browser.at.startswith("/login")


async def test_he_may_sign_out_all_the_same(site: Site, visit: Visiting) -> None:
    browser = visit(site)
    await browser.get(await adas(site, await portal(site, *ACTIONS)))
    await browser.open("/logout")
    await browser.press("logout-confirm")
    assert APP not in browser.jar and await site.sessions((await site.user(ADA)).id) == []


async def test_signing_out_at_the_issuer_ends_what_a_link_gave_too(site: Site, visit: Visiting) -> None:
    caller, browser = await portal(site, *ACTIONS), visit(site)
    await browser.sign_in(ADA)
    await browser.get(await adas(site, caller))
    assert len(await site.sessions((await site.user(ADA)).id)) == 2
    await browser.open("/logout")
    await browser.press("logout-confirm")
    assert await site.sessions((await site.user(ADA)).id) == []


# A second factor is still owed


async def test_who_has_a_second_factor_owes_his_code(site: Site, visit: Visiting) -> None:
    caller, browser, tom = await portal(site, *ACTIONS), visit(site), await site.user(TOM)
    asked = {"destination": "sso:custom_redirect", "sso_redirect_path": "/bills"}
    link = link_of(await caller.call("CreateSsoToken", user_id=tom.id, **asked))
    await browser.open(link)
    assert browser.at.startswith("/login/code") and APP not in browser.jar and OP not in browser.jar
    assert await refusal(visit(site), link) == (400, "access_token: used")
    await browser.press_only("second-factor-submit", code="000000")
    assert APP not in browser.jar
    await browser.press_only("second-factor-submit", code=code(at=site.bridge.rooms.clock.now()))
    found = await session_of(site, browser)
    assert found is not None and (found.record.kind, found.record.amr) == ("sso", ("sso", "otp"))
    assert OP not in browser.jar and "__Host-lb_known" not in browser.jar
    assert "/bills" in browser.reply.text or browser.reply.headers.get("location") == "/bills"


async def test_unless_the_callers_credential_says_otherwise(site: Site, visit: Visiting) -> None:
    caller, browser, tom = await portal(site, *ACTIONS, sso_without_2fa=True), visit(site), await site.user(TOM)
    await browser.get(link_of(await caller.call("CreateSsoToken", user_id=tom.id)))
    found = await session_of(site, browser)
    assert found is not None and found.record.amr == ("sso",)


async def test_who_must_set_up_his_second_factor_again_gets_no_further(site: Site, visit: Visiting) -> None:
    """§7."""
    person = await site.person("re@example.com", second_factor="re-enrol")
    caller = await portal(site, *ACTIONS)
    link = link_of(await caller.call("CreateSsoToken", user_id=person.id))
    assert await refusal(visit(site), link) == (403, "the second factor must be set up again")


# Without a legacy API there is no such address


async def test_it_is_not_there_without_the_legacy_api(database: Furnished, visit: Visiting) -> None:
    async with in_process(database, more={("legacy", "enabled"): False}) as site:
        assert (await visit(site).get("/oauth/singlesignon.php?access_token=x")).status_code == 404
