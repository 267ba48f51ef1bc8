"""The headers of every page — W1; what a policy names, and what it never can."""

from dataclasses import replace

import pytest

from bridge.brand import Brand
from bridge.pages.app import App
from bridge.pages.headers import content_security_policy, page_headers, source
from bridge.pages.models import Arrive, Error, Page, SignedOut
from bridge.pages.options import PagesOptions
from bridge.pages.render import Pages
from tests.pages.samples import CONSENT, FORM_POST, LOGIN, LOGIN_TO, SCREENS

NONCE = "n" * 22


def headers(page: Page, *, brand: Brand | None = None, https: bool = True, locale: str = "en") -> dict[str, str]:
    pairs = page_headers(page, brand or Brand(), locale=locale, https=https, nonce=NONCE)
    assert len({name for name, _ in pairs}) == len(pairs)
    return {name.decode(): value.decode() for name, value in pairs}


def directives(page: Page, *, brand: Brand | None = None) -> dict[str, str]:
    policy = headers(page, brand=brand)["content-security-policy"]
    return {name: rest for name, _, rest in (each.partition(" ") for each in policy.split("; "))}


@pytest.mark.parametrize("page", SCREENS.values(), ids=SCREENS.keys())
def test_every_page_carries_the_headers_of_w1(page: Page) -> None:
    found = headers(page)
    assert found["x-content-type-options"] == "nosniff"
    assert found["x-frame-options"] == "DENY"
    assert found["cross-origin-opener-policy"] == "same-origin"
    # Not no-referrer: sessions-and-accounts §1.10.  The address of one carries a token.
    assert found["referrer-policy"] == ("strict-origin" if isinstance(page, Arrive) else "same-origin")
    assert found["cache-control"] == "no-store"
    assert found["content-type"] == "text/html; charset=utf-8"
    assert "camera=()" in found["permissions-policy"] and "Cookie" in found["vary"]
    policy = directives(page)
    assert policy["default-src"] == "'none'" and policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'" and policy["base-uri"] == "'none'"
    assert "unsafe" not in found["content-security-policy"] and "*" not in found["content-security-policy"]


def test_the_browser_is_told_to_stay_with_https_only_over_https() -> None:
    assert headers(LOGIN)["strict-transport-security"].startswith("max-age=31536000")
    assert "strict-transport-security" not in headers(LOGIN, https=False)


def test_the_language_is_told() -> None:
    assert headers(LOGIN, locale="zh_Hans")["content-language"] == "zh-Hans"


@pytest.mark.parametrize("page", [page for page in SCREENS.values() if page is not FORM_POST])
def test_forms_lead_to_us_alone(page: Page) -> None:
    assert directives(page)["form-action"] == "'self'"


def test_the_form_that_carries_an_answer_may_go_on_to_wherever_the_application_goes() -> None:
    assert directives(FORM_POST)["form-action"] == "'self' https:"
    loopback = replace(FORM_POST, target="http://127.0.0.1:4711/cb")
    assert directives(loopback)["form-action"] == "'self' http: https:"


def test_so_may_the_form_that_a_person_carries_an_error_by() -> None:
    page = Error(kind="bad-request", detail="x", reference=None, target="com.example.app:/cb", fields=(("error", "x"),))
    assert directives(page)["form-action"] == "'self' com.example.app: https:"
    assert "script-src" not in directives(page)


def test_without_an_app_there_are_no_pictures_but_ours() -> None:
    assert directives(LOGIN)["img-src"] == "'self' data:"


def test_pictures_come_from_the_brand_and_the_client_alone() -> None:
    brand = Brand(logo_url="https://cdn.example.org:8443/logo.svg")
    wanted = "'self' data: https://cdn.example.org:8443 https://static.example.com"
    assert directives(LOGIN_TO, brand=brand)["img-src"] == wanted
    assert directives(LOGIN, brand=Brand(logo_url="/logo.svg"))["img-src"] == "'self' data:"


def test_only_the_form_that_sends_itself_and_pages_that_ask_for_a_passkey_may_run_a_script() -> None:
    assert directives(FORM_POST)["script-src"] == f"'nonce-{NONCE}'"
    asking = {name for name, page in SCREENS.items() if "script-src" in directives(page)} - {"form-post"}
    assert asking == {name for name, page in SCREENS.items() if getattr(page, "passkey", None) is not None}
    assert {directives(SCREENS[name])["script-src"] for name in asking} == {f"'nonce-{NONCE}'"}
    assert all("connect-src" not in directives(page) for page in SCREENS.values())


@pytest.mark.parametrize("nonce", ["short", "n" * 22 + "'", "n" * 22 + "; script-src *"])
def test_a_nonce_that_could_be_guessed_or_says_more_is_an_error(nonce: str) -> None:
    with pytest.raises(ValueError, match="nonce"):
        content_security_policy(nonce=nonce)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.example/cb?x=1#y", "https://a.example"),
        ("http://127.0.0.1:4711/", "http://127.0.0.1:4711"),
        ("https://пример.example/", "https://xn--e1afmkfd.example"),
        ("com.example.app:/cb", "com.example.app:"),
        ("http://[::1]:8080/cb", "http:"),
        ("javascript:alert(1)", None),
        ("data:text/html,x", None),
        ("https://a.example; script-src *", None),
        ("https://a.example\r\nset-cookie: x=1", None),
        ("x'unsafe-inline' y:/", None),
        ("https://a b.example/", None),
        ("https://:99999/", None),
        ("", None),
        ("https:", "https:"),
        ("http:", "http:"),
        ("javascript:", None),
    ],
)
def test_an_address_becomes_one_source_or_none(url: str, expected: str | None) -> None:
    assert source(url) == expected


def test_no_redirect_address_adds_a_directive_or_a_line() -> None:
    for uri in ("https://a.example; script-src *", "https://a.example\r\nx: y", "https://a.example,b", "https://*"):
        app = App(name="A", redirect_uri=uri, verified=False)
        policy = headers(replace(CONSENT, app=app))["content-security-policy"]
        assert policy.count(";") == 5 and not {"\r", "\n", "*", ","} & set(policy)


def test_the_pages_give_the_headers_of_their_brand() -> None:
    pages = Pages(PagesOptions(logo_url="https://cdn.example.org/l.png"))
    policy = dict(pages.headers(LOGIN, locale="en", https=True))[b"content-security-policy"]
    assert b"img-src 'self' data: https://cdn.example.org" in policy


def test_frames_are_those_of_the_page_and_of_no_other() -> None:
    page = SignedOut(why="signed-out", frames=("https://a.example:8443/out?sid=s", "https://b.example/out", "data:x"))
    assert directives(page)["frame-src"] == "https://a.example:8443 https://b.example"
    assert "frame-src" not in directives(SignedOut(why="signed-out"))
