"""Forgotten password, from the form to the new password, by the numbers of R1 to R9 — sessions-and-accounts §3.3."""

import asyncio
import statistics
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from sqlalchemy import text

from bridge.secret import Secret
from bridge.testing.hands import Hands
from tests.flows.foreign import FOREIGN
from tests.flows.mailbox import Mailbox, link_in, text_of
from tests.flows.oauth import App
from tests.flows.visitor import Visitor
from tests.running import (
    ADA,
    API_SECRET,
    DAN,
    IDENTIFIER,
    LI,
    NEW_PASSWORD,
    PASSWORD,
    PUBLIC_URL,
    TOM,
    Site,
    code,
)

Visit = Callable[[Site], Visitor]
NEW = {"new_password": NEW_PASSWORD, "new_password_again": NEW_PASSWORD}


async def ask(browser: Visitor, email: str) -> Visitor:
    """For a link, by the form."""
    await browser.open("/reset")
    return await browser.press("reset-submit", email=email)


async def link(site: Site, mailbox: Mailbox, visit: Visit, email: str = ADA) -> str:
    """A link for that user, path only."""
    await ask(visit(site), email)
    return urlsplit(link_in(await mailbox.next(email))).path


async def opened(site: Site, visit: Visit, path: str) -> Visitor:
    """A browser that followed the link, at the form for the new password."""
    browser = visit(site)
    await browser.open(path)
    assert browser.at == "/reset/new"
    return browser


async def test_what_is_no_address_is_asked_for_again(site: Site, visit: Visit) -> None:
    """And not shown: it may be a password, in the wrong field."""
    browser = await ask(visit(site), "ada at example.com")
    assert browser.reply.status_code == 422 and "Please enter your email address." in browser.text
    assert "ada at example.com" not in browser.reply.text


async def test_the_whole_way(any_site: Site, visit: Visit, mailbox: Mailbox) -> None:
    site, browser = any_site, visit(any_site)
    await browser.open("/login")
    await ask(browser, ADA)
    assert ADA in browser.text and "60 minutes" in browser.text
    letter = await mailbox.next(ADA)
    await browser.open(urlsplit(link_in(letter)).path)
    assert "a•••@e•••e.com" in browser.text and ADA not in browser.text
    await browser.press("new-password-submit", **NEW)
    assert browser.at == "/login?reset=done" and "has been changed" in browser.text
    await browser.press("login-submit", email=ADA, password=PASSWORD)
    assert browser.reply.status_code == 422
    await browser.press("login-submit", email=ADA, password=NEW_PASSWORD)
    assert browser.at == "/account"
    told = await mailbox.next(ADA)
    assert "was changed" in told["Subject"] and "/reset/t/" not in text_of(told)
    assert site.told.kinds().count("reset.done") == 1


async def test_r1_known_unknown_disabled_and_throttled_are_answered_alike(
    site: Site, visit: Visit, mailbox: Mailbox
) -> None:
    replies = []
    for email in (ADA, "nobody@example.com", DAN, *[ADA] * 4):
        browser = visit(site)
        reply = (await ask(browser, email)).reply
        headers = {name: value for name, value in reply.headers.items() if name != "content-length"}
        replies.append((reply.status_code, reply.text.replace(email, "…"), headers))
    assert replies[0][0] == 200 and "If there is an account" in replies[0][1]
    assert all(reply == replies[0] for reply in replies)


async def test_r1_only_who_may_have_a_link_gets_a_letter(site: Site, visit: Visit, mailbox: Mailbox) -> None:
    for email in (DAN, "nobody@example.com", ADA):
        await ask(visit(site), email)
    await mailbox.next(ADA)
    assert not mailbox.unread(DAN) and not mailbox.unread("nobody@example.com")


async def test_a_password_that_another_system_keeps_is_not_reset_here(
    site: Site, visit: Visit, mailbox: Mailbox
) -> None:
    path = await link(site, mailbox, visit)
    async with site.bridge.rooms.database.begin() as tx:
        await tx.execute(text("UPDATE users SET authority = 'whmcs' WHERE email = :email"), {"email": ADA})
    browser = visit(site)
    await browser.open(path)
    assert browser.reply.status_code == 410
    await ask(visit(site), ADA)
    await ask(visit(site), LI)
    await mailbox.next(LI)
    assert not mailbox.unread(ADA)


async def test_mail_goes_to_the_stored_address_and_never_to_the_typed_one(
    site: Site, visit: Visit, mailbox: Mailbox
) -> None:
    """Security §10: they differ by letters that mean the same."""
    await ask(visit(site), "ＡDA@EXAMPLE.com")
    letter = await mailbox.next(ADA)
    assert letter["To"].addresses[0].addr_spec == ADA


@pytest.mark.slow
async def test_r1_the_answer_takes_as_long_for_everybody(site: Site, visit: Visit) -> None:
    """Medians of interleaved requests; nothing is looked up before any of them is answered."""
    times: dict[str, list[float]] = {ADA: [], DAN: [], "nobody@example.com": []}
    browser = visit(site)
    await browser.open("/reset")
    form = browser.form("reset-submit")
    spreads: list[float] = []
    while not spreads or (spreads[-1] >= 1.15 and len(spreads) < 8):
        for _ in range(150):
            for email, taken in times.items():
                began = time.perf_counter()
                assert (await browser.post(form.action, {**form.fields, "email": email})).status_code == 200
                taken.append(time.perf_counter() - began)
                await asyncio.sleep(0.002)
        medians = [statistics.median(taken) for taken in times.values()]
        spreads.append(max(medians) / min(medians))
    assert spreads[-1] < 1.15, spreads  # a difference that is ours stays; others' load is evened out


async def test_r2_a_link_is_good_for_an_hour(site: Site, visit: Visit, mailbox: Mailbox, clock: Hands) -> None:
    path = await link(site, mailbox, visit)
    clock.move(3_600)
    await opened(site, visit, path)
    clock.move(1)
    late = visit(site)
    await late.open(path)
    assert late.reply.status_code == 410 and "too old" in late.text


async def test_r2_the_form_is_no_longer_good_than_the_link(
    site: Site, visit: Visit, mailbox: Mailbox, clock: Hands
) -> None:
    browser = await opened(site, visit, await link(site, mailbox, visit))
    clock.move(3_601)
    await browser.press("new-password-submit", **NEW)
    assert browser.reply.status_code == 410 and "__Host-lb_reset" not in browser.jar
    await browser.sign_in(ADA)
    assert browser.at == "/account"


async def test_r2_of_fifty_who_use_one_link_at_once_one_does(any_site: Site, visit: Visit, mailbox: Mailbox) -> None:
    site = any_site
    browser = await opened(site, visit, await link(site, mailbox, visit))
    form = browser.form("new-password-submit")
    passwords = [f"{NEW_PASSWORD} {number}" for number in range(50)]
    racers = [browser.copy() for _ in passwords]
    replies = await asyncio.gather(
        *(
            racer.post(form.action, {**form.fields, "new_password": each, "new_password_again": each})
            for racer, each in zip(racers, passwords, strict=True)
        )
    )
    statuses = [reply.status_code for reply in replies]
    assert statuses.count(303) == 1 and statuses.count(410) == 49
    winner = passwords[statuses.index(303)]
    user = await site.user(ADA)
    assert (user.credential_version, user.reset_gen) == (1, 1)
    await browser.sign_in(ADA, winner)
    assert browser.at == "/account"
    assert site.told.kinds().count("reset.done") == 1


async def test_r3_looking_consumes_nothing_however_often(site: Site, visit: Visit, mailbox: Mailbox) -> None:
    path = await link(site, mailbox, visit)
    before = await site.user(ADA)
    scanner = visit(site)
    for method in ("HEAD", "GET", "HEAD", "GET", "GET"):
        reply = await scanner.request(method, path, sec_purpose="prefetch")
        assert (reply.status_code, reply.headers["location"]) == (303, "/reset/new")
    await scanner.get("/reset/new")
    for method in ("POST", "PUT", "OPTIONS", "DELETE"):
        assert (await scanner.request(method, path, {} if method == "POST" else None)).status_code == 405
    assert await site.user(ADA) == before
    person = await opened(site, visit, path)
    await person.press("new-password-submit", **NEW)
    assert person.at == "/login?reset=done"


async def test_r3_a_head_is_given_no_cookie(site: Site, visit: Visit, mailbox: Mailbox) -> None:
    scanner = visit(site)
    reply = await scanner.request("HEAD", await link(site, mailbox, visit))
    assert "set-cookie" not in reply.headers and reply.content == b""


async def test_r3_w2_only_our_own_form_in_this_browser_changes_a_password(
    site: Site, visit: Visit, mailbox: Mailbox
) -> None:
    browser = await opened(site, visit, await link(site, mailbox, visit))
    form = browser.form("new-password-submit")
    good = {**form.fields, **NEW}
    for headers in FOREIGN:
        assert (await browser.post(form.action, good, **headers)).status_code == 403, headers
    for name in ("csrf", "nonce"):
        for value in ("", "0" * 64, good[name][:-1], good[name] + "0", good["nonce" if name == "csrf" else "csrf"]):
            assert (await browser.post(form.action, {**good, name: value})).status_code == 403, (name, value)
    stranger = browser.copy()
    for pre in (None, "1" * 22):  # a browser that was shown nothing, and another's
        stranger.jar = {name: value for name, value in browser.jar.items() if name != "__Host-lb_pre"}
        stranger.jar |= {"__Host-lb_pre": pre} if pre else {}
        assert (await stranger.post(form.action, good)).status_code == 403
    assert (await site.user(ADA)).credential_version == 0
    # `null` is what a page without referrer sends: the browser says that it was ours, and the proof is there
    assert (await browser.post(form.action, good, origin="null")).status_code == 303


async def test_r3_the_form_of_one_link_does_not_use_another(site: Site, visit: Visit, mailbox: Mailbox) -> None:
    """A cookie tossed in between page and form: the form was for somebody else's link."""
    mine, others = await link(site, mailbox, visit), await link(site, mailbox, visit, LI)
    browser = await opened(site, visit, mine)
    browser.jar["__Host-lb_reset"] = others.rpartition("/")[2]
    reply = await browser.press_only("new-password-submit", **NEW)
    assert reply.status_code == 403
    assert (await site.user(LI)).credential_version == (await site.user(ADA)).credential_version == 0


async def test_r4_the_token_leaves_the_address_and_goes_nowhere_else(
    site: Site, visit: Visit, mailbox: Mailbox
) -> None:
    browser = visit(site)
    path = await link(site, mailbox, visit)
    token = path.rpartition("/")[2]
    first = await browser.get(path)
    assert first.headers["location"] == "/reset/new" and first.headers["referrer-policy"] == "no-referrer"
    assert "no-store" in first.headers["cache-control"] and token not in first.text
    line = browser.set["__Host-lb_reset"]
    assert line == f"__Host-lb_reset={token}; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=900"
    await browser.follow()
    shown = browser.reply
    assert token not in shown.text and token not in str(shown.url)
    assert shown.headers["referrer-policy"] == "same-origin"
    assert "default-src 'none'" in shown.headers["content-security-policy"]
    elsewhere = [
        each[name]
        for each in browser.page.all()
        for name in ("href", "src", "action")
        if each.get(name) and not each[name].startswith(("/", "data:image/"))
    ]
    assert elsewhere == []


async def test_r4_the_token_is_in_no_event_and_no_row(site: Site, visit: Visit, mailbox: Mailbox) -> None:
    path = await link(site, mailbox, visit)
    browser = await opened(site, visit, path)
    await browser.press("new-password-submit", **NEW)
    await mailbox.next(ADA)
    token = path.rpartition("/")[2]
    parts = [token, token.split(".")[2], NEW_PASSWORD]
    assert not [part for part in parts if part in repr(site.told.events)]
    await site.bridge.close()
    assert not [part for part in parts if part.encode() in dump_of(site)]


def dump_of(site: Site) -> bytes:
    """Every byte of the database, the outbox among them."""
    file = site.bridge.config.database.url.removeprefix("sqlite:///")
    with open(file, "rb") as database:  # noqa: PTH123
        return database.read()


@pytest.mark.parametrize(
    "lie",
    [
        {"host": "evil.example"},
        {"x_forwarded_host": "evil.example", "x_forwarded_proto": "http"},
        {"forwarded": "host=evil.example;proto=http"},
        {"host": "evil.example", "x_forwarded_host": "evil.example", "x_original_url": "https://evil.example/"},
    ],
    ids=str,
)
async def test_r5_no_header_says_where_the_link_leads(
    site: Site, visit: Visit, mailbox: Mailbox, lie: dict[str, str]
) -> None:
    browser = visit(site)
    await browser.open("/reset")
    form = browser.form("reset-submit")
    reply = await browser.post(form.action, {**form.fields, "email": ADA}, **lie)
    assert reply.status_code == 200 and "evil" not in reply.text
    letter = await mailbox.next(ADA)
    assert link_in(letter).startswith(f"{PUBLIC_URL}/reset/t/")
    assert "evil" not in letter.as_string()


async def test_r6_everything_of_the_user_ends_and_nobody_is_signed_in(
    any_site: Site, visit: Visit, mailbox: Mailbox
) -> None:
    site, app = any_site, App(any_site)
    phone, thief = visit(site), visit(site)
    await phone.sign_in(ADA)
    tokens = await app.tokens(phone, "openid offline_access")
    await thief.sign_in(ADA)
    browser = await opened(site, visit, await link(site, mailbox, visit))
    await browser.press("new-password-submit", **NEW)
    assert not {"__Host-lb_op", "__Host-login_auth_tk", "__Host-lb_reset"} & set(browser.jar)
    await browser.open("/account")
    assert browser.at.startswith("/login"), "no auto-login"
    for other in (phone, thief):
        await other.open("/account")
        assert other.at.startswith("/login") and "because your password was changed" in other.text
    assert await site.sessions((await site.user(ADA)).id) == []
    assert (await app.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await app.userinfo(tokens["access_token"])).status_code == 401
    assert "was changed" in (await mailbox.next(ADA))["Subject"]


async def test_r6_the_second_step_is_still_owed(site: Site, visit: Visit, mailbox: Mailbox, clock: Hands) -> None:
    browser = await opened(site, visit, await link(site, mailbox, visit, TOM))
    await browser.press("new-password-submit", **NEW)
    await browser.press("login-submit", email=TOM, password=NEW_PASSWORD)
    assert browser.at == "/login/code" and "__Host-lb_op" not in browser.jar
    await browser.press("second-factor-submit", code=code(at=clock.now()))
    assert browser.at == "/account"


async def test_r6_a_pending_sign_in_dies_with_the_password(
    site: Site, visit: Visit, mailbox: Mailbox, clock: Hands
) -> None:
    """Security §14."""
    waiting = visit(site)
    await waiting.sign_in(TOM)
    browser = await opened(site, visit, await link(site, mailbox, visit, TOM))
    await browser.press("new-password-submit", **NEW)
    await waiting.press("second-factor-submit", code=code(at=clock.now()))
    assert "__Host-lb_op" not in waiting.jar and waiting.reply.status_code == 422


async def test_his_own_session_in_this_browser_is_forgotten(site: Site, visit: Visit, mailbox: Mailbox) -> None:
    browser = visit(site)
    await browser.sign_in(ADA)
    await browser.open(await link(site, mailbox, visit))
    reply = await browser.press_only("new-password-submit", **NEW)
    assert reply.status_code == 303 and not {"__Host-lb_op", "__Host-login_auth_tk"} & set(browser.jar)


async def test_whoever_else_is_signed_in_with_this_browser_stays_so(site: Site, visit: Visit, mailbox: Mailbox) -> None:
    browser = visit(site)
    await browser.sign_in(LI)
    await browser.open(await link(site, mailbox, visit))
    await browser.press("new-password-submit", **NEW)
    await browser.open("/account")
    assert browser.at == "/account" and "Li Wei" in browser.text


async def test_r7_a_second_request_leaves_the_first_link_good(site: Site, visit: Visit, mailbox: Mailbox) -> None:
    first, second = await link(site, mailbox, visit), await link(site, mailbox, visit)
    await opened(site, visit, second)
    browser = await opened(site, visit, first)
    await browser.press("new-password-submit", **NEW)
    assert browser.at == "/login?reset=done"


async def test_r7_any_success_makes_every_link_void(site: Site, visit: Visit, mailbox: Mailbox) -> None:
    paths = [await link(site, mailbox, visit) for _ in range(3)]
    waiting = await opened(site, visit, paths[1])
    browser = await opened(site, visit, paths[0])
    await browser.press("new-password-submit", **NEW)
    for path in paths:
        late = visit(site)
        await late.open(path)
        assert late.reply.status_code == 410 and "has been used" in late.text
    await waiting.press("new-password-submit", **NEW)
    assert waiting.reply.status_code == 410


@pytest.mark.parametrize("change", ["password", "email", "disabled"])
async def test_r7_any_other_change_makes_every_link_void(
    site: Site, visit: Visit, mailbox: Mailbox, change: str
) -> None:
    path = await link(site, mailbox, visit)
    waiting = await opened(site, visit, path)
    user, users = await site.user(ADA), site.bridge.rooms.users
    match change:
        case "password":
            assert await users.set_password(user, Secret(NEW_PASSWORD))
        case "email":
            await change_address(site, "ada@example.org")
        case _:
            await users.disable(user.id)
    late = visit(site)
    await late.open(path)
    await waiting.press("new-password-submit", **NEW)
    assert late.reply.status_code == waiting.reply.status_code == 410


async def change_address(site: Site, new: str) -> None:
    """As an operator would in SQL."""
    async with site.bridge.rooms.database.begin() as tx:
        await tx.execute(
            text("UPDATE users SET email = :new, email_key = :new WHERE email = :old"), {"new": new, "old": ADA}
        )


async def test_r7_a_better_hash_of_the_same_password_changes_no_link(
    site: Site, visit: Visit, mailbox: Mailbox
) -> None:
    path = await link(site, mailbox, visit)
    users = site.bridge.rooms.users
    async with site.bridge.rooms.database.read() as tx:
        old = (await tx.execute(text("SELECT password_hash FROM users WHERE email = :a"), {"a": ADA})).scalar_one()
    assert await users.upgrade_hash((await site.user(ADA)).id, old, old + " ")
    await opened(site, visit, path)


async def test_r9_the_legacy_api_sends_the_same_letter(site: Site, visit: Visit, mailbox: Mailbox) -> None:
    caller = visit(site)
    call = {"action": "ResetPassword", "identifier": IDENTIFIER, "secret": API_SECRET, "responsetype": "json"}
    by_email = await caller.post("/includes/api.php", {**call, "email": ADA}, accept="*/*")
    assert by_email.json()["result"] == "success"
    await opened(site, visit, urlsplit(link_in(await mailbox.next(ADA))).path)
    by_id = await caller.post("/includes/api.php", {**call, "id": str((await site.user(LI)).id)}, accept="*/*")
    assert by_id.json()["result"] == "success"
    letter = await mailbox.next(LI)
    assert "密码" in letter["Subject"]
    unknown = await caller.post("/includes/api.php", {**call, "email": "nobody@example.com"}, accept="*/*")
    assert unknown.json() == {"result": "error", "message": "User Not Found"}
    stranger = await caller.post("/includes/api.php", {**call, "secret": "x", "email": ADA}, accept="*/*")
    assert stranger.json()["result"] == "error" and not mailbox.unread(ADA)


@pytest.mark.parametrize(
    ("new", "words"),
    [
        ("short", "too short"),
        ("password password", "known to attackers"),
        ("ada lovelace example", "contains your name"),
        ("x" * 1_025, "too long"),
    ],
)
async def test_a_password_that_is_not_good_enough_leaves_the_link_good(
    site: Site, visit: Visit, mailbox: Mailbox, new: str, words: str
) -> None:
    browser = await opened(site, visit, await link(site, mailbox, visit))
    await browser.press("new-password-submit", new_password=new, new_password_again=new)
    assert browser.reply.status_code == 422 and words in browser.text
    await browser.press("new-password-submit", new_password=new, new_password_again=PASSWORD)
    assert browser.reply.status_code == 422 and "not the same" in browser.text
    await browser.press("new-password-submit", **NEW)
    assert browser.at == "/login?reset=done"


async def test_a_link_that_was_cut_off_says_so(site: Site, visit: Visit, mailbox: Mailbox) -> None:
    browser = visit(site)
    await browser.open((await link(site, mailbox, visit))[:-3])
    assert browser.reply.status_code == 410 and "does not work" in browser.text


async def test_without_a_link_there_is_no_form_for_a_new_password(site: Site, visit: Visit) -> None:
    browser = visit(site)
    await browser.open("/reset/new")
    assert browser.at == "/reset"


async def test_the_letter_speaks_the_users_language_or_that_of_the_page(
    site: Site, visit: Visit, mailbox: Mailbox
) -> None:
    english = visit(site)
    await ask(english, LI)
    assert "密码" in (await mailbox.next(LI))["Subject"], "his record comes first"
    chinese = visit(site)
    await chinese.open("/reset?lang=zh_Hans")
    await chinese.press("reset-submit", email=ADA)
    letter = await mailbox.next(ADA)
    assert "密码" in letter["Subject"] and "密码" in text_of(letter)
