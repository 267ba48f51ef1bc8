"""Apps ask a frame of ours whether their user is still signed in — Session Management 1.0; security §29."""

import base64
import hashlib
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import urlencode

import anyio
import pytest

from bridge.oidc.session_management import origin_as_browsers_say, session_state
from bridge.types import ClientId
from tests.flows.oauth import CHALLENGE
from tests.flows.visitor import Visitor
from tests.running import ADA, PASSWORD, Furnished, Site, in_process
from tests.servers import need

Visit = Callable[[Site], Visitor]
STATE = "__Host-lb_op_state"
ORIGIN = "https://one.example.net"
PAGE = "/oauth/session"


@pytest.fixture(scope="module")
async def watched(house: Furnished, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    database = house.copy(tmp_path_factory.mktemp("watched"))
    async with in_process(database, more={("oidc", "session_management"): True}) as site:
        document = {"client_name": "One", "redirect_uris": [f"{ORIGIN}/cb"]}
        await site.client("one", document, first_party=True)
        yield site


@pytest.fixture
def browser(watched: Site, visit: Visit) -> Visitor:
    return visit(watched)


def asked(**more: str) -> str:
    request = {
        "client_id": "one",
        "redirect_uri": f"{ORIGIN}/cb",
        "response_type": "code",
        "scope": "openid",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **more,
    }
    return f"/oauth/authorize?{urlencode(request)}"


async def signed_in(site: Site, visit: Visit) -> Visitor:
    browser = visit(site)
    await browser.sign_in(ADA)
    return browser


async def state_of(browser: Visitor) -> str:
    await browser.get(asked())
    return browser.query["session_state"]


async def test_osm_2_an_answer_carries_a_salted_hash_of_client_origin_and_cookie(watched: Site, visit: Visit) -> None:
    browser = await signed_in(watched, visit)
    first, second = await state_of(browser), await state_of(browser)
    assert first != second, "salted"
    for found in (first, second):
        assert found == session_state(ClientId("one"), ORIGIN, browser.jar[STATE], found.partition(".")[2])
    assert len(browser.jar[STATE]) == 22 and browser.jar[STATE] not in browser.jar["__Host-lb_op"]


async def test_security_29_the_cookie_is_new_at_login_and_at_logout(watched: Site, visit: Visit) -> None:
    browser, seen = visit(watched), list[str]()
    for _ in range(2):
        await browser.sign_in(ADA)
        seen.append(browser.jar[STATE])
        await browser.open("/logout")
        await browser.press("logout-confirm")
        seen.append(browser.jar[STATE])
    assert len(set(seen)) == 4
    assert browser.set[STATE] == f"{STATE}={seen[-1]}; Path=/; SameSite=None; Secure", "a script of that page reads it"


async def test_a_browser_that_signed_in_before_it_was_turned_on_gets_one_with_the_answer(
    watched: Site, visit: Visit
) -> None:
    browser = await signed_in(watched, visit)
    for odd in (None, "not=ours"):
        browser.jar.pop(STATE)
        if odd:
            browser.jar[STATE] = odd
        found = await state_of(browser)
        assert found == session_state(ClientId("one"), ORIGIN, browser.jar[STATE], found.partition(".")[2])
        assert browser.jar[STATE].isalnum()


async def test_who_asks_for_no_openid_is_told_nothing(watched: Site, visit: Visit) -> None:
    browser = await signed_in(watched, visit)
    await browser.get(asked(scope="email"))
    assert "code" in browser.query and "session_state" not in browser.query


async def test_security_29_that_page_alone_may_be_framed(watched: Site, visit: Visit) -> None:
    browser = visit(watched)
    reply = await browser.get(PAGE)
    policy = reply.headers["content-security-policy"]
    assert "x-frame-options" not in reply.headers and "frame-ancestors" not in policy
    (script,) = re.findall("<script>(.*)</script>", reply.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy == f"default-src 'none'; script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert "set-cookie" not in reply.headers
    for path in ("/login", "/logout", "/account", "/consent"):
        assert (await browser.get(path, accept="text/html")).headers.get("x-frame-options", "DENY") == "DENY"
    assert (await browser.post(PAGE, {})).status_code == 405


async def test_discovery_names_it_only_where_it_is_on(watched: Site, site: Site, visit: Visit) -> None:
    """The suite's session-management-discovery-endpoint-verification."""
    members = (await visit(watched).get("/.well-known/openid-configuration")).json()
    assert members["check_session_iframe"] == f"{watched.url}{PAGE}"
    other = await signed_in(site, visit)
    assert "check_session_iframe" not in (await other.get("/.well-known/openid-configuration")).json()
    assert (await other.get(PAGE)).status_code == 404 and STATE not in other.jar


@pytest.mark.parametrize(
    ("uri", "origin"),
    [
        ("https://App.example/cb", "https://app.example"),
        ("https://app.example:443/cb", "https://app.example"),
        ("https://app.example:8443/cb", "https://app.example:8443"),
        ("https://app.example:80/cb", "https://app.example:80"),
        ("http://127.0.0.1:443/cb", "http://127.0.0.1:443"),
        ("http://127.0.0.1:9000/cb", "http://127.0.0.1:9000"),
        ("http://[::1]:80/cb", "http://[::1]"),
        ("com.example.app:/cb", None),
    ],
)
def test_an_origin_is_written_as_browsers_write_it(uri: str, origin: str | None) -> None:
    assert origin_as_browsers_say(uri) == origin


async def test_osm_3_2_the_script_says_unchanged_changed_or_error(watched: Site, visit: Visit, tmp_path: Path) -> None:
    """In node, with a window of three lines: the frame itself, asked by a page of that origin."""
    node = need("node", "apt install nodejs")
    browser = await signed_in(watched, visit)
    found, state = await state_of(browser), browser.jar[STATE]
    (script,) = re.findall("<script>(.*)</script>", (await browser.get(PAGE)).text, re.DOTALL)
    longer = session_state(ClientId("a client"), ORIGIN, "x" * 90, found[-22:])
    questions = [
        (f"one {found}", ORIGIN, state, "unchanged"),
        (f"one {found}", ORIGIN, "another", "changed"),
        (f"one {found}", ORIGIN, "", "changed"),
        (f"two {found}", ORIGIN, state, "changed"),
        (f"one {found}", "https://evil.example", state, "changed"),
        (f"a client {longer}", ORIGIN, "x" * 90, "unchanged"),
        ("one", ORIGIN, state, "error"),
        (f"one {found} more", ORIGIN, state, "error"),
        (f"one {found[:-1]}", ORIGIN, state, "error"),
        ("", ORIGIN, state, "error"),
    ]
    program = "".join(
        f"""{{
  let heard, said;
  const document = {{cookie: {f"a=b; {STATE}={cookie}; c=d"!r}}};
  const window = {{addEventListener: (_, listener) => {{ heard = listener; }}}};
  {script}
  const source = {{postMessage: (text, to) => {{ said = text + " to " + to; }}}};
  heard({{data: {data!r}, origin: {origin!r}, source}});
  console.log(said);
}}
"""
        for data, origin, cookie, _ in questions
    )
    file = tmp_path / "asked.js"
    file.write_text(program)
    said = (await anyio.run_process([node, str(file)])).stdout.decode().splitlines()
    assert said == [f"{answer} to {origin}" for _, origin, _, answer in questions]


@pytest.mark.parametrize(
    ("known", "cookie", "answer"),
    [("true", "", "changed"), ("false", "", "error"), ("false", "x", "changed"), ("true", "x", "changed")],
)
async def test_a_frame_that_may_not_know_its_cookies_says_that_it_does_not_know(
    browser: Visitor, tmp_path: Path, known: str, cookie: str, answer: str
) -> None:
    """Session Management 1.0 §5.1: a browser keeps them from frames of other sites, which is no sign-out."""
    node = need("node", "apt install nodejs")
    (script,) = re.findall("<script>(.*)</script>", (await browser.get(PAGE)).text, re.DOTALL)
    program = f"""
let heard;
const document = {{cookie: {f"{STATE}={cookie}" if cookie else ""!r}, hasStorageAccess: async () => {known}}};
const window = {{addEventListener: (_, listener) => {{ heard = listener; }}}};
{script}
const source = {{postMessage: text => console.log(text)}};
heard({{data: {f"one {'0' * 64}.{'s' * 22}"!r}, origin: {ORIGIN!r}, source}});
"""
    file = tmp_path / "asked.js"
    file.write_text(program)
    assert (await anyio.run_process([node, str(file)])).stdout.decode().split() == [answer]


async def test_after_a_logout_the_app_asks_and_hears_that_nobody_is_there(watched: Site, visit: Visit) -> None:
    """The suite's session-management-rp-initiated-logout: unchanged before, changed after."""
    browser = await signed_in(watched, visit)
    found = await state_of(browser)
    salt = found.partition(".")[2]
    assert found == session_state(ClientId("one"), ORIGIN, browser.jar[STATE], salt)
    await browser.open("/logout")
    await browser.press("logout-confirm")
    assert found != session_state(ClientId("one"), ORIGIN, browser.jar[STATE], salt)
    await browser.get(asked(prompt="none"))
    assert browser.query["error"] == "login_required"


async def test_another_person_at_the_same_browser_is_a_change(watched: Site, visit: Visit) -> None:
    browser = await signed_in(watched, visit)
    before = browser.jar[STATE]
    await browser.open("/login?confirm=1")
    await browser.press("login-submit", password=PASSWORD)
    assert browser.jar[STATE] != before
