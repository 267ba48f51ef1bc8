"""Another e-mail address by UpdateUser: confirmed there, undone from the old one — security §24, §30."""

import asyncio
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from bridge.testing.hands import Hands
from tests.flows.api import Api, caller
from tests.flows.mailbox import Mailbox, link_in, text_of
from tests.flows.visitor import Visitor
from tests.running import ADA, LI, NEW_PASSWORD, PASSWORD, TOM, Site

Visiting = Callable[[Site], Visitor]
NEW = "countess@example.com"


@pytest.fixture
async def api(site: Site, mailbox: Mailbox) -> Api:
    return await caller(site)


async def asked(site: Site, api: Api, mailbox: Mailbox, email: str = NEW) -> str:
    """The path of the link that came to the new address."""
    ada = await site.user(ADA)
    assert await api.call("UpdateUser", user_id=ada.id, email=email) == {"result": "success", "user_id": ada.id}
    return urlsplit(link_in(await mailbox.next(email))).path


async def changed(site: Site, api: Api, mailbox: Mailbox, visit: Visiting) -> str:
    """It was confirmed; the path of the link that came to the old address."""
    browser = visit(site)
    await browser.open(await asked(site, api, mailbox))
    await browser.press("email-confirm")
    assert "has been changed" in browser.text
    return urlsplit(link_in(await mailbox.next(ADA))).path


async def signs_in(site: Site, visit: Visiting, email: str) -> bool:
    browser = visit(site)
    await browser.sign_in(email)
    return browser.at == "/account"


async def test_the_whole_way(site: Site, api: Api, visit: Visiting, mailbox: Mailbox) -> None:
    person, browser = visit(site), visit(site)
    await person.sign_in(ADA)
    await browser.open(await asked(site, api, mailbox))
    assert browser.at == "/email" and "c•••s@e•••e.com" in browser.text and NEW not in browser.text
    assert await signs_in(site, visit, ADA) and not await signs_in(site, visit, NEW)
    await browser.press("email-confirm")
    assert "__Host-lb_op" not in browser.jar, "a link signs nobody in"
    assert await signs_in(site, visit, NEW) and not await signs_in(site, visit, ADA)
    (shown,) = (await api.call("GetUsers", email=NEW))["users"]
    assert shown["lastname"] == "Lovelace" and (await site.user(NEW)).email_verified
    await person.open("/account")
    assert "email address was changed" in person.text
    letter = await mailbox.next(ADA)
    assert "was changed" in letter["Subject"] and NEW not in text_of(letter)


async def test_looking_confirms_nothing(site: Site, api: Api, visit: Visiting, mailbox: Mailbox) -> None:
    path, scanner = await asked(site, api, mailbox), visit(site)
    for _ in range(3):
        first = await scanner.get(path)
        assert first.status_code == 303 and first.headers["location"] == "/email"
        assert (await scanner.get("/email")).status_code == 200
        head = await scanner.request("HEAD", path)
        assert head.status_code == 303 and "set-cookie" not in head.headers
    assert (await scanner.post(path, {})).status_code == 405
    assert await signs_in(site, visit, ADA)


@pytest.mark.parametrize("headers", [{"origin": "https://evil.example"}, {"sec_fetch_site": "cross-site"}])
async def test_no_other_page_confirms_it(
    site: Site, api: Api, visit: Visiting, mailbox: Mailbox, headers: dict[str, str | None]
) -> None:
    browser = visit(site)
    await browser.open(await asked(site, api, mailbox))
    form = browser.form("email-confirm")
    assert (await browser.post("/email", form.fields, **headers)).status_code == 403
    assert (await browser.post("/email", {})).status_code == 403
    assert await signs_in(site, visit, ADA)


async def test_it_is_confirmed_once_and_leaves_one_letter(
    site: Site, api: Api, visit: Visiting, mailbox: Mailbox
) -> None:
    path, browsers = await asked(site, api, mailbox), [visit(site) for _ in range(10)]
    for browser in browsers:
        await browser.open(path)
    await asyncio.gather(*(browser.press_only("email-confirm") for browser in browsers))
    assert sorted(browser.reply.status_code for browser in browsers) == [200, *[410] * 9]
    await mailbox.next(ADA)
    assert not mailbox.unread(ADA)
    assert site.told.kinds().count("email.changed") == 1


async def test_the_undo_shuts_the_account_and_sets_nothing(
    site: Site, api: Api, visit: Visiting, mailbox: Mailbox
) -> None:
    undo = await changed(site, api, mailbox, visit)
    thief, owner = visit(site), visit(site)
    await thief.sign_in(NEW)
    await owner.open(undo)
    assert "Was it not you?" in owner.text
    await owner.press("email-undo")
    assert "is locked" in owner.text and "__Host-lb_op" not in owner.jar
    assert not await signs_in(site, visit, NEW) and not await signs_in(site, visit, ADA)
    await thief.open("/account")
    assert thief.at.startswith("/login")
    await owner.open(undo)
    assert owner.reply.status_code == 410


async def test_a_link_that_confirms_does_not_undo_nor_the_reverse(
    site: Site, api: Api, visit: Visiting, mailbox: Mailbox
) -> None:
    confirm = await asked(site, api, mailbox)
    waiting = visit(site)
    await waiting.open(confirm)
    form = waiting.form("email-confirm")
    first = visit(site)
    await first.open(confirm)
    await first.press("email-confirm")
    undo = urlsplit(link_in(await mailbox.next(ADA))).path
    assert (await waiting.post("/email", form.fields)).status_code == 410
    await waiting.open(undo)  # the same browser, with the other link's cookie now
    assert (await waiting.post("/email", form.fields)).status_code == 403
    assert await signs_in(site, visit, NEW)


async def test_an_address_that_somebody_took_meanwhile_is_not_given_twice(
    site: Site, api: Api, visit: Visiting, mailbox: Mailbox
) -> None:
    browser = visit(site)
    await browser.open(await asked(site, api, mailbox))
    await api.call("AddUser", firstname="C", lastname="C", email=NEW, password2=NEW_PASSWORD)
    await browser.press("email-confirm")
    assert browser.reply.status_code == 409 and "Another account has this address" in browser.text
    assert await signs_in(site, visit, ADA)


async def test_a_newer_request_and_the_end_of_its_time_close_it(
    site: Site, api: Api, visit: Visiting, mailbox: Mailbox, clock: Hands
) -> None:
    old = await asked(site, api, mailbox)
    new = await asked(site, api, mailbox, "lady@example.com")
    assert (await visit(site).get(old)).status_code == 410
    clock.move(86_401)
    for path in (old, new, "/email/t/", "/email/t/" + "x" * 43, "/email/t/%ff"):
        assert (await visit(site).get(path)).status_code == 410
    assert (await visit(site).get("/email")).status_code == 410
    assert await signs_in(site, visit, ADA)


async def test_the_undo_is_good_for_seven_days(
    site: Site, api: Api, visit: Visiting, mailbox: Mailbox, clock: Hands
) -> None:
    undo = await changed(site, api, mailbox, visit)
    clock.move(7 * 86_400 - 1)
    assert (await visit(site).get(undo)).status_code == 303
    clock.move(1)
    assert (await visit(site).get(undo)).status_code == 410


async def test_a_letter_for_what_is_over_is_not_sent(site: Site, api: Api, mailbox: Mailbox) -> None:
    """Both at once: when the first letter's turn comes, the second request has cancelled its own."""
    ada, rooms = await site.user(ADA), site.bridge.rooms
    await rooms.outbox.put(None, "email-undo", ada.id, {"change": "1"})
    await asked(site, api, mailbox)
    await rooms.outbox.put(None, "email-undo", ada.id, {"change": "1"})
    await api.call("ResetPassword", email=LI)
    await mailbox.next(LI)
    assert not mailbox.unread(ADA) and not mailbox.unread(NEW)


async def test_who_is_signed_in_as_somebody_else_stays_so(
    site: Site, api: Api, visit: Visiting, mailbox: Mailbox
) -> None:
    browser = visit(site)
    li = await site.person("lia@example.com")
    await browser.sign_in(li.email, PASSWORD)
    await browser.open(await asked(site, api, mailbox))
    await browser.press("email-confirm")
    await browser.open("/account")
    assert browser.at == "/account" and TOM not in browser.text
