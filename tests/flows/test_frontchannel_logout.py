"""Apps hear of a sign-out in frames of our page — Front-Channel Logout 1.0; openid-provider §4; security §29."""

from collections.abc import AsyncIterator, Callable
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
import pytest

from bridge.types import ClientId
from tests.flows.oauth import CHALLENGE
from tests.flows.visitor import Visitor
from tests.running import ADA, PUBLIC_URL, Furnished, Site, in_process

Visit = Callable[[Site], Visitor]
BYE = "https://one.example.net/bye"


@pytest.fixture(scope="module")
async def framing(house: Furnished, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    database = house.copy(tmp_path_factory.mktemp("framing"))
    async with in_process(database, more={("oidc", "frontchannel_logout"): True}) as site:
        for client in ("one", "two", "plain", "elsewhere"):
            document = {
                "client_name": client.title(),
                "redirect_uris": [f"https://{client}.example.net/cb"],
                "post_logout_redirect_uris": [f"https://{client}.example.net/bye"],
            }
            if client != "plain":
                query = "?a=b" if client == "two" else ""
                document["frontchannel_logout_uri"] = f"https://{client}.example.net/out{query}"
            await site.client(client, document, first_party=True)
        yield site


async def at(site: Site, visit: Visit, *clients: str) -> Visitor:
    """Somebody who is signed in to these."""
    browser = visit(site)
    await browser.sign_in(ADA)
    for client in clients:
        asked = {
            "client_id": client,
            "redirect_uri": f"https://{client}.example.net/cb",
            "response_type": "code",
            "scope": "openid",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        await browser.get(f"/oauth/authorize?{urlencode(asked)}")
        assert "code=" in browser.sent_to
    return browser


async def sids(site: Site, browser: Visitor) -> dict[ClientId, str]:
    """What each app knows the session of this browser by."""
    from bridge.tokens import LoginToken

    token = LoginToken.parse(browser.jar["__Host-lb_op"])
    assert token is not None
    alive = await site.bridge.rooms.sessions.resolve(token, "issuer", None)
    assert alive.record is not None
    return alive.record.clients


async def signed_out(browser: Visitor, asked: str = "/logout") -> list[str]:
    """The frames of the page at the end."""
    await browser.open(asked)
    form = browser.form("logout-confirm")
    await browser.post(form.action, form.fields)
    assert browser.reply.status_code == 200
    return [str(frame["src"]) for frame in browser.page.all("iframe")]


def policy(browser: Visitor) -> dict[str, str]:
    parts = browser.reply.headers["content-security-policy"].split("; ")
    return {name: rest for name, _, rest in (part.partition(" ") for part in parts)}


async def test_fcl_3_each_app_of_the_session_is_loaded_with_iss_and_sid(framing: Site, visit: Visit) -> None:
    browser = await at(framing, visit, "one", "two", "plain")
    known = await sids(framing, browser)
    frames = await signed_out(browser)
    found = {urlsplit(frame).netloc: dict(parse_qsl(urlsplit(frame).query)) for frame in frames}
    assert found == {
        "one.example.net": {"iss": PUBLIC_URL, "sid": known[ClientId("one")]},
        "two.example.net": {"a": "b", "iss": PUBLIC_URL, "sid": known[ClientId("two")]},
    }
    assert "You have signed out" in browser.text and "__Host-lb_op" not in browser.jar


async def test_security_29_the_policy_lists_the_apps_of_this_session_alone(framing: Site, visit: Visit) -> None:
    await at(framing, visit, "elsewhere")
    browser = await at(framing, visit, "one")
    assert "frame-src" not in policy(await browser.open("/logout"))
    assert len(await signed_out(browser)) == 1
    assert policy(browser)["frame-src"] == "https://one.example.net"
    assert policy(browser)["frame-ancestors"] == "'none'" and "script-src" not in policy(browser)


async def test_then_the_browser_goes_on_with_and_without_script(framing: Site, visit: Visit) -> None:
    """openid-provider §7.2: a refresh that needs no script, and a link."""
    browser = await at(framing, visit, "one")
    asked = f"/oauth/logout?client_id=one&post_logout_redirect_uri={BYE}&state=s"
    assert len(await signed_out(browser, asked)) == 1
    assert browser.page.one("a", id="onward")["href"] == f"{BYE}?state=s"
    (refresh,) = [each for each in browser.page.all("meta") if each.get("http-equiv") == "refresh"]
    assert refresh["content"] == f"2; url={BYE}?state=s"


async def test_who_comes_with_a_genuine_hint_gets_the_frames_too(framing: Site, visit: Visit) -> None:
    browser = await at(framing, visit, "one")
    known = await sids(framing, browser)
    keys = framing.bridge.rooms.keyring
    hint = keys.sign("RS256", {"iss": PUBLIC_URL, "sub": "x", "aud": "one", "sid": known[ClientId("one")]})
    await browser.get(f"/oauth/logout?id_token_hint={hint}&post_logout_redirect_uri={BYE}")
    await browser.get(browser.reply.headers["location"])
    assert browser.reply.status_code == 200 and len(browser.page.all("iframe")) == 1
    assert browser.page.one("a", id="onward")["href"] == BYE


async def test_a_session_without_such_apps_goes_on_as_ever(framing: Site, visit: Visit) -> None:
    browser = await at(framing, visit, "plain")
    await browser.open("/oauth/logout?client_id=plain&post_logout_redirect_uri=https://plain.example.net/bye")
    await browser.press("logout-confirm")
    assert browser.sent_to == "https://plain.example.net/bye"


async def test_an_app_that_was_disabled_meanwhile_is_not_loaded(framing: Site, visit: Visit) -> None:
    rooms = framing.bridge.rooms
    browser = await at(framing, visit, "one", "elsewhere")
    await rooms.clients.disable("elsewhere")
    await rooms.versions.poll()
    assert [urlsplit(frame).netloc for frame in await signed_out(browser)] == ["one.example.net"]
    await rooms.clients.enable("elsewhere")
    await rooms.versions.poll()


@pytest.mark.parametrize("on", [True, False])
async def test_discovery_says_whether_it_is_so(
    framing: Site, house: Furnished, tmp_path_factory: pytest.TempPathFactory, visit: Visit, on: bool
) -> None:
    async def members(site: Site) -> dict[str, object]:
        transport = httpx2.ASGITransport(site.bridge)
        async with httpx2.AsyncClient(transport=transport, base_url=site.url, trust_env=False) as http:
            found: dict[str, object] = (await http.get("/.well-known/openid-configuration")).json()
            return found

    names = ("frontchannel_logout_supported", "frontchannel_logout_session_supported")
    if on:
        assert [(await members(framing))[name] for name in names] == [True, True]
        return
    async with in_process(house.copy(tmp_path_factory.mktemp("off"))) as site:
        assert [(await members(site))[name] for name in names] == [False, False]
        document = {
            "client_name": "One",
            "redirect_uris": ["https://one.example.net/cb"],
            "frontchannel_logout_uri": "https://one.example.net/out",
        }
        await site.client("one", document, first_party=True)
        browser = await at(site, visit, "one")
        assert await signed_out(browser) == []
