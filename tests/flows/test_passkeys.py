"""Passkeys by the pages: added, as second step, in place of a password, removed — WebAuthn §7; A8, A9, S9, S15; §26."""

import asyncio
import json
from collections.abc import Callable

import pytest

from bridge.testing.hands import Hands
from tests.authenticator import UP, Authenticator
from tests.flows.foreign import FOREIGN
from tests.flows.mailbox import Mailbox, text_of
from tests.flows.oauth import App
from tests.flows.visitor import Visitor
from tests.running import ADA, DAN, DEV, LI, PASSWORD, TOM, Furnished, Given, Site, in_process
from tests.security.holdings import asked, call, toms_code

Visit = Callable[[Site], Visitor]
OP, APP, PRE = "__Host-lb_op", "__Host-login_auth_tk", "__Host-lb_pre"


async def show(browser: Visitor, response: str, **fields: str) -> Visitor:
    """What the script does with an authenticator's response."""
    return await browser.press("passkey-submit", passkey=response, **fields)


async def at_account(site: Site, visit: Visit, email: str = ADA) -> Visitor:
    browser = visit(site)
    await browser.sign_in(email)
    await browser.open("/account")
    assert browser.at == "/account"
    return browser


async def with_passkey(
    site: Site, visit: Visit, email: str = ADA, *, counts: bool = True
) -> tuple[Visitor, Authenticator]:
    """Somebody who has just added one, and its authenticator."""
    here, key = await at_account(site, visit, email), Authenticator(site.url, counts=counts)
    await here.open("/account/passkeys")
    await show(here, key.make(asked(here)), label="Ada's laptop")
    assert "recovery-codes" in here.page.ids()
    return here, key


async def is_signed_in(browser: Visitor) -> bool:
    await browser.open("/account")
    return browser.at == "/account"


async def test_a_passkey_is_added_with_recovery_codes_and_ends_every_other_session(
    site: Site, visit: Visit, mailbox: Mailbox
) -> None:
    phone = await at_account(site, visit)
    here = await at_account(site, visit)
    thief, before = here.copy(), dict(here.jar)
    key = Authenticator(site.url)
    await here.open("/account/passkeys")
    await show(here, key.make(asked(here)), label="  Ada's  laptop ")
    assert len(here.page.one("ul", id="recovery-codes").all("code")) == 10
    assert here.jar[OP] != before[OP] and here.jar[APP] != before[APP]
    assert await is_signed_in(here) and not await is_signed_in(thief) and not await is_signed_in(phone)
    assert "Passkey: Ada's laptop" in here.text and "Not used yet" in here.text
    letter = await mailbox.next(ADA)
    assert "passkey was added" in letter["Subject"] and "127.0.0.1" in text_of(letter)
    reply = (await call(site, action="ValidateLogin", email=ADA, password2=PASSWORD)).json()
    assert reply == {"result": "success", "userid": 1, "twoFactorEnabled": True}, "programs get no hash"


async def test_the_second_one_shows_no_codes_and_says_that_it_is_there(site: Site, visit: Visit) -> None:
    here, _ = await with_passkey(site, visit)
    await here.open("/account/passkeys")
    second = Authenticator(site.url)
    await show(here, second.make(asked(here)), label="")
    assert here.reply.status_code == 200 and "Your passkey has been added" in here.text
    assert "recovery-codes" not in here.page.ids()
    assert len((await site.bridge.rooms.factors.enrolled((await site.user(ADA)).id)).passkeys) == 2


async def test_after_the_password_it_finishes_the_sign_in(any_site: Site, visit: Visit) -> None:
    site = any_site
    _, key = await with_passkey(site, visit)
    browser = visit(site)
    await browser.sign_in(ADA)
    assert browser.at.startswith("/login/code") and "Use your passkey" in browser.text
    assert [each["id"] for each in json.loads(asked(browser))["allowCredentials"]]
    await show(browser, key.sign(asked(browser)))
    assert browser.at == "/account" and OP in browser.jar


async def test_in_place_of_a_password_it_signs_in_alone(any_site: Site, visit: Visit) -> None:
    site = any_site
    _, key = await with_passkey(site, visit)
    browser = visit(site)
    await browser.open("/account")
    before = browser.jar[PRE]
    await show(browser, key.sign(asked(browser)))
    assert browser.at == "/account" and {OP, APP} <= set(browser.jar) and browser.jar[PRE] != before
    assert "Last used" in browser.text


async def test_it_finishes_an_applications_visit_with_what_it_was(site: Site, visit: Visit) -> None:
    _, key = await with_passkey(site, visit)
    app, browser = App(site), visit(site)
    await browser.open(app.request())
    await show(browser, key.sign(asked(browser)))
    assert browser.at.startswith("/consent")
    stranger = visit(site)
    await stranger.open(app.request())
    await stranger.press("login-submit", email=ADA, password=PASSWORD)
    await show(stranger, key.sign(asked(stranger)))
    assert stranger.at.startswith("/consent")


async def test_a_pending_visit_of_an_application_can_be_left(site: Site, visit: Visit) -> None:
    await with_passkey(site, visit)
    app, browser = App(site), visit(site)
    await browser.open(app.request())
    await browser.press("login-submit", email=ADA, password=PASSWORD)
    await browser.press("login-cancel")
    assert "error=access_denied" in browser.sent_to


@pytest.mark.parametrize("place", ["alone", "second step"])
async def test_a8_a_response_is_worth_nothing_a_second_time_or_in_another_browser(
    site: Site, visit: Visit, place: str
) -> None:
    _, key = await with_passkey(site, visit, counts=False)
    browser, other = visit(site), visit(site)
    for each in (browser, other):
        await (each.open("/login") if place == "alone" else each.sign_in(ADA))
    form, response = browser.form("passkey-submit"), key.sign(asked(browser))
    elsewhere = other.form("passkey-submit")
    await other.post(elsewhere.action, {**elsewhere.fields, "passkey": response})
    assert OP not in other.jar and other.reply.status_code == 422
    before = browser.copy()
    await browser.post(form.action, {**form.fields, "passkey": response})
    assert OP in browser.jar
    await before.post(form.action, {**form.fields, "passkey": response})
    assert OP not in before.jar and before.reply.status_code == 422


async def test_a8_of_fifty_who_post_one_response_one_gets_in(site: Site, visit: Visit) -> None:
    """Also where no count of signatures would tell."""
    _, key = await with_passkey(site, visit, counts=False)
    browser = visit(site)
    await browser.open("/login")
    form, response = browser.form("passkey-submit"), key.sign(asked(browser))
    racers = [browser.copy() for _ in range(50)]
    await asyncio.gather(*(racer.post(form.action, {**form.fields, "passkey": response}) for racer in racers))
    assert sum(OP in racer.jar for racer in racers) == 1


async def test_w2_only_our_own_form_is_taken(site: Site, visit: Visit) -> None:
    here, key = await with_passkey(site, visit)
    browser, li = visit(site), await at_account(site, visit, LI)
    await browser.open("/login")
    form, response = browser.form("passkey-submit"), key.sign(asked(browser))
    await here.open("/account/passkeys")
    adding, new = here.form("passkey-submit"), Authenticator(site.url).make(asked(here))
    stamp = (await site.user(ADA)).stamp
    await li.open("/account/passkeys")
    for headers in FOREIGN:
        await browser.post(form.action, {**form.fields, "passkey": response}, **headers)
        assert browser.reply.status_code == 403 and OP not in browser.jar
        assert (await here.post(adding.action, {**adding.fields, "passkey": new}, **headers)).status_code == 403
    for csrf in ("", "0" * 64, li.form("passkey-submit").fields["csrf"]):
        await browser.post(form.action, {**form.fields, "passkey": response, "csrf": csrf})
        assert browser.reply.status_code == 403 and OP not in browser.jar
        reply = await here.post(adding.action, {**adding.fields, "passkey": new, "csrf": csrf})
        assert reply.status_code == 403
    assert (await site.user(ADA)).stamp == stamp
    await browser.post(form.action, {**form.fields, "passkey": response})
    assert OP in browser.jar, "nothing of that used it up"


async def test_a_response_that_was_asked_for_by_another_session_is_added_to_nobody(site: Site, visit: Visit) -> None:
    """Somebody slips his own authenticator's response under her form."""
    li, ada = await at_account(site, visit, LI), await at_account(site, visit)
    await li.open("/account/passkeys")
    his = Authenticator(site.url).make(asked(li))
    await ada.open("/account/passkeys")
    await show(ada, his)
    assert ada.reply.status_code == 422 and "could not be added" in ada.text
    assert (await site.user(ADA)).second_factor == "none" == (await site.user(LI)).second_factor


async def test_s15_whoever_is_not_fresh_shows_again_who_he_is(site: Site, visit: Visit, clock: Hands) -> None:
    here, key = await with_passkey(site, visit)
    await here.open("/account/passkeys")
    late = here.form("passkey-submit"), Authenticator(site.url).make(asked(here))
    clock.move(601)
    stamp = (await site.user(ADA)).stamp
    again = "/login?confirm=1&next=%2Faccount%2Fpasskeys"
    assert (await here.get("/account/passkeys")).headers["location"] == again
    reply = await here.post(late[0].action, {**late[0].fields, "passkey": late[1]})
    assert reply.headers["location"] == again, "its challenge is over too"
    await here.open("/account")
    assert (await here.post(*_removal(here))).headers["location"] == "/login?confirm=1&next=%2Faccount"
    assert (await site.user(ADA)).stamp == stamp
    await here.open("/account/passkeys")
    await show(here, key.sign(asked(here)))
    assert here.at == "/account/passkeys", "a passkey alone shows who he is"
    await here.open("/account")
    await here.post(*_removal(here))
    assert (await site.user(ADA)).stamp != stamp


def _removal(browser: Visitor) -> tuple[str, dict[str, str]]:
    """The account page's form with the button that removes the only passkey."""
    (form,) = [each for each in browser.page.all("form") if each["action"] == "/account/factors"]
    fields = {each["name"]: each["value"] for each in form.all("input")}
    (button,) = form.all("button")
    return form["action"], {**fields, button["name"]: button["value"]}


async def test_it_is_removed_and_opens_nothing_any_more(site: Site, visit: Visit, mailbox: Mailbox) -> None:
    here, key = await with_passkey(site, visit)
    await mailbox.next(ADA)
    phone = visit(site)
    await phone.open("/login")
    await show(phone, key.sign(asked(phone)))
    assert await is_signed_in(phone)
    late = visit(site)
    await late.open("/login")
    response = key.sign(asked(late))
    await here.open("/account")
    await here.post(*_removal(here))
    assert "passkey has been removed" in here.text and "protected by its password alone" in here.text
    assert await is_signed_in(here) and not await is_signed_in(phone)
    await show(late, response)
    assert OP not in late.jar and "did not sign you in" in late.text
    letter = await mailbox.next(ADA)
    assert "was removed" in letter["Subject"] and "its password alone" in text_of(letter)
    assert (await at_account(site, visit)).at == "/account"


async def test_nobody_removes_anothers_passkey(site: Site, visit: Visit) -> None:
    await with_passkey(site, visit)
    li, _ = await with_passkey(site, visit, LI)
    (adas,) = (await site.bridge.rooms.factors.enrolled((await site.user(ADA)).id)).passkeys
    await li.open("/account")
    action, fields = _removal(li)
    for remove in (str(adas.id), "0", "-1", "9" * 18, "9" * 40, "\u0661", "1 OR 1=1"):
        await li.post(action, {**fields, "remove": remove})
        assert li.reply.status_code in (200, 409) and "notice" in li.page.ids(), remove
    assert (await site.user(ADA)).second_factor == "passkey" == (await site.user(LI)).second_factor


async def test_whose_account_was_closed_gets_in_by_no_passkey(site: Site, visit: Visit) -> None:
    """A6: the same answer as for a passkey that nobody knows."""
    here, key = await with_passkey(site, visit)
    browser, stranger = visit(site), visit(site)
    await browser.open("/login")
    await stranger.open("/login")
    await site.bridge.rooms.users.disable((await site.user(ADA)).id)
    await show(browser, key.sign(asked(browser)))
    await show(stranger, Authenticator(site.url, rp_id="login.example.com").sign(asked(stranger)))
    assert OP not in browser.jar and browser.reply.status_code == 422 == stranger.reply.status_code
    problems = [each.page.one("div", id="problem").text for each in (browser, stranger)]
    assert problems[0] == problems[1] and not await is_signed_in(here)


async def test_one_that_asked_for_no_pin_is_no_sign_in_and_a_second_step_all_the_same(site: Site, visit: Visit) -> None:
    here, key = await at_account(site, visit), Authenticator(site.url, flags=UP)
    await here.open("/account/passkeys")
    await show(here, key.make(asked(here)))
    browser = visit(site)
    await browser.open("/login")
    await show(browser, key.sign(asked(browser)))
    assert OP not in browser.jar and "did not sign you in" in browser.text
    await browser.press("login-submit", email=ADA, password=PASSWORD)
    await show(browser, key.sign(asked(browser)))
    assert OP in browser.jar


async def test_a_copy_is_noticed_refused_and_told_to_its_owner(site: Site, visit: Visit, mailbox: Mailbox) -> None:
    _, key = await with_passkey(site, visit)
    await mailbox.next(ADA)
    twin, browser, thief = key.twin(), visit(site), visit(site)
    await browser.open("/login")
    await show(browser, key.sign(asked(browser)))
    assert OP in browser.jar
    await thief.open("/login")
    await show(thief, twin.sign(asked(thief)))
    assert OP not in thief.jar and "seems to be a copy" in thief.text
    letter = await mailbox.next(ADA)
    assert "passkey was refused" in letter["Subject"] and "/account" in text_of(letter)
    await thief.sign_in(ADA)
    await show(thief, twin.sign(asked(thief), count=1))
    assert OP not in thief.jar and "seems to be a copy" in thief.text


async def test_beside_an_app_either_of_them_does(site: Site, visit: Visit) -> None:
    tom = visit(site)
    await tom.sign_in(TOM)
    await tom.press("second-factor-submit", code=toms_code())
    key = Authenticator(site.url)
    await tom.open("/account/passkeys")
    await show(tom, key.make(asked(tom)))
    assert (await site.user(TOM)).second_factor == "totp"
    again = visit(site)
    await again.sign_in(TOM)
    assert {"code", "passkey-submit"} <= set(again.page.ids()), "both are on one page"
    await show(again, key.sign(asked(again)))
    assert again.at == "/account"


async def test_without_a_script_every_page_says_what_else_there_is(site: Site, visit: Visit) -> None:
    await with_passkey(site, visit)
    browser = visit(site)
    await browser.open("/login")
    forms = [form for form in browser.page.all("form") if form.get("data-passkey")]
    assert forms and all("hidden" in form.attributes for form in forms), "only a script shows it"
    await browser.sign_in(ADA)
    assert "Passkeys need JavaScript" in browser.text and "recovery code" in browser.text


async def test_nobody_who_is_not_signed_in_adds_one(site: Site, visit: Visit) -> None:
    browser = visit(site)
    await browser.open("/account/passkeys")
    assert browser.at.startswith("/login?next=")
    assert (await browser.post("/account/passkeys", {"passkey": "{}"})).status_code == 303
    assert (await browser.get("/login/passkey")).headers["location"] == "/login"


@pytest.mark.parametrize("response", ["", "{}", "[]", "null", "x" * 8_000, '{"rawId":1}', "\x00"])
async def test_what_is_no_response_is_answered_with_the_form(site: Site, visit: Visit, response: str) -> None:
    browser = visit(site)
    await browser.open("/login")
    await show(browser, response)
    assert browser.reply.status_code == 422 and OP not in browser.jar
    await browser.press("login-submit", email=DAN, password=PASSWORD)
    assert browser.reply.status_code == 422


async def test_the_script_is_served_as_it_is_and_for_ever(site: Site, visit: Visit) -> None:
    browser = visit(site)
    await browser.open("/login")
    (script,) = browser.page.all("script")
    reply = await browser.get(script["src"])
    assert reply.headers["content-type"].startswith("text/javascript") and "immutable" in reply.headers["cache-control"]
    assert "navigator.credentials" in reply.text and "set-cookie" not in reply.headers


async def test_where_the_address_is_a_number_nothing_is_offered_and_nothing_is_broken(
    database: Furnished, visit: Visit, clock: Hands
) -> None:
    """The demo's: browsers make passkeys for names alone, so the pages say nothing of them."""
    more: Given = {**DEV, ("server", "base_url"): "http://127.0.0.1:8000"}
    async with in_process(database, given=more, clock=clock) as site:
        browser = visit(site)
        await browser.open("/login")
        assert "passkey" not in browser.text.lower() and not browser.page.all("script")
        await browser.post("/login/passkey", {"passkey": "{}", "csrf": browser.form("login-submit").fields["csrf"]})
        assert browser.reply.status_code < 500
        await browser.sign_in(ADA)
        assert browser.at == "/account" and "passkey" not in browser.text.lower()
        assert "Authenticator app" in browser.text, "the other second step is there"
        await browser.open("/account/passkeys")
        assert (browser.reply.status_code, browser.at) == (200, "/account")
