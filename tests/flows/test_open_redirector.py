"""Nobody is led elsewhere by our address at the wish of an app that anybody may register — RFC 9700 §4.11.2."""

from collections.abc import AsyncIterator, Callable
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
import pytest

from tests.flows.visitor import Visitor
from tests.running import ADA, Furnished, Given, Site, in_process

Visit = Callable[[Site], Visitor]
BACK = "https://evil.example/phish"
BYE = "https://evil.example/bye"
MORE: Given = {
    ("oidc", "registration"): "open",
    ("oidc", "registrations_per_hour"): 999,
    ("oidc", "request_objects"): True,
    ("oidc", "implicit"): True,
}
MISTAKE = {"response_type": "x", "state": "a b"}
TYPES = {"response_types": ["code", "id_token"], "grant_types": ["authorization_code", "implicit"]}


@pytest.fixture(scope="module")
async def site(house: Furnished, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with in_process(house.copy(tmp_path_factory.mktemp("open")), more=MORE) as site:
        yield site


@pytest.fixture
async def stranger(site: Site) -> str:
    """Its client id: it registered itself."""
    document = {"redirect_uris": [BACK], "post_logout_redirect_uris": [BYE], "client_name": "Your bank", **TYPES}
    transport = httpx2.ASGITransport(site.bridge)
    async with httpx2.AsyncClient(transport=transport, base_url=site.url, trust_env=False) as http:
        reply = await http.post("/oauth/register", json=document)
    assert reply.status_code == 201, reply.text
    return str(reply.json()["client_id"])


@pytest.fixture
async def operators(site: Site, stranger: str) -> str:
    """Another one with the same addresses, which the operator added."""
    name = f"added-{stranger}"
    await site.client(name, {"redirect_uris": [BACK], "post_logout_redirect_uris": [BYE], **TYPES})
    return name


def asked(client: str, **request: str) -> str:
    return f"/oauth/authorize?{urlencode({'client_id': client, 'redirect_uri': BACK, **request})}"


def leaving(client: str, **request: str) -> str:
    return f"/oauth/logout?{urlencode({'client_id': client, 'post_logout_redirect_uri': BYE, **request})}"


def stays(browser: Visitor, status: int) -> None:
    """It was not sent anywhere, by no means."""
    assert browser.reply.status_code == status and "location" not in browser.reply.headers
    assert not [each for each in browser.page.all("meta") if each.get("http-equiv")] and not browser.page.all("script")


VARIANTS = {
    "a response_type that there is not": MISTAKE,
    "none at all": {},
    "a mistake beside a wish for a language": {**MISTAKE, "ui_locales": "en"},
    "in a fragment": {"response_type": "id_token", "scope": "openid", "state": "s"},
    "a mistake in prompt itself": {"response_type": "code", "prompt": "none login"},
    "a request object that cannot be read": {"response_type": "code", "request": "a.b.c", "state": "s"},
    "one beside its address": {"response_type": "code", "request": "a.b.c", "request_uri": "https://evil.example/r"},
}


@pytest.mark.parametrize("variant", VARIANTS)
async def test_an_error_for_who_is_not_signed_in_is_a_page_whose_link_leads_where_he_would_have_been_sent(
    site: Site, stranger: str, operators: str, visit: Visit, variant: str
) -> None:
    request = VARIANTS[variant]
    trusted, browser = visit(site), visit(site)
    await trusted.get(asked(operators, **request))
    await browser.open(asked(stranger, **request))
    stays(browser, 400)
    link = browser.page.one("a", id="onward")["href"]
    assert link == trusted.reply.headers["location"] and link.startswith(BACK)
    said = dict(parse_qsl(urlsplit(link).fragment or urlsplit(link).query))
    assert said["error_description"] in browser.text and "evil.example" in browser.text
    assert "Your bank" not in browser.text, "what it says of itself is no word of ours"


async def test_a_form_that_would_have_been_sent_has_a_button_and_no_script(
    site: Site, stranger: str, operators: str, visit: Visit
) -> None:
    request = {**MISTAKE, "response_mode": "form_post"}
    trusted, browser = visit(site), visit(site)
    await trusted.get(asked(operators, **request))
    await browser.open(asked(stranger, **request))
    stays(browser, 400)
    assert browser.form("onward") == trusted.form("form-post-submit")
    policy = browser.reply.headers["content-security-policy"]
    assert "form-action 'self' https:" in policy and "script-src" not in policy


async def test_by_post_from_elsewhere_it_is_the_same_page(site: Site, stranger: str, visit: Visit) -> None:
    browser = visit(site)
    form = {"client_id": stranger, "redirect_uri": BACK, **MISTAKE}
    await browser.post("/oauth/authorize", form, origin="https://evil.example", sec_fetch_site="cross-site")
    await browser.follow()
    stays(browser, 400)


@pytest.mark.parametrize("none", ["none", " none "])
async def test_prompt_none_is_answered_as_before(site: Site, stranger: str, visit: Visit, none: str) -> None:
    browser = visit(site)
    silent = {"response_type": "code", "scope": "openid", "prompt": none, "code_challenge_method": "S256"}
    await browser.get(asked(stranger, **silent, code_challenge="E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"))
    assert browser.sent_to.startswith(f"{BACK}?error=login_required&")


async def test_who_is_signed_in_is_sent_as_before(site: Site, stranger: str, visit: Visit) -> None:
    browser = visit(site)
    await browser.sign_in(ADA)
    await browser.get(asked(stranger, **MISTAKE))
    assert browser.sent_to.startswith(f"{BACK}?error=unsupported_response_type&")


async def test_who_was_signed_in_once_is_shown_the_page(site: Site, stranger: str, visit: Visit) -> None:
    browser = visit(site)
    await browser.sign_in(ADA)
    held = browser.copy()
    await browser.open("/logout")
    await browser.press("logout-confirm")
    await held.open(asked(stranger, **MISTAKE))
    stays(held, 400)


async def test_who_turns_back_is_sent_as_before(site: Site, stranger: str, visit: Visit) -> None:
    browser = visit(site)
    right = {"response_type": "code", "scope": "openid", "code_challenge_method": "S256"}
    await browser.open(asked(stranger, **right, code_challenge="E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"))
    await browser.press("login-cancel")
    assert browser.sent_to.startswith(f"{BACK}?error=access_denied&")


async def test_a_begun_visit_that_has_become_wrong_is_a_page_too(site: Site, stranger: str, visit: Visit) -> None:
    """It may change what it registered while somebody looks at the sign-in page."""
    browser = visit(site)
    right = {"response_type": "code", "scope": "openid", "code_challenge_method": "S256"}
    await browser.open(asked(stranger, **right, code_challenge="E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"))
    interaction = browser.query["interaction"]
    changes = {"response_types": ["id_token"], "grant_types": ["implicit"]}
    await site.bridge.rooms.clients.change(stranger, lambda held: {**held, **changes})
    await browser.open(f"/oauth/authorize?interaction={interaction}")
    stays(browser, 400)
    assert browser.page.one("a", id="onward")["href"].startswith(f"{BACK}?error=unauthorized_client&")


async def test_a_sign_out_of_nobody_leads_on_by_a_link_alone(site: Site, stranger: str, visit: Visit) -> None:
    browser = visit(site)
    await browser.open(leaving(stranger, state="a b"))
    stays(browser, 200)
    assert browser.page.one("a", id="onward")["href"] == f"{BYE}?state=a%20b"
    assert "You are signed out" in browser.text and "evil.example" in browser.text


async def test_an_operators_client_sends_nobody_on_as_before(site: Site, operators: str, visit: Visit) -> None:
    browser = visit(site)
    await browser.open(leaving(operators))
    assert browser.sent_to == BYE


async def test_who_signs_out_is_sent_on_as_before(site: Site, stranger: str, visit: Visit) -> None:
    browser = visit(site)
    await browser.sign_in(ADA)
    await browser.open(leaving(stranger))
    await browser.press("logout-confirm")
    assert browser.sent_to == BYE
