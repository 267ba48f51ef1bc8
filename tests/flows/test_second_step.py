"""The second step, set up and removed by its owner — A7, A8, A9, S3, S9, S15; security §14, §26."""

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import text

from bridge.testing.hands import Hands
from tests.flows.foreign import FOREIGN
from tests.flows.mailbox import Mailbox, text_of
from tests.flows.oauth import App
from tests.flows.visitor import Visitor
from tests.running import ADA, LI, PASSWORD, TOM, Site, code
from tests.security.holdings import call

Visit = Callable[[Site], Visitor]
OP, APP = "__Host-lb_op", "__Host-login_auth_tk"


async def at_account(site: Site, visit: Visit, email: str = ADA) -> Visitor:
    browser = visit(site)
    await browser.sign_in(email)
    await browser.open("/account")
    assert browser.at == "/account"
    return browser


async def is_signed_in(browser: Visitor) -> bool:
    await browser.open("/account")
    return browser.at == "/account"


def secret_of(browser: Visitor) -> str:
    """The key that the page shows in letters."""
    return browser.page.one("code", id="totp-secret").text.replace(" ", "")


def codes_of(browser: Visitor) -> list[str]:
    """The recovery codes that the page shows."""
    return [each.text for each in browser.page.one("ul", id="recovery-codes").all("code")]


async def enrolled(site: Site, visit: Visit, clock: Hands) -> tuple[Visitor, str, list[str]]:
    """Ada, who has just set up her app: her browser, the secret, her recovery codes."""
    here = await at_account(site, visit)
    await here.open("/account/totp")
    secret = secret_of(here)
    await here.press("totp-submit", code=code(secret, at=clock.now()))
    codes = codes_of(here)
    clock.move(30)
    return here, secret, codes


async def test_a_person_sets_up_an_app_and_owes_its_codes_from_then_on(
    site: Site, visit: Visit, mailbox: Mailbox, clock: Hands
) -> None:
    app, phone, here = App(site), await at_account(site, visit), await at_account(site, visit)
    tokens = await app.tokens(phone, "openid offline_access")
    await here.open("/account")
    thief, before = here.copy(), dict(here.jar)
    assert "protected by its password alone" in here.text
    await here.open("/account/totp")
    secret = secret_of(here)
    assert here.page.one("img")["src"].startswith("data:image/svg+xml,")
    assert f"secret={secret}" in here.page.one("a", id="totp-open")["href"]
    await here.press("totp-submit", code=code(secret, at=clock.now()))
    assert "The second step is on" in here.text and len(set(codes_of(here))) == 10
    assert here.jar[OP] != before[OP] and here.jar[APP] != before[APP]
    assert await is_signed_in(here) and not await is_signed_in(thief) and not await is_signed_in(phone)
    assert "because your second step was changed" in phone.text
    assert (await app.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    assert "Set up on" in here.text and "10 codes are left" in here.text
    letter = await mailbox.next(ADA)
    assert "authenticator app was set up" in letter["Subject"] and "127.0.0.1" in text_of(letter)
    clock.move(30)
    again = visit(site)
    await again.sign_in(ADA)
    await again.press("second-factor-submit", code=code(secret, at=clock.now()))
    assert again.at == "/account"


async def test_a8_codes_are_shown_once(site: Site, visit: Visit, clock: Hands) -> None:
    here, _, codes = await enrolled(site, visit, clock)
    assert here.reply.headers["cache-control"] == "no-store"
    for path in ("/account", "/account/recovery-codes", "/account/factors", "/account/totp"):
        await here.open(path)
        assert not [each for each in codes if each in here.reply.text], path


async def test_a_wrong_code_keeps_the_secret_that_he_has_scanned(site: Site, visit: Visit, clock: Hands) -> None:
    here = await at_account(site, visit)
    await here.open("/account/totp")
    secret = secret_of(here)
    await here.press("totp-submit", code="000000")
    assert here.reply.status_code == 422 and secret_of(here) == secret and "not right" in here.text
    await here.press("totp-submit", code=code(secret, at=clock.now()))
    assert "The second step is on" in here.text


async def test_who_must_install_an_app_first_has_half_an_hour(site: Site, visit: Visit, clock: Hands) -> None:
    here = await at_account(site, visit)
    await here.open("/account/totp")
    form, secret = here.form("totp-submit"), secret_of(here)
    for seconds in (900, 899):
        clock.move(seconds)
        await here.post(form.action, {**form.fields, "code": "000000"})
        await site.bridge.rooms.sessions.finish()  # it was used, and that is written down
    assert here.reply.status_code == 422
    clock.move(1)
    reply = await here.post(form.action, {**form.fields, "code": code(secret, at=clock.now())})
    assert reply.headers["location"] == "/login?confirm=1&next=%2Faccount%2Ftotp"
    assert (await site.user(ADA)).second_factor == "none"


@pytest.mark.parametrize(("button", "path"), [("totp-remove", "/account"), ("codes-renew", "/account")])
async def test_s15_whoever_is_not_fresh_shows_again_who_he_is(
    site: Site, visit: Visit, clock: Hands, button: str, path: str
) -> None:
    here, secret, _ = await enrolled(site, visit, clock)
    clock.move(301)
    stamp = (await site.user(ADA)).stamp
    await here.open(path)
    reply = await here.press_only(button)
    assert reply.headers["location"] == "/login?confirm=1&next=%2Faccount"
    reply = await here.get("/account/totp")
    assert reply.headers["location"] == "/login?confirm=1&next=%2Faccount%2Ftotp"
    assert (await site.user(ADA)).stamp == stamp
    await here.open("/account/totp")
    await here.press("login-submit", password=PASSWORD)
    await here.press("second-factor-submit", code=code(secret, at=clock.now()))
    assert here.at == "/account/totp"
    await here.open(path)
    await here.press(button)
    assert here.reply.status_code == 200 and (await site.user(ADA)).stamp != stamp


async def test_the_app_is_removed_and_the_password_is_enough_again(
    site: Site, visit: Visit, mailbox: Mailbox, clock: Hands
) -> None:
    here, _, codes = await enrolled(site, visit, clock)
    await mailbox.next(ADA)
    phone = visit(site)
    await phone.sign_in(ADA)
    await phone.open("/login/code?way=recovery-code")
    await phone.press("second-factor-submit", recovery_code=codes[0])
    assert phone.at == "/account"
    await mailbox.next(ADA)
    await here.open("/account")
    await here.press("totp-remove")
    assert "has been removed" in here.text and "protected by its password alone" in here.text
    assert await is_signed_in(here) and not await is_signed_in(phone)
    letter = await mailbox.next(ADA)
    assert "was removed" in letter["Subject"] and "its password alone" in text_of(letter)
    again = await at_account(site, visit)
    assert "codes are left" not in again.text


async def test_a_recovery_code_signs_in_once_and_its_owner_hears_of_it(
    any_site: Site, visit: Visit, mailbox: Mailbox
) -> None:
    site = any_site
    here = await at_account(site, visit)
    await here.open("/account/totp")
    await here.press("totp-submit", code=code(secret_of(here)))
    codes = codes_of(here)
    await mailbox.next(ADA)
    browser = visit(site)
    await browser.sign_in(ADA)
    assert "Use a recovery code instead" in browser.text
    await browser.open(browser.page.one("a", id="other-way-recovery-code")["href"])
    await browser.press("second-factor-submit", recovery_code="")
    assert browser.reply.status_code == 422 and "enter a recovery code" in browser.text
    await browser.press("second-factor-submit", recovery_code="0000-0000-0000-0000")
    assert browser.reply.status_code == 422 and "none of your recovery codes" in browser.text
    await browser.press("second-factor-submit", recovery_code=codes[0].upper())
    assert browser.at == "/account" and "9 codes are left" in browser.text
    letter = await mailbox.next(ADA)
    assert "recovery code was used" in letter["Subject"] and "9 recovery codes left" in text_of(letter)
    late = visit(site)
    await late.sign_in(ADA)
    await late.open("/login/code?way=recovery-code")
    await late.press("second-factor-submit", recovery_code=codes[0])
    assert "has been used already" in late.text and OP not in late.jar
    await late.open(late.page.one("a", id="other-way-totp")["href"])
    assert "six digits" in late.text


async def test_a_recovery_code_finishes_a_visit_of_an_application_too(site: Site, visit: Visit, clock: Hands) -> None:
    _, _, codes = await enrolled(site, visit, clock)
    app, browser = App(site), visit(site)
    await browser.open(app.request())
    await browser.press("login-submit", email=ADA, password=PASSWORD)
    await browser.open(browser.page.one("a", id="other-way-recovery-code")["href"])
    await browser.press("second-factor-submit", recovery_code=codes[0])
    assert browser.at.startswith("/consent")


async def test_of_fifty_who_show_one_recovery_code_one_gets_in(site: Site, visit: Visit, clock: Hands) -> None:
    _, _, codes = await enrolled(site, visit, clock)
    racers = [visit(site) for _ in range(50)]
    forms = []
    for racer in racers:
        await racer.sign_in(ADA)
        await racer.open("/login/code?way=recovery-code")
        forms.append(racer.form("second-factor-submit"))
    await asyncio.gather(
        *(
            racer.post(form.action, {**form.fields, "recovery_code": codes[0]})
            for racer, form in zip(racers, forms, strict=True)
        )
    )
    assert sum(OP in racer.jar for racer in racers) == 1
    assert site.told.kinds().count("recovery-code.used") == 1


async def test_new_codes_replace_the_old_ones(site: Site, visit: Visit, mailbox: Mailbox, clock: Hands) -> None:
    here, _, codes = await enrolled(site, visit, clock)
    await mailbox.next(ADA)
    await here.open("/account")
    await here.press("codes-renew")
    assert "Your new recovery codes" in here.text and not set(codes_of(here)) & set(codes)
    assert "New recovery codes were made" in (await mailbox.next(ADA))["Subject"]
    browser = visit(site)
    for each, status in ((codes[0], 422), (codes_of(here)[0], 303)):
        await browser.sign_in(ADA)
        await browser.open("/login/code?way=recovery-code")
        await browser.press_only("second-factor-submit", recovery_code=each)
        assert (OP in browser.jar) == (status == 303)


async def test_w2_only_our_own_form_in_this_session_changes_anything(site: Site, visit: Visit, clock: Hands) -> None:
    here, _, _ = await enrolled(site, visit, clock)
    li = await at_account(site, visit, LI)
    await li.open("/account/totp")
    other = li.form("totp-submit")
    stamp = (await site.user(ADA)).stamp
    for path, button in (("/account", "totp-remove"), ("/account", "codes-renew"), ("/account/totp", "totp-submit")):
        await here.open(path)
        form = here.form(button)
        good = {**form.fields, **({"code": code(secret_of(here), at=clock.now())} if path != "/account" else {})}
        for headers in FOREIGN:
            assert (await here.post(form.action, good, **headers)).status_code == 403, (button, headers)
        for value in ("", "0" * 64, other.fields["csrf"]):
            assert (await here.post(form.action, {**good, "csrf": value})).status_code == 403, button
        half = here.copy()
        half.jar[OP] = li.jar[OP]
        assert (await half.post(form.action, good)).status_code == 403
    for query in ("remove=totp", "csrf=x&remove=totp"):
        assert (await here.get(f"/account/factors?{query}")).status_code == 200
        assert (await here.get(f"/account/recovery-codes?{query}")).status_code == 200
    assert (await site.user(ADA)).stamp == stamp and (await site.user(LI)).second_factor == "none"


async def test_an_offer_of_another_session_sets_nothing_up(site: Site, visit: Visit, clock: Hands) -> None:
    """Somebody slips his own secret under her form: he would hold the codes."""
    li, ada, second = await at_account(site, visit, LI), await at_account(site, visit), await at_account(site, visit)
    for other in (li, second):
        await other.open("/account/totp")
        await ada.open("/account/totp")
        form, his = ada.form("totp-submit"), other.form("totp-submit")
        shown = code(secret_of(other), at=clock.now())
        reply = await ada.post(form.action, {**form.fields, "offer": his.fields["offer"], "code": shown})
        assert reply.status_code == 403 and (await site.user(ADA)).second_factor == "none"


async def test_nobody_who_is_not_signed_in_sees_any_of_it(site: Site, visit: Visit) -> None:
    browser = visit(site)
    for path in ("/account/totp", "/account/factors", "/account/recovery-codes"):
        await browser.open(path)
        assert browser.at == "/login?next=%2Faccount"
        assert (await browser.post(path, {"remove": "totp"})).status_code == 303


async def test_what_another_system_keeps_is_not_managed_here(site: Site, visit: Visit, clock: Hands) -> None:
    here, _, _ = await enrolled(site, visit, clock)
    await here.open("/account/totp")
    setup = here.form("totp-submit")
    shown = code(secret_of(here), at=clock.now())
    await here.open("/account")
    remove, renew = here.form("totp-remove"), here.form("codes-renew")
    async with site.bridge.rooms.database.begin() as tx:
        await tx.execute(text("UPDATE users SET authority = 'whmcs' WHERE email = :email"), {"email": ADA})
    await here.open("/account")
    assert "second step is managed by another system" in here.text
    assert not {"totp-setup", "totp-remove", "codes-renew"} & set(here.page.ids())
    assert (await here.get("/account/totp")).headers["location"] == "/account"
    assert (await here.post(setup.action, {**setup.fields, "code": shown})).headers["location"] == "/account"
    for form in (remove, renew):
        assert (await here.post(form.action, form.fields)).status_code == 409
    assert "recovery-code.used" not in site.told.kinds() and site.told.kinds().count("second-factor.changed") == 1


async def test_programs_get_no_hash_for_whoever_has_a_second_factor(site: Site, visit: Visit, clock: Hands) -> None:
    await enrolled(site, visit, clock)
    reply = (await call(site, action="ValidateLogin", email=ADA, password2=PASSWORD)).json()
    assert reply["result"] == "success" and reply["twoFactorEnabled"] is True and "passwordhash" not in reply


async def test_a_form_from_before_a_change_says_so(site: Site, visit: Visit, clock: Hands) -> None:
    here, _, _ = await enrolled(site, visit, clock)
    await here.open("/account")
    form = here.form("totp-remove")
    await here.press("totp-remove")
    assert (await here.post(form.action, form.fields)).status_code == 409
    assert "Nothing was changed" in here.text
    assert (await here.post(form.action, {**form.fields, "remove": "everything"})).status_code == 200
    assert "Nothing was changed" in here.text


async def test_what_is_typed_twice_is_refused(site: Site, visit: Visit) -> None:
    tom = visit(site)
    await tom.sign_in(TOM)
    form = tom.form("second-factor-submit")
    body = "&".join(f"{name}={value}" for name, value in form.fields.items()) + "&code=000000&code=111111"
    content_type = {"content-type": "application/x-www-form-urlencoded", "origin": site.url}
    cookies = "; ".join(f"{name}={value}" for name, value in tom.jar.items())
    reply = await tom.http.post("/login/code", content=body, headers={**content_type, "cookie": cookies})
    assert reply.status_code == 400
