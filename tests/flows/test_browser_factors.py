"""The second step in a real Chromium: an app, recovery codes — W1, A8, DESIGN §7."""

from typing import Any

import pytest

from tests.flows.screens import Open, Screen, letter_to, signed_in, somebody, ways
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
