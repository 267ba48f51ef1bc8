"""Signing up in a real Chromium, without JavaScript too: from an app over the letter back to the app — W1."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.flows.mailbox import link_in
from tests.flows.screens import Open, letter_to, somebody, ways
from tests.running import NEW_PASSWORD, Furnished, Given, Site, on_a_port
from tests.servers import SmtpSink

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def served(house: Furnished, post_office: SmtpSink, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A bridge at which anybody may make an account."""
    allowed: Given = {("users", "sign_up"): True}
    with on_a_port(house.copy(tmp_path_factory.mktemp("signing-up")), post_office, more=allowed) as site:
        yield site


@ways()
async def test_from_the_sign_in_page_over_the_letter_to_the_account(
    served: Site, window: Open, post_office: SmtpSink, way: dict[str, Any]
) -> None:
    email, browser, about = somebody(), await window(**way), "注册" if way["locale"] == "zh-CN" else "Create"
    await browser.open("/login")
    await browser.good()
    await browser.press("login-sign-up", "/signup")
    await browser.good()
    await browser.press("signup-submit")
    assert await browser.page.get_attribute("#email", "aria-invalid") == "true"
    await browser.good()
    await browser.fill(email=email)
    await browser.press("signup-submit")
    await browser.good()
    await browser.open(link_in(await letter_to(post_office, email, about)))
    assert browser.path == "/signup/finish"
    await browser.good()
    await browser.fill(first_name="Nora", new_password=NEW_PASSWORD, new_password_again=NEW_PASSWORD)
    await browser.press("signup-finish", "/account")
    assert "Nora" in await browser.text()
    assert (await served.user(email)).email_verified
