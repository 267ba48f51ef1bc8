"""Whole journeys in a real Chromium: with and without JavaScript, in both languages, by mouse and by keyboard — W1."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from bridge.secret import Secret
from tests.flows.mailbox import link_in
from tests.flows.relying_party import RelyingParty, relying_party
from tests.flows.screens import DESKTOP, Open, Screen, letter_to, signed_in, somebody, ways
from tests.running import NEW_PASSWORD, PASSWORD, TOTP, Site, code
from tests.servers import SmtpSink

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def party(served: Site) -> Iterator[RelyingParty]:
    with relying_party(served, "third-party") as party:
        yield party


@pytest.fixture
async def app(served: Site, party: RelyingParty) -> RelyingParty:
    """Registered; its secret is known to it."""
    if not party.secret:
        document = {
            "client_name": "Acme Notes",
            "redirect_uris": [party.callback],
            "post_logout_redirect_uris": [f"{party.url}/bye"],
        }
        made = await served.client(party.client_id, document)
        assert made.secret is not None
        party.secret = made.secret.reveal()
    return party


@ways("desktop-en")
async def test_in_and_out(served: Site, window: Open, way: dict[str, Any]) -> None:
    email, chinese = somebody(), way["locale"] == "zh-CN"
    await served.person(email, first_name="Ada")
    browser = await window(**way)
    await browser.open("/account")
    assert browser.path == "/login"
    await browser.good()
    await browser.fill(email=email, password="wrong")
    await browser.press("login-submit")
    assert ("不匹配" if chinese else "do not match") in await browser.text()
    assert await browser.page.input_value("#email") == email and await browser.page.input_value("#password") == ""
    await browser.good()
    await browser.fill(password=PASSWORD)
    await browser.press("login-submit", "/account")
    assert "Ada" in await browser.text()
    await browser.good()
    await browser.press("logout", "/logout")
    await browser.good()
    await browser.press("logout-confirm")
    assert ("您已退出" if chinese else "You are signed out") in await browser.text()
    await browser.good()
    await browser.open("/account")
    assert browser.path == "/login"


@ways("phone-zh-noscript")
async def test_the_second_step(served: Site, window: Open, way: dict[str, Any]) -> None:
    email = somebody()
    await served.person(email, totp=Secret(TOTP))
    browser = await window(**way)
    await browser.open("/login")
    await browser.fill(email=email, password=PASSWORD)
    await browser.press("login-submit", "/login/code")
    await browser.good()
    await browser.fill(code="000000")
    await browser.press("second-factor-submit")
    assert await browser.page.get_attribute("#code", "aria-invalid") == "true"
    await browser.good()
    await browser.fill(code=code())
    await browser.press("second-factor-submit", "/account")
    await browser.good()


@ways("phone-zh-noscript")
async def test_an_application_signs_somebody_in_and_goes_on_to_another_origin(
    served: Site, window: Open, app: RelyingParty, way: dict[str, Any]
) -> None:
    email = somebody()
    await served.person(email, first_name="Ada", last_name="Lovelace")
    browser = await window(**way)
    await browser.open(f"{app.url}/start")
    assert browser.path == "/login" and "Acme Notes" in await browser.text()
    await browser.good()
    await browser.fill(email=email, password=PASSWORD)
    await browser.press("login-submit", "/consent")
    await browser.good()
    await browser.press("consent-allow", "/home")
    assert browser.page.url.startswith(f"{app.elsewhere}/home")
    assert await browser.page.inner_text("#facts") == "name=Ada Lovelace"
    await browser.open(f"{app.url}/start")
    await browser.page.wait_for_url(f"{app.elsewhere}/**")
    assert browser.complaints == []
    await browser.open(f"{app.url}/leave")
    assert "Acme Notes" in await browser.text()
    await browser.good()
    await browser.press("logout-confirm", "/home")
    assert await browser.page.inner_text("#facts") == "left=s"
    await browser.open("/account")
    assert browser.path == "/login" and browser.complaints == []


@ways("phone-zh-noscript")
async def test_a_second_tab_goes_on_after_the_sign_in_in_the_first(
    served: Site, window: Open, app: RelyingParty, way: dict[str, Any]
) -> None:
    email = somebody()
    await served.person(email, first_name="Ada", last_name="Lovelace")
    first = await window(**way)
    second = await first.tab()
    for tab in (first, second):
        await tab.open(f"{app.url}/start")
        assert tab.path == "/login"
    await first.fill(email=email, password=PASSWORD)
    await first.press("login-submit", "/consent")
    await first.press("consent-allow", "/home")
    await second.fill(email=email, password="whatever")
    await second.press("login-submit", "/home")
    assert await second.page.inner_text("#facts") == "name=Ada Lovelace"
    assert first.complaints == second.complaints == []


@ways()
async def test_turning_back_tells_the_application(
    served: Site, window: Open, app: RelyingParty, way: dict[str, Any]
) -> None:
    email = somebody()
    await served.person(email)
    browser = await window(**way)
    for button, password in (("login-cancel", ""), ("consent-deny", PASSWORD)):
        await browser.open(f"{app.url}/start")
        if password:
            await browser.fill(email=email, password=password)
            await browser.press("login-submit", "/consent")
        await browser.press(button, "/home")
        assert await browser.page.inner_text("#facts") == "error=access_denied"
    assert browser.complaints == []


@pytest.mark.parametrize(
    "script", [pytest.param(True, id="script"), pytest.param(False, id="noscript", marks=pytest.mark.slow)]
)
async def test_an_answer_by_form_goes_on_to_another_origin_too(
    served: Site, window: Open, app: RelyingParty, script: bool
) -> None:
    email = somebody()
    await served.person(email, first_name="Ada")
    browser = await window(script=script)
    await browser.open(f"{app.url}/start?response_mode=form_post")
    await browser.fill(email=email, password=PASSWORD)
    await browser.press("login-submit", "/consent")
    if script:
        await browser.press("consent-allow", "/home")
    else:
        await browser.press("consent-allow", "/oauth/authorize")
        await browser.press("form-post-submit", "/home")
    assert await browser.page.inner_text("#facts") == "name=Ada"
    assert browser.page.url.startswith(app.elsewhere) and browser.complaints == []


async def test_without_the_page_that_moves_on_the_policy_would_stop_the_application(
    served: Site, window: Open, app: RelyingParty
) -> None:
    """Why `Desk.onward` does what it does: a redirect, as a program gets it, is held against `form-action`."""
    email = somebody()
    await served.person(email)
    browser = await window()
    await browser.open(f"{app.url}/start")

    async def as_a_program(route: Any) -> None:
        await route.continue_(headers={**route.request.headers, "accept": "*/*"})

    await browser.page.route(f"{served.url}/consent", as_a_program)
    await browser.fill(email=email, password=PASSWORD)
    await browser.press("login-submit", "/consent")
    async with browser.page.expect_console_message(lambda message: "form-action" in message.text):
        await browser.page.click("#consent-allow")
    assert browser.path == "/consent"


@pytest.mark.slow
async def test_going_back_leads_to_before_the_form_and_sends_nothing_again(
    served: Site, window: Open, app: RelyingParty
) -> None:
    email = somebody()
    await served.person(email, first_name="Ada")
    browser, posts = await window(), list[str]()
    browser.page.on("request", lambda request: posts.append(request.url) if request.method == "POST" else None)
    await browser.open(f"{app.url}/start")
    await browser.fill(email=email, password=PASSWORD)
    await browser.press("login-submit", "/consent")
    await browser.press("consent-allow", "/home")
    assert len(posts) == 2
    for _ in range(3):
        await browser.page.go_back(wait_until="load")
        assert "/oauth/authorize" not in browser.page.url
    assert len(posts) == 2


@pytest.mark.slow
async def test_whoever_stops_refreshing_pages_has_a_link(served: Site, window: Open) -> None:
    email = somebody()
    await served.person(email)
    browser = await window()
    await browser.open("/login?next=/account")

    async def stopped(route: Any) -> None:
        reply = await route.fetch()
        await route.fulfill(response=reply, body=(await reply.text()).replace('http-equiv="refresh"', ""))

    await browser.page.route(f"{served.url}/login", stopped)
    await browser.fill(email=email, password=PASSWORD)
    await browser.press("login-submit")
    assert browser.path == "/login"
    await browser.good()
    await browser.press("onward", "/account")


@ways("desktop-en")
async def test_forgotten_password_by_a_real_letter(
    served: Site, window: Open, post_office: SmtpSink, way: dict[str, Any]
) -> None:
    email, chinese = somebody(), way["locale"] == "zh-CN"
    await served.person(email, first_name="Ada")
    other = await window(**DESKTOP)
    await signed_in(other, email)
    browser = await window(**way)
    await browser.open("/login")
    await browser.page.click("a[href^='/reset']")
    await browser.page.wait_for_url("**/reset")
    await browser.good()
    await browser.fill(email=email)
    await browser.press("reset-submit")
    assert email in await browser.text()
    await browser.good()
    link = link_in(await letter_to(post_office, email, "密码" if chinese else "password"))
    assert link.startswith(f"{served.url}/reset/t/")
    asked: list[str] = []
    browser.page.on("request", lambda request: asked.append(f"{request.url} {request.headers.get('referer', '')}"))
    await browser.open(link)
    assert browser.path == "/reset/new" and len(asked) >= 2
    token = link.rpartition("/")[2]
    assert not [each for each in asked[1:] if token in each], "R4: it is in no address and no Referer after the first"
    assert not [each for each in asked if not each.startswith((served.url, "data:"))], "R4: nobody else is asked"
    await browser.good()
    await browser.fill(new_password="short", new_password_again="short")
    await browser.press("new-password-submit")
    await browser.good()
    await browser.fill(new_password=NEW_PASSWORD, new_password_again=NEW_PASSWORD)
    await browser.press("new-password-submit", "/login")
    assert ("密码已更改" if chinese else "Your password has been changed") in await browser.text()
    await browser.good()
    await browser.fill(email=email, password=NEW_PASSWORD)
    await browser.press("login-submit", "/account")
    await other.open("/account")
    assert other.path == "/login" and "because your password was changed" in await other.text()
    await other.good()
    await letter_to(post_office, email, "更改" if chinese else "was changed")
    await browser.open(link)
    assert ("已使用" if chinese else "has been used") in await browser.text()
    await browser.good()


@ways()
async def test_the_account_page(served: Site, window: Open, way: dict[str, Any]) -> None:
    email, chinese = somebody(), way["locale"] == "zh-CN"
    await served.person(email, first_name="Ada", language="zh-Hans" if chinese else "en")
    phone, tablet, laptop, browser = [await window(**DESKTOP) for _ in range(3)] + [await window(**way)]
    for each in (phone, tablet, laptop, browser):
        await signed_in(each, email)
    await browser.good()
    buttons = browser.page.locator("button[name=end]:not(#end-others):not(#end-all)")
    assert await buttons.count() == 3
    await buttons.first.click()
    await browser.page.wait_for_selector("#notice")
    await browser.good()
    assert await buttons.count() == 2
    await browser.press("end-others")
    await browser.page.wait_for_selector("#notice")
    assert await buttons.count() == 0
    for each in (phone, tablet, laptop):
        await each.open("/account")
        assert each.path == "/login"
    await signed_in(phone, email)
    await browser.fill(current_password="wrong", new_password=NEW_PASSWORD, new_password_again=NEW_PASSWORD)
    await browser.press("change-password-submit")
    assert await browser.page.get_attribute("#current_password", "aria-invalid") == "true"
    await browser.good()
    await browser.fill(current_password=PASSWORD, new_password=NEW_PASSWORD, new_password_again=NEW_PASSWORD)
    await browser.press("change-password-submit")
    assert ("密码已更改" if chinese else "Your password has been changed") in await browser.text()
    await browser.good()
    await phone.open("/account")
    assert ("您的密码已更改" if chinese else "your password was changed") in await phone.text() or chinese
    await browser.open("/account")
    assert browser.path == "/account"
    await browser.press("end-all", "/login")
    await browser.open("/account")
    assert browser.path == "/login"


async def test_with_a_keyboard_alone_on_a_phone_through_sign_in_and_consent(
    served: Site, window: Open, app: RelyingParty
) -> None:
    """No mouse, no touch: the focus is where one types, is seen, and goes through everything in order."""
    email = somebody()
    await served.person(email, first_name="Ada")
    browser = await window(viewport={"width": 320, "height": 600})
    keyboard = browser.page.keyboard
    await browser.open(f"{app.url}/start")
    await browser.page.wait_for_selector("#email:focus")
    await keyboard.type(email)
    await keyboard.press("Tab")
    assert await focused(browser) == "password"
    await keyboard.type("wrong")
    await keyboard.press("Enter")
    await browser.page.wait_for_selector("#problem")
    assert await focused(browser) == "password", "where there is something to do"
    await keyboard.type(PASSWORD)
    await keyboard.press("Tab")
    assert await focused(browser) == "keep"
    await keyboard.press("Tab")
    assert "/reset" in await focused(browser)
    await keyboard.press("Tab")
    assert await focused(browser) == "login-submit"
    assert await ring(browser), "the focus is seen"
    await keyboard.press("Space")
    await browser.page.wait_for_url("**/consent**")
    await browser.good()
    order = []
    for _ in range(2):
        await keyboard.press("Tab")
        order.append(await focused(browser))
        assert await ring(browser)
    assert order == ["consent-allow", "consent-deny"]
    await keyboard.press("Shift+Tab")
    await keyboard.press("Enter")
    await browser.page.wait_for_url(f"{app.elsewhere}/home**")
    assert await browser.page.inner_text("#facts") == "name=Ada"


async def focused(browser: Screen) -> str:
    """What has the focus: its id, or where it leads."""
    return str(await browser.page.evaluate("document.activeElement.id || document.activeElement.href"))


async def ring(browser: Screen) -> bool:
    """Whether the focused element is marked by an outline that is seen."""
    style = await browser.page.evaluate(
        "(s => [s.outlineStyle, parseFloat(s.outlineWidth)])(getComputedStyle(document.activeElement))"
    )
    return bool(style[0] != "none" and style[1] >= 2)


@pytest.mark.slow
async def test_everything_large_and_close_at_400_percent(served: Site, window: Open) -> None:
    """WCAG 1.4.10: 1280 pixels at 400 % are 320; nothing needs scrolling to the side."""
    email = somebody()
    await served.person(email, first_name="Adalgisa Bernadette", last_name="Featherstonehaugh-Cholmondeley")
    browser = await window(viewport={"width": 320, "height": 256})
    await signed_in(browser, email)
    await browser.good()


@pytest.mark.slow
async def test_the_page_for_a_sign_in_that_went_stale(served: Site, window: Open, app: RelyingParty) -> None:
    browser, other = await window(), await window()
    await browser.open(f"{app.url}/start")
    await other.open(browser.page.url)
    assert "another browser" in await other.text()
    await other.good()


@pytest.mark.slow
async def test_who_clicks_twice_signs_in_once(served: Site, window: Open, app: RelyingParty) -> None:
    """A second request would come with cookies that the first has replaced, and lose the visit."""
    email = somebody()
    await served.person(email, first_name="Ada", totp=Secret(TOTP))
    browser, posts = await window(), list[str]()

    async def slowly(route: Any) -> None:
        if route.request.method == "POST":
            posts.append(route.request.url)
            await asyncio.sleep(0.6)
        await route.continue_()

    async def click_twice(button: str) -> None:
        box = await browser.page.locator(f"#{button}").bounding_box()
        assert box is not None
        for _ in range(2):
            await browser.page.mouse.click(box["x"] + 9, box["y"] + 9)
            await asyncio.sleep(0.15)

    await browser.open(f"{app.url}/start")
    await browser.page.route(f"{served.url}/**", slowly)
    await browser.fill(email=email, password=PASSWORD)
    await click_twice("login-submit")
    await browser.page.wait_for_url("**/login/code**")
    await browser.fill(code=code())
    await click_twice("second-factor-submit")
    await browser.page.wait_for_url("**/consent**")
    await click_twice("consent-allow")
    await browser.page.wait_for_url(f"{app.elsewhere}/**")
    assert len(posts) == 3


@pytest.mark.slow
async def test_after_signing_out_nobody_goes_back_to_what_was_there(served: Site, window: Open) -> None:
    email = somebody()
    await served.person(email, first_name="Adalgisa")
    browser = await window()
    await signed_in(browser, email)
    await browser.press("logout", "/logout")
    await browser.press("logout-confirm")
    for _ in range(2):
        await browser.page.go_back(wait_until="load")
        assert "Adalgisa" not in await browser.text() and email not in await browser.page.content()
