"""Two tabs of one browser on the way to two applications: who signed in in one goes on in the other — security §26."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from urllib.parse import urlsplit

import pytest

from bridge.testing.hands import Hands
from bridge.tokens import digest
from tests.flows.elsewhere import FORM_BUTTON, traveller
from tests.flows.oauth import App
from tests.flows.visitor import Visitor
from tests.running import ADA, LI, PASSWORD, SHOP, TOM, Site, code

Visit = Callable[[Site], Visitor]
Step = Callable[[Visitor], Awaitable[None]]
PRE, OP = "__Host-lb_pre", "__Host-lb_op"


async def two_tabs(site: Site, visit: Visit, email: str = ADA, **second: str) -> tuple[App, Visitor]:
    """Both are at the sign-in page; then he signs in in the first and is at its application.  Returns the second."""
    notes, spa, first = App(site), App(site, "spa"), visit(site)
    await first.open(notes.request())
    other = first.tab()
    await other.open(spa.request(**{"state": "of-the-other", **second}))
    assert urlsplit(other.at).path == "/login" and other.query["interaction"] != first.query["interaction"]
    await first.press("login-submit", email=email, password=PASSWORD)
    await first.press("consent-allow")
    assert notes.answer(first)["state"] == "the-state"
    return spa, other


def carried(browser: Visitor) -> str:
    """What its cookie knows visits by that were begun before somebody signed in."""
    return browser.jar[PRE].partition(".")[2]


async def sent_again(other: Visitor) -> None:
    await other.press("login-submit", email=ADA, password=PASSWORD)


async def loaded_again(other: Visitor) -> None:
    await other.open(other.at)


@pytest.mark.parametrize("step", [sent_again, loaded_again])
async def test_the_second_tab_goes_on_to_its_own_application(site: Site, visit: Visit, step: Step) -> None:
    spa, other = await two_tabs(site, visit)
    before = other.jar[OP]
    await step(other)
    assert urlsplit(other.at).path == "/consent"
    await other.press("consent-allow")
    answer = spa.answer(other)
    assert answer["state"] == "of-the-other"
    assert (await spa.redeem(answer["code"])).status_code == 200
    assert other.jar[OP] == before, "he was signed in, and nothing that was typed there counted"


async def test_who_turns_back_in_the_second_tab_is_not_led_on(site: Site, visit: Visit) -> None:
    _, other = await two_tabs(site, visit)
    here = other.at
    await other.press("login-cancel")
    assert other.reply.status_code == 400 and "go back" in other.text
    await other.open(here)
    assert other.reply.status_code == 400, "it is over"


async def test_what_was_typed_in_the_second_tab_makes_nobody_else_of_him(site: Site, visit: Visit) -> None:
    spa, other = await two_tabs(site, visit)
    await other.press("login-submit", email=LI, password=PASSWORD)
    await other.press("consent-allow")
    token = (await spa.redeem(spa.answer(other)["code"])).json()["access_token"]
    assert (await spa.userinfo(token)).json()["sub"] == (await site.user(ADA)).sub


async def test_what_was_asked_for_anew_is_asked_for_once(site: Site, visit: Visit) -> None:
    _, other = await two_tabs(site, visit)
    here, typed = other.at, other.form("login-submit")
    await sent_again(other)
    for again in (other.tab(), other.tab()):
        await again.open(here)
        assert again.reply.status_code == 400 and "start again" in again.text
        await again.post(typed.action, typed.fields)
        assert again.reply.status_code == 400


async def test_of_fifty_who_go_on_at_once_one_is_sent_on(site: Site, visit: Visit) -> None:
    _, other = await two_tabs(site, visit)
    tabs = [other.tab() for _ in range(50)]
    await asyncio.gather(*(tab.open(other.at) for tab in tabs))
    assert Counter((tab.reply.status_code, urlsplit(tab.at).path) for tab in tabs) == {
        (200, "/consent"): 1,
        (400, "/oauth/authorize"): 49,
    }


async def test_where_a_fresh_sign_in_is_demanded_the_second_tab_asks_for_it(site: Site, visit: Visit) -> None:
    spa, other = await two_tabs(site, visit, prompt="login")
    await sent_again(other)
    assert urlsplit(other.at).path == "/login"
    await sent_again(other)
    await other.press("consent-allow")
    assert spa.answer(other)["state"] == "of-the-other"


async def test_in_the_second_step_of_the_second_tab_too(site: Site, visit: Visit, clock: Hands) -> None:
    notes, spa, first = App(site), App(site, "spa"), visit(site)
    await first.open(notes.request())
    other = first.tab()
    await other.open(spa.request())
    for tab in (other, first):
        await tab.press("login-submit", email=TOM, password=PASSWORD)
        assert urlsplit(tab.at).path == "/login/code"
    await first.press("second-factor-submit", code=code(at=clock.now()))
    await other.press("second-factor-submit", code=code(at=clock.now()))
    await other.press("consent-allow")
    assert "code" in spa.answer(other)


async def test_on_the_way_to_an_app_on_another_host_too(site: Site, visit: Visit) -> None:
    async with traveller(site) as ada:
        await ada.set_out()
        first = ada.here.tab()
        await first.open(App(site).request())
        await first.press("login-submit", email=ADA, password=PASSWORD)
        here = ada.here.at
        await ada.here.press("login-submit", email=ADA, password=PASSWORD)
        assert urlsplit(ada.here.at).path == "/login/continue", "nobody is taken elsewhere without being asked"
        again = ada.here.tab()
        await again.open(here)
        assert again.reply.status_code == 400
        await ada.here.press("continue-as")
        assert ada.here.form(FORM_BUTTON).action.startswith(SHOP)


async def test_who_is_told_to_wait_in_the_second_tab_goes_on_later(site: Site, visit: Visit, clock: Hands) -> None:
    """On either way: the visit is not used up by that."""
    async with traveller(site) as ada:
        await ada.set_out()
        to_shop, to_app, first = ada.here, ada.here.tab(), ada.here.tab()
        await to_app.open(App(site, "spa").request())
        await first.sign_in(ADA)
        while not (wait := await site.bridge.rooms.arrivals.admit(ip_address("127.0.0.1"))):
            pass
        places = [(to_app, to_app.at, "/consent"), (to_shop, to_shop.at, "/login/continue")]
        for tab, here, _ in [*places, *places]:
            await tab.open(here)
            assert tab.reply.status_code == 429
        clock.move(wait + 1)
        for tab, here, there in places:
            await tab.open(here)
            assert urlsplit(tab.at).path == there


async def test_of_two_sign_ins_only_the_last_is_remembered(site: Site, visit: Visit) -> None:
    _, other = await two_tabs(site, visit)
    third = other.tab()
    await third.open("/login?confirm=1")
    await third.press("login-submit", email=ADA, password=PASSWORD)
    await loaded_again(other)
    assert other.reply.status_code == 400


PRES = ["{new}", "{new}.", "{old}.{theirs}", "{new}.{theirs}x", "{new}.{hash}", "x.{mine}", "{new}.{mine}\n"]
"""What others may put into that cookie.  `hash`: what lies in the store; `mine`: what only this browser's next cookie
says, and even that in a form of ours alone."""


@pytest.mark.parametrize("pre", PRES)
@pytest.mark.parametrize("place", ["/oauth/authorize", "/login"])
async def test_no_other_browser_goes_on_with_it(site: Site, visit: Visit, pre: str, place: str) -> None:
    notes, spa, first = App(site), App(site, "spa"), visit(site)
    await first.open(notes.request())
    other = first.tab()
    await other.open(spa.request())
    old = first.jar[PRE]
    await first.press("login-submit", email=ADA, password=PASSWORD)
    thief = await visit(site).sign_in(LI)
    known = {"hash": digest(old), "mine": carried(first), "theirs": carried(thief)}
    thief.jar[PRE] = pre.format(new=thief.jar[PRE][:22], old="y" * 22, **known)
    await thief.open(f"{place}?interaction={other.query['interaction']}")
    assert thief.reply.status_code == 400
    await loaded_again(other)
    assert urlsplit(other.at).path == "/consent", "and takes nothing from whose it is"


async def test_who_plants_what_his_own_next_cookie_says_answers_nothing_for_anybody(site: Site, visit: Visit) -> None:
    """What he gets is what a link to the authorization endpoint gets: the request anew, and its questions."""
    thief, spa = visit(site), App(site, "spa")
    await thief.open(spa.request())
    his = thief.query["interaction"]
    ada = await visit(site).sign_in(ADA)
    ada.jar[PRE] = f"{'A' * 22}.{carried(await thief.tab().sign_in(LI))}"
    await ada.open(f"/oauth/authorize?interaction={his}")
    assert urlsplit(ada.at).path == "/consent" and ada.query["interaction"] != his
    assert ADA in ada.text


async def test_his_own_answers_are_not_taken_over(site: Site, visit: Visit) -> None:
    thief, spa = visit(site), App(site, "spa")
    await thief.open(spa.request())
    await thief.press("login-submit", email=LI, password=PASSWORD)
    ada = await visit(site).sign_in(ADA)
    ada.jar[PRE] = f"{'A' * 22}.{carried(thief)}"
    await ada.open(f"/oauth/authorize?interaction={thief.query['interaction']}")
    assert ada.reply.status_code == 400


async def test_the_consent_page_of_one_person_leads_no_other_on(site: Site, visit: Visit) -> None:
    """He has allowed this application himself, so that nothing would be asked of him."""
    spa, asked = App(site, "spa"), visit(site)
    li = await visit(site).sign_in(LI)
    await spa.tokens(li)
    await asked.sign_in(ADA)
    await asked.open(spa.request())
    assert urlsplit(asked.at).path == "/consent" and ADA in asked.text
    again = asked.tab()
    await again.open("/logout")
    await again.press("logout-confirm")
    await again.sign_in(LI)
    here = asked.at
    await asked.press("consent-allow")
    assert asked.reply.status_code == 400
    for place in (here, here.replace("/consent", "/oauth/authorize")):
        await asked.open(place)
        assert asked.reply.status_code == 400
