"""An account of one's own: an address, the letter's link, a password, and on to the app — security §8, §24, §26."""

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from ipaddress import ip_address
from urllib.parse import urlsplit

import pytest

from bridge.errors import ConfigError
from bridge.resets.sign_up import Over
from bridge.secret import Secret
from bridge.testing.hands import Hands
from bridge.types import Visit
from bridge.users.backend import Capability
from bridge.users.sign_ups import SignUp
from bridge.users.sql import SqlUsers
from bridge.users.user import User
from tests.flows.mailbox import Mailbox, link_in, text_of
from tests.flows.oauth import App
from tests.flows.visitor import Visitor
from tests.running import ADA, DAN, LI, NEW_PASSWORD, PASSWORD, PUBLIC_URL, Furnished, Given, Site, in_process

Visiting = Callable[[Site], Visitor]
NEW = "nora.new@example.com"
WHO = {"first_name": "Nora", "last_name": "New", "new_password": NEW_PASSWORD, "new_password_again": NEW_PASSWORD}
ALLOWED: Given = {
    ("users", "sign_up"): True,
    ("users", "sign_ups_per_address"): 4,
    ("users", "sign_ups_per_visitor"): 60,
}


@pytest.fixture
async def site(database: Furnished, clock: Hands, mailbox: Mailbox) -> AsyncIterator[Site]:
    """A bridge at which anybody may make an account."""
    more: Given = {("mail", "url"): f"file:{mailbox.folder}", **ALLOWED}
    async with in_process(database, more=more, clock=clock) as site:
        yield site


async def ask(browser: Visitor, mailbox: Mailbox, email: str = NEW, path: str = "/signup") -> str:
    """The path of the link that came to that address."""
    await browser.open(path)
    await browser.press("signup-submit", email=email)
    assert browser.reply.status_code == 200 and "is on its way" in browser.text
    return urlsplit(link_in(await mailbox.next(email))).path


def signed_in(browser: Visitor) -> bool:
    return "__Host-lb_op" in browser.jar


async def exists(site: Site, email: str = NEW) -> bool:
    return await site.bridge.rooms.users.by_email(email) is not None


async def settled(site: Site) -> None:
    """What the form began is done."""
    signing_up = site.bridge.rooms.signing_up
    assert signing_up is not None
    await signing_up.close()


async def test_an_app_gets_its_code_for_somebody_who_had_no_account(
    site: Site, visit: Visiting, mailbox: Mailbox
) -> None:
    browser, app = visit(site), App(site)
    path = await ask(browser, mailbox, path=app.request("openid email", prompt="create"))
    assert not await exists(site) and not signed_in(browser)
    await browser.open(path)
    assert browser.at.startswith("/signup/finish?interaction=") and "Acme Notes" in browser.text
    assert NEW not in browser.text, "whoever holds the link need not learn the address"
    await browser.press("signup-finish", **WHO)
    assert browser.at.startswith("/consent"), "an account is no consent"
    await browser.press("consent-allow")
    reply = await app.redeem(app.answer(browser)["code"])
    told = (await app.userinfo(reply.json()["access_token"])).json()
    assert (told["email"], told["email_verified"]) == (NEW, True)
    user = await site.user(NEW)
    assert (user.name, user.email_verified, user.sub) == ("Nora New", True, told["sub"])


async def test_prompt_create_is_asked_once_and_whoever_has_an_account_signs_in(site: Site, visit: Visiting) -> None:
    browser, app = visit(site), App(site)
    await browser.open(app.request(prompt="create"))
    assert browser.at.startswith("/signup?interaction=")
    link = next(each for each in browser.page.all("a") if each.get("id") == "signup-sign-in")
    await browser.sign_in(ADA, path=str(link["href"]))
    assert browser.at.startswith("/consent")


async def test_who_is_signed_in_is_offered_it_and_stays_signed_in(
    site: Site, visit: Visiting, mailbox: Mailbox
) -> None:
    browser, app = visit(site), App(site)
    await browser.sign_in(ADA)
    held = browser.jar["__Host-lb_op"]
    await browser.open(app.request(prompt="create"))
    assert browser.at.startswith("/signup?interaction=") and f"signed in as {ADA}" in browser.text
    link = next(each for each in browser.page.all("a") if each.get("id") == "signup-go-on")
    here = browser.at
    path = await ask(browser, mailbox, path=here)
    assert browser.jar["__Host-lb_op"] == held
    await browser.open(path)
    assert browser.jar["__Host-lb_op"] == held and "takes that place in this browser" in browser.text
    await browser.open(str(link["href"]))
    await browser.press("continue-as")
    assert browser.at.startswith("/consent") and ADA in browser.text, "he went on as himself"
    await browser.open(path)
    await browser.press("signup-finish", **WHO)
    assert browser.jar["__Host-lb_op"] != held and NEW in browser.text
    assert await site.sessions((await site.user(ADA)).id) == []


@pytest.mark.parametrize("known", [True, False])
async def test_in_another_browser_the_account_is_made_and_nobody_is_signed_in(
    site: Site, visit: Visiting, mailbox: Mailbox, known: bool
) -> None:
    """Login CSRF: no link makes a session, nor takes anybody's away."""
    asking, other = visit(site), visit(site)
    path = await ask(asking, mailbox, path=App(site).request(prompt="create"))
    if known:
        await other.sign_in(ADA)
    before = other.jar.get("__Host-lb_op")
    await other.open(path)
    assert "interaction" not in other.at and "Acme Notes" not in other.text
    await other.press("signup-finish", **WHO)
    assert other.reply.status_code == 200 and "Your account is made" in other.text
    assert other.jar.get("__Host-lb_op") == before and await exists(site)
    assert await site.sessions((await site.user(NEW)).id) == []
    assert not signed_in(asking)
    await asking.sign_in(NEW, NEW_PASSWORD)
    assert signed_in(asking)


async def test_a_form_that_names_another_browsers_visit_ends_in_no_session(
    site: Site, visit: Visiting, mailbox: Mailbox
) -> None:
    asking, other = visit(site), visit(site)
    path = await ask(asking, mailbox, path=App(site).request(prompt="create"))
    await asking.open(path)
    await other.open(path)
    stolen = asking.form("signup-finish").fields["interaction"]
    form = other.form("signup-finish")
    reply = await other.post(form.action, {**form.fields, **WHO, "interaction": stolen})
    assert reply.status_code == 200 and not signed_in(other)


async def test_the_answer_is_the_same_whoever_has_the_address(site: Site, visit: Visiting, mailbox: Mailbox) -> None:
    said, written = set[str](), set[tuple[str, ...]]()
    for email in (ADA, NEW, DAN):
        browser = visit(site)
        await browser.open("/signup")
        site.told.events.clear()
        await browser.press("signup-submit", email=email)
        assert browser.reply.status_code == 200
        said.add(browser.text.replace(email, "…"))
        await settled(site)
        written.add(tuple(kind for kind in site.told.kinds() if kind != "mail.sent"))
    assert len(said) == 1 and written == {("sign-up.requested",)}
    letter = await mailbox.next(ADA)
    assert "already" in letter["Subject"] and "/signup/t/" not in letter.as_string()
    assert f"{PUBLIC_URL}/login" in text_of(letter)
    assert "/signup/t/" in text_of(await mailbox.next(NEW))
    await asyncio.sleep(0.2)
    assert not mailbox.unread(DAN), "nothing goes to an account that is shut"


async def test_another_spelling_reaches_the_stored_address_only(site: Site, visit: Visiting, mailbox: Mailbox) -> None:
    """Security §10."""
    browser = visit(site)
    await browser.open("/signup")
    await browser.press("signup-submit", email="\uff21DA@EXAMPLE.com")
    letter = await mailbox.next(ADA)
    assert "already" in letter["Subject"]


async def test_letters_to_one_address_and_from_one_place_are_limited_and_the_page_does_not_say_so(
    site: Site, visit: Visiting, mailbox: Mailbox
) -> None:
    browser = visit(site)
    for email in [ADA] * 6 + [f"n{number}@example.com" for number in range(60)]:
        await browser.open("/signup")
        await browser.press("signup-submit", email=email)
        assert browser.reply.status_code == 200 and "is on its way" in browser.text
    await settled(site)
    asked = [event.reason for event in site.told.events if event.kind.startswith("sign-up.")]
    assert asked.count("") == 4 + 54 and asked.count("limit") == 8


async def test_letters_to_strangers_are_limited_in_all_and_who_is_refused_takes_nobodys_place(
    database: Furnished, clock: Hands
) -> None:
    """From however many places they are asked for."""
    more: Given = {**ALLOWED, ("users", "sign_ups_per_address"): 1, ("users", "sign_ups_in_all"): 3}
    async with in_process(database, more=more, clock=clock) as site:
        signing_up = site.bridge.rooms.signing_up
        assert signing_up is not None
        for number, email in enumerate(["one@a.example"] * 5 + [f"n{number}@b.example" for number in range(5)]):
            ip = ip_address(f"192.0.2.{number}")
            signing_up.ask(email, Visit(door="pages", ip=ip), binding="b" * 22, interaction=None)
            await settled(site)
        told = [event.reason for event in site.told.events if event.kind.startswith("sign-up.")]
        assert told == ["", *["limit"] * 4, "", "", *["limit"] * 3]


@pytest.mark.parametrize("typed", ["nonsense", "a@", "a b@example.com", "x" * 400 + "@example.com"])
async def test_what_is_no_address_is_asked_for_again(site: Site, visit: Visiting, typed: str) -> None:
    """And not shown: it may be a password, in the wrong field."""
    browser = visit(site)
    await browser.open("/signup")
    await browser.press("signup-submit", email=typed)
    await settled(site)
    assert browser.reply.status_code == 422 and "Please enter your email address." in browser.text
    assert typed not in browser.reply.text
    assert not [event for event in site.told.events if event.kind.startswith("sign-up.")]


async def test_looking_makes_nothing_however_often_and_by_whatever_method(
    site: Site, visit: Visiting, mailbox: Mailbox
) -> None:
    path = await ask(visit(site), mailbox)
    scanner = visit(site)
    for _ in range(3):
        first = await scanner.get(path)
        assert first.status_code == 303 and first.headers["referrer-policy"] == "no-referrer"
        assert first.headers["location"] == "/signup/finish"
        assert (await scanner.get("/signup/finish")).status_code == 200
        assert path.rpartition("/")[2] not in scanner.reply.text
        head = await visit(site).request("HEAD", path)
        assert head.status_code == 303 and "set-cookie" not in head.headers
    assert (await scanner.post(path, {})).status_code == 405
    assert not await exists(site)


async def test_of_fifty_who_post_at_once_one_makes_the_account(site: Site, visit: Visiting, mailbox: Mailbox) -> None:
    asking = visit(site)
    path = await ask(asking, mailbox)
    second = await ask(asking, mailbox)
    browsers = [visit(site) for _ in range(50)]
    for number, browser in enumerate(browsers):
        await browser.open(path if number % 2 else second)
    await asyncio.gather(*(browser.press_only("signup-finish", **WHO) for browser in browsers))
    assert sorted(browser.reply.status_code for browser in browsers) == [200] + [410] * 49
    assert site.told.kinds().count("user.created") == 1
    for used in (path, second):
        assert (await visit(site).get(used)).status_code == 410


async def test_a_second_post_of_the_same_form_signs_nobody_in(site: Site, visit: Visiting, mailbox: Mailbox) -> None:
    browser = visit(site)
    await browser.open(await ask(browser, mailbox))
    form, thief = browser.form("signup-finish"), browser.copy()
    await browser.press("signup-finish", **WHO)
    assert browser.at == "/account" and "__Host-lb_signup" not in browser.jar
    reply = await thief.post(form.action, {**form.fields, **WHO})
    assert reply.status_code == 410 and not signed_in(thief)


@pytest.mark.parametrize("late", ["after another", "after its time"])
async def test_who_saw_the_link_alive_and_comes_late_makes_nobody_even_where_the_address_is_free(
    site: Site, monkeypatch: pytest.MonkeyPatch, clock: Hands, late: str
) -> None:
    rooms = site.bridge.rooms
    async with rooms.database.begin() as tx:
        number = await rooms.sign_ups.ask(tx, NEW, binding="a browser", interaction=None)
    waiting = await rooms.sign_ups.token_of(number)
    assert waiting is not None
    token = waiting[1]
    seen = await rooms.sign_ups.by_token(token)

    async def still(_: Secret) -> SignUp | None:
        return seen

    monkeypatch.setattr(rooms.sign_ups, "by_token", still)
    signing_up = rooms.signing_up
    assert signing_up is not None
    make = partial(
        signing_up.make,
        token,
        first_name="N",
        last_name="",
        password=Secret(NEW_PASSWORD),
        language="",
        visit=Visit("pages"),
    )
    if late == "after another":
        made = await make()
        assert isinstance(made, User)
        await rooms.ledger.do(Visit("command"), lambda deed: rooms.user_upkeep.remove(deed, made.id))
    else:
        clock.move(3_601)
    assert isinstance(await make(), Over) and not await exists(site)


async def test_sign_up_is_refused_where_users_cannot_be_added(
    database: Furnished, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SqlUsers, "capabilities", SqlUsers.capabilities & ~Capability.CREATE)
    with pytest.raises(ConfigError, match=r"users\.sign_up"):
        async with in_process(database, more=ALLOWED):
            pass


async def test_a_link_is_good_for_its_time_and_one_byte_less_is_no_link(
    site: Site, visit: Visiting, mailbox: Mailbox, clock: Hands
) -> None:
    browser = visit(site)
    path = await ask(browser, mailbox)
    await browser.open(path)
    for wrong in (path[:-1], path[:-1] + ("x" if path[-1] != "x" else "y"), "/signup/t/", "/signup/t/%00", path + "/"):
        assert (await visit(site).get(wrong)).status_code == 410
    assert (await visit(site).get("/signup/finish")).status_code == 410
    clock.move(3_601)
    assert (await visit(site).get(path)).status_code == 410
    assert (await browser.press_only("signup-finish", **WHO)).status_code == 410
    assert not await exists(site)
    assert await site.bridge.rooms.sign_ups.forget() == 1


async def test_who_got_an_account_meanwhile_is_not_made_twice(site: Site, visit: Visiting, mailbox: Mailbox) -> None:
    browser = visit(site)
    await browser.open(await ask(browser, mailbox))
    made = await site.person(NEW)
    assert (await browser.press_only("signup-finish", **WHO)).status_code == 410
    assert (await site.user(NEW)).credential_version == made.credential_version and not signed_in(browser)
    await browser.sign_in(NEW, PASSWORD)
    assert signed_in(browser), "his password is his own"


async def test_the_visit_may_be_over_when_the_link_is_opened(
    site: Site, visit: Visiting, mailbox: Mailbox, clock: Hands
) -> None:
    browser = visit(site)
    path = await ask(browser, mailbox, path=App(site).request(prompt="create"))
    clock.move(1_801)
    await browser.open(path)
    await browser.press("signup-finish", **WHO)
    assert browser.at == "/account" and signed_in(browser)


@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://evil.example"}, {"sec_fetch_site": "cross-site"}, {"origin": "null", "sec_fetch_site": None}],
)
async def test_no_other_page_asks_or_finishes(
    site: Site, visit: Visiting, mailbox: Mailbox, headers: dict[str, str | None]
) -> None:
    browser = visit(site)
    await browser.open("/signup")
    form = browser.form("signup-submit")
    assert (await browser.post("/signup", {**form.fields, "email": NEW}, **headers)).status_code == 403
    assert (await browser.post("/signup", {"email": NEW})).status_code == 403
    await settled(site)
    assert "sign-up.requested" not in site.told.kinds()
    await browser.open(await ask(browser, mailbox))
    form = browser.form("signup-finish")
    assert (await browser.post("/signup/finish", {**form.fields, **WHO}, **headers)).status_code == 403
    assert (await browser.post("/signup/finish", WHO)).status_code == 403
    assert not await exists(site)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"first_name": " ", "last_name": ""}, "Please enter your name"),
        ({"first_name": "x" * 101}, "too long"),
        ({"new_password_again": "another one altogether"}, "not the same"),
        ({"new_password": "short", "new_password_again": "short"}, "at least 15 characters"),
        ({"new_password": NEW, "new_password_again": NEW}, "contains your name"),
    ],
)
async def test_the_password_is_judged_and_the_link_stays_good(
    site: Site, visit: Visiting, mailbox: Mailbox, changed: dict[str, str], said: str
) -> None:
    browser = visit(site)
    await browser.open(await ask(browser, mailbox))
    await browser.press("signup-finish", **(WHO | changed))
    assert browser.reply.status_code == 422 and said in browser.text and not await exists(site)
    await browser.press("signup-finish", **WHO)
    assert await exists(site)


async def test_it_is_written_down_how_he_came_to_be(site: Site, visit: Visiting, mailbox: Mailbox) -> None:
    browser = visit(site)
    await browser.open(await ask(browser, mailbox))
    await browser.press("signup-finish", **WHO)
    (created,) = [event for event in site.told.events if event.kind == "user.created"]
    assert (created.reason, created.kept, created.user) == ("sign-up", True, (await site.user(NEW)).id)


async def test_chinese_is_read_and_written_in_chinese(site: Site, visit: Visiting, mailbox: Mailbox) -> None:
    browser = visit(site)
    browser.headers["accept-language"] = "zh-CN"
    await browser.open("/signup")
    assert "注册账户" in browser.text
    await browser.press("signup-submit", email=NEW)
    assert "注册您的" in (await mailbox.next(NEW))["Subject"]
    await browser.open("/signup")
    await browser.press("signup-submit", email=LI)
    assert "您已有" in (await mailbox.next(LI))["Subject"]


async def test_discovery_names_create_and_the_sign_in_page_leads_there(site: Site, visit: Visiting) -> None:
    browser = visit(site)
    await browser.get("/.well-known/openid-configuration")
    assert "create" in browser.reply.json()["prompt_values_supported"]
    await browser.open("/login")
    assert [each["href"] for each in browser.page.all("a") if each.get("id") == "login-sign-up"] == ["/signup"]
    await browser.get(App(site).request(prompt="none create"))
    assert browser.query["error"] == "invalid_request"
    await browser.get("/signup?interaction=somebody-elses")
    assert browser.reply.status_code == 400


async def test_where_the_setting_is_off_there_is_none_of_it(database: Furnished, visit: Visiting, clock: Hands) -> None:
    async with in_process(database, clock=clock) as site:
        browser = visit(site)
        await browser.get("/.well-known/openid-configuration")
        assert "create" not in browser.reply.json()["prompt_values_supported"]
        await browser.open("/login")
        assert "Create an account" not in browser.text
        for path in ("/signup", "/signup/finish", "/signup/t/" + "x" * 43):
            assert (await browser.get(path)).status_code == 404
        await browser.get(App(site).request(prompt="create"))
        assert browser.query["error"] == "invalid_request"
