"""Another e-mail address, asked for at a person's own page — security §10, §24, §30; S15, W2, R1, R8."""

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import text

from bridge.errors import Unavailable
from bridge.testing.hands import Hands
from bridge.types import Visit
from tests.flows.foreign import FOREIGN
from tests.flows.mailbox import Mailbox, link_in, text_of
from tests.flows.screens import Open, letter_to, signed_in, somebody, ways
from tests.flows.visitor import Visitor
from tests.running import ADA, LI, NEW_PASSWORD, PASSWORD, TOM, Furnished, Given, Site, in_process
from tests.servers import SmtpSink

Visiting = Callable[[Site], Visitor]
OP = "__Host-lb_op"
NEW = "countess@example.com"
ASKED = "Your new email address waits for its confirmation"


@pytest.fixture
async def ada(site: Site, visit: Visiting, clock: Hands) -> Visitor:
    """At her account page."""
    clock.move(2)  # she was not made in this very second
    browser = visit(site)
    await browser.sign_in(ADA)
    return await browser.open("/account")


async def ask(browser: Visitor, email: str = NEW) -> Visitor:
    return await browser.press("change-email-submit", new_email=email)


async def link_to(mailbox: Mailbox, email: str) -> str:
    return urlsplit(link_in(await mailbox.next(email))).path


async def test_the_whole_way(site: Site, ada: Visitor, visit: Visiting, mailbox: Mailbox) -> None:
    await ask(ada)
    assert ada.reply.status_code == 200 and ASKED in ada.text and NEW in ada.text
    assert (await site.user(ADA)).email == ADA, "nothing is changed yet"
    await ada.open("/account")
    assert NEW in ada.text and "Waits for its confirmation until" in ada.text and ASKED not in ada.text
    other = visit(site)
    await other.open(await link_to(mailbox, NEW))
    await other.press("email-confirm")
    assert (await site.user(NEW)).email_verified
    await ada.open("/account")
    assert "email address was changed" in ada.text, "his sessions have ended, this one too"
    assert "was changed" in (await mailbox.next(ADA))["Subject"]
    await other.sign_in(NEW)
    assert other.at == "/account" and "Waits for" not in other.text
    assert [kind for kind in site.told.kinds() if kind.startswith("email.")] == ["email.requested", "email.changed"]


async def test_its_letters_speak_his_language_or_that_of_the_page(
    site: Site, ada: Visitor, visit: Visiting, mailbox: Mailbox
) -> None:
    await ask(await ada.open("/account?lang=zh_Hans"))
    letter, other = await mailbox.next(NEW), visit(site)
    assert "新邮箱地址" in letter["Subject"] and "新邮箱地址" in text_of(letter)
    await other.open(f"{urlsplit(link_in(letter)).path}?lang=zh_Hans")
    await other.press("email-confirm")
    assert "邮箱地址" in (await mailbox.next(ADA))["Subject"], "nor has who undoes it chosen one"
    li = await visit(site).sign_in(LI)
    await ask(await li.open("/account?lang=en"), "li.new@example.com")
    assert "新邮箱地址" in (await mailbox.next("li.new@example.com"))["Subject"], "her record comes first"


async def test_s24_an_address_that_another_has_looks_the_same_and_its_holder_hears_nothing(
    site: Site, ada: Visitor, mailbox: Mailbox
) -> None:
    seen = []
    for wanted in ("nobody@example.com", LI):
        await ask(ada, wanted)
        seen.append((ada.reply.status_code, ada.text.replace(wanted, "…")))
        await ada.open("/account")
        seen.append((ada.reply.status_code, ada.text.replace(wanted, "…")))
        await site.bridge.rooms.resets.ask_for(TOM, Visit("pages"))
        await mailbox.next(TOM)  # what was to be sent before has been
    assert seen[:2] == seen[2:]
    assert mailbox.unread("nobody@example.com") and not mailbox.unread(LI) and not mailbox.unread(ADA)


async def test_what_waits_is_cancelled_and_its_link_is_over(
    site: Site, ada: Visitor, visit: Visiting, mailbox: Mailbox
) -> None:
    await ask(ada)
    path, second = await link_to(mailbox, NEW), await visit(site).sign_in(ADA)
    form = second.form("email-cancel")
    await ada.press("email-cancel")
    assert "stays as it is" in ada.text and NEW not in ada.text
    assert (await visit(site).get(path)).status_code == 410
    await second.post(form.action, form.fields)
    assert "No new email address was waiting" in second.text
    assert site.told.kinds().count("email.cancelled") == 1


async def test_he_also_cancels_what_a_caller_asked_for(site: Site, ada: Visitor) -> None:
    user, rooms = await site.user(ADA), site.bridge.rooms
    assert NEW not in ada.text
    await rooms.ledger.do(Visit("legacy", caller="portal"), lambda d: rooms.email_changes.request(d, user.id, NEW))
    await ada.open("/account")
    assert NEW in ada.text
    await ada.press("email-cancel")
    assert await rooms.email_changes.waiting(user.id) is None


async def test_a_newer_request_takes_the_place_of_the_older(
    site: Site, ada: Visitor, visit: Visiting, mailbox: Mailbox
) -> None:
    await ask(ada)
    path = await link_to(mailbox, NEW)
    await ask(ada, "lady@example.com")
    assert "lady@example.com" in ada.text and NEW not in ada.text
    assert (await visit(site).get(path)).status_code == 410
    assert (await visit(site).get(await link_to(mailbox, "lady@example.com"))).status_code == 303


@pytest.mark.parametrize("how", ["password", "all", "others"])
async def test_s14_who_had_got_in_cannot_leave_a_way_back(
    site: Site, ada: Visitor, visit: Visiting, mailbox: Mailbox, how: str
) -> None:
    """A thief of the session asks for his own address; the owner ends what there is before he confirms it."""
    thief = ada.copy()
    await thief.open("/account")
    await ask(thief)
    path = await link_to(mailbox, NEW)
    late = visit(site)
    await late.open(path)
    owner = await visit(site).sign_in(ADA)
    assert NEW in owner.text
    match how:
        case "password":
            change = {"current_password": PASSWORD, "new_password": NEW_PASSWORD, "new_password_again": NEW_PASSWORD}
            await owner.press("change-password-submit", **change)
        case "all":
            await owner.press("end-all")
        case _:
            await owner.press("end-others")
            assert NEW not in owner.text
    await late.press("email-confirm")
    assert late.reply.status_code == 410 and (await visit(site).get(path)).status_code == 410
    assert (await site.user(ADA)).email == ADA


async def test_what_is_no_address_or_his_own_is_said_at_the_field(site: Site, ada: Visitor, mailbox: Mailbox) -> None:
    for typed, words in (
        ("", "Please enter your new email address"),
        ("nonsense", "Please enter your new email address"),
        ("a" * 400 + "@example.com", "Please enter your new email address"),
        ("ada@exa\u0000mple.com", "Please enter your new email address"),
        (ADA, "This is your email address already"),
        (f" {ADA} ", "This is your email address already"),
    ):
        await ask(ada, typed)
        assert ada.reply.status_code == 422 and words in ada.text, typed
        assert ada.page.one("input", id="new_email").get("aria-invalid") == "true"
    assert "email.requested" not in site.told.kinds() and not list(mailbox.folder.glob("*"))


async def test_s15_after_five_minutes_he_shows_again_who_he_is(site: Site, ada: Visitor, clock: Hands) -> None:
    clock.move(301)
    await ada.press_only("change-email-submit", new_email=NEW)
    assert (ada.reply.status_code, ada.reply.headers["location"]) == (303, "/login?confirm=1&next=%2Faccount")
    assert "email.requested" not in site.told.kinds()
    await ada.open("/login?confirm=1&next=%2Faccount")
    await ada.press("login-submit", password=PASSWORD)
    await ask(ada)
    assert ASKED in ada.text
    clock.move(301)
    await ada.open("/account")
    await ada.press("email-cancel")
    assert "stays as it is" in ada.text, "which takes no more than being signed in"


async def test_w2_only_our_own_form_in_this_session_asks_or_cancels(site: Site, ada: Visitor, visit: Visiting) -> None:
    await ask(ada)
    li = await visit(site).sign_in(LI)
    await li.open("/account")
    for button, more in (("change-email-submit", {"new_email": "evil@example.com"}), ("email-cancel", {})):
        form = ada.form(button)
        good = {**form.fields, **more}
        for headers in FOREIGN:
            assert (await ada.post("/account/email", good, **headers)).status_code == 403, (button, headers)
        for value in ("", "0" * 64, li.form("change-email-submit").fields["csrf"]):
            assert (await ada.post("/account/email", {**good, "csrf": value})).status_code == 403, button
        half = ada.copy()
        half.jar[OP] = li.jar[OP]
        assert (await half.post("/account/email", good)).status_code == 403
        assert (await visit(site).post("/account/email", good)).headers["location"].startswith("/login")
        await ada.open("/account/email")
        assert NEW in ada.text and "evil" not in ada.text, "and GET is the page"


async def test_r8_so_many_an_hour_by_one_person_and_for_one_address(
    database: Furnished, visit: Visiting, clock: Hands
) -> None:
    more: Given = {("users", "email_changes_per_account"): 3, ("users", "email_changes_per_address"): 4}
    async with in_process(database, more=more, clock=clock) as site:
        clock.move(2)
        ada, li = await visit(site).sign_in(ADA), await visit(site).sign_in(LI)
        forms = [ada.form("change-email-submit") for _ in range(20)]
        browsers = [ada.copy() for _ in forms]
        answers = await asyncio.gather(
            *(b.post(f.action, {**f.fields, "new_email": NEW}) for b, f in zip(browsers, forms, strict=True))
        )
        assert sorted(answer.status_code for answer in answers) == [200] * 3 + [429] * 17
        assert site.told.kinds().count("email.requested") == 3
        await ada.open("/account")
        await ask(ada, "another@example.com")
        assert ada.reply.status_code == 429 and "Please try again in" in ada.text
        assert NEW in ada.text, "what waits goes on waiting"
        await li.open("/account")
        await ask(li, "COUNTESS@example.com")
        assert li.reply.status_code == 200
        await ask(li, NEW)
        assert li.reply.status_code == 429, "that address hears no more of it, whoever asks"
        await ask(li, "elsewhere@example.com")
        assert li.reply.status_code == 200
        clock.move(7_200)
        await ada.sign_in(ADA)
        await ask(ada, "another@example.com")
        assert ada.reply.status_code == 200


async def test_who_is_kept_elsewhere_has_no_form_and_no_way_round_it(site: Site, ada: Visitor) -> None:
    form = ada.form("change-email-submit")
    async with site.bridge.rooms.database.begin() as tx:
        await tx.execute(text("UPDATE users SET authority = 'whmcs' WHERE email = :email"), {"email": ADA})
    await ada.open("/account")
    assert "email address is managed by another system" in ada.text
    assert not [each for each in ada.page.all("input") if each.get("name") == "new_email"]
    for more in ({"new_email": NEW}, {"cancel": "1"}):
        assert (await ada.post(form.action, {**form.fields, **more})).status_code == 409
    assert not [kind for kind in site.told.kinds() if kind.startswith("email.")]


async def test_counters_that_are_away_let_nobody_ask(site: Site, ada: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: Any) -> float:
        raise Unavailable("the counters are away")

    form = ada.form("change-email-submit")
    monkeypatch.setattr(site.bridge.rooms.guard, "admit", away)
    reply = await ada.post(form.action, {**form.fields, "new_email": NEW})
    assert reply.status_code == 503 and "email.requested" not in site.told.kinds()


@pytest.mark.browser
@pytest.mark.slow
@ways()
async def test_in_a_real_browser(served: Site, window: Open, post_office: SmtpSink, way: dict[str, Any]) -> None:
    email, new, chinese = somebody(), somebody(), way["locale"] == "zh-CN"
    await served.person(email, first_name="Ada", language="zh-Hans" if chinese else "en")
    await asyncio.sleep(1.1)  # in whole seconds he was not made in the one in which he asks
    browser, other = await window(**way), await window(**way)
    await signed_in(browser, email)
    await browser.fill(new_email="nonsense")
    await browser.press("change-email-submit", "/account/email")
    assert await browser.page.get_attribute("#new_email", "aria-invalid") == "true"
    await browser.good()
    await browser.fill(new_email=new)
    await browser.press("change-email-submit", "/account/email")
    assert ("正在等待确认" if chinese else ASKED) in await browser.text() and new in await browser.text()
    await browser.good()
    first = link_in(await letter_to(post_office, new, "新邮箱地址" if chinese else "new email address"))
    await browser.press("email-cancel", "/account/email")
    assert new not in await browser.text()
    await browser.good()
    await other.open(first)
    assert "email-confirm" not in await other.page.content()
    newer = somebody()
    await browser.fill(new_email=newer)
    await browser.press("change-email-submit", "/account/email")
    await other.open(link_in(await letter_to(post_office, newer, "新邮箱地址" if chinese else "new email address")))
    await other.press("email-confirm")
    await other.good()
    await signed_in(other, newer)
    assert newer in await other.text()
    await browser.open("/account")
    assert browser.path == "/login"
