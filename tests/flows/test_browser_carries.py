"""The implicit and hybrid flows by the real pages, where settings offer them — Core §3.2, §3.3, §5.5.1.1."""

import base64
import json
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import parse_qsl

import pytest

from bridge.testing.hands import Hands
from tests.flows.oauth import App
from tests.flows.visitor import Visitor
from tests.running import ADA, PASSWORD, TOM, Furnished, Given, Site, code, in_process

Visit = Callable[[Site], Visitor]
CALLBACK = "https://notes.example.net/callback"
BOARD = {
    "client_name": "Acme Board",
    "redirect_uris": [CALLBACK],
    "grant_types": ["authorization_code", "implicit"],
    "response_types": ["code id_token token", "id_token"],
}
ESSENTIAL = json.dumps({"id_token": {"acr": {"essential": True, "value": "mfa"}}})


@pytest.fixture
async def open_site(database: Furnished, clock: Hands) -> AsyncIterator[Site]:
    """One that offers every flow, and an app that uses two of them."""
    more: Given = {("oidc", "implicit"): True, ("oidc", "hybrid"): True}
    async with in_process(database, more=more, clock=clock) as site:
        await site.client("board", BOARD)
        yield site


def asked(site: Site, response_type: str, **more: str) -> str:
    return App(site).request("openid email", client_id="board", response_type=response_type, **more)


def carried(browser: Visitor) -> dict[str, str]:
    place, _, fragment = browser.sent_to.partition("#")
    assert place == CALLBACK
    return dict(parse_qsl(fragment))


def said(id_token: str) -> dict[str, Any]:
    body = id_token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return claims


async def test_from_nobody_to_tokens_behind_the_hash_and_to_their_end(open_site: Site, visit: Visit) -> None:
    """By sign-in and consent; what the browser carried ends with the consent, taken back on the account page."""
    site, browser = open_site, visit(open_site)
    await browser.open(asked(site, "code id_token token"))
    await browser.press("login-submit", email=ADA, password=PASSWORD)
    assert "Acme Board" in browser.text
    await browser.press("consent-allow")
    back = carried(browser)
    assert {"code", "id_token", "access_token", "state", "iss"} <= set(back)
    assert (await App(site).userinfo(back["access_token"])).json()["email"] == ADA
    await browser.open("/account")
    (button,) = [each for each in browser.page.all("button") if each.get("name") == "client"]
    form = next(each for each in browser.page.all("form") if each["action"] == "/account/apps")
    hidden = {each["name"]: each["value"] for each in form.all("input")}
    await browser.post("/account/apps", {**hidden, "client": button["value"]})
    assert (await App(site).userinfo(back["access_token"])).status_code == 401


async def test_who_turns_back_is_told_behind_the_hash_too(open_site: Site, visit: Visit) -> None:
    browser = visit(open_site)
    await browser.open(asked(open_site, "id_token"))
    await browser.press("login-submit", email=ADA, password=PASSWORD)
    await browser.press("consent-deny")
    assert carried(browser)["error"] == "access_denied"


async def test_a_form_carries_the_id_token_past_our_own_policy(open_site: Site, visit: Visit) -> None:
    """Form Post §2; W1: the page may send its form there, and works without a script."""
    browser = visit(open_site)
    await browser.sign_in(ADA)
    await browser.open(asked(open_site, "id_token", response_mode="form_post"))
    await browser.press("consent-allow")
    form = browser.form("form-post-submit")
    assert form.action == CALLBACK and said(form.fields["id_token"])["email"] == ADA
    assert "form-action 'self' https:;" in browser.reply.headers["content-security-policy"]
    assert browser.reply.headers["cache-control"] == "no-store"


async def test_an_essential_second_factor_is_asked_for_by_our_pages(
    open_site: Site, visit: Visit, clock: Hands
) -> None:
    """§12 no. 80: who has one shows it; who has none is refused after he was asked, and by no page for ever."""
    site, tom, ada = open_site, visit(open_site), visit(open_site)
    await tom.open(asked(site, "id_token", claims=ESSENTIAL))
    await tom.press("login-submit", email=TOM, password=PASSWORD)
    await tom.press("second-factor-submit", code=code(at=clock.now()))
    await tom.press("consent-allow")
    claims = said(carried(tom)["id_token"])
    assert (claims["acr"], claims["amr"]) == ("mfa", ["pwd", "otp", "mfa"])
    await ada.sign_in(ADA)
    await ada.open(asked(site, "id_token", claims=ESSENTIAL))
    assert ada.at.startswith("/login")
    await ada.press("login-submit", email=ADA, password=PASSWORD)
    assert carried(ada)["error"] == "unmet_authentication_requirements"
