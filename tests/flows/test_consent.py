"""On the way to an application: sign-in, consent, denial; each answer is one browser's — security §26, W2."""

import asyncio
import json
from collections.abc import Callable
from urllib.parse import urlsplit

from bridge.testing.hands import Hands
from tests.flows.foreign import FOREIGN
from tests.flows.oauth import App
from tests.flows.visitor import Visitor
from tests.running import ADA, LI, PASSWORD, TOM, Site, code

Visit = Callable[[Site], Visitor]
PRE, OP = "__Host-lb_pre", "__Host-lb_op"


async def at_consent(site: Site, visit: Visit, app: App, scope: str = "openid email") -> Visitor:
    """A browser in which Ada has signed in on the way to the app, and is asked."""
    browser = visit(site)
    await browser.open(app.request(scope))
    assert urlsplit(browser.at).path == "/login" and "Acme Notes" in browser.text
    await browser.press("login-submit", email=ADA, password=PASSWORD)
    assert urlsplit(browser.at).path == "/consent"
    return browser


async def test_sign_in_consent_and_back_with_tokens(any_site: Site, visit: Visit) -> None:
    app = App(any_site)
    browser = await at_consent(any_site, visit, app)
    assert "notes.example.net" in browser.text and "see your email address" in browser.text
    await browser.press("consent-allow")
    answer = app.answer(browser)
    assert answer["state"] == "the-state" and answer["iss"] == any_site.url
    tokens = (await app.redeem(answer["code"])).json()
    assert (await app.userinfo(tokens["access_token"])).json()["email"] == ADA
    await browser.open(app.request("openid email"))
    assert "code" in app.answer(browser), "the second time nothing is asked"
    assert any_site.told.kinds().count("consent.granted") == 1


async def test_our_own_application_asks_for_no_consent(site: Site, visit: Visit) -> None:
    rooms, metadata = site.bridge.rooms, {"redirect_uris": ["https://portal.example.com/back"], "client_name": "Portal"}
    await rooms.clients.create(metadata, client_id="first", first_party=True)
    browser = visit(site)
    await browser.open(App(site).request(client_id="first", redirect_uri="https://portal.example.com/back"))
    await browser.press("login-submit", email=ADA, password=PASSWORD)
    assert browser.sent_to.startswith("https://portal.example.com/back?code=")


async def test_a_public_application_signs_people_in_too(site: Site, visit: Visit) -> None:
    app, browser = App(site, "spa"), visit(site)
    await browser.sign_in(ADA)
    tokens = await app.tokens(browser, "openid profile")
    assert (await app.userinfo(tokens["access_token"])).json()["name"] == "Ada Lovelace"


async def test_the_second_step_on_the_way_to_an_application(site: Site, visit: Visit, clock: Hands) -> None:
    app, browser = App(site), visit(site)
    await browser.open(app.request())
    await browser.press("login-submit", email=TOM, password=PASSWORD)
    assert urlsplit(browser.at).path == "/login/code"
    await browser.press("second-factor-submit", code=code(at=clock.now()))
    await browser.press("consent-allow")
    assert "code" in app.answer(browser)


async def test_denying_at_each_page_tells_the_application(site: Site, visit: Visit) -> None:
    app = App(site)
    for button, steps in (("login-cancel", 0), ("login-cancel", 1), ("consent-deny", 2)):
        browser = visit(site)
        await browser.open(app.request())
        if steps == 1:
            await browser.press("login-submit", email=TOM, password=PASSWORD)
        if steps == 2:
            await browser.press("login-submit", email=ADA, password=PASSWORD)
        await browser.press(button)
        answer = app.answer(browser)
        assert answer["error"] == "access_denied" and answer["state"] == "the-state", (button, steps)
        assert "__Host-lb_pending" not in browser.jar
    assert await site.bridge.rooms.consents.list_of((await site.user(ADA)).id) == []


async def test_denying_takes_our_own_form_too(site: Site, visit: Visit) -> None:
    app, browser = App(site), visit(site)
    await browser.open(app.request())
    form = browser.form("login-cancel")
    reply = await browser.post(form.action, {**form.fields, "csrf": "0" * 64})
    assert reply.status_code == 403
    await browser.press("login-submit", email=ADA, password=PASSWORD)
    assert urlsplit(browser.at).path == "/consent", "nothing was denied"


async def test_w2_only_our_own_form_in_this_browser_allows_anything(site: Site, visit: Visit) -> None:
    app = App(site)
    browser = await at_consent(site, visit, app)
    form = browser.form("consent-allow")
    for headers in FOREIGN:
        reply = await browser.post(form.action, form.fields, **headers)
        assert reply.status_code == 403 and "Please try again" in reply.text, headers
    for value in ("", "0" * 64, form.fields["csrf"][:-1]):
        assert (await browser.post(form.action, {**form.fields, "csrf": value})).status_code == 403
    for answer in ("", "ALLOW", "yes"):
        other = await at_consent(site, visit, app)
        sent = other.form("consent-allow")
        await other.post(sent.action, {**sent.fields, "answer": answer})
        await other.follow()
        assert app.answer(other)["error"] == "access_denied", answer
    assert await site.bridge.rooms.consents.list_of((await site.user(ADA)).id) == []


async def test_a_visit_goes_on_in_its_own_browser_alone(site: Site, visit: Visit) -> None:
    """Security §26: resume in another browser, with and without the victim's cookies."""
    app = App(site)
    victim = await at_consent(site, visit, app)
    form, place = victim.form("consent-allow"), victim.at
    attacker = visit(site)
    await attacker.sign_in(LI)
    for path in (place, place.replace("/consent", "/login"), place.replace("/consent", "/oauth/authorize")):
        await attacker.open(path)
        said = "interaction: " if "/oauth/" in path else "此次登录已失效"
        assert attacker.reply.status_code == 400 and said in attacker.text, path
    assert (await attacker.post(form.action, form.fields)).status_code == 400
    half = victim.copy()  # the visit's cookie was stolen, the session was not
    half.jar = {PRE: victim.jar[PRE], OP: attacker.jar[OP]}
    assert (await half.post(form.action, form.fields)).status_code == 403, "the proof names the session it was shown to"
    half.jar = {PRE: victim.jar[PRE]}
    await half.post(form.action, form.fields)
    await half.follow()
    assert urlsplit(half.at).path == "/login", "without a session there is nobody who could allow anything"
    await victim.press("consent-allow")
    assert "code" in app.answer(victim)


async def test_an_answer_of_one_visit_answers_no_other(site: Site, visit: Visit) -> None:
    app = App(site)
    browser = await at_consent(site, visit, app, "openid")
    small = browser.form("consent-allow")
    await browser.open(app.request("openid email phone"))
    large = browser.form("consent-allow")
    assert small.fields["interaction"] != large.fields["interaction"]
    mixed = {**small.fields, "interaction": large.fields["interaction"]}
    assert (await browser.post(small.action, mixed)).status_code == 403
    await browser.open(app.request(prompt="login"))
    login = browser.form("login-submit")
    for action in (small.action, small.action.replace("/consent", "/login/continue")):
        reply = await browser.post(action, {**login.fields, "answer": "allow"})
        assert reply.status_code == 403, "same browser, visit and session, but another question"


async def test_a_visit_leads_to_one_code_however_often_it_is_resumed(site: Site, visit: Visit) -> None:
    app = App(site)
    browser = await at_consent(site, visit, app)
    await browser.press_only("consent-allow")
    resume = browser.page.one("a", id="onward")["href"]
    racers = [browser.copy() for _ in range(20)]
    await asyncio.gather(*(racer.get(resume) for racer in racers))
    codes = [racer for racer in racers if racer.reply.headers.get("location", "").startswith(app.callback)]
    assert len(codes) == 1
    assert all(racer.reply.status_code == 400 for racer in racers if racer not in codes)


async def test_a_visit_is_over_after_half_an_hour(site: Site, visit: Visit, clock: Hands) -> None:
    browser = visit(site)
    await browser.open(App(site).request())
    clock.move(1_800)
    await browser.press("login-submit", email=ADA, password=PASSWORD)
    assert browser.reply.status_code == 400 and "took too long" in browser.text and OP not in browser.jar


async def test_a_visit_that_leads_out_leads_nobody_in(site: Site, visit: Visit) -> None:
    """The visit of a sign-out is of another kind: the pages for signing in do not know it, and the other way round."""
    browser = visit(site)
    await browser.sign_in(ADA)
    await browser.open("/oauth/logout?client_id=notes")
    out = browser.at.partition("=")[2]
    for page in ("/login", "/consent", "/login/continue"):
        assert (await browser.get(f"{page}?interaction={out}")).status_code == 400, page
    await browser.open(App(site).request())
    into = browser.at.partition("=")[2]
    reply = await browser.get(f"/logout?interaction={into}")
    assert reply.status_code == 200 and "Acme Notes" not in reply.text


async def test_whoever_signs_in_meanwhile_with_the_same_browser_is_asked_himself(site: Site, visit: Visit) -> None:
    app = App(site)
    browser = await at_consent(site, visit, app)
    place = browser.at
    other = browser.copy()
    await other.open("/login?confirm=1")
    await other.press("login-submit", email=LI, password=PASSWORD)
    browser.jar = other.jar
    form = browser.form("consent-allow")
    reply = await browser.post(form.action, form.fields)
    assert reply.status_code in (400, 403)
    await browser.open(place)
    assert browser.reply.status_code == 400, "the visit was bound to the cookie before that sign-in"
    assert await site.bridge.rooms.consents.list_of((await site.user(LI)).id) == []


async def test_another_account_is_asked_for_and_replaces_the_first(site: Site, visit: Visit) -> None:
    app, browser = App(site), visit(site)
    await browser.sign_in(ADA)
    await browser.open(app.request(prompt="select_account"))
    assert urlsplit(browser.at).path == "/login/continue" and "Continue as Ada Lovelace?" in browser.text
    form = browser.form("continue-as")
    for headers in FOREIGN:
        assert (await browser.post(form.action, form.fields, **headers)).status_code == 403, headers
    await browser.open(app.request(prompt="select_account"))
    await browser.press("continue-as-other")
    assert "Confirm that it is you" not in browser.text and ADA not in browser.reply.text
    await browser.press("login-submit", email=LI, password="wrong")
    assert browser.reply.status_code == 422 and "Confirm that it is you" not in browser.text
    await browser.press("login-submit", email=LI, password=PASSWORD)
    await browser.press("consent-allow")
    tokens = (await app.redeem(app.answer(browser)["code"])).json()
    assert (await app.userinfo(tokens["access_token"])).json()["sub"] == (await site.user(LI)).sub
    assert await site.sessions((await site.user(ADA)).id) == []


async def test_continuing_as_oneself_and_turning_back(site: Site, visit: Visit) -> None:
    app, browser = App(site), visit(site)
    await browser.sign_in(ADA)
    await browser.open(app.request(prompt="select_account"))
    await browser.press("login-cancel")
    assert app.answer(browser)["error"] == "access_denied"
    await browser.open(app.request(prompt="select_account"))
    await browser.press("continue-as")
    await browser.press("consent-allow")
    assert "code" in app.answer(browser)


async def test_prompt_login_asks_once_more_and_then_goes_on(site: Site, visit: Visit, clock: Hands) -> None:
    app, browser = App(site), visit(site)
    await browser.sign_in(ADA)
    old = browser.jar[OP]
    clock.move(60)
    await browser.open(app.request(prompt="login"))
    assert "Confirm that it is you" in browser.text and f'value="{ADA}"' in browser.reply.text
    await browser.press("login-submit", password=PASSWORD)
    await browser.press("consent-allow")
    assert "code" in app.answer(browser) and browser.jar[OP] != old


async def test_the_language_the_application_asked_for(site: Site, visit: Visit) -> None:
    browser = visit(site)
    await browser.open(App(site).request(ui_locales="fr zh-CN"))
    assert browser.page.one("html")["lang"] == "zh-Hans"
    switch = next(a for a in browser.page.all("a") if a.get("hreflang") == "en")["href"]
    await browser.open(switch)
    assert browser.page.one("html")["lang"] == "en" and "Acme Notes" in browser.text, "the visit goes on"
    await browser.press("login-submit", email=ADA, password=PASSWORD)
    assert browser.at.startswith("/consent") and browser.page.one("html")["lang"] == "en", "what she chose stays"


async def test_the_application_can_be_seen_before_anything_is_typed(site: Site, visit: Visit) -> None:
    """openid-provider §7.2, no. 3 and 4."""
    browser = visit(site)
    await browser.open(App(site).request(login_hint="ada@example.com"))
    assert "Acme Notes" in browser.text and "notes.example.net" in browser.text
    assert browser.page.one("a", href="https://notes.example.net/privacy").text == "Privacy policy"
    assert browser.page.one("button", id="login-cancel").text == "Cancel"
    assert f'value="{ADA}"' in browser.reply.text


async def test_errors_that_go_nowhere_name_the_parameter(site: Site, visit: Visit) -> None:
    browser = visit(site)
    for wrong in ({"redirect_uri": "https://evil.example/"}, {"client_id": "nobody"}):
        await browser.open(App(site).request(**wrong))
        assert browser.reply.status_code == 400 and next(iter(wrong)) in browser.text and "evil" not in browser.text


async def test_whoever_begins_too_many_sign_ins_is_asked_to_wait(site: Site, visit: Visit) -> None:
    """Security §23: by a page, and he who was on his way already goes on."""
    app, early, late = App(site), visit(site), visit(site)
    await early.open(app.request())
    for _ in range(site.bridge.rooms.config.oidc.visits_per_minute - 1):
        assert (await late.get(app.request())).status_code == 303
    reply = await late.get(app.request())
    assert reply.status_code == 429 and 1 <= int(reply.headers["retry-after"]) <= 60
    assert "Please wait a moment" in reply.text and "no-store" in reply.headers["cache-control"]
    await early.press("login-submit", email=ADA, password=PASSWORD)
    await early.press("consent-allow")
    assert "code" in app.answer(early)


async def test_claims_that_are_asked_for_by_name_are_named_and_remembered(site: Site, visit: Visit) -> None:
    """Core §5.5: on the consent page, once, and on the account page until he takes it back."""
    app, browser = App(site), visit(site)
    await browser.sign_in(ADA)
    claims = json.dumps({"userinfo": {"given_name": None}, "id_token": {"email_verified": {"essential": True}}})
    await browser.open(app.request("openid", claims=claims))
    for words in ("see your first name", "see whether your email address is confirmed"):
        assert words in browser.text
    assert "see your last name" not in browser.text
    await browser.press("consent-allow")
    tokens = (await app.redeem(app.answer(browser)["code"])).json()
    assert (await app.userinfo(tokens["access_token"])).json().keys() == {"sub", "given_name"}
    assert site.told.events[site.told.kinds().index("consent.granted")].details["scope"] == (
        "openid given_name email_verified"
    )
    await browser.open(app.request("openid", claims=claims))
    assert "code" in app.answer(browser), "the second time nothing is asked"
    await browser.open("/account")
    assert "see your first name" in browser.text and "see whether your email address is confirmed" in browser.text


async def test_what_was_allowed_is_shown_and_taken_back(site: Site, visit: Visit) -> None:
    """O3."""
    app, browser = App(site), visit(site)
    await browser.sign_in(ADA)
    tokens = await app.tokens(browser, "openid email offline_access")
    await browser.open("/account")
    assert "Acme Notes" in browser.text and "see your email address" in browser.text
    (button,) = [each for each in browser.page.all("button") if each.get("name") == "client"]
    form = next(f for f in browser.page.all("form") if f["action"] == "/account/apps")
    hidden = {each["name"]: each["value"] for each in form.all("input")}
    for headers in FOREIGN:
        reply = await browser.post("/account/apps", {**hidden, "client": button["value"]}, **headers)
        assert reply.status_code == 403, headers
    assert (await app.userinfo(tokens["access_token"])).status_code == 200
    await browser.post("/account/apps", {**hidden, "client": button["value"]})
    assert "no access any more" in browser.text
    assert (await app.userinfo(tokens["access_token"])).status_code == 401
    assert (await app.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    await browser.post("/account/apps", {**hidden, "client": button["value"]})
    assert "had no access" in browser.text
    await browser.open(app.request("openid email"))
    assert urlsplit(browser.at).path == "/consent", "he is asked again"
    assert site.told.kinds().count("consent.withdrawn") == 1
