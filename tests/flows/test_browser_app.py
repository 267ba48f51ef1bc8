"""An application that lives in the browser, by the npm library oidc-client-ts, in a real Chromium — security §28, §29.

The provider is `login.acme.test`.  The same application stands at `boards.acme.test`, of the provider's own site, and
at `boards.other.test`, whose frames of the provider get no cookies.
"""

import asyncio
import json
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import pytest
from playwright.async_api import Browser

from tests.flows.browser_app import ISSUER, AppScreen, BrowserApp, browser_app, certificate
from tests.flows.screens import Screen, screen, signed_in, somebody
from tests.running import PASSWORD, Furnished, Given, Site, on_a_port
from tests.servers import SmtpSink

pytestmark = [pytest.mark.browser, pytest.mark.slow]

REAL: Final[Given] = {
    ("profile",): "production",
    ("preset",): "whmcs",
    ("oidc", "session_management"): True,
    ("oidc", "registration"): "token",
}


@pytest.fixture(scope="module")
def served(house: Furnished, post_office: SmtpSink, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A bridge of the production profile by TLS: its cookies are Secure and `__Host-`."""
    tls = certificate(tmp_path_factory.mktemp("tls"))
    database = house.copy(tmp_path_factory.mktemp("real"))
    with on_a_port(database, post_office, name=ISSUER, more=REAL, tls=tls) as site:
        yield site


@pytest.fixture(scope="module")
def spread(served: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserApp]:
    with browser_app(served, "boards", certificate(tmp_path_factory.mktemp("app-tls"))) as app:
        yield app


@pytest.fixture
async def boards(served: Site, spread: BrowserApp) -> BrowserApp:
    """Registered."""
    if await served.ask(served.bridge.rooms.clients.get(spread.client_id)) is None:
        await served.client(spread.client_id, spread.registration())
    return spread


@pytest.fixture
async def window(chromium: Browser, served: Site) -> AsyncIterator[Screen]:
    """One, at the provider or at the application."""
    opened = await screen(chromium, served.url, ignore_https_errors=True)
    yield opened
    await opened.context.close()


@pytest.fixture(params=["near", "far"])
async def app(request: pytest.FixtureRequest, boards: BrowserApp, window: Screen) -> AppScreen:
    """The application in that window, of the provider's site or of another."""
    return AppScreen(window, getattr(boards, request.param))


@pytest.fixture
async def near(boards: BrowserApp, window: Screen) -> AppScreen:
    return AppScreen(window, boards.near)


@pytest.fixture
async def far(boards: BrowserApp, window: Screen) -> AppScreen:
    return AppScreen(window, boards.far)


@pytest.fixture
async def ada(served: Site) -> str:
    """The address of somebody new."""
    email = somebody()
    await served.person(email, first_name="Ada")
    return email


async def beside(app: AppScreen) -> Screen:
    """Another tab of the same browser, at the provider."""
    return Screen(app.window.context, await app.window.context.new_page(), app.window.url, script=True)


def claims(tokens: dict[str, str]) -> dict[str, Any]:
    """What the ID token says."""
    body: dict[str, Any] = json.loads(urlsafe_b64decode(tokens["id_token"].split(".")[1] + "=="))
    return body


# ── in, on and out ──


async def test_it_signs_in_by_redirect_reads_who_it_is_and_renews_by_refresh_token(app: AppScreen, ada: str) -> None:
    await app.sign_in(ada, PASSWORD)
    assert await app.who() == "Ada"
    assert await app.do("userinfo") == "Ada", "a fetch with an Authorization header, so after a preflight"
    before = await app.tokens()
    assert await app.do("renew") == "renewed"
    after = await app.tokens()
    for name in ("access_token", "refresh_token", "id_token"):
        assert before[name] != after[name]
    assert await app.do("userinfo") == "Ada"
    assert app.window.complaints == []


async def test_it_renews_by_itself_before_its_tokens_end(app: AppScreen, ada: str) -> None:
    await app.sign_in(ada, PASSWORD)
    before = await app.tokens()
    await app.open("?soon")
    await app.hears("loaded")
    assert (await app.tokens())["access_token"] != before["access_token"] and app.window.complaints == []


async def test_it_signs_in_in_a_window_of_its_own(app: AppScreen, ada: str) -> None:
    """Our pages cut the tie to the window that opened theirs; the library hears from its own page all the same."""
    await app.open()
    async with app.page.expect_popup() as opening:
        await app.page.click("#sign-in-in-a-window")
    popup = Screen(app.window.context, await opening.value, app.window.url, script=True)
    await popup.page.wait_for_url(f"{popup.url}/login?**")
    assert await popup.page.evaluate("window.opener") is None
    await popup.fill(email=ada, password=PASSWORD)
    await popup.press("login-submit", "/consent")
    await popup.page.click("#consent-allow")
    await app.page.wait_for_selector("#said:not(:empty)")
    assert await app.page.inner_text("#said") == "signed in" and await app.who() == "Ada"


async def test_two_tabs_that_renew_at_once_stay_signed_in(near: AppScreen, ada: str) -> None:
    await near.sign_in(ada, PASSWORD)
    other = AppScreen(Screen(near.window.context, await near.window.context.new_page(), "", script=True), near.origin)
    await other.open()
    assert set(await asyncio.gather(near.do("renew"), other.do("renew"))) == {"renewed"}
    assert await near.do("renew") == "renewed" and await other.do("userinfo") == "Ada"


async def test_it_gives_its_tokens_back(app: AppScreen, ada: str) -> None:
    await app.sign_in(ada, PASSWORD)
    kept = await app.tokens()
    assert await app.do("revoke") == "given back"
    assert (await app.do("userinfo")).startswith('401 Bearer error="invalid_token"'), "shown to scripts"
    again = await app.page.evaluate(
        """async kept => {
          const body = new URLSearchParams({
            grant_type: "refresh_token", refresh_token: kept.refresh_token, client_id: app.settings.client_id
          });
          const reply = await fetch(await app.metadataService.getTokenEndpoint(), { method: "POST", body });
          return [reply.status, (await reply.json()).error];
        }""",
        kept,
    )
    assert again == [400, "invalid_grant"]


async def test_it_signs_out_and_the_provider_forgets_the_browser_too(app: AppScreen, ada: str) -> None:
    await app.sign_in(ada, PASSWORD)
    async with app.page.expect_navigation(url=f"{app.origin}/"):
        await app.page.click("#sign-out")
    await app.page.wait_for_selector("#who:not(:empty)")
    assert await app.who() == "nobody", "its ID token was hint enough: nobody was asked"
    await app.window.open("/account")
    assert app.window.path == "/login" and app.window.complaints == []


# ── in a hidden frame ──


async def test_of_the_providers_own_site_it_renews_in_a_hidden_frame(near: AppScreen, ada: str) -> None:
    await near.sign_in(ada, PASSWORD)
    before = await near.tokens()
    assert await near.do("renew-in-a-frame") == "renewed"
    after = await near.tokens()
    assert before["access_token"] != after["access_token"]
    assert claims(before)["auth_time"] == claims(after)["auth_time"]
    assert near.window.complaints == []


async def test_of_another_site_the_frame_has_no_cookie_and_says_so_cleanly(far: AppScreen, ada: str) -> None:
    await far.sign_in(ada, PASSWORD)
    assert await far.do("renew-in-a-frame") == "login_required"
    assert await far.who() == "Ada" and await far.do("renew") == "renewed", "nothing else was lost"
    assert far.window.complaints == []


@pytest.mark.parametrize("path", ["/login", "/account", "/consent", "/logout", "/oauth/authorize?client_id=nobody"])
async def test_no_page_can_be_framed(app: AppScreen, ada: str, path: str) -> None:
    """Nor does a request without `prompt=none` show its sign-in page there."""
    await signed_in(app.window, ada)
    await app.open()
    async with app.page.expect_event("framenavigated", lambda frame: frame.url.startswith("chrome-error:")):
        await app.page.evaluate(
            """url => {
              const frame = document.createElement("iframe");
              frame.src = url;
              document.body.append(frame);
            }""",
            app.window.url + path,
        )


# ── ended elsewhere ──


async def test_after_the_consent_is_withdrawn_nothing_renews(near: AppScreen, ada: str) -> None:
    await near.sign_in(ada, PASSWORD)
    account = await beside(near)
    await account.open("/account")
    await account.page.click("button[name=client]")
    await account.page.wait_for_selector("#notice")
    assert await near.do("renew") == "invalid_grant"
    assert await near.do("renew-in-a-frame") == "consent_required"
    assert (await near.do("userinfo")).startswith("401 ")


async def test_after_the_session_ends_elsewhere_nothing_renews(near: AppScreen, ada: str, served: Site) -> None:
    await near.sign_in(ada, PASSWORD)
    user = await served.user(ada)
    await served.ask(served.bridge.rooms.sessions.end_all(user.id, user.tag, "user"))
    assert await near.do("renew") == "invalid_grant"
    assert await near.do("renew-in-a-frame") == "login_required"
    assert (await near.do("userinfo")).startswith("401 ")


async def test_a_renewal_that_fails_by_itself_is_heard_of(near: AppScreen, ada: str, served: Site) -> None:
    await near.sign_in(ada, PASSWORD)
    user = await served.user(ada)
    await served.ask(served.bridge.rooms.sessions.end_all(user.id, user.tag, "user"))
    await near.open("?soon")
    await near.hears("not renewed: invalid_grant")


async def test_by_the_frame_of_the_session_it_hears_of_a_sign_out(near: AppScreen, ada: str) -> None:
    """Session Management 1.0 §3."""
    await near.sign_in(ada, PASSWORD)
    await near.open("?watch")
    await near.page.wait_for_timeout(1_000)
    assert await near.who() == "Ada" and await near.page.inner_text("#heard") == "", "unchanged is not told"
    account = await beside(near)
    await account.open("/logout")
    await account.press("logout-confirm")
    await near.hears("signed out")
    assert await near.who() == "nobody"


async def test_a_frame_that_gets_no_cookie_signs_nobody_out(far: AppScreen, ada: str) -> None:
    """This browser keeps cookies from frames of other sites: there the frame knows nothing, and says so."""
    await far.sign_in(ada, PASSWORD)
    await far.open("?watch")
    await far.page.wait_for_timeout(2_000)
    assert await far.who() == "Ada" and await far.page.inner_text("#heard") == ""
    assert await far.do("renew") == "renewed"


async def test_by_the_frame_of_the_session_it_hears_of_a_change_that_is_no_sign_out(near: AppScreen, ada: str) -> None:
    await near.sign_in(ada, PASSWORD)
    await near.open("?watch")
    account = await beside(near)
    await account.open("/login?confirm=1")
    await account.fill(password=PASSWORD)
    await account.press("login-submit", "/account")
    await near.hears("changed")
    assert await near.who() == "Ada"


# ── what its scripts may read ──

READ: Final = """async ([url, method, credentials, headers]) => {
  try {
    const reply = await fetch(url, { method, credentials, headers });
    return String(reply.status);
  } catch (error) {
    return error.name;
  }
}"""


async def test_its_scripts_may_read_five_endpoints_and_never_with_cookies(app: AppScreen, ada: str) -> None:
    await signed_in(app.window, ada)
    await app.open()

    async def read(path: str, method: str = "GET", credentials: str = "omit", **headers: str) -> str:
        asked = [app.window.url + path, method, credentials, headers]
        return str(await app.page.evaluate(READ, asked))

    bearer = {"authorization": "Bearer lba_x"}
    for path, method, headers, status in (
        ("/.well-known/openid-configuration", "GET", {}, "200"),
        ("/oauth/jwks", "GET", {}, "200"),
        ("/oauth/userinfo", "GET", bearer, "401"),
        ("/oauth/token", "POST", {"content-type": "application/x-www-form-urlencoded"}, "401"),
        ("/oauth/revoke", "POST", {"content-type": "application/x-www-form-urlencoded"}, "401"),
    ):
        assert await read(path, method, **headers) == status, path
        assert await read(path, method, "include", **headers) == "TypeError", "not with cookies"
    for path in ("/account", "/login", "/logout", "/oauth/authorize?client_id=boards", "/session/verify"):
        for credentials in ("omit", "include"):
            assert await read(path, credentials=credentials) == "TypeError", path
    for path in ("/oauth/introspect", "/oauth/register", "/includes/api.php", "/api/v1/sessions/touch", "/login"):
        assert await read(path, "POST", "include", **bearer) == "TypeError", path


async def test_a_script_of_the_same_site_cannot_press_our_buttons(near: AppScreen, ada: str, served: Site) -> None:
    """Its request does carry the cookie, as SameSite=Lax has it; our forms ask for more."""
    await signed_in(near.window, ada)
    user = await served.user(ada)
    await near.open()
    before = await served.sessions(user.id)
    await near.page.evaluate(
        """async url => {
          const body = new URLSearchParams({ end: "all" });
          await fetch(url, { method: "POST", mode: "no-cors", credentials: "include", body }).catch(() => {});
        }""",
        f"{near.window.url}/account/sessions",
    )
    assert await served.sessions(user.id) == before != []
