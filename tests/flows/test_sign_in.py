"""Signing in by the pages: right, wrong, in two steps, again; and as somebody else — security §26, S3, S4, W2, W3."""

import asyncio
import re
from collections.abc import Callable
from urllib.parse import urlencode

import pytest

from bridge.secret import Secret
from bridge.testing.hands import Hands
from tests.flows.foreign import FOREIGN
from tests.flows.visitor import Visitor
from tests.running import ADA, DAN, LI, NEW_PASSWORD, PASSWORD, TOM, TOTP, Furnished, Site, code, in_process

Visit = Callable[[Site], Visitor]
OP, APP, PRE, KNOWN, PENDING = (
    "__Host-lb_op",
    "__Host-login_auth_tk",
    "__Host-lb_pre",
    "__Host-lb_known",
    "__Host-lb_pending",
)


async def test_on_each_store_somebody_comes_in_by_the_page(any_site: Site, visit: Visit) -> None:
    ada = visit(any_site)
    await ada.open("/account")
    assert ada.at == "/login?next=%2Faccount"
    await ada.press("login-submit", email=ADA, password="wrong")
    assert ada.reply.status_code == 422 and "do not match" in ada.text
    assert not {OP, APP, KNOWN} & set(ada.jar)
    await ada.press("login-submit", email=ADA, password=PASSWORD)
    assert ada.at == "/account" and "Ada Lovelace" in ada.text
    assert set(ada.jar) == {PRE, OP, APP, KNOWN}


async def test_s16_cookies_are_closed_to_everybody_else(site: Site, visit: Visit) -> None:
    ada = visit(site)
    await ada.sign_in(ADA)
    for name in (OP, APP, PRE):
        assert ada.set[name] == f"{name}={ada.jar[name]}; Path=/; HttpOnly; SameSite=Lax; Secure"
    assert ada.set[KNOWN].endswith("; Max-Age=15552000")


DRAWN = re.compile(r"""nonce[=-]"?[\w-]{24}|challenge&#34;: &#34;[\w-]{80}""")
"""What is drawn anew for each page: the nonce of its script, and the challenge for a passkey."""


async def test_wrong_unknown_and_disabled_are_answered_alike(site: Site, visit: Visit) -> None:
    """A5."""
    replies = []
    for email, password in ((ADA, "wrong"), ("nobody@example.com", PASSWORD), (DAN, PASSWORD), (DAN, "wrong")):
        reply = (await visit(site).sign_in(email, password)).reply
        headers = {name: DRAWN.sub("…", value) for name, value in reply.headers.items() if name != "content-length"}
        body = DRAWN.sub("…", reply.text.replace(email, "…"))
        replies.append((reply.status_code, headers, body[: body.index('value="')] + body[body.index("novalidate") :]))
    hidden = [[each for each in reply[2].split() if "value" in each] for reply in replies]
    assert replies[0][0] == 422 and all(reply[:2] == replies[0][:2] for reply in replies)
    assert len({len(each) for each in hidden}) == 1


async def test_the_password_never_comes_back(site: Site, visit: Visit) -> None:
    for password in ("a wrong and secret password", PASSWORD):
        browser = await visit(site).sign_in(ADA, password)
        assert password not in browser.reply.text


async def test_s4_nothing_that_came_from_the_browser_becomes_a_session(site: Site, visit: Visit) -> None:
    """Fixation: whatever an attacker planted before, the sign-in replaces all of it."""
    planted = "A" * 40
    victim = visit(site)
    victim.jar |= {OP: planted, APP: planted, PRE: "1" * 22, PENDING: planted}
    await victim.sign_in(ADA)
    assert victim.at == "/account"
    assert planted not in victim.jar.values() and victim.jar[PRE] != "1" * 22
    attacker = visit(site)
    attacker.jar |= {OP: planted, APP: planted, PRE: "1" * 22}
    await attacker.open("/account")
    assert attacker.at.startswith("/login")


async def test_s4_the_attackers_own_session_is_not_taken_over(site: Site, visit: Visit) -> None:
    """He plants a good session of his own: the victim's sign-in ends it for this browser, and gives him nothing."""
    attacker, victim = visit(site), visit(site)
    await attacker.sign_in(LI)
    victim.jar |= {OP: attacker.jar[OP], APP: attacker.jar[APP]}
    await victim.open("/login?confirm=1")
    await victim.press("login-submit", email=ADA, password=PASSWORD)
    assert "Ada Lovelace" in victim.text
    assert not {victim.jar[OP], victim.jar[APP]} & {attacker.jar[OP], attacker.jar[APP]}
    await attacker.open("/account")
    assert attacker.at.startswith("/login"), "one browser, one person: the session that was there has ended"


async def test_s3_signing_in_again_gives_new_tokens_and_the_old_ones_are_nobody(site: Site, visit: Visit) -> None:
    """§12 no. 35."""
    browser = visit(site)
    await browser.sign_in(ADA)
    before, thief = dict(browser.jar), browser.copy()
    await browser.open("/login?confirm=1&next=/account")
    assert "Confirm that it is you" in browser.text and f'value="{ADA}"' in browser.reply.text
    await browser.press("login-submit", password=PASSWORD)
    assert browser.at == "/account" and len(await site.sessions((await site.user(ADA)).id)) == 1
    assert all(browser.jar[name] != before[name] for name in (OP, APP, PRE))
    await thief.open("/account")
    assert thief.at.startswith("/login")


async def test_whoever_is_signed_in_is_not_asked_again(site: Site, visit: Visit) -> None:
    browser = visit(site)
    await browser.sign_in(ADA)
    await browser.open("/login")
    assert browser.at == "/account"


async def test_w2_only_our_own_form_in_this_browser_signs_anybody_in(site: Site, visit: Visit) -> None:
    """§12 no. 32."""
    browser = visit(site)
    await browser.open("/login")
    form = browser.form("login-submit")
    good = {**form.fields, "email": ADA, "password": PASSWORD}
    for headers in FOREIGN:
        reply = await browser.post(form.action, good, **headers)
        assert reply.status_code == 403 and OP not in browser.jar, headers
    for value in ("", "0" * 64, good["csrf"][:-1], "é"):
        assert (await browser.post(form.action, {**good, "csrf": value})).status_code == 403
    stranger = visit(site)
    assert (await stranger.post(form.action, good)).status_code == 403, "without the cookie"
    await stranger.open("/login")
    assert (await stranger.post(form.action, good)).status_code == 403, "with another browser's cookie"
    assert (await browser.post(form.action, good)).status_code == 303


async def test_w2_a_form_that_was_opened_before_somebody_signed_in_is_stale(site: Site, visit: Visit) -> None:
    browser = visit(site)
    await browser.open("/login")
    old = browser.form("login-submit")
    await browser.press("login-submit", email=ADA, password=PASSWORD)
    reply = await browser.post(old.action, {**old.fields, "email": LI, "password": PASSWORD})
    assert reply.status_code == 403
    await browser.open("/account")
    assert "Ada Lovelace" in browser.text


async def test_what_cannot_be_read_is_told_on_a_page_or_to_a_program(site: Site, visit: Visit) -> None:
    browser = visit(site)
    many = "&".join(f"a{number}=1" for number in range(101))
    for asked in ("next=/a&next=/b", "interaction=a&interaction=b", "x=%ff", "x" * 9_000, many):
        reply = await browser.get(f"/login?{asked}")
        assert reply.status_code == 400 and reply.headers["content-type"].startswith("text/html"), asked[:40]
        assert "content-security-policy" in reply.headers
        program = await browser.get(f"/login?{asked}", accept="application/json")
        assert program.status_code == 400 and program.json()["error"] == "invalid_request"


async def test_a_repeated_field_signs_nobody_in(site: Site, visit: Visit) -> None:
    browser = visit(site)
    await browser.open("/login")
    form = browser.form("login-submit")
    body = f"csrf={form.fields['csrf']}&email={ADA}&email={LI}&password={PASSWORD.replace(' ', '+')}"
    browser.headers["content-type"] = "application/x-www-form-urlencoded"
    reply = await browser.http.post(
        "/login", content=body, headers={**browser.headers, "cookie": f"{PRE}={browser.jar[PRE]}"}
    )
    assert reply.status_code == 400 and "email must not be repeated" in reply.text
    assert "set-cookie" not in reply.headers


async def test_a_form_has_one_media_type(site: Site, visit: Visit) -> None:
    browser = visit(site)
    await browser.open("/login")
    for kind in ("application/json", "multipart/form-data; boundary=x", "text/plain", ""):
        assert (await browser.post("/login", {"email": ADA}, content_type=kind)).status_code == 415


async def test_other_methods_are_refused_on_a_page_that_names_the_right_ones(site: Site, visit: Visit) -> None:
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        reply = await visit(site).request(method, "/login")
        assert reply.status_code == 405 and reply.headers["allow"] == "GET, HEAD, POST"
        assert reply.headers["content-type"].startswith("text/html")
        assert "access-control-allow-origin" not in reply.headers


async def test_head_is_get_without_the_body(site: Site, visit: Visit) -> None:
    browser = visit(site)
    for path in ("/login", "/reset", "/logout", "/account", "/login/code", "/consent"):
        head, get = await browser.request("HEAD", path), await browser.get(path)
        assert (head.status_code, head.content) == (get.status_code, b"")


W3_ELSEWHERE = [
    "https://evil.example",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    " //evil.example",
    "/ /evil.example",
    "javascript:alert(1)",
    "http:evil.example",
    "evil.example",
    "",
    "/\u00e9//evil.example",
    "/a\r\nset-cookie: x=1",
    "/" + "a" * 2_048,
]


async def test_w3_nobody_is_sent_to_another_place_after_signing_in(site: Site, visit: Visit) -> None:
    browser = visit(site)
    for target in W3_ELSEWHERE:
        await browser.open("/login?confirm=1")
        form = browser.form("login-submit")
        reply = await browser.post(form.action, {**form.fields, "email": ADA, "password": PASSWORD, "next": target})
        assert (reply.status_code, reply.headers["location"]) == (303, "/account"), target
        again = await browser.get(f"/login?{urlencode({'next': target})}")
        assert (again.status_code, again.headers["location"]) == (303, "/account"), target


async def test_w3_a_path_of_this_host_is_where_he_goes(site: Site, visit: Visit) -> None:
    browser = visit(site)
    target = "/orders/7?tab=a&b=%2F%2Fevil.example#x"
    await browser.get("/login?next=" + target.replace("%", "%25").replace("&", "%26").replace("#", "%23"))
    await browser.press_only("login-submit", email=ADA, password=PASSWORD)
    assert browser.reply.status_code == 200, "a page that moves on"
    assert browser.page.one("a", id="onward")["href"] == target


async def test_a_program_is_redirected(site: Site, visit: Visit) -> None:
    program = visit(site)
    program.headers["accept"] = "*/*"
    await program.open("/login?next=/orders")
    reply = await program.press_only("login-submit", email=ADA, password=PASSWORD)
    assert (reply.status_code, reply.headers["location"]) == (303, "/orders")


async def test_two_cookies_of_one_name_are_nobody(site: Site, visit: Visit) -> None:
    """Security §13: somebody may have tossed one in; we do not guess which."""
    browser = visit(site)
    await browser.sign_in(ADA)
    twice = f"{OP}={browser.jar[OP]}; {OP}={browser.jar[OP]}; {PRE}={browser.jar[PRE]}"
    reply = await browser.get("/account", cookie=twice)
    assert reply.headers["location"].startswith("/login")
    reply = await browser.get("/account", cookie=f"{OP}={browser.jar[OP]}")
    assert reply.status_code == 200
    for name in ("lb_op", "__Secure-lb_op", "__host-lb_op", f"\xa0{OP}", "x__Host-lb_op"):
        reply = await browser.get("/account", cookie=f"{name}={browser.jar[OP]}")
        assert reply.headers["location"].startswith("/login"), name


async def test_an_apps_session_is_not_the_person_at_the_issuer(site: Site, visit: Visit) -> None:
    """Security §2."""
    browser = visit(site)
    await browser.sign_in(ADA)
    browser.jar[OP] = browser.jar[APP]
    await browser.open("/account")
    assert browser.at.startswith("/login")


async def test_the_second_step(any_site: Site, visit: Visit) -> None:
    tom = visit(any_site)
    await tom.sign_in(TOM, path="/login?next=/account")
    assert tom.at.startswith("/login/code") and PENDING in tom.jar and OP not in tom.jar
    await tom.press("second-factor-submit", code="000000")
    assert tom.reply.status_code == 422 and "not right" in tom.text
    await tom.press("second-factor-submit", code="")
    assert tom.reply.status_code == 422 and "enter the code" in tom.text
    shown = code()
    await tom.press("second-factor-submit", code=f"{shown[:3]} {shown[3:]}")
    assert tom.at == "/account" and PENDING not in tom.jar


async def test_the_second_step_belongs_to_the_browser_of_the_first(site: Site, visit: Visit, clock: Hands) -> None:
    tom, thief = visit(site), visit(site)
    await tom.sign_in(TOM)
    form = tom.form("second-factor-submit")
    good = {**form.fields, "code": code(at=clock.now())}
    await thief.open("/login")
    await thief.post(form.action, good)
    assert thief.reply.headers["location"] == "/login", "without the pending sign-in"
    thief.jar[PENDING] = tom.jar[PENDING]
    assert (await thief.post(form.action, good)).status_code == 403, "with it, but not the cookie that the form is for"
    for headers in FOREIGN:
        assert (await tom.post(form.action, good, **headers)).status_code == 403, headers
    assert (await tom.post(form.action, good)).status_code == 303 and OP in tom.jar


async def test_a_code_is_for_the_sign_in_that_its_form_was_shown_to(site: Site, visit: Visit, clock: Hands) -> None:
    await site.person("tim@example.com", totp=Secret(TOTP))
    browser = visit(site)
    await browser.sign_in(TOM)
    toms = browser.form("second-factor-submit")
    await browser.sign_in("tim@example.com")
    reply = await browser.post(toms.action, {**toms.fields, "code": code(at=clock.now())})
    assert reply.status_code == 403 and OP not in browser.jar


async def test_a_form_for_who_is_signed_in_is_not_for_who_has_left(site: Site, visit: Visit) -> None:
    browser = visit(site)
    await browser.sign_in(ADA)
    await browser.open("/login?confirm=1")
    form = browser.form("login-submit")
    await browser.open("/logout")
    await browser.press("logout-confirm")
    reply = await browser.post(form.action, {**form.fields, "password": PASSWORD})
    assert reply.status_code == 403 and OP not in browser.jar


async def test_a_code_signs_in_once_however_many_try(site: Site, visit: Visit, clock: Hands) -> None:
    tom = visit(site)
    await tom.sign_in(TOM)
    form = tom.form("second-factor-submit")
    racers = [tom.copy() for _ in range(20)]
    good = {**form.fields, "code": code(at=clock.now())}
    await asyncio.gather(*(racer.post(form.action, good) for racer in racers))
    assert sum(OP in racer.jar for racer in racers) == 1
    assert len(await site.sessions((await site.user(TOM)).id)) == 1


async def test_a_right_password_waits_ten_minutes_for_its_code(site: Site, visit: Visit, clock: Hands) -> None:
    tom = visit(site)
    await tom.sign_in(TOM)
    clock.move(600)
    await tom.press("second-factor-submit", code=code(at=clock.now()))
    assert tom.reply.status_code == 422 and OP not in tom.jar and PENDING not in tom.jar
    assert tom.page.one("button", id="login-submit").text == "Sign in"


async def test_giving_up_the_second_step_leads_back(site: Site, visit: Visit) -> None:
    tom = visit(site)
    await tom.sign_in(TOM)
    await tom.press("login-cancel")
    assert tom.at == "/login" and PENDING not in tom.jar
    await tom.open("/login/code")
    assert tom.at == "/login"


@pytest.mark.parametrize(
    ("happens", "words"),
    [
        ("idle", "you were inactive"),
        ("absolute", "time limit"),
        ("password", "because your password was changed"),
        ("administrator", "An administrator ended your session"),
        ("elsewhere", "You ended this session from another device"),
        ("disabled", "Your account has been closed"),
    ],
)
async def test_whose_session_has_ended_is_told_why_and_the_cookies_go(
    site: Site, visit: Visit, clock: Hands, happens: str, words: str
) -> None:
    browser, rooms = visit(site), site.bridge.rooms
    await browser.sign_in(ADA)
    user = await site.user(ADA)
    match happens:
        case "idle":
            clock.move(1_801)
        case "absolute":
            for _ in range(43_200 // 1_700):
                clock.move(1_700)
                await browser.get("/account")
                await rooms.sessions.finish()
            clock.move(1_000)
        case "password":
            changed = await rooms.users.set_password(user, Secret(NEW_PASSWORD))
            assert changed is not None
            await rooms.sessions.publish_stamp(user.id, user.tag)
        case "administrator":
            await rooms.sessions.end_all(user.id, user.tag, "admin")
        case "elsewhere":
            await rooms.sessions.end(user.id, user.tag, (await site.sessions(user.id))[0], "you")
        case _:
            await rooms.users.disable(user.id)
    await browser.open("/account")
    assert browser.at == "/login?next=%2Faccount" and words in browser.text
    assert OP not in browser.jar
    assert (APP in browser.jar) == (happens == "idle"), "an app may still be busy"
    await browser.open("/login")
    assert words not in browser.text, "told once"


async def test_s6_the_pages_count_as_use(site: Site, visit: Visit, clock: Hands) -> None:
    browser = visit(site)
    await browser.sign_in(ADA)
    for _ in range(4):
        clock.move(1_000)
        await browser.open("/account")
        assert browser.at == "/account"
        await site.bridge.rooms.sessions.finish()


async def test_the_language_that_was_chosen_stays_and_so_does_where_he_was_going(site: Site, visit: Visit) -> None:
    browser = visit(site)
    await browser.open("/login?next=/account")
    switch = next(a for a in browser.page.all("a") if a.get("hreflang") == "zh-Hans")["href"]
    await browser.open(switch)
    assert "登录" in browser.text and browser.page.one("html")["lang"] == "zh-Hans"
    await browser.press("login-submit", email=ADA, password="wrong")
    assert browser.page.one("html")["lang"] == "zh-Hans"
    await browser.press("login-submit", email=ADA, password=PASSWORD)
    assert browser.at.startswith("/account") and browser.page.one("html")["lang"] == "zh-Hans"
    await browser.open("/account")
    assert browser.page.one("html")["lang"] == "zh-Hans" and "set-cookie" not in browser.reply.headers
    await browser.open("/account?lang=en")
    await browser.open("/account")
    assert browser.page.one("html")["lang"] == "en"


@pytest.mark.parametrize("kept", ["tlh_Piqd", "zh_Hans; __Host-lb_lang=en", "<script>", "zh_Hant"])
async def test_a_language_nobody_chose_is_none(site: Site, visit: Visit, kept: str) -> None:
    browser = visit(site)
    reply = await browser.get("/login", cookie=f"__Host-lb_lang={kept}")
    assert reply.headers["content-language"] == "en" and kept not in reply.text
    assert "lb_lang" not in reply.headers["set-cookie"]
    browser.jar["__Host-lb_lang"] = "zh_Hans"
    for path in ("/login?lang=xx", "/oauth/authorize?client_id=nobody", "/nothing/here"):
        reply = await browser.get(path, accept="text/html")
        assert reply.headers["content-language"] == "zh-Hans", path


async def test_who_is_signed_in_reads_his_own_language(site: Site, visit: Visit) -> None:
    li = visit(site)
    await li.open("/login")
    assert li.page.one("html")["lang"] == "en", "the browser's"
    await li.press("login-submit", email=LI, password=PASSWORD)
    assert li.at == "/account" and li.page.one("html")["lang"] == "zh-Hans"
    await li.open("/account?lang=en")
    assert li.page.one("html")["lang"] == "en", "what is chosen on the page comes first"


async def test_somebody_who_is_disabled_meanwhile_is_nobody(site: Site, visit: Visit) -> None:
    browser = visit(site)
    await browser.sign_in(ADA)
    await browser.open("/account")
    form = browser.form("end-all")
    await site.bridge.rooms.users.disable((await site.user(ADA)).id)  # SQL knows; nobody has published it yet
    reply = await browser.post(form.action, form.fields)
    assert reply.headers["location"].startswith("/login")
    await browser.sign_in(ADA)
    assert browser.reply.status_code == 422 and "do not match" in browser.text


async def test_too_many_attempts_are_told_with_the_time_to_wait(database: Furnished, visit: Visit) -> None:
    async with in_process(database, more={("login", "account_per_5_minutes"): 2}, clock=Hands(600_000.0)) as site:
        browser = visit(site)
        for _ in range(2):
            assert (await browser.sign_in(ADA, "wrong")).reply.status_code == 422
        await browser.sign_in(ADA)
        assert browser.reply.status_code == 429 and "try again in 5 minutes" in browser.text
        await browser.sign_in(LI)
        assert browser.at == "/account", "only that account"
