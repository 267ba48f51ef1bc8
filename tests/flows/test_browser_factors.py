"""The second step in a real Chromium: an app, recovery codes, passkeys — W1, A8, DESIGN §7."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Browser, CDPSession

from tests.flows.screens import WAYS, Open, Screen, letter_to, screen, signed_in, somebody, ways
from tests.running import PASSWORD, Site, code
from tests.servers import SmtpSink

pytestmark = pytest.mark.browser


async def secret_of(browser: Screen) -> str:
    return (await browser.page.inner_text("#totp-secret")).replace(" ", "").replace("\u00a0", "")


@ways("phone-zh")
async def test_an_app_is_set_up_used_and_removed(
    served: Site, window: Open, post_office: SmtpSink, way: dict[str, Any]
) -> None:
    email, chinese = somebody(), way["locale"] == "zh-CN"
    await served.person(email, first_name="Ada", language="zh-Hans" if chinese else "en")
    browser, other = await window(**way), await window(**way)
    await signed_in(other, email)
    await signed_in(browser, email)
    await browser.good()
    await browser.press("totp-setup", "/account/totp")
    shown = (
        await browser.page.evaluate(
            "(async p => { await p.decode(); return [p.naturalWidth > 0, p.getBoundingClientRect().width] })"
            "(document.querySelector('img.qr'))"
        )
        if way["script"]
        else [True, 220]
    )
    assert shown[0] and shown[1] >= 200, "the picture is there, large enough for a camera"
    secret = await secret_of(browser)
    await browser.good()
    await browser.fill(code="000000")
    await browser.press("totp-submit")
    assert await browser.page.get_attribute("#code", "aria-invalid") == "true" and await secret_of(browser) == secret
    await browser.good()
    await browser.fill(code=code(secret))
    await browser.press("totp-submit")
    codes = await browser.page.locator("#recovery-codes code").all_inner_texts()
    assert len(set(codes)) == 10
    await browser.good()
    await browser.press("codes-saved", "/account")
    await browser.good()
    await letter_to(post_office, email, "身份验证器应用" if chinese else "authenticator app was set up")
    await other.open("/account")
    assert other.path == "/login"
    await other.fill(email=email, password=PASSWORD)
    await other.press("login-submit", "/login/code")
    await other.good()
    await other.press("other-way-recovery-code", "way=recovery-code")
    await other.good()
    await other.fill(recovery_code="1234")
    await other.press("second-factor-submit")
    await other.good()
    await other.fill(recovery_code=codes[0])
    await other.press("second-factor-submit", "/account")
    await letter_to(post_office, email, "恢复代码" if chinese else "recovery code was used")
    await browser.open("/account")
    await browser.press("codes-renew")
    renewed = await browser.page.locator("#recovery-codes code").all_inner_texts()
    assert len(renewed) == 10 and not set(renewed) & set(codes)
    await browser.good()
    await browser.press("codes-saved", "/account")
    await browser.press("totp-remove")
    await browser.page.wait_for_selector("#notice")
    await browser.good()
    assert await browser.page.locator("#totp-remove").count() == 0
    await letter_to(post_office, email, "已移除" if chinese else "was removed")
    await other.open("/login")
    await signed_in(other, email)


class Device:
    """A window with an authenticator in it, as a laptop has: it asks for a finger, which is there at once."""

    def __init__(self, browser: Screen, wire: CDPSession, authenticator: str) -> None:
        self.browser = browser
        self._wire = wire
        self._id = authenticator

    async def tell(self, method: str, **more: Any) -> dict[str, Any]:
        said: dict[str, Any] = await self._wire.send(f"WebAuthn.{method}", {"authenticatorId": self._id, **more})
        return said

    async def credential(self) -> dict[str, Any]:
        (only,) = (await self.tell("getCredentials"))["credentials"]
        found: dict[str, Any] = only
        return found


async def device(chromium: Browser, site: Site, **look: Any) -> Device:
    browser = await screen(chromium, site.url, **look)
    wire = await browser.context.new_cdp_session(browser.page)
    await wire.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "automaticPresenceSimulation": True}
    able = dict.fromkeys(("hasResidentKey", "hasUserVerification", "isUserVerified"), True)
    made = await wire.send("WebAuthn.addVirtualAuthenticator", {"options": {**options, **able}})
    return Device(browser, wire, made["authenticatorId"])


@pytest.fixture
async def devices(chromium: Browser, served_by_name: Site) -> AsyncIterator[Any]:
    """`await devices(**look)`: a new window with an authenticator of its own."""
    opened: list[Device] = []

    async def opening(**look: Any) -> Device:
        opened.append(await device(chromium, served_by_name, **look))
        return opened[-1]

    yield opening
    for each in opened:
        await each.browser.context.close()


@pytest.mark.parametrize("way", [pytest.param("desktop-en", marks=pytest.mark.slow), "phone-zh"])
async def test_a_passkey_is_added_signs_in_and_is_removed(
    served_by_name: Site, devices: Any, post_office: SmtpSink, way: str
) -> None:
    email, chinese, look = somebody(), way == "phone-zh", WAYS[way]
    await served_by_name.person(email, first_name="Ada", language="zh-Hans" if chinese else "en")
    laptop: Device = await devices(**look)
    browser = laptop.browser
    await signed_in(browser, email)
    await browser.press("passkey-setup", "/account/passkeys")
    assert await browser.page.locator(".passkey-none").is_hidden()
    await browser.good()
    await browser.fill(label="Ada's laptop")
    await browser.page.click("#passkey-submit")
    await browser.page.wait_for_selector("#recovery-codes")
    await browser.good()
    kept = await laptop.credential()
    assert kept["rpId"] == "localhost" and kept["isResidentCredential"] and email not in str(kept["userHandle"])
    await letter_to(post_office, email, "已为" if chinese else "was added")
    await browser.press("codes-saved", "/account")
    assert "Ada's laptop" in await browser.text()
    await browser.good()

    await browser.context.clear_cookies()  # in place of the password
    await browser.open("/account")
    await browser.good()
    await laptop.tell("setUserVerified", isUserVerified=False)
    await browser.page.click("#passkey-submit")
    await browser.page.wait_for_selector(".passkey-failed:not([hidden])")
    await browser.good()
    await laptop.tell("setUserVerified", isUserVerified=True)
    await browser.press("passkey-submit", "/account")
    assert browser.path == "/account"

    await browser.context.clear_cookies()  # after the password
    await browser.open("/account")
    await browser.fill(email=email, password=PASSWORD)
    await browser.press("login-submit", "/login/code")
    await browser.good()
    await browser.press("passkey-submit", "/account")
    assert browser.path == "/account" and (await laptop.credential())["signCount"] >= 2

    thief: Device = await devices(**look)
    await thief.tell("addCredential", credential={**kept, "signCount": 0})
    await thief.browser.open("/login")
    await thief.browser.page.click("#passkey-submit")
    await thief.browser.page.wait_for_selector("#problem")
    assert ("似乎已被复制" if chinese else "a copy") in await thief.browser.text()
    await thief.browser.good()
    await letter_to(post_office, email, "拒绝了" if chinese else "was refused")

    await browser.open("/account")
    await browser.page.click("button[name=remove]")
    await browser.page.wait_for_selector("#notice")
    await browser.good()
    assert await browser.page.locator("button[name=remove]").count() == 0
    await browser.context.clear_cookies()
    await browser.open("/login")
    await browser.page.click("#passkey-submit")
    await browser.page.wait_for_selector("#problem")
    await signed_in(browser, email)


@ways("phone-zh")
async def test_where_no_passkey_can_be_used_all_else_works(
    served_by_name: Site, chromium: Browser, way: dict[str, Any]
) -> None:
    """Without a script, or in a browser that knows no passkeys."""
    email = somebody()
    await served_by_name.person(email, language="en")
    browser = await screen(chromium, served_by_name.url, **way)
    await browser.context.add_init_script("delete window.PublicKeyCredential")
    await browser.open("/login")
    assert not await browser.page.locator("#passkey-submit").is_visible()
    await signed_in(browser, email)
    await browser.press("passkey-setup", "/account/passkeys")
    assert not await browser.page.locator("#passkey-submit").is_visible()
    assert await browser.page.locator(".passkey-none").is_visible()
    await browser.good()
    await browser.context.close()
