"""A client asks for its user to be signed out — RP-Initiated Logout 1.0; §12 no. 12, 95."""

from urllib.parse import urlencode

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.clients.client import Client
from bridge.interactions.record import Interaction, Logout
from bridge.oidc.errors import Shown
from bridge.oidc.logout import target_of
from bridge.oidc.params import Parameters
from bridge.oidc.redirect import RedirectTarget
from bridge.tokens import LoginToken
from bridge.types import ClientId
from tests.oidc.world import Browser, World, page, shown

BYE = "https://shop.example/bye"


async def _asked(world: World, browser: Browser | None = None, /, **request: str) -> tuple[httpx2.Response, Browser]:
    browser = browser or Browser(world)
    return await browser.get(f"/oauth/logout?{urlencode(request)}"), browser


async def _visit(reply: httpx2.Response, browser: Browser) -> Interaction:
    binding = browser.jar[browser.world.cookies.name("pre")]
    visit = await browser.world.interactions.load(page(reply, "/logout"), binding)
    assert visit is not None and visit.record.kind == "logout"
    return visit.record


async def test_a_genuine_hint_a_registered_address_and_a_state(world: World) -> None:
    tokens = await world.signed_up()
    reply, browser = await _asked(
        world, id_token_hint=tokens["id_token"], post_logout_redirect_uri=BYE, state="a b", ui_locales="zh"
    )
    visit = await _visit(reply, browser)
    assert visit.logout is not None and visit.logout.target == BYE + "?state=a%20b"
    assert visit.logout.hinted and visit.logout.sid is not None
    assert visit.app is not None and (visit.app.client, visit.app.redirect_uri) == ("shop", BYE)
    assert visit.ui_locales == "zh"


async def test_the_hint_names_the_session_it_was_given_under(world: World) -> None:
    """No question need be asked of him whose session it is, and of nobody else."""
    await world.allow("shop", "openid")
    browser = await world.sign_in()
    tokens = (await world.redeem(await browser.code())).json()
    reply, _ = await _asked(world, browser, id_token_hint=tokens["id_token"])
    wish = (await _visit(reply, browser)).logout
    assert wish is not None
    for session, means in ((browser, True), (await world.sign_in(), False)):
        token = LoginToken.parse(session.jar[world.cookies.name("op")])
        assert token is not None
        alive = await world.sessions.resolve(token, "issuer", None)
        assert alive.record is not None
        assert wish.means(alive.record.clients, ClientId("shop")) is means


async def test_an_old_hint_is_a_hint(world: World) -> None:
    tokens = await world.signed_up()
    world.clock.move(90 * 86_400)
    reply, browser = await _asked(world, id_token_hint=tokens["id_token"], post_logout_redirect_uri=BYE)
    assert (await _visit(reply, browser)).logout is not None


@pytest.mark.parametrize("request_", [{"state": "s"}, {"client_id": "shop"}, {"ui_locales": "en"}])
async def test_without_an_address_the_browser_stays_here(world: World, request_: dict[str, str]) -> None:
    """The suite's no-params, only-state, no-post-logout-redirect-uri."""
    reply, browser = await _asked(world, **request_)
    assert (await _visit(reply, browser)).logout == Logout()


async def test_who_asks_for_nothing_is_sent_to_the_page_without_a_visit(world: World) -> None:
    reply, _ = await _asked(world)
    assert (reply.status_code, reply.headers["location"]) == (303, "/logout")
    assert "set-cookie" not in reply.headers


async def test_a_client_id_and_an_address_are_enough_to_ask_the_person(world: World) -> None:
    reply, browser = await _asked(world, client_id="shop", post_logout_redirect_uri=BYE)
    assert (await _visit(reply, browser)).logout == Logout(target=BYE)


async def test_each_mistake_is_shown_and_sends_nobody_anywhere(world: World) -> None:
    """§12 no. 12, 95; the suite's bad-, query-added-, modified-hint, bad-hint and no-hint modules."""
    hint = (await world.signed_up())["id_token"]
    head, body, signature = hint.split(".")
    none = "eyJhbGciOiJub25lIn0." + body + "."
    access = (await world.signed_up())["access_token"]
    for request, named in [
        ({"post_logout_redirect_uri": BYE}, "post_logout_redirect_uri"),
        ({"id_token_hint": hint, "post_logout_redirect_uri": BYE + "?foo=bar"}, "post_logout_redirect_uri"),
        ({"id_token_hint": hint, "post_logout_redirect_uri": "https://evil.example"}, "post_logout_redirect_uri"),
        ({"id_token_hint": hint, "post_logout_redirect_uri": "https://shop.example/cb"}, "post_logout_redirect_uri"),
        ({"client_id": "es", "post_logout_redirect_uri": BYE}, "post_logout_redirect_uri"),
        ({"id_token_hint": none, "post_logout_redirect_uri": BYE}, "id_token_hint"),
        ({"id_token_hint": f"{head}.{body}.{signature[::-1]}", "post_logout_redirect_uri": BYE}, "id_token_hint"),
        ({"id_token_hint": access, "post_logout_redirect_uri": BYE}, "id_token_hint"),
        ({"id_token_hint": "junk"}, "id_token_hint"),
        ({"id_token_hint": hint, "client_id": "es"}, "client_id"),
        ({"client_id": "nobody"}, "client_id"),
    ]:
        text = shown((await _asked(world, **request))[0])
        assert named in text, request


@given(uri=st.text(max_size=40) | st.builds(lambda at, more: BYE[:at] + more + BYE[at:], st.integers(0, 26), st.text()))
def test_whatever_is_asked_for_nobody_is_sent_elsewhere_afterwards(uri: str) -> None:
    """Property test: the very text, or nowhere (RPI §3)."""
    client = Client(
        client_id=ClientId("shop"), post_logout_redirect_uris=(BYE,), redirect_uris=("https://shop.example/",)
    )
    asked = Parameters({"post_logout_redirect_uri": uri})
    if uri == BYE:
        assert target_of(asked, client) == RedirectTarget(BYE, (BYE,), False)
        return
    with pytest.raises(Shown, match="post_logout_redirect_uri is not registered for this client"):
        target_of(asked, client)


async def test_a_disabled_client_that_is_named_is_none_that_is_registered(world: World) -> None:
    await world.clients.disable(ClientId("shop"))
    await world.versions.poll()
    assert "client_id" in shown((await _asked(world, client_id="shop"))[0])


async def test_a_state_may_have_so_many_bytes_and_no_more(world: World) -> None:
    asked = {"client_id": "shop", "post_logout_redirect_uri": BYE}
    assert (await _asked(world, **asked, state="é" * 1_024))[0].status_code == 303
    assert "state" in shown((await _asked(world, **asked, state="é" * 1_024 + "x"))[0])


async def test_a_repeated_parameter_is_shown(world: World) -> None:
    assert "state" in shown(await Browser(world).get("/oauth/logout?state=a&state=b"))
    call = "%E5%91%BC%E5%8F%AB"  # anybody's own words are not said back
    text = shown(await Browser(world).get(f"/oauth/logout?{call}=1&{call}=2"))
    assert "must not be repeated" in text and "\u547c" not in text


async def test_by_post_from_another_site_too(world: World) -> None:
    """RPI §2: both methods; the cookies that a cross-site POST lacks are there on the GET that follows."""
    tokens = await world.signed_up()
    browser = await world.sign_in()
    form = {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": BYE, "state": "s"}
    reply = await browser.post("/oauth/logout", form, cross_site=True)
    assert reply.status_code == 303 and reply.headers["location"].startswith("/oauth/logout?id_token_hint=")
    visit = await _visit(await browser.get(reply.headers["location"]), browser)
    assert visit.logout is not None and visit.logout.target == BYE + "?state=s"


async def test_a_client_that_is_gone_is_not_sent_back_to(world: World) -> None:
    tokens = await world.signed_up()
    await world.clients.disable("shop")
    await world.versions.poll()
    request = {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": BYE}
    assert "post_logout_redirect_uri" in shown((await _asked(world, **request))[0])


@pytest.mark.parametrize("method", ["PUT", "HEAD"])
async def test_other_methods_are_none_of_it(world: World, method: str) -> None:
    assert (await world.http.request(method, "/oauth/logout")).status_code == 405
