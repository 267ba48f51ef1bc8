"""A browser that stays signed in, by the pages — sessions-and-accounts §4.4, S14, S15; security §1, §8, §26;
docs/decisions/0183.
"""

import asyncio
import json
from base64 import urlsafe_b64decode
from collections.abc import Callable
from urllib.parse import urlencode

import pytest

from bridge.login.series import GRACE
from bridge.testing.hands import Hands
from tests.flows.mailbox import Mailbox
from tests.flows.oauth import App
from tests.flows.visitor import Visitor
from tests.running import ADA, LI, NEW_PASSWORD, PASSWORD, TOM, Furnished, Given, Site, code, in_process

Visit = Callable[[Site], Visitor]
OP, APP, PRE, DEV, KNOWN = (
    "__Host-lb_op",
    "__Host-login_auth_tk",
    "__Host-lb_pre",
    "__Host-lb_dev",
    "__Host-lb_known",
)
DAY = 86_400


async def keeping(browser: Visitor, email: str = ADA, path: str = "/login") -> Visitor:
    """Signed in, and asked to stay so."""
    await browser.open(path)
    return await browser.press("login-submit", email=email, password=PASSWORD, keep="1")


def closed(browser: Visitor) -> Visitor:
    """What a browser has left when it was closed: what had a time of its own."""
    browser.jar = {name: value for name, value in browser.jar.items() if "max-age" in browser.set[name].lower()}
    return browser


async def test_nobody_stays_signed_in_who_does_not_tick_the_box(site: Site, visit: Visit) -> None:
    ada = visit(site)
    await ada.open("/login")
    box = ada.page.one("input", id="keep")
    assert box.get("type") == "checkbox" and "checked" not in box.attributes
    await ada.press("login-submit", email=ADA, password=PASSWORD)
    assert DEV not in ada.jar and KNOWN in ada.jar
    await closed(ada).open("/account")
    assert "login-resume" not in ada.page.ids()


async def test_s16_the_cookie_is_closed_to_everybody_else_and_lives_thirty_days(site: Site, visit: Visit) -> None:
    ada = await keeping(visit(site))
    closed_to = f"{DEV}={ada.jar[DEV]}; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age="
    assert ada.set[DEV].startswith(closed_to) and 0 <= 30 * DAY - int(ada.set[DEV].removeprefix(closed_to)) <= 1


async def test_who_comes_back_says_that_it_is_he(site: Site, visit: Visit, clock: Hands) -> None:
    """S14: a session takes a click; no GET and no HEAD makes one."""
    ada = closed(await keeping(visit(site)))
    clock.move(5 * DAY)
    held = ada.jar[DEV]
    for _ in range(2):
        await ada.request("HEAD", "/login")
        await ada.open("/account")
        assert ada.at == "/login?next=%2Faccount" and "Ada Lovelace" in ada.text
        assert ada.jar[DEV] == held and OP not in ada.jar and APP not in ada.jar
    bound = ada.jar[PRE]
    await ada.press("login-resume")
    assert ada.at == "/account" and "Ada Lovelace" in ada.text
    assert ada.jar[DEV] != held and ada.jar[PRE] != bound and OP in ada.jar and APP in ada.jar
    assert int(ada.set[DEV].rpartition("=")[2]) in (25 * DAY, 25 * DAY - 1), "it does not begin anew"


async def test_a_page_of_elsewhere_cannot_say_it_for_him(site: Site, visit: Visit) -> None:
    ada = closed(await keeping(visit(site)))
    await ada.open("/login")
    form = ada.form("login-resume")
    for fields, headers in (
        ({**form.fields, "csrf": "x"}, {}),
        (form.fields, {"origin": "https://evil.example", "sec_fetch_site": "cross-site"}),
    ):
        reply = await ada.copy().post(form.action, fields, **headers)
        assert reply.status_code == 403
    assert OP not in ada.jar


async def test_another_browser_without_the_cookie_is_offered_nothing(site: Site, visit: Visit) -> None:
    ada = closed(await keeping(visit(site)))
    await ada.open("/login")
    form = ada.form("login-resume")
    del ada.jar[DEV]
    reply = await ada.post(form.action, form.fields)
    assert reply.status_code == 422 and OP not in ada.jar


@pytest.mark.parametrize("more", [{"prompt": "login"}, {"max_age": "60"}, {"max_age": "864000"}])
async def test_a_demanded_sign_in_is_one(site: Site, visit: Visit, clock: Hands, more: dict[str, str]) -> None:
    ada, app = closed(await keeping(visit(site))), App(site)
    clock.move(30)
    await ada.open(app.request(**more))
    assert ada.at.startswith("/login") and "login-resume" not in ada.page.ids()
    await ada.open("/account")
    await ada.press("login-resume")
    assert ada.at == "/account"
    await ada.open(app.request(**more))
    assert ada.at.startswith("/login") and "Confirm that it is you" in ada.text
    await ada.press("login-submit", email=ADA, password=PASSWORD)
    assert not ada.at.startswith("/login")


async def test_the_answer_of_the_button_is_no_sign_in(site: Site, visit: Visit, clock: Hands) -> None:
    """Whoever presses it on a visit that demands one, by hand, is asked for his password all the same."""
    ada, app = closed(await keeping(visit(site))), App(site)
    clock.move(30)
    await ada.open(app.request(prompt="login"))
    form = ada.form("login-submit")
    await ada.post(form.action, {**form.fields, "answer": "resume"})
    await ada.follow()
    assert OP in ada.jar and ada.at.startswith("/login") and "Confirm that it is you" in ada.text


async def test_an_app_is_told_the_truth(site: Site, visit: Visit, clock: Hands) -> None:
    """The ID token: how he came, and when he showed who he is."""
    signed_in = int(clock.now())
    ada, app = closed(await keeping(visit(site))), App(site)
    clock.move(3 * DAY)
    await ada.get(app.request(prompt="none"))
    assert app.answer(ada)["error"] == "login_required"
    await ada.open(app.request())
    await ada.press("login-resume")
    if ada.at.startswith("/consent"):
        await ada.press("consent-allow")
    tokens = (await app.redeem(app.answer(ada)["code"])).json()
    claims = json.loads(urlsafe_b64decode(tokens["id_token"].split(".")[1] + "=="))
    assert (claims["amr"], claims["auth_time"]) == (["rem"], signed_in)
    assert "acr" not in claims


async def test_s15_what_protects_the_account_asks_who_he_is(site: Site, visit: Visit, clock: Hands) -> None:
    """Even within the minutes after the real sign-in."""
    ada = closed(await keeping(visit(site)))
    clock.move(10)
    await ada.open("/account")
    await ada.press("login-resume")
    await ada.press("end-all")
    assert ada.at.startswith("/login?confirm=1")
    await ada.open("/account/totp")
    assert ada.at.startswith("/login?confirm=1") and "keep" not in ada.page.ids()
    held = ada.jar[DEV]
    await ada.press("login-submit", email=ADA, password=PASSWORD)
    assert ada.at == "/account/totp" and ada.jar[DEV] == held, "the device stays as it is"
    clock.move(DAY)
    await closed(ada).open("/account")
    assert "login-resume" in ada.page.ids()


async def test_who_has_a_second_step_takes_it_for_what_protects_his_account(
    site: Site, visit: Visit, clock: Hands
) -> None:
    tom = await keeping(visit(site), TOM)
    assert tom.at.startswith("/login/code") and DEV not in tom.jar, "not before the second step"
    await tom.press("second-factor-submit", code=code(at=clock.now()))
    assert DEV in tom.jar
    clock.move(60)
    await closed(tom).open("/account")
    await tom.press("login-resume")
    assert tom.at == "/account"
    await tom.open("/account/totp")
    await tom.press("login-submit", email=TOM, password=PASSWORD)
    assert tom.at.startswith("/login/code")


async def test_fifty_tabs_at_once_are_one_session(site: Site, visit: Visit, mailbox: Mailbox) -> None:
    ada = closed(await keeping(visit(site)))
    await ada.open("/login")
    form = ada.form("login-resume")
    tabs = [ada.copy() for _ in range(50)]
    await asyncio.gather(*(tab.post(form.action, form.fields) for tab in tabs))
    assert len({tab.jar[OP] for tab in tabs}) == len({tab.jar[DEV] for tab in tabs}) == 1
    assert "Ada Lovelace" in (await tabs[7].open("/account")).text
    assert not mailbox.folder.exists() or not list(mailbox.folder.iterdir())


async def test_a_lost_reply_is_made_good_by_the_next_look(site: Site, visit: Visit, clock: Hands) -> None:
    ada = closed(await keeping(visit(site)))
    await ada.open("/login")
    form = ada.form("login-resume")
    lost = ada.copy()
    await lost.post(form.action, form.fields)
    clock.move(GRACE - 1)
    await ada.open("/login")
    assert ada.jar[DEV] == lost.jar[DEV]
    clock.move(3_600)
    await ada.press("login-resume")
    assert OP in ada.jar


async def test_a_thief_and_his_victim_are_both_signed_out_and_the_owner_is_told(
    database: Furnished, visit: Visit, clock: Hands, mailbox: Mailbox
) -> None:
    more: Given = {("login", "notices_per_day"): 3, ("mail", "url"): f"file:{mailbox.folder}"}
    async with in_process(database, more=more, clock=clock) as site:
        ada = closed(await keeping(visit(site)))
        thief = ada.copy()
        await thief.open("/login")
        await thief.press("login-resume")
        assert OP in thief.jar
        clock.move(GRACE + 1)
        await ada.open("/account")
        assert "someone else seems to have used" in ada.text and "login-resume" not in ada.page.ids()
        assert DEV not in ada.jar
        await thief.open("/account")
        assert thief.at.startswith("/login") and "login-resume" not in thief.page.ids()
        letter = await mailbox.next(ADA)
        assert "Someone else may be signed in" in str(letter["subject"])
        assert "device.copied" in site.told.kinds()


async def test_signing_out_forgets_the_device_here_and_there(site: Site, visit: Visit) -> None:
    ada = await keeping(visit(site))
    kept = ada.copy()
    await ada.open("/logout")
    await ada.press("logout-confirm")
    assert DEV not in ada.jar and OP not in ada.jar
    del kept.jar[OP]
    await kept.open("/login")
    assert "login-resume" not in kept.page.ids()


async def test_who_is_not_signed_in_any_more_signs_his_device_out_all_the_same(site: Site, visit: Visit) -> None:
    ada = closed(await keeping(visit(site)))
    kept = ada.copy()
    await ada.open("/logout")
    assert DEV in ada.jar and "ada@" in ada.text.lower(), "he is asked: no GET of elsewhere does it for him"
    form = ada.form("logout-confirm")
    assert (await ada.copy().post(form.action, {**form.fields, "csrf": "x"})).status_code == 403
    await ada.press("logout-confirm")
    assert DEV not in ada.jar
    await kept.open("/login")
    assert "login-resume" not in kept.page.ids()


async def test_signing_out_everywhere_forgets_every_device(site: Site, visit: Visit) -> None:
    ada, other = await keeping(visit(site)), closed(await keeping(visit(site)))
    await ada.open("/account")
    await ada.press("end-all")
    assert DEV not in ada.jar
    await other.open("/login")
    assert "login-resume" not in other.page.ids() and DEV not in other.jar


async def test_a_new_password_forgets_every_device(site: Site, visit: Visit) -> None:
    ada, other = await keeping(visit(site)), closed(await keeping(visit(site)))
    await ada.open("/account")
    new = {"new_password": NEW_PASSWORD, "new_password_again": NEW_PASSWORD}
    await ada.press("change-password-submit", current_password=PASSWORD, **new)
    assert "has been changed" in ada.text
    for browser in (other, closed(ada)):
        await browser.open("/login")
        assert "login-resume" not in browser.page.ids()


def listed(browser: Visitor) -> list[str]:
    """What the account page has a button for, of the devices that stay signed in."""
    return [each["value"] for each in browser.page.all("button") if each.get("name") == "device"]


async def forget(browser: Visitor, device: str, **headers: str) -> Visitor:
    """By the form of the page that is open."""
    (form,) = [each for each in browser.page.all("form") if each["action"] == "/account/devices"]
    hidden = {each["name"]: each["value"] for each in form.all("input")}
    await browser.post("/account/devices", {**hidden, "device": device}, **headers)
    return await browser.follow()


async def test_s10_devices_are_listed_and_forgotten_singly_though_their_sessions_are_long_over(
    site: Site, visit: Visit, clock: Hands
) -> None:
    phone = await keeping(visit(site))
    tablet = await keeping(visit(site))
    clock.move(20 * DAY)
    await closed(tablet).open("/account")
    await tablet.press("login-resume")
    clock.move(2 * DAY)
    ada = await keeping(visit(site))
    await ada.open("/account")
    first, second = listed(ada)
    assert "this device" in ada.text and "Last used 2 days ago" in ada.text, "the last used first, and this one before"
    assert ada.jar[DEV] not in ada.reply.text
    await forget(ada, first, origin="https://evil.example", sec_fetch_site="cross-site")
    assert ada.reply.status_code == 403 and "device.forgotten" not in site.told.kinds()
    await ada.open("/account")
    await forget(ada, first)
    assert "does not stay signed in any more" in ada.text and listed(ada) == [second]
    assert site.told.kinds().count("device.forgotten") == 1
    await tablet.open("/account")
    assert tablet.at.startswith("/login") and "login-resume" not in tablet.page.ids()
    await closed(phone).open("/account")
    await phone.press("login-resume")
    assert phone.at == "/account", "the other is as it was"
    await forget(ada, first)
    assert "forgotten already" in ada.text and site.told.kinds().count("device.forgotten") == 1


async def test_a_device_was_last_used_when_its_session_was(site: Site, visit: Visit, clock: Hands) -> None:
    other, ada = await keeping(visit(site)), await keeping(visit(site))
    clock.move(1_200)
    await other.open("/account")
    await site.bridge.rooms.sessions.finish()  # it is written after the answer
    clock.move(120)
    await ada.open("/account")
    assert "Last used 2 minutes ago" in ada.text and "22 minutes ago" not in ada.text


async def test_s10_to_forget_a_device_takes_a_fresh_sign_in_as_its_session_ends_too(
    site: Site, visit: Visit, clock: Hands
) -> None:
    other = await keeping(visit(site))
    ada = await keeping(visit(site))
    clock.move(site.bridge.config.pages.fresh + 1)
    await ada.open("/account")
    (device,) = listed(ada)
    await forget(ada, device)
    assert ada.at == "/login?confirm=1&next=%2Faccount"
    assert "Ada Lovelace" in (await other.open("/account")).text
    await ada.press("login-submit", email=ADA, password=PASSWORD)
    await forget(ada, device)
    assert "does not stay signed in any more" in ada.text
    await other.open("/account")
    assert other.at.startswith("/login")


async def test_nobody_forgets_the_device_of_somebody_else(site: Site, visit: Visit) -> None:
    hers, his = await keeping(visit(site)), await keeping(visit(site), LI)
    await keeping(visit(site), LI)
    await his.open("/account")
    (session,) = await site.sessions((await site.user(ADA)).id)
    assert session not in listed(his)
    await forget(his, session)
    assert "先前已被移除" in his.text and "device.forgotten" not in site.told.kinds(), "he reads Chinese"
    await closed(hers).open("/login")
    assert "login-resume" in hers.page.ids()


async def test_who_forgets_his_own_device_by_hand_has_signed_out(site: Site, visit: Visit) -> None:
    """The page has no button for it: it has "Sign out"."""
    other, ada = await keeping(visit(site)), await keeping(visit(site))
    await ada.open("/account")
    mine = next(each for each in await site.sessions((await site.user(ADA)).id) if each not in listed(ada))
    await forget(ada, mine)
    assert ada.at.startswith("/login") and DEV not in ada.jar and OP not in ada.jar
    assert "Ada Lovelace" in (await other.open("/account")).text


async def test_somebody_else_who_signs_in_takes_the_browser_over(site: Site, visit: Visit) -> None:
    browser = closed(await keeping(visit(site)))
    ada = browser.copy()
    await browser.open("/login")
    await browser.press("login-submit", email=LI, password=PASSWORD)
    assert OP in browser.jar and DEV not in browser.jar
    await ada.open("/login")
    assert "login-resume" not in ada.page.ids()


async def test_where_it_is_not_offered_nobody_gets_it(database: Furnished, visit: Visit, clock: Hands) -> None:
    async with in_process(database, more={("sessions", "keep_signed_in"): False}, clock=clock) as site:
        ada = visit(site)
        await ada.open("/login")
        assert "keep" not in ada.page.ids()
        await ada.press("login-submit", email=ADA, password=PASSWORD, keep="1")
        assert OP in ada.jar and DEV not in ada.jar


async def test_how_long_is_a_setting_and_never_longer_than_any_session(
    database: Furnished, visit: Visit, clock: Hands
) -> None:
    for seconds, lives in ((3_600, 3_600), (40 * DAY, 30 * DAY)):
        more: Given = {("sessions", "keep_signed_in_seconds"): seconds}
        async with in_process(database, more=more, clock=clock) as site:
            ada = await keeping(visit(site))
            assert int(ada.set[DEV].rpartition("=")[2]) in (lives, lives - 1)


async def test_the_choice_is_kept_when_the_password_was_wrong(site: Site, visit: Visit) -> None:
    ada = visit(site)
    await ada.open("/login")
    await ada.press("login-submit", email=ADA, password="wrong", keep="1")
    assert "checked" in ada.page.one("input", id="keep").attributes


async def test_a_known_device_stays_known(site: Site, visit: Visit) -> None:
    """The two marks live side by side: who does not stay signed in is still no stranger."""
    ada = await keeping(visit(site))
    devices = site.bridge.rooms.devices
    assert devices.device(ada.jar[KNOWN], ADA) is not None and devices.device(ada.jar[DEV], ADA) is None
    await ada.open("/logout")
    await ada.press("logout-confirm")
    assert KNOWN in ada.jar


async def test_the_device_secret_is_taken_once_per_name(site: Site, visit: Visit) -> None:
    """§13: the same name twice is nobody's."""
    ada = closed(await keeping(visit(site)))
    twice = "; ".join([f"{DEV}={ada.jar[DEV]}"] * 2)
    reply = await ada.request("GET", "/login?" + urlencode({"next": "/account"}), cookie=twice)
    assert "login-resume" not in reply.text
