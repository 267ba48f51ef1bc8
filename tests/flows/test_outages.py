"""While a part does not answer: no page lies, none breaks, and each says when to come back — S18, DESIGN §6."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bridge.errors import Busy, Unavailable
from bridge.events.redact import redact
from tests.flows.broken import Broken
from tests.flows.mailbox import Mailbox, link_in
from tests.flows.oauth import App
from tests.flows.visitor import Visitor
from tests.running import ADA, NEW_PASSWORD, PASSWORD, Site

Visit = Callable[[Site], Visitor]
OP = "__Host-lb_op"
NEW = {"new_password": NEW_PASSWORD, "new_password_again": NEW_PASSWORD}


@pytest.fixture
def store(site: Site, monkeypatch: pytest.MonkeyPatch) -> Broken:
    return Broken(monkeypatch, site.bridge.rooms.raw_store, "read", "commit", "members")


@pytest.fixture
def sql(site: Site, monkeypatch: pytest.MonkeyPatch) -> Broken:
    """The database: nothing is looked up, and no transaction begins."""
    database = site.bridge.rooms.database
    broken = Broken(monkeypatch, database, "first")
    for name in ("begin", "read"):
        real = getattr(database, name)

        @asynccontextmanager
        async def begun(real: Any = real) -> AsyncIterator[Any]:
            if broken.down:
                raise Unavailable("the database is away")
            async with real() as tx:
                yield tx

        monkeypatch.setattr(database, name, begun)
    return broken


def is_a_503(browser: Visitor) -> bool:
    reply = browser.reply
    return (
        reply.status_code == 503
        and reply.headers["retry-after"] == "2"
        and "We will be back in a moment" in browser.text
        and "set-cookie" not in reply.headers
        and reply.headers["cache-control"] == "no-store"
    )


async def test_s18_whoever_is_signed_in_is_asked_to_come_back_and_stays_so(
    site: Site, visit: Visit, store: Broken, sql: Broken
) -> None:
    browser = visit(site)
    await browser.sign_in(ADA)
    for part in (store, sql):
        part.down = True
        for path in ("/account", "/login", "/logout", "/reset", "/login?confirm=1"):
            await browser.get(path)
            assert is_a_503(browser), path
        program = await browser.get("/account", accept="application/json")
        assert program.status_code == 503 and program.json()["error"] == "temporarily_unavailable"
        part.down = False
        await browser.open("/account")
        assert browser.at == "/account"


async def test_nobody_is_told_that_his_password_is_wrong(site: Site, visit: Visit, store: Broken, sql: Broken) -> None:
    for part in (store, sql):
        browser = visit(site)
        await browser.open("/login")
        part.down = True
        await browser.press("login-submit", email=ADA, password=PASSWORD)
        assert is_a_503(browser) and OP not in browser.jar
        part.down = False
        await browser.sign_in(ADA)
        assert browser.at == "/account"


async def test_what_needs_nobody_is_shown(site: Site, visit: Visit, store: Broken, sql: Broken) -> None:
    browser = visit(site)
    store.down = sql.down = True
    for path in ("/login", "/reset", "/static/bridge.css", "/logout"):
        assert (await browser.get(path)).status_code == 200, path
    assert (await browser.get("/nothing")).status_code == 404


async def test_an_answer_to_an_application_waits_and_is_not_lost(site: Site, visit: Visit, store: Broken) -> None:
    app, browser = App(site), visit(site)
    await browser.open(app.request())
    await browser.press("login-submit", email=ADA, password=PASSWORD)
    form = browser.form("consent-allow")
    store.down = True
    await browser.post(form.action, form.fields)
    assert is_a_503(browser)
    store.down = False
    await browser.post(form.action, form.fields)
    await browser.follow()
    assert "code" in app.answer(browser)


async def test_a_link_is_asked_for_while_the_store_is_down(
    site: Site, visit: Visit, mailbox: Mailbox, store: Broken
) -> None:
    """sessions-and-accounts §5.7: the outbox is in SQL, and the limits are counted here."""
    browser = visit(site)
    await browser.open("/reset")
    store.down = True
    await browser.press("reset-submit", email=ADA)
    assert browser.reply.status_code == 200
    assert link_in(await mailbox.next(ADA))


async def test_while_sql_is_down_the_form_says_the_same_as_ever(
    site: Site, visit: Visit, mailbox: Mailbox, sql: Broken, caplog: pytest.LogCaptureFixture
) -> None:
    browser = visit(site)
    await browser.open("/reset")
    sql.down = True
    await browser.press("reset-submit", email=ADA)
    assert browser.reply.status_code == 200 and "If there is an account" in browser.text
    await site.bridge.rooms.resets.close()
    assert "a reset request was lost" in caplog.text and ADA not in caplog.text


async def test_a_password_that_is_changed_while_the_store_is_down_is_changed(
    site: Site, visit: Visit, mailbox: Mailbox, store: Broken
) -> None:
    """SQL is the truth: everything has ended, though nobody could be told yet."""
    thief, browser = visit(site), visit(site)
    await thief.sign_in(ADA)
    await browser.open("/reset")
    await browser.press("reset-submit", email=ADA)
    await browser.open(link_in(await mailbox.next(ADA)).removeprefix(site.url))
    store.down = True
    await browser.press("new-password-submit", **NEW)
    assert browser.at == "/login?reset=done"
    await thief.get("/account")
    assert is_a_503(thief)
    store.down = False
    await site.bridge.rooms.reconciler.tick()
    await thief.open("/account")
    assert thief.at.startswith("/login") and "because your password was changed" in thief.text


async def test_a_change_on_the_account_page_while_the_store_goes_away(
    site: Site, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser, rooms = visit(site), site.bridge.rooms
    await browser.sign_in(ADA)
    keeping = Broken(monkeypatch, rooms.sessions, "keep")
    keeping.down = True
    await browser.press("change-password-submit", current_password=PASSWORD, **NEW)
    assert browser.at == "/login?reset=done" and "Sign in with the new one" in browser.text
    keeping.down = False
    await rooms.reconciler.tick()
    await browser.press("login-submit", email=ADA, password=NEW_PASSWORD)
    assert browser.at == "/account"


async def test_a_change_whose_mail_cannot_be_queued_is_a_change(
    site: Site, visit: Visit, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    browser = visit(site)
    await browser.open("/reset")
    await browser.press("reset-submit", email=ADA)
    await browser.open(link_in(await mailbox.next(ADA)).removeprefix(site.url))
    queue = Broken(monkeypatch, site.bridge.rooms.outbox, "put")
    queue.down = True
    await browser.press("new-password-submit", **NEW)
    assert browser.at == "/login?reset=done"
    assert "is not told that the password was changed" in caplog.text
    queue.down = False


async def test_a_busy_hasher_is_not_a_wrong_password(site: Site, visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    async def busy(*_: object) -> None:
        raise Busy("too many passwords are being checked")

    browser = visit(site)
    await browser.open("/login")
    monkeypatch.setattr(site.bridge.rooms.users, "authenticate", busy)
    await browser.press("login-submit", email=ADA, password=PASSWORD)
    assert is_a_503(browser)


async def test_what_nobody_expected_is_told_by_a_reference(
    site: Site, visit: Visit, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def bug(*_: object) -> None:
        raise RuntimeError("the password is hunter2")

    browser = visit(site)
    await browser.open("/login")
    monkeypatch.setattr(site.bridge.rooms.users, "authenticate", bug)
    await browser.press("login-submit", email=ADA, password=PASSWORD)
    assert browser.reply.status_code == 500 and "hunter2" not in browser.reply.text
    (reference,) = [each.text for each in browser.page.all("code")]
    assert reference in caplog.text


async def test_r4_a_link_that_fails_leaves_no_token_in_the_log(
    site: Site, visit: Visit, mailbox: Mailbox, sql: Broken, caplog: pytest.LogCaptureFixture
) -> None:
    browser = visit(site)
    await browser.open("/reset")
    await browser.press("reset-submit", email=ADA)
    path = link_in(await mailbox.next(ADA)).removeprefix(site.url)
    token = path.rpartition("/")[2]
    sql.down = True
    with caplog.at_level(logging.DEBUG):
        assert (await browser.get(path)).status_code == 503
        browser.jar["__Host-lb_reset"] = token
        assert (await browser.get("/reset/new")).status_code == 503
    said = " ".join(record.getMessage() for record in caplog.records if not record.name.startswith("httpx2"))
    assert "cannot be served" in said and token not in said
    assert token not in redact(f'127.0.0.1 - "GET {path} HTTP/1.1" 303'), "nor in the log of whoever serves us"
    sql.down = False


async def test_a_slow_part_does_not_hold_the_others_up(
    site: Site, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One password that takes long: the form of everybody else comes at once."""
    let, real = asyncio.Event(), site.bridge.rooms.users.authenticate

    async def slow(*args: Any) -> Any:
        await let.wait()
        return await real(*args)

    first, second = visit(site), visit(site)
    await first.open("/login")
    monkeypatch.setattr(site.bridge.rooms.users, "authenticate", slow)
    waiting = asyncio.create_task(first.press("login-submit", email=ADA, password=PASSWORD))
    await asyncio.sleep(0.05)
    assert (await second.get("/login")).status_code == 200 and not waiting.done()
    let.set()
    await waiting
    assert first.at == "/account"
