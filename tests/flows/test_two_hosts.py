"""A bridge and a satellite in two processes on two hosts, over real HTTP and in a real Chromium — DESIGN §6."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import pytest
from playwright.async_api import Browser

from bridge.sessions.ticket import ARRIVAL
from tests import servers
from tests.flows.elsewhere import FORM_BUTTON, Traveller
from tests.flows.screens import DESKTOP, PHONE, Screen, screen
from tests.flows.two_hosts import EMAIL, TwoHosts, two_hosts
from tests.flows.visitor import Visitor
from tests.road import a_road

BEGUN, SESSION = "lb_begun", "login_auth_tk"  # as in the dev profile


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory, valkey_server: servers.Server) -> Iterator[TwoHosts]:
    with two_hosts(tmp_path_factory.mktemp("hosts"), valkey_server.url) as running:
        yield running


@pytest.fixture
async def ada(hosts: TwoHosts) -> AsyncIterator[Traveller]:
    async with httpx2.AsyncClient(trust_env=False) as here, httpx2.AsyncClient(trust_env=False) as there:
        yield Traveller(Visitor(here, hosts.bridge.url), Visitor(there, hosts.shop))


async def to_the_ticket(ada: Traveller, hosts: TwoHosts) -> str:
    """The ticket of somebody who began at the shop and signed in at the issuer."""
    await ada.there.open("/private")
    await ada.here.open(ada.there.sent_to)
    await ada.here.press("login-submit", email=EMAIL, password=hosts.password)
    form = ada.here.form(FORM_BUTTON)
    assert form.action == hosts.shop + ARRIVAL
    return form.fields["ticket"]


async def test_a_satellite_signs_somebody_in_on_its_own_host(ada: Traveller, hosts: TwoHosts) -> None:
    ticket = await to_the_ticket(ada, hosts)
    other = Visitor(ada.there.http, hosts.shop)
    assert (await other.post(ARRIVAL, {"ticket": ticket})).headers["location"].endswith("?refused=other-browser")
    replies = await fifty_times(ada, hosts, ticket)
    for _ in range(5):
        if 503 not in {reply.status_code for reply in replies}:
            break
        assert len([reply for reply in replies if reply.headers.get("location") == "/private"]) <= 1
        ada.here.jar, ada.there.jar = {}, {}  # somebody was late: then it may be said to nobody that he won
        replies = await fifty_times(ada, hosts, await to_the_ticket(ada, hosts))
    assert [reply.status_code for reply in replies] == [303] * 50
    (won,) = [reply for reply in replies if reply.headers["location"] == "/private"]
    assert {reply.headers["location"] for reply in replies if reply is not won} == {
        f"{hosts.bridge.url}/login/ticket?refused=used"
    }
    assert not [reply for reply in replies if reply is not won and "set-cookie" in reply.headers]
    ada.there.jar = {SESSION: _set(won)[SESSION]}
    assert (await ada.there.get("/private")).json() == {"private to": "Demo User"}
    await ada.here.open(replies[0].headers["location"] if replies[0] is not won else replies[1].headers["location"])
    assert ada.here.reply.status_code == 400 and "no longer valid" in ada.here.text


async def fifty_times(ada: Traveller, hosts: TwoHosts, ticket: str) -> list[httpx2.Response]:
    """What is said to fifty copies of one browser that arrive at once."""
    held = {"cookie": f"{BEGUN}={ada.there.jar[BEGUN]}"}
    copies = [Visitor(ada.there.http, hosts.shop) for _ in range(50)]
    return await asyncio.gather(*(each.post(ARRIVAL, {"ticket": ticket}, **held) for each in copies))


async def test_the_end_of_the_parent_ends_the_child_there(ada: Traveller, hosts: TwoHosts) -> None:
    ticket = await to_the_ticket(ada, hosts)
    await ada.there.post(ARRIVAL, {"ticket": ticket})
    assert (await ada.there.get("/private")).json() == {"private to": "Demo User"}
    await ada.here.open("/logout")
    await ada.here.press("logout-confirm")
    assert (await ada.there.get("/private")).status_code == 303


async def test_the_end_of_all_ends_tickets_and_sessions_there(ada: Traveller, hosts: TwoHosts) -> None:
    ticket = await to_the_ticket(ada, hosts)
    await ada.there.post(ARRIVAL, {"ticket": ticket})
    await ada.there.open("/login-bridge/sign-in?next=/")
    await ada.here.open(ada.there.sent_to)
    await ada.here.press("continue-as")
    late = ada.here.form(FORM_BUTTON).fields["ticket"]
    with a_road(hosts.bridge.folder) as road:
        road.environment |= {"BRIDGE_CONFIG": "var/demo/bridge.toml", "BRIDGE__STORE__URL": hosts.redis}
        del road.environment["BRIDGE__SERVER__PORT"]
        road.run(f"login-bridge user logout {EMAIL}")
    assert (await ada.there.get("/private")).status_code == 303
    reply = await ada.there.post(ARRIVAL, {"ticket": late})
    assert reply.headers["location"] == f"{hosts.bridge.url}/login/ticket?refused=signed-out"


@pytest.mark.browser
@pytest.mark.parametrize(
    "look",
    [
        pytest.param({"script": True, **DESKTOP}, id="script"),
        pytest.param({"script": False, "locale": "zh-CN", **PHONE}, id="noscript"),
    ],
)
async def test_a_browser_goes_there_and_back(chromium: Browser, hosts: TwoHosts, look: dict[str, Any]) -> None:
    window = await screen(chromium, hosts.bridge.url, **look)
    try:
        await window.open(f"{hosts.shop}/private")
        assert window.path == "/login" and "localhost" in await window.text()
        await window.good()
        await window.fill(email=EMAIL, password=hosts.password)
        await _send(window, "login-submit", hosts)
        assert window.page.url == f"{hosts.shop}/private" and "Demo User" in await window.text()
        cookies = await window.context.cookies(hosts.shop)
        assert [(each.get("name"), each.get("domain")) for each in cookies] == [(SESSION, "localhost")]

        await window.open(f"{hosts.shop}/login-bridge/sign-in?next=/")  # signed in at the issuer: he is asked
        assert window.path == "/login/continue"
        await window.good()
        await _send(window, "continue-as", hosts)
        assert window.page.url == f"{hosts.shop}/" and "Demo User" in await window.text()

        await window.page.go_back(wait_until="load")
        await window.open("/logout")
        await window.press("logout-confirm")
        await window.open(f"{hosts.shop}/private")
        assert window.path == "/login" and window.complaints == []
    finally:
        await window.context.close()


@pytest.mark.browser
async def test_in_a_browser_five_tabs_begin_and_whichever_signs_in_arrives(chromium: Browser, hosts: TwoHosts) -> None:
    window = await screen(chromium, hosts.bridge.url)
    try:
        tabs = [await window.context.new_page() for _ in range(5)]
        for tab in tabs:
            await tab.goto(f"{hosts.shop}/private")
        await tabs[1].fill("#email", EMAIL)
        await tabs[1].fill("#password", hosts.password)
        await tabs[1].click("#login-submit")
        await tabs[1].wait_for_url(f"{hosts.shop}/private")
        await tabs[3].goto(f"{hosts.shop}/private")
        assert "Demo User" in await tabs[3].inner_text("body")
    finally:
        await window.context.close()


async def _send(window: Screen, button: str, hosts: TwoHosts) -> None:
    """Press it; the page with the ticket sends itself, or has a button."""
    if window.script:
        await window.page.click(f"#{button}")
    else:
        await window.press(button, "/login/ticket")
        await window.good()
        await window.page.click(f"#{FORM_BUTTON}")
    await window.page.wait_for_url(f"{hosts.shop}/**")
    await window.page.wait_for_load_state()


def _set(reply: httpx2.Response) -> dict[str, str]:
    pairs = [line.partition(";")[0].partition("=") for line in reply.headers.get_list("set-cookie")]
    return {name: value for name, _, value in pairs}
