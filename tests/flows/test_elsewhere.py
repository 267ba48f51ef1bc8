"""From an app on another host to the issuer, and back with a session of its own — DESIGN §6; S4, S14, W2, W3."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from bridge.app import Bridge
from bridge.config import Config
from bridge.errors import ConfigError
from bridge.middleware import BridgeMiddleware
from bridge.sessions.birth import Birth, Born
from bridge.sessions.ticket import ARRIVAL, Redeemed
from bridge.testing.hands import Hands
from bridge.tokens import digest
from bridge.types import Visit
from tests.flows.broken import Broken
from tests.flows.elsewhere import BEGUN, FORM_BUTTON, SESSION, Traveller, address, shop_of, traveller
from tests.flows.foreign import FOREIGN
from tests.flows.visitor import onward_of
from tests.running import ADA, LI, PASSWORD, PRODUCTION, SECRETS, SHOP, TOM, Furnished, Site, code, in_process

BINDING = digest("x")
ARRIVED = f"orders of {ADA}, page 2"
OP = "__Host-lb_op"


@pytest.fixture
async def ada(site: Site) -> AsyncIterator[Traveller]:
    """A browser."""
    async with traveller(site) as browser:
        yield browser


@pytest.fixture(params=["redis", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("memory", "sqlite"))])
async def each_site(request: pytest.FixtureRequest, database: Furnished) -> AsyncIterator[Site]:
    """A bridge on each kind of store."""
    urls = {"memory": "memory://", "sqlite": f"sqlite:///{database.file.with_name('store.db')}"}
    url = urls.get(request.param) or request.getfixturevalue("redis_url")
    async with in_process(database, more={("store", "url"): url}) as site:
        yield site


async def test_on_each_store_somebody_signs_in_at_the_issuer_and_is_at_the_app(each_site: Site) -> None:
    async with traveller(each_site) as ada:
        await ada.set_out()
        assert urlsplit(ada.here.at).path == "/login" and "shop.example.net" in ada.here.text
        await ada.here.press("login-submit", email=ADA, password=PASSWORD)
        assert ada.here.page.one("button", id=FORM_BUTTON).text == "Continue"
        await ada.arrive()
        assert ada.text == ARRIVED
        assert ada.there.at == "/orders?page=2", "and no token is in the address"
        assert set(ada.there.jar) == {SESSION}
        user = await each_site.user(ADA)
        (session,) = await each_site.sessions(user.id)  # one in his list, with what it has elsewhere
        await each_site.bridge.rooms.sessions.end(user.id, user.tag, session, "you")
        await ada.there.get("/orders?page=2")
        assert ada.there.reply.status_code == 303, "the end of the parent ended the child"
        told = [kind for kind in each_site.told.kinds() if kind.startswith("ticket")]
        assert told == ["ticket.issued", "ticket.redeemed"]


async def test_the_end_of_all_ends_the_session_elsewhere(site: Site, ada: Traveller) -> None:
    await (await ada.sign_in(ADA)).arrive()
    assert ada.text == ARRIVED
    user = await site.user(ADA)
    await site.bridge.rooms.sessions.end_all(user.id, user.tag, "user")
    assert (await ada.there.get("/orders?page=2")).status_code == 303


async def test_s14_who_is_signed_in_already_is_asked_and_nothing_happens_by_a_link(site: Site, ada: Traveller) -> None:
    await ada.here.sign_in(ADA)
    before = list(site.told.kinds())
    await ada.set_out()
    assert urlsplit(ada.here.at).path == "/login/continue"
    assert "Continue as Ada Lovelace?" in ada.here.text and "shop.example.net" in ada.here.text
    interaction = ada.here.query["interaction"]
    for _ in range(3):
        await ada.here.open(f"/login/ticket?interaction={interaction}")
        assert urlsplit(ada.here.at).path == "/login/continue", "he was asked, and has not answered"
    assert "ticket.issued" not in site.told.kinds()[len(before) :]
    await ada.here.press("continue-as")
    assert (await ada.arrive()).text == ARRIVED


async def test_w2_the_answer_counts_from_our_own_form_only(site: Site, ada: Traveller) -> None:
    await ada.here.sign_in(ADA)
    await ada.set_out()
    form = ada.here.form("continue-as")
    for headers in FOREIGN:
        assert (await ada.here.post(form.action, form.fields, **headers)).status_code == 403, headers
    assert (await ada.here.post(form.action, {**form.fields, "csrf": "0" * 64})).status_code == 403
    await ada.here.open(f"/login/ticket?interaction={form.fields['interaction']}")
    assert urlsplit(ada.here.at).path == "/login/continue" and "ticket.issued" not in site.told.kinds()


async def test_an_answer_counts_for_the_session_that_it_was_given_under(site: Site, ada: Traveller) -> None:
    """Ada says that it is she; before the ticket is asked for Li signs in with this browser."""
    await ada.here.sign_in(ADA)
    await ada.set_out()
    interaction = ada.here.query["interaction"]
    await ada.here.press_only("continue-as")
    jar = dict(ada.here.jar)
    await ada.here.sign_in(LI, path="/login?confirm=1&other=1")
    ada.here.jar |= {"__Host-lb_pre": jar["__Host-lb_pre"]}
    await ada.here.open(f"/login/ticket?interaction={interaction}")
    assert urlsplit(ada.here.at).path == "/login/continue" and "ticket.issued" not in site.told.kinds()


async def test_somebody_else_may_sign_in_instead(site: Site, ada: Traveller) -> None:
    await ada.here.sign_in(ADA)
    await ada.set_out()
    await ada.here.press("continue-as-other")
    assert urlsplit(ada.here.at).path == "/login" and "shop.example.net" in ada.here.text
    await ada.here.press("login-submit", email=LI, password=PASSWORD)
    assert (await ada.arrive()).text == f"orders of {LI}, page 2"


async def test_the_second_step_comes_before_the_ticket(site: Site, ada: Traveller) -> None:
    await ada.sign_in(TOM)
    assert urlsplit(ada.here.at).path == "/login/code" and "ticket.issued" not in site.told.kinds()
    await ada.here.press("second-factor-submit", code=code(at=site.bridge.rooms.clock.now()))
    assert (await ada.arrive()).text == f"orders of {TOM}, page 2"


@pytest.mark.parametrize("signed_in", [False, True])
async def test_who_turns_back_is_at_the_app_and_nobody(site: Site, ada: Traveller, signed_in: bool) -> None:
    if signed_in:
        await ada.here.sign_in(ADA)
    await ada.set_out()
    interaction = ada.here.query["interaction"]
    await ada.here.press("login-cancel")
    assert ada.here.sent_to == f"{SHOP}/"
    assert "ticket.issued" not in site.told.kinds()
    await ada.here.get(f"/login/ticket?interaction={interaction}")
    assert ada.here.reply.status_code == 400 and "no longer valid" in ada.here.text


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        f"{SHOP}/",
        f"{SHOP}:443",
        SHOP.upper(),
        "http://shop.example.net",
        f"{SHOP}@evil.example",
    ],
)
async def test_an_app_that_is_not_listed_is_refused_and_nobody_is_sent_there(
    site: Site, ada: Traveller, origin: str
) -> None:
    for signed_in in (False, True):
        if signed_in:
            await ada.here.sign_in(ADA)
        await ada.here.get(address(site, origin=origin, binding=BINDING, next="/"))
        assert ada.here.reply.status_code == 400 and "This request cannot be completed" in ada.here.text
        assert onward_of(ada.here.reply) is None and "evil" not in ada.here.reply.text
        assert "sessions.ticket_origins" in ada.here.text
        assert site.told.events[-1].kind == "ticket.refused" and site.told.events[-1].reason == "not-listed"


async def test_nobody_is_listed_by_default(database: Furnished) -> None:
    given = {path: value for path, value in PRODUCTION.items() if path != ("sessions", "ticket_origins")}
    async with in_process(database, given=given) as site, traveller(site, lambda *_: None) as ada:
        assert site.bridge.config.sessions.ticket_origins == ()
        await ada.here.get(address(site, origin=SHOP, binding=BINDING, next="/"))
        assert ada.here.reply.status_code == 400 and onward_of(ada.here.reply) is None
        with pytest.raises(ConfigError, match=r"not one of sessions\.ticket_origins"):
            BridgeMiddleware(site.bridge, site.bridge, origin=SHOP)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({}, "origin"),
        ({"origin": SHOP}, "binding"),
        ({"origin": SHOP, "binding": ""}, "binding"),
        ({"origin": SHOP, "binding": BINDING.upper()}, "binding"),
        ({"origin": SHOP, "binding": BINDING + "0"}, "binding"),
    ],
)
async def test_what_an_app_got_wrong_is_named(site: Site, ada: Traveller, query: dict[str, str], named: str) -> None:
    await ada.here.get(address(site, **query))
    assert ada.here.reply.status_code == 400 and f"{named}: " in ada.here.text


async def test_a_parameter_twice_is_refused(site: Site, ada: Traveller) -> None:
    await ada.here.get(address(site, origin=SHOP, binding=BINDING) + f"&origin={SHOP}")
    assert ada.here.reply.status_code == 400 and onward_of(ada.here.reply) is None


async def test_w3_the_person_arrives_at_a_path_of_the_app_whatever_was_asked_for(site: Site, ada: Traveller) -> None:
    await ada.there.open("/orders?page=2")
    begun = urlsplit(ada.there.sent_to)
    wanted = begun.query.replace("%2Forders%3Fpage%3D2", "https%3A%2F%2Fevil.example%2F")
    assert wanted != begun.query
    await ada.here.open(f"{begun.path}?{wanted}")
    await ada.here.press("login-submit", email=ADA, password=PASSWORD)
    outcome = await site.bridge.rooms.tickets.redeem(
        ada.ticket, origin=SHOP, binding=ada.there.jar[BEGUN], via="shop", visit=Visit("api")
    )
    assert isinstance(outcome, Redeemed) and outcome.next == "/"


async def test_26_a_visit_goes_on_in_the_browser_that_began_it(site: Site, ada: Traveller) -> None:
    await ada.set_out()
    where, other = ada.here.query["interaction"], ada.stranger()
    for browser in (other.here, (await other.here.sign_in(LI))):
        for path in ("/login/ticket", "/login", "/login/continue"):
            await browser.get(f"{path}?interaction={where}")
            signs = [each.get("class") for each in browser.page.all("span")]
            assert browser.reply.status_code == 400 and "emblem emblem-alert" in signs
            assert not browser.page.all("code"), "the name of a parameter tells nobody anything"
    await ada.here.press("login-submit", email=ADA, password=PASSWORD)
    assert (await ada.arrive()).text == ARRIVED


async def test_a_visit_leads_to_one_ticket(site: Site, ada: Traveller) -> None:
    await ada.set_out()
    interaction = ada.here.query["interaction"]
    await ada.here.press_only("login-submit", email=ADA, password=PASSWORD)
    copies = [ada.here.copy() for _ in range(50)]
    replies = await asyncio.gather(*(each.get(f"/login/ticket?interaction={interaction}") for each in copies))
    assert sorted(reply.status_code for reply in replies) == [200] + [400] * 49
    assert site.told.kinds().count("ticket.issued") == 1
    assert not [reply for reply in replies if reply.status_code == 400 and FORM_BUTTON in reply.text]


async def test_fifty_posts_of_one_ticket_make_one_session(site: Site, ada: Traveller) -> None:
    await ada.sign_in(ADA)
    ticket, held = ada.ticket, ada.there.jar[BEGUN]
    browsers = [ada.there.copy() for _ in range(50)]
    form, jar = {"ticket": ticket}, f"{BEGUN}={held}"
    replies = await asyncio.gather(*(each.post(ARRIVAL, form, cookie=jar) for each in browsers))
    assert [reply.headers["location"] for reply in replies].count("/orders?page=2") == 1
    assert [SESSION in reply.headers.get("set-cookie", "") for reply in replies].count(True) == 1
    assert site.told.kinds().count("ticket.redeemed") == 1


async def refused(ada: Traveller) -> str:
    """What the page says that a refusal leads to; nothing was set."""
    assert "set-cookie" not in ada.there.reply.headers
    await ada.here.open(ada.there.reply.headers["location"])
    assert ada.here.reply.status_code == 400 and "This sign-in is no longer valid" in ada.here.text
    assert "start again" in ada.here.text and onward_of(ada.here.reply) is None
    return ada.here.page.one("code").text


async def test_a_replay_another_browser_and_a_byte_are_refused_with_a_page(site: Site, ada: Traveller) -> None:
    await ada.sign_in(ADA)
    ticket, other = ada.ticket, ada.stranger()
    await other.there.open("/orders?page=2")
    await other.bring(ticket)
    assert await refused(other) == "ticket: other-browser"
    await ada.bring(ticket[:-1] + ("a" if ticket[-1] != "a" else "b"))
    assert await refused(ada) == "ticket: unknown"
    held = ada.there.copy()
    assert (await ada.arrive(ticket)).text == ARRIVED
    ada.there.jar = held.jar
    await ada.bring(ticket)
    assert await refused(ada) == "ticket: used"


async def test_another_host_is_refused_with_a_page(site: Site, ada: Traveller) -> None:
    """The other one has an app of ours too, and the browser began there as well."""
    options, blog = site.bridge.rooms.sessions.options, "https://blog.example.net"
    object.__setattr__(options, "ticket_origins", (SHOP, blog))
    app: Any = BridgeMiddleware(shop_of(site).app, site.bridge, origin=blog)
    await ada.sign_in(ADA)
    async with traveller(site, app) as there:
        there.there.jar = {BEGUN: ada.there.jar[BEGUN]}
        await there.bring(ada.ticket)
        assert await refused(there) == "ticket: other-app"
    assert (await ada.arrive()).text == ARRIVED


async def test_after_thirty_seconds_it_is_refused_with_a_page(site: Site, ada: Traveller, clock: Hands) -> None:
    await ada.sign_in(ADA)
    clock.move(30)
    await ada.bring()
    assert await refused(ada) == "ticket: too-old"


async def test_rule_9_a_ticket_of_before_a_loss_is_refused_with_a_page(site: Site, ada: Traveller) -> None:
    await ada.sign_in(ADA)
    await site.bridge.rooms.endings.raise_epoch("another store")
    await ada.bring()
    assert await refused(ada) == "ticket: unknown"


async def _end_all(site: Site) -> None:
    user = await site.user(ADA)
    await site.bridge.rooms.sessions.end_all(user.id, user.tag, "password")


async def _end_it(site: Site) -> None:
    user = await site.user(ADA)
    for session in await site.sessions(user.id):
        await site.bridge.rooms.sessions.end(user.id, user.tag, session, "administrator")


async def _disable(site: Site) -> None:
    user = await site.user(ADA)
    assert await site.bridge.rooms.users.disable(user.id) is not None
    await site.bridge.rooms.sessions.publish_stamp(user.id, user.tag)


@pytest.mark.parametrize("ending", [_end_all, _end_it, _disable], ids=lambda ending: ending.__name__)
async def test_15_what_ends_the_sign_in_refuses_the_ticket(
    site: Site, ada: Traveller, ending: Callable[[Site], Awaitable[None]]
) -> None:
    await ada.sign_in(ADA)
    await ending(site)
    await ada.bring()
    assert await refused(ada) == "ticket: signed-out"


@pytest.mark.parametrize("ending", [_end_all, _end_it, _disable], ids=lambda ending: ending.__name__)
async def test_15_what_ends_it_while_he_is_asked_leads_to_the_sign_in(
    site: Site, ada: Traveller, ending: Callable[[Site], Awaitable[None]]
) -> None:
    await ada.here.sign_in(ADA)
    await ada.set_out()
    await ending(site)
    await ada.here.press("continue-as")
    assert urlsplit(ada.here.at).path == "/login" and "ticket.issued" not in site.told.kinds()


async def test_an_app_that_is_taken_off_the_list_gets_nothing_more(site: Site, ada: Traveller) -> None:
    await ada.set_out()
    interaction = ada.here.query["interaction"]
    object.__setattr__(site.bridge.rooms.sessions.options, "ticket_origins", ())
    await ada.here.press("login-submit", email=ADA, password=PASSWORD)
    assert ada.here.reply.status_code == 400 and onward_of(ada.here.reply) is None
    await ada.here.get(f"/login/ticket?interaction={interaction}")
    assert ada.here.reply.status_code == 400 and "ticket.issued" not in site.told.kinds()


async def test_a_visit_to_an_app_elsewhere_is_none_to_a_client(site: Site, ada: Traveller) -> None:
    """It answers no consent, and is no authorization; nor is an authorization a visit to an app elsewhere."""
    await ada.here.sign_in(ADA)
    await ada.set_out()
    interaction = ada.here.query["interaction"]
    for path in ("/consent", "/oauth/authorize", "/logout"):
        await ada.here.get(f"{path}?interaction={interaction}")
        assert "ticket.issued" not in site.told.kinds()
        assert ada.here.reply.status_code == 400 or path == "/logout"
        assert "shop.example.net" not in ada.here.text
    assert "consent.granted" not in site.told.kinds()
    await ada.here.get("/oauth/authorize?client_id=notes&response_type=code&scope=openid&redirect_uri="
                       "https%3A%2F%2Fnotes.example.net%2Fcallback")  # fmt: skip
    await ada.here.get(f"/login/ticket?interaction={ada.here.query['interaction']}")
    assert ada.here.reply.status_code == 400


async def test_23_whoever_begins_too_many_is_asked_to_wait(site: Site, ada: Traveller) -> None:
    for _ in range(site.bridge.rooms.config.oidc.visits_per_minute):
        assert (await ada.here.get(address(site, origin=SHOP, binding=BINDING))).status_code == 303
    reply = await ada.here.get(address(site, origin=SHOP, binding=BINDING))
    assert reply.status_code == 429 and 1 <= int(reply.headers["retry-after"]) <= 60
    assert "Please wait a moment" in reply.text


async def test_only_get(site: Site, ada: Traveller) -> None:
    await ada.set_out()
    interaction = ada.here.query["interaction"]
    await ada.here.press_only("login-submit", email=ADA, password=PASSWORD)
    for method in ("HEAD", "POST", "PUT"):
        reply = await ada.here.request(method, f"/login/ticket?interaction={interaction}")
        assert (reply.status_code, reply.headers["allow"]) == (405, "GET")
    await ada.here.get(f"/login/ticket?interaction={interaction}")
    assert (await ada.arrive()).text == ARRIVED


async def test_w1_the_page_with_the_ticket_runs_one_script_and_sends_one_form(site: Site, ada: Traveller) -> None:
    await ada.sign_in(ADA)
    headers = ada.here.reply.headers
    policy = dict(each.split(" ", 1) for each in headers["content-security-policy"].split("; "))
    script = ada.here.page.one("script")
    assert policy["script-src"] == f"'nonce-{script['nonce']}'" and len(script["nonce"]) >= 22
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["form-action"] == "'self' https:"
    assert (headers["cache-control"], headers["referrer-policy"]) == ("no-store", "same-origin")
    assert len(ada.here.page.all("form")) == 1
    first = script["nonce"]
    await ada.set_out()
    await ada.here.press("continue-as")
    assert ada.here.page.one("script")["nonce"] != first


async def test_what_a_refusal_says_is_fixed_whatever_the_address_says(site: Site, ada: Traveller) -> None:
    for why in ("used", "<script>alert(1)</script>", "", "call +1 555 0100 now"):
        await ada.here.get(address(site, refused=why))
        assert ada.here.reply.status_code == 400
        assert ada.here.page.one("code").text == ("ticket: used" if why == "used" else "ticket: unknown")
        assert "alert(1)" not in ada.here.reply.text and "555" not in ada.here.text
    await ada.here.get(address(site, refused="used"), accept_language="zh-CN")
    assert "此次登录已失效" in ada.here.text or "no longer valid" not in ada.here.text


async def test_a_token_of_the_legacy_api_takes_no_session_elsewhere(database: Furnished) -> None:
    """Even where the setting makes it the person at the issuer: a child is of a session at our pages (security §2)."""
    async with in_process(database, more={("sessions", "legacy_at_issuer"): True}) as site, traveller(site) as ada:
        rooms, user = site.bridge.rooms, await site.user(ADA)
        await rooms.sessions.publish_stamp(user.id, user.tag)
        wish = Birth.legacy(rooms.sessions.options, via="portal")
        born = await rooms.sessions.start(user.standing, wish, Visit("legacy"), amr=["pwd"])
        assert isinstance(born, Born)
        ada.here.jar[OP] = born.token.text.reveal()
        assert "Ada Lovelace" in (await ada.here.get("/account")).text
        await ada.set_out()
        assert urlsplit(ada.here.at).path == "/login"
        assert "ticket.issued" not in site.told.kinds()


async def test_s18_while_the_store_does_not_answer_nothing_is_lost(
    site: Site, ada: Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Broken(monkeypatch, site.bridge.rooms.raw_store, "read", "commit", "members")
    await ada.set_out()
    interaction = ada.here.query["interaction"]
    await ada.here.press_only("login-submit", email=ADA, password=PASSWORD)
    store.down = True
    assert (await ada.here.get(f"/login/ticket?interaction={interaction}")).status_code == 503
    store.down = False
    await ada.here.get(f"/login/ticket?interaction={interaction}")
    store.down = True
    ticket = ada.ticket
    reply = await ada.bring(ticket)
    assert reply.status_code == 503 and "set-cookie" not in reply.headers and reply.headers["retry-after"]
    store.down = False
    reply = await ada.bring(ticket)
    assert reply.headers["location"] == "/orders?page=2"


def test_an_origin_without_tls_is_for_the_dev_profile() -> None:
    given = {**SECRETS, **PRODUCTION, ("sessions", "ticket_origins"): ["http://shop.example.net"]}
    with pytest.raises(ConfigError, match=r"sessions\.ticket_origins: must be https in production"):
        Config.load(None, {}, given)
    Bridge(Config.load(None, {}, {**given, ("profile",): "dev", ("server", "base_url"): "http://127.0.0.1:8000"}))
