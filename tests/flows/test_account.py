"""The person's own page: sessions ended, password changed, and what survives it — S3, S9, S10, S15, A3, A9."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from bridge.secret import Secret
from bridge.sessions.judge import Alive
from bridge.testing.hands import Hands
from bridge.tokens import LoginToken
from tests.flows.foreign import FOREIGN
from tests.flows.mailbox import Mailbox, text_of
from tests.flows.oauth import App
from tests.flows.visitor import Visitor
from tests.pages.reading import Element
from tests.running import ADA, LI, NEW_PASSWORD, PASSWORD, TOM, Furnished, Site, code, in_process

Visit = Callable[[Site], Visitor]
OP, APP = "__Host-lb_op", "__Host-login_auth_tk"
CHANGE = {"current_password": PASSWORD, "new_password": NEW_PASSWORD, "new_password_again": NEW_PASSWORD}
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile Safari/604.1"


async def at_account(site: Site, visit: Visit, email: str = ADA, **headers: str) -> Visitor:
    browser = visit(site)
    browser.headers |= {name.replace("_", "-"): value for name, value in headers.items()}
    await browser.sign_in(email)
    await browser.open("/account")
    assert browser.at == "/account"
    return browser


async def is_signed_in(browser: Visitor) -> bool:
    await browser.open("/account")
    return browser.at == "/account"


def rows(browser: Visitor) -> list[Element]:
    """The sessions that the page lists."""
    form = next(form for form in browser.page.all("form") if form["action"] == "/account/sessions")
    return form.all("li")


async def test_s10_the_page_says_where_he_is_signed_in(site: Site, visit: Visit, clock: Hands) -> None:
    app, other = App(site), await at_account(site, visit)
    clock.move(60)
    phone = await at_account(site, visit, user_agent=PHONE)
    await app.tokens(phone)
    await other.open("/account")
    shown = [row.text for row in rows(other)]
    assert len(shown) == 2 and "this device" in shown[0] and "127.0.0.1" in shown[0]
    assert "Safari · iPhone" in shown[1] and "used for Acme Notes" in shown[1] and "this device" not in shown[1]
    for jar in (phone.jar, other.jar):
        assert not {jar[OP], jar[APP]} & set(other.reply.text.split('"'))


async def test_s10_one_session_is_ended_and_the_others_are_not(any_site: Site, visit: Visit) -> None:
    site = any_site
    phone, tablet, here = [await at_account(site, visit) for _ in range(3)]
    (form,) = [f for f in here.page.all("form") if f["action"] == "/account/sessions"]
    hidden = {each["name"]: each["value"] for each in form.all("input")}
    wanted = [each["value"] for each in form.all("button") if each["value"] not in ("others", "all")]
    assert len(wanted) == 2
    await here.post("/account/sessions", {**hidden, "end": wanted[0]})
    assert "That session has been ended" in here.text
    alive = [await is_signed_in(browser) for browser in (phone, tablet, here)]
    assert alive.count(False) == 1 and alive[2]
    gone = phone if not alive[0] else tablet
    assert "You ended this session from another device" in gone.text
    await here.post("/account/sessions", {**hidden, "end": wanted[0]})
    assert "it was over already" in here.text


async def test_s10_nobody_ends_another_persons_session(site: Site, visit: Visit) -> None:
    li, ada = await at_account(site, visit, LI), await at_account(site, visit)
    (theirs,) = await site.sessions((await site.user(LI)).id)
    form = ada.form("end-all")
    await ada.post(form.action, {**form.fields, "end": theirs})
    assert "it was over already" in ada.text and await is_signed_in(li)


async def test_s10_ending_the_session_of_this_browser_signs_it_out(site: Site, visit: Visit) -> None:
    ada = await at_account(site, visit)
    (mine,) = await site.sessions((await site.user(ADA)).id)
    form = ada.form("end-all")
    reply = await ada.post(form.action, {**form.fields, "end": mine})
    assert reply.headers["location"].startswith("/login") and OP not in ada.jar


async def test_s10_all_others_end_and_this_one_stays_with_a_new_child(any_site: Site, visit: Visit) -> None:
    site = any_site
    phone, here = await at_account(site, visit), await at_account(site, visit)
    before = dict(here.jar)
    await here.press("end-others")
    assert "All your other sessions have been ended" in here.text
    assert here.jar[OP] == before[OP] and here.jar[APP] != before[APP]
    assert await is_signed_in(here) and not await is_signed_in(phone)
    assert "You ended this session from another device" in phone.text
    assert len(await site.sessions((await site.user(ADA)).id)) == 1


async def test_s10_everything_ends(site: Site, visit: Visit) -> None:
    app, phone, here = App(site), await at_account(site, visit), await at_account(site, visit)
    tokens = await app.tokens(phone, "openid offline_access")
    await here.open("/account")
    await here.press("end-all")
    assert here.at == "/login" and not {OP, APP} & set(here.jar)
    assert not await is_signed_in(phone)
    assert (await app.userinfo(tokens["access_token"])).status_code == 401
    assert (await app.refresh(tokens["refresh_token"])).status_code == 400


async def test_s15_after_five_minutes_he_shows_again_who_he_is(site: Site, visit: Visit, clock: Hands) -> None:
    phone, here = await at_account(site, visit), await at_account(site, visit)
    clock.move(300)
    await here.open("/account")
    fresh = here.form("end-others")
    clock.move(1)
    reply = await here.post(fresh.action, fresh.fields)
    assert (reply.status_code, reply.headers["location"]) == (303, "/login?confirm=1&next=%2Faccount")
    assert await is_signed_in(phone)
    await here.open("/login?confirm=1&next=%2Faccount")
    await here.press("login-submit", password=PASSWORD)
    assert here.at == "/account"
    await here.press("end-others")
    assert "have been ended" in here.text and not await is_signed_in(phone)


async def test_s15_whoever_owes_a_code_shows_it_again_too(site: Site, visit: Visit, clock: Hands) -> None:
    tom = visit(site)
    await tom.sign_in(TOM)
    await tom.press("second-factor-submit", code=code(at=clock.now()))
    clock.move(301)
    await tom.open("/account")
    await tom.press("end-all")
    await tom.press("login-submit", password=PASSWORD)
    await tom.press("second-factor-submit", code=code(at=clock.now()))
    assert tom.at == "/account"
    await tom.press("end-all")
    assert tom.at == "/login" and OP not in tom.jar


async def test_a_thief_of_the_session_does_not_guess_the_password_for_ever(database: Furnished, visit: Visit) -> None:
    async with in_process(database, more={("login", "account_per_5_minutes"): 3}, clock=Hands(600_000.0)) as site:
        here = await at_account(site, visit)
        for status in (422, 422, 422, 429, 429):
            await here.press("change-password-submit", **{**CHANGE, "current_password": "a guess"})
            assert here.reply.status_code == status
        await here.press("change-password-submit", **CHANGE)
        assert here.reply.status_code == 429 and "try again in 5 minutes" in here.text
        assert (await site.user(ADA)).credential_version == 0


async def test_w2_only_our_own_form_in_this_session_changes_anything(site: Site, visit: Visit) -> None:
    phone, ada = await at_account(site, visit), await at_account(site, visit)
    li_phone, li = await at_account(site, visit, LI), await at_account(site, visit, LI)
    for button, more in (("end-others", {}), ("end-all", {}), ("change-password-submit", CHANGE)):
        form = ada.form(button)
        good = {**form.fields, **more}
        for headers in FOREIGN:
            assert (await ada.post(form.action, good, **headers)).status_code == 403, (button, headers)
        for value in ("", "0" * 64, li.form(button).fields["csrf"]):
            assert (await ada.post(form.action, {**good, "csrf": value})).status_code == 403, button
        half = ada.copy()
        half.jar[OP] = li.jar[OP]  # the form was shown to another person's session
        assert (await half.post(form.action, good)).status_code == 403
        await ada.open("/account")
    assert await is_signed_in(phone) and await is_signed_in(li_phone)
    assert (await site.user(ADA)).credential_version == 0


async def test_get_changes_nothing(site: Site, visit: Visit) -> None:
    ada = await at_account(site, visit)
    form = ada.form("end-all")
    for path in ("/account/sessions", "/account/password", "/account/apps"):
        reply = await ada.get(f"{path}?csrf={form.fields['csrf']}&end=all&current_password=x")
        assert reply.status_code == 200
    assert await is_signed_in(ada)


async def test_s9_a_new_password_ends_every_other_session_and_this_one_goes_on(
    any_site: Site, visit: Visit, mailbox: Mailbox
) -> None:
    site, app = any_site, App(any_site)
    phone, here = await at_account(site, visit), await at_account(site, visit)
    tokens = await app.tokens(phone, "openid offline_access")
    before, thief = dict(here.jar), here.copy()
    await here.press("change-password-submit", **CHANGE)
    assert "Your password has been changed" in here.text
    assert here.jar[OP] != before[OP] and here.jar[APP] != before[APP]
    assert await is_signed_in(here) and not await is_signed_in(phone)
    assert "because your password was changed" in phone.text
    assert not await is_signed_in(thief), "S3: whoever had copied this very session is out as well"
    assert (await app.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    assert len(await site.sessions((await site.user(ADA)).id)) == 1
    letter = await mailbox.next(ADA)
    assert "was changed" in letter["Subject"] and "127.0.0.1" in text_of(letter)
    again = visit(site)
    await again.sign_in(ADA)
    assert again.reply.status_code == 422
    await again.sign_in(ADA, NEW_PASSWORD)
    assert again.at == "/account"


async def test_s9_the_new_child_opens_the_apps_of_this_origin(site: Site, visit: Visit) -> None:
    here = await at_account(site, visit)
    await here.press("change-password-submit", **CHANGE)
    rooms = site.bridge.rooms
    child = LoginToken.parse(here.jar[APP])
    assert child is not None and isinstance(await rooms.sessions.resolve(child, "middleware", None), Alive)


async def test_of_fifty_who_change_the_password_at_once_one_does(any_site: Site, visit: Visit) -> None:
    site = any_site
    here = await at_account(site, visit)
    form = here.form("change-password-submit")
    passwords = [f"{NEW_PASSWORD} {number}" for number in range(50)]
    racers = [here.copy() for _ in passwords]
    await asyncio.gather(
        *(
            racer.post(
                form.action,
                {**form.fields, "current_password": PASSWORD, "new_password": each, "new_password_again": each},
            )
            for racer, each in zip(racers, passwords, strict=True)
        )
    )
    won = [number for number, racer in enumerate(racers) if racer.reply.status_code == 200]
    assert len(won) == 1, [racer.reply.status_code for racer in racers]
    assert (await site.user(ADA)).credential_version == 1
    assert await is_signed_in(racers[won[0]])
    assert len(await site.sessions((await site.user(ADA)).id)) == 1
    assert sum(kind == "password.changed" for kind in site.told.kinds()) == 1
    check = visit(site)
    await check.sign_in(ADA, passwords[won[0]])
    assert check.at == "/account"


async def test_a_change_that_meets_another_changes_nothing(site: Site, visit: Visit) -> None:
    """Somebody resets the password between the page and the button: the one of the page is wrong by now."""
    here = await at_account(site, visit)
    users = site.bridge.rooms.users
    assert await users.set_password(await site.user(ADA), Secret("another password altogether"))
    await here.press("change-password-submit", **CHANGE)
    assert here.at.startswith("/login") or here.reply.status_code in (403, 422)
    assert (await site.user(ADA)).credential_version == 1


async def test_a_session_that_ends_meanwhile_changes_nothing(
    site: Site, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Store §2, rule 4: everything was ended from elsewhere between the check and the write."""
    here, rooms = await at_account(site, visit), site.bridge.rooms
    user, real = await site.user(ADA), rooms.users.set_password

    async def late(*args: Any, **named: Any) -> Any:
        await rooms.sessions.end_all(user.id, user.tag, "user")
        return await real(*args, **named)

    monkeypatch.setattr(rooms.users, "set_password", late)
    await here.press("change-password-submit", **CHANGE)
    assert here.reply.status_code == 409 and (await site.user(ADA)).credential_version == 0
    assert not await is_signed_in(here)


async def test_a3_the_current_password_is_asked_for(site: Site, visit: Visit) -> None:
    here = await at_account(site, visit)
    for wrong, status, words in (
        ({"current_password": "wrong"}, 422, "not your current password"),
        ({"current_password": ""}, 422, "not your current password"),
        ({"new_password_again": "else"}, 422, "not the same"),
        ({"new_password": "short", "new_password_again": "short"}, 422, "too short"),
        ({"new_password": PASSWORD, "new_password_again": PASSWORD}, 422, "password that you have now"),
        ({"new_password": "login bridge", "new_password_again": "login bridge"}, 422, "too short"),
        ({"new_password": "login bridge bridge login", "new_password_again": "login bridge bridge login"}, 422, "site"),
    ):
        await here.press("change-password-submit", **{**CHANGE, **wrong})
        assert here.reply.status_code == status and words in here.text, wrong
        assert PASSWORD not in here.reply.text and NEW_PASSWORD not in here.reply.text
    assert (await site.user(ADA)).credential_version == 0
    assert "login.fail" in site.told.kinds()


async def test_whoever_owes_a_code_may_choose_a_shorter_password(site: Site, visit: Visit, clock: Hands) -> None:
    tom = visit(site)
    await tom.sign_in(TOM)
    await tom.press("second-factor-submit", code=code(at=clock.now()))
    assert "At least 8 characters" in tom.text
    short = "kelp7Fog"
    await tom.press("change-password-submit", current_password=PASSWORD, new_password=short, new_password_again=short)
    assert "Your password has been changed" in tom.text and await is_signed_in(tom)


async def test_a_password_that_another_system_keeps_is_not_changed_here(site: Site, visit: Visit) -> None:
    ada = await at_account(site, visit)
    form = ada.form("change-password-submit")
    async with site.bridge.rooms.database.begin() as tx:
        await tx.execute(text("UPDATE users SET authority = 'whmcs' WHERE email = :email"), {"email": ADA})
    await ada.open("/account")
    assert "managed by another system" in ada.text
    reply = await ada.post(form.action, {**form.fields, **CHANGE})
    assert reply.status_code == 422 and (await site.user(ADA)).credential_version == 0


async def test_s16_the_page_is_kept_by_nobody(site: Site, visit: Visit) -> None:
    ada = await at_account(site, visit)
    assert ada.reply.headers["cache-control"] == "no-store" and "Cookie" in ada.reply.headers["vary"]
    assert "set-cookie" not in ada.reply.headers
