"""What the official suite asks of `end_session_endpoint`, module by module — openid-provider §4, §12 no. 95, 97."""

import base64
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from urllib.parse import urlencode

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.flows.oauth import App
from tests.flows.visitor import Visitor
from tests.running import ADA, PUBLIC_URL, Furnished, Site, in_process

Visit = Callable[[Site], Visitor]
BYE = "https://notes.example.net/bye"


@pytest.fixture(scope="module")
async def provider(house: Furnished, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with in_process(house.copy(tmp_path_factory.mktemp("rpi"))) as site:
        yield site


@dataclass
class SignedIn:
    """Somebody in his browser, and the ID token that the client holds."""

    browser: Visitor
    hint: str
    site: Site

    async def ask(self, **request: str) -> Visitor:
        """Go to `end_session_endpoint`, and press the button where there is one."""
        await self.browser.open(f"/oauth/logout?{urlencode(request)}" if request else "/oauth/logout")
        if 'id="logout-confirm"' in self.browser.reply.text:
            await self.browser.press("logout-confirm")
        return self.browser

    async def is_over(self) -> bool:
        """Afterwards `prompt=none` errors."""
        await self.browser.get(App(self.site).request(prompt="none"))
        return "error=login_required" in self.browser.sent_to


@pytest.fixture
async def person(provider: Site, visit: Visit) -> SignedIn:
    browser = visit(provider)
    await browser.sign_in(ADA)
    return SignedIn(browser, (await App(provider).tokens(browser))["id_token"], provider)


async def test_rp_initiated_logout_redirects_with_the_state(person: SignedIn) -> None:
    browser = await person.ask(id_token_hint=person.hint, post_logout_redirect_uri=BYE, state="a+b c")
    assert browser.sent_to == f"{BYE}?state=a%2Bb%20c"
    assert await person.is_over()


async def test_rp_initiated_logout_no_state_redirects_without_one(person: SignedIn) -> None:
    browser = await person.ask(id_token_hint=person.hint, post_logout_redirect_uri=BYE)
    assert browser.sent_to == BYE
    assert await person.is_over()


@pytest.mark.parametrize("destination", ["image", "iframe", "empty"])
async def test_nobody_is_signed_out_by_what_a_page_loads(person: SignedIn, destination: str) -> None:
    """An app's logo stands on our pages, and may be an address of ours with an ID token that the app was given."""
    person.browser.headers |= {"sec-fetch-dest": destination, "sec-fetch-mode": "no-cors"}
    await person.browser.open(f"/oauth/logout?{urlencode({'id_token_hint': person.hint})}")
    for name in ("sec-fetch-dest", "sec-fetch-mode"):
        del person.browser.headers[name]
    assert not await person.is_over()


def unsigned(hint: str) -> str:
    """The hint changed to alg none."""
    head = base64.urlsafe_b64encode(json.dumps({"alg": "none"}).encode()).decode().rstrip("=")
    return f"{head}.{hint.split('.')[1]}."


def forged(hint: str) -> str:
    """The same claims under another party's key."""
    body = hint.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    key = RSAKey.generate_key(2048, private=True)
    return jwt.encode({"alg": "RS256", "kid": key.thumbprint(), "typ": "JWT"}, claims, key)


def one_byte_changed(hint: str) -> str:
    head, body, signature = hint.split(".")
    middle = len(signature) // 2
    other = "A" if signature[middle] != "A" else "B"
    return f"{head}.{body}.{signature[:middle]}{other}{signature[middle + 1 :]}"


MISTAKES: dict[str, tuple[Callable[[str], dict[str, str]], str]] = {
    "bad-post-logout-redirect-uri": (
        lambda hint: {"id_token_hint": hint, "post_logout_redirect_uri": "https://evil.example/bye", "state": "s"},
        "post_logout_redirect_uri is not registered",
    ),
    "query-added-to-post-logout-redirect-uri": (
        lambda hint: {"id_token_hint": hint, "post_logout_redirect_uri": BYE + "?foo=bar", "state": "s"},
        "post_logout_redirect_uri is not registered",
    ),
    "modified-id-token-hint": (
        lambda hint: {"id_token_hint": unsigned(hint), "post_logout_redirect_uri": BYE, "state": "s"},
        "id_token_hint is not an ID token",
    ),
    "modified-id-token-hint, one byte": (
        lambda hint: {"id_token_hint": one_byte_changed(hint), "post_logout_redirect_uri": BYE},
        "id_token_hint is not an ID token",
    ),
    "bad-id-token-hint": (
        lambda hint: {"id_token_hint": forged(hint), "post_logout_redirect_uri": BYE, "state": "s"},
        "id_token_hint is not an ID token",
    ),
    "no-id-token-hint": (lambda _: {"post_logout_redirect_uri": BYE, "state": "s"}, "post_logout_redirect_uri needs"),
    "bad-id-token-hint, beside a client_id": (
        lambda hint: {"id_token_hint": forged(hint), "client_id": "notes", "post_logout_redirect_uri": BYE},
        "id_token_hint is not an ID token",
    ),
}


@pytest.mark.parametrize("module", MISTAKES)
async def test_a_request_with_a_mistake_redirects_nobody_and_ends_nothing(person: SignedIn, module: str) -> None:
    request, named = MISTAKES[module]
    browser = await person.ask(**request(person.hint))
    assert browser.reply.status_code == 400 and "location" not in browser.reply.headers
    assert named in browser.text and 'http-equiv="refresh"' not in browser.reply.text
    assert not await person.is_over()


@pytest.mark.parametrize(
    ("module", "request_"),
    [("no-params", {}), ("no-post-logout-redirect-uri", {"id_token_hint": ""}), ("only-state", {"state": "s"})],
)
async def test_without_an_address_it_is_the_page_that_says_so(
    person: SignedIn, module: str, request_: dict[str, str]
) -> None:
    asked = {name: value or person.hint for name, value in request_.items()}
    browser = await person.ask(**asked)
    assert browser.reply.status_code == 200 and "You have signed out" in browser.text, module
    assert await person.is_over()


async def test_the_sessions_tokens_are_dead_and_offline_access_survives(provider: Site, visit: Visit) -> None:
    """§12 no. 97; BCL §2.7: refresh tokens without offline_access are revoked, with it they are not."""
    app, browser = App(provider), visit(provider)
    await browser.sign_in(ADA)
    bound = await app.tokens(browser)
    offline = await app.tokens(browser, "openid offline_access", prompt="consent")
    await browser.open("/logout")
    await browser.press("logout-confirm")
    assert (await app.refresh(bound["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await app.userinfo(bound["access_token"])).status_code == 401
    assert (await app.refresh(offline["refresh_token"])).status_code == 200


async def test_a_hint_of_another_person_signs_nobody_out_unasked(provider: Site, visit: Visit) -> None:
    browser = visit(provider)
    await browser.sign_in(ADA)
    hint = provider.bridge.rooms.keyring.sign("RS256", {"iss": PUBLIC_URL, "sub": "other", "aud": "notes", "sid": "x"})
    await browser.open(f"/oauth/logout?{urlencode({'id_token_hint': hint, 'post_logout_redirect_uri': BYE})}")
    assert browser.page.one("button", id="logout-confirm").text == "Sign out"
    ada = await provider.user(ADA)
    assert await provider.sessions(ada.id)
