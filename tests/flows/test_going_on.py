"""Who came by a link meets an app: "Continue as X", by a click, and as little fresh — security §8."""

import asyncio
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from bridge.sessions.judge import Alive
from bridge.sessions.stamp import draw_stamp
from bridge.tokens import LoginToken
from bridge.types import Visit
from tests.flows.oauth import App
from tests.flows.portal import Portal, portal
from tests.flows.test_single_sign_on import ACTIONS, APP, OP, adas, link_of
from tests.flows.visitor import Visitor
from tests.running import ADA, LI, PASSWORD, Site

Visiting = Callable[[Site], Visitor]


async def _came(site: Site, visit: Visiting, caller: Portal | None = None) -> Visitor:
    """Ada's browser, in which she followed a link."""
    browser = visit(site)
    await browser.get(await adas(site, caller or await portal(site, *ACTIONS)))
    assert APP in browser.jar and OP not in browser.jar
    return browser


def _button(browser: Visitor) -> str | None:
    """With what the page's button goes on."""
    found = [e for e in browser.page.all("button") if e.get("id") == "login-resume"]
    return found[0]["value"] if found else None


async def _op(site: Site, browser: Visitor) -> Alive:
    token = LoginToken.parse(browser.jar[OP])
    assert token is not None
    found = await site.bridge.rooms.sessions.resolve(token, "issuer", None)
    assert isinstance(found, Alive)
    return found


async def test_a_click_makes_a_session_at_the_issuer_that_is_as_little_fresh(site: Site, visit: Visiting) -> None:
    browser, app = await _came(site, visit), App(site)
    before = await _alive(site, browser)
    await browser.open(app.request())
    assert "Ada Lovelace" in browser.reply.text and OP not in browser.jar
    await browser.press("login-resume")
    made = await _op(site, browser)
    assert (made.record.kind, made.record.amr, made.record.auth_time) == ("op", ("sso",), before.record.auth_time)
    assert not isinstance(await site.bridge.rooms.sessions.resolve(before.token, "middleware", None), Alive)
    if 'id="consent-allow"' in browser.reply.text:
        await browser.press("consent-allow")
    assert "code" in app.answer(browser)


@pytest.mark.parametrize("demand", [{"max_age": "10000"}, {"prompt": "login"}])
async def test_where_a_sign_in_is_demanded_a_link_is_none(site: Site, visit: Visiting, demand: dict[str, str]) -> None:
    browser, app = await _came(site, visit), App(site)
    await browser.open(app.request(**demand))
    assert _button(browser) is None and 'id="login-submit"' in browser.reply.text
    came = await _alive(site, browser)
    fields = {**browser.form("login-submit").fields, "answer": f"link:{came.record.id}"}
    reply = await browser.post("/login", fields)
    assert reply.status_code == 403 and OP not in browser.jar


async def test_no_app_is_told_of_who_came_by_a_link_without_a_click(site: Site, visit: Visiting) -> None:
    browser, app = await _came(site, visit), App(site)
    await browser.get(app.request(prompt="none"))
    assert app.answer(browser)["error"] == "login_required" and OP not in browser.jar


async def test_without_an_app_a_link_opens_no_page_of_ours(site: Site, visit: Visiting) -> None:
    browser = await _came(site, visit)
    await browser.open("/login")
    assert _button(browser) is None


async def test_the_click_goes_on_as_whom_it_named_and_as_nobody_who_came_since(site: Site, visit: Visiting) -> None:
    """Login CSRF: somebody else's link, followed between the page and the click."""
    caller = await portal(site, *ACTIONS)
    browser, other = await _came(site, visit, caller), visit(site)
    await browser.open(App(site).request())
    fields = {**browser.form("login-resume").fields, "answer": _button(browser) or ""}
    await other.get(link_of(await caller.call("CreateSsoToken", user_id=(await site.user(LI)).id)))
    browser.jar[APP] = other.jar[APP]
    reply = await browser.post("/login", fields)
    assert reply.status_code == 403 and OP not in browser.jar


async def test_another_browser_cannot_answer(site: Site, visit: Visiting) -> None:
    browser, thief = await _came(site, visit), visit(site)
    await browser.open(App(site).request())
    fields = {**browser.form("login-resume").fields, "answer": _button(browser) or ""}
    await thief.post("/login", fields)
    assert OP not in thief.jar
    thief.jar[APP] = browser.jar[APP]
    await thief.post("/login", fields)
    assert OP not in thief.jar


@pytest.mark.parametrize("ending", ["all", "disabled"])
async def test_what_ended_the_link_s_session_ends_the_offer(site: Site, visit: Visiting, ending: str) -> None:
    """Security §15: nothing is born after the ending that should have prevented it."""
    browser = await _came(site, visit)
    await browser.open(App(site).request())
    fields = {**browser.form("login-resume").fields, "answer": _button(browser) or ""}
    rooms, ada = site.bridge.rooms, await site.user(ADA)
    if ending == "all":
        await rooms.sessions.end_all(ada.id, ada.tag, "admin")
    else:
        await rooms.users.disable(ada.id)
    reply = await browser.post("/login", fields)
    assert reply.status_code == 403 and OP not in browser.jar


async def test_of_fifty_clicks_at_once_one_goes_on(site: Site, visit: Visiting) -> None:
    browser = await _came(site, visit)
    await browser.open(App(site).request())
    fields = {**browser.form("login-resume").fields, "answer": _button(browser) or ""}
    tabs = [browser.copy() for _ in range(50)]
    replies = await asyncio.gather(*(tab.post("/login", fields) for tab in tabs))
    assert sorted(reply.status_code for reply in replies) == [200] + [400] * 49


async def test_a_password_is_still_taken_there(site: Site, visit: Visiting) -> None:
    browser = await _came(site, visit)
    await browser.open(App(site).request())
    await browser.press("login-submit", email=ADA, password=PASSWORD)
    assert (await _op(site, browser)).record.amr == ("pwd",)


async def test_a_session_that_a_portal_made_is_not_who_came_by_a_link(site: Site, visit: Visiting) -> None:
    """Security §2: a leaked portal must not be able to sign in anywhere."""
    said = await (await portal(site, *ACTIONS)).call("ValidateLogin", email=ADA, password2=PASSWORD)
    browser = visit(site)
    browser.jar[APP] = said["passwordhash"]
    await browser.open(App(site).request())
    assert _button(browser) is None


async def test_the_sign_in_is_as_old_as_the_link(site: Site, visit: Visiting) -> None:
    came = await _alive(site, await _came(site, visit))
    older = replace(came, record=replace(came.record, auth_time=came.record.auth_time - 60))
    gone_on = await site.bridge.rooms.links_in.go_on(older, Visit("pages"))
    assert gone_on is not None and gone_on[1].record.auth_time == older.record.auth_time


async def test_a_store_that_does_not_know_yet_that_all_ended_lets_nobody_go_on(site: Site, visit: Visiting) -> None:
    """Security §3, §15."""
    came, rooms, ada = await _alive(site, await _came(site, visit)), site.bridge.rooms, await site.user(ADA)
    await rooms.endings.restamp(ada.id, draw_stamp("admin"))
    assert await rooms.links_in.go_on(came, Visit("pages")) is None


async def _alive(site: Site, browser: Visitor) -> Alive:
    token = LoginToken.parse(browser.jar[APP])
    assert token is not None
    found = await site.bridge.rooms.sessions.resolve(token, "middleware", None)
    assert isinstance(found, Alive)
    return found
