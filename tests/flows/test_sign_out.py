"""Signing out: asked first, ended for good, and said only when it is true — S7, O2, sessions-and-accounts §5.7."""

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import text

from tests.flows.broken import Broken
from tests.flows.foreign import FOREIGN
from tests.flows.oauth import App
from tests.flows.visitor import Visitor
from tests.running import ADA, Site

Visit = Callable[[Site], Visitor]
OP, APP = "__Host-lb_op", "__Host-login_auth_tk"
BYE = "https://notes.example.net/bye"


async def signed_in(site: Site, visit: Visit) -> Visitor:
    browser = visit(site)
    await browser.sign_in(ADA)
    return browser


async def test_s7_the_session_is_over_and_the_cookies_are_gone(any_site: Site, visit: Visit) -> None:
    browser = await signed_in(any_site, visit)
    thief = browser.copy()
    await browser.open("/logout")
    assert f"signed in as {ADA}" in browser.text
    assert await any_site.sessions((await any_site.user(ADA)).id), "asking ends nothing"
    await browser.press("logout-confirm")
    assert "You have signed out" in browser.text
    for name in (OP, APP):
        assert browser.set[name] == f"{name}=; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=0"
    await thief.open("/account")
    assert thief.at.startswith("/login"), "the cookie played again is nobody"
    assert await any_site.sessions((await any_site.user(ADA)).id) == []


async def test_staying_ends_nothing(site: Site, visit: Visit) -> None:
    browser = await signed_in(site, visit)
    await browser.open("/logout")
    await browser.press("logout-cancel")
    assert browser.at == "/account"


async def test_w2_only_our_own_form_signs_anybody_out(site: Site, visit: Visit) -> None:
    browser = await signed_in(site, visit)
    await browser.open("/logout")
    form = browser.form("logout-confirm")
    for headers in FOREIGN:
        assert (await browser.post(form.action, form.fields, **headers)).status_code == 403, headers
    for value in ("", "0" * 64):
        reply = await browser.post(form.action, {**form.fields, "csrf": value})
        assert reply.status_code == 403 and "Please try again" in reply.text
    await browser.open("/account")
    assert browser.at == "/account"


async def test_an_application_asks_for_it_and_gets_the_browser_back(site: Site, visit: Visit) -> None:
    browser = await signed_in(site, visit)
    await browser.open(f"/oauth/logout?client_id=notes&post_logout_redirect_uri={BYE}&state=s")
    assert "Acme Notes asks to sign you out" in browser.text
    await browser.press("logout-confirm")
    assert browser.sent_to == f"{BYE}?state=s" and OP not in browser.jar
    assert "notes.example.net" not in browser.reply.headers["content-security-policy"]


async def test_a_genuine_id_token_of_this_session_is_enough(site: Site, visit: Visit) -> None:
    app = App(site)
    browser = await signed_in(site, visit)
    hint = (await app.tokens(browser))["id_token"]
    asked = f"/oauth/logout?id_token_hint={hint}&post_logout_redirect_uri={BYE}"
    reply = await browser.get(asked)
    place = reply.headers["location"]
    for method, purpose in (("GET", "prefetch;prerender"), ("HEAD", None)):
        reply = await browser.request(method, place, sec_purpose=purpose)
        assert reply.status_code == 200 and "set-cookie" not in reply.headers, "who only looks signs nobody out"
    await browser.get(place)
    assert browser.sent_to == BYE and OP not in browser.jar
    assert await site.sessions((await site.user(ADA)).id) == []


async def test_an_id_token_of_another_session_is_not(site: Site, visit: Visit) -> None:
    app = App(site)
    first, second = await signed_in(site, visit), await signed_in(site, visit)
    hint = (await app.tokens(first))["id_token"]
    await second.open(f"/oauth/logout?id_token_hint={hint}&post_logout_redirect_uri={BYE}")
    assert second.page.one("button", id="logout-confirm").text == "Sign out"
    assert len(await site.sessions((await site.user(ADA)).id)) == 2


async def test_who_is_not_signed_in_is_signed_out(site: Site, visit: Visit) -> None:
    browser = visit(site)
    await browser.open("/logout")
    assert browser.reply.status_code == 200 and "signed out" in browser.text
    await browser.open(f"/oauth/logout?client_id=notes&post_logout_redirect_uri={BYE}")
    assert browser.sent_to == BYE


async def test_somebody_whose_session_was_ended_is_told_why(site: Site, visit: Visit) -> None:
    browser = await signed_in(site, visit)
    user = await site.user(ADA)
    await site.bridge.rooms.sessions.end_all(user.id, user.tag, "admin")
    await browser.open("/logout")
    assert "An administrator ended your session" in browser.text and OP not in browser.jar


async def test_while_the_store_is_down_the_browser_is_signed_out_and_the_session_ends_later(
    site: Site, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Broken(monkeypatch, site.bridge.rooms.raw_store, "read", "commit", "members")
    browser = await signed_in(site, visit)
    await browser.open("/logout")
    form, thief = browser.form("logout-confirm"), browser.copy()
    store.down = True
    for wrong in ({"csrf": "0" * 64}, {"answer": "stay"}):
        assert (await browser.post(form.action, {**form.fields, **wrong})).status_code == 503
    assert (await browser.post(form.action, form.fields, origin="https://evil.example")).status_code == 503
    assert OP in browser.jar
    reply = await browser.post(form.action, form.fields)
    assert reply.status_code == 200 and "You have signed out" in browser.text and OP not in browser.jar
    store.down = False
    await jobs_of(site)
    await thief.open("/account")
    assert thief.at.startswith("/login") and "You ended this session" in thief.text


async def jobs_of(site: Site) -> None:
    """Do what waits in the outbox, at once."""
    rooms = site.bridge.rooms
    for turn in range(1_000):
        if turn % 150 == 0:  # a try that met the store before it was back was put off by a minute
            async with rooms.database.begin() as tx:
                await tx.execute(text("UPDATE outbox SET due_at = 0 WHERE state = 'waiting'"))
        async with rooms.database.read() as tx:
            waiting = (await tx.execute(text("SELECT COUNT(*) FROM outbox WHERE state = 'waiting'"))).scalar_one()
        if not waiting:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the outbox does not empty")


async def test_what_can_be_recorded_nowhere_is_not_said_to_have_ended(
    site: Site, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    rooms = site.bridge.rooms
    store = Broken(monkeypatch, rooms.raw_store, "read", "commit", "members")
    queue = Broken(monkeypatch, rooms.outbox, "put")
    browser = await signed_in(site, visit)
    await browser.open("/logout")
    form = browser.form("logout-confirm")
    store.down = queue.down = True
    reply = await browser.post(form.action, form.fields)
    assert reply.status_code == 503 and reply.headers["retry-after"] and OP in browser.jar
    store.down = queue.down = False
    await browser.post(form.action, form.fields)
    assert "You have signed out" in browser.text


async def test_when_only_the_ending_fails_it_is_done_later(
    site: Site, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = await signed_in(site, visit)
    ending = Broken(monkeypatch, site.bridge.rooms.sessions, "end")
    await browser.open("/logout")
    ending.down = True
    await browser.press("logout-confirm")
    assert "You have signed out" in browser.text and OP not in browser.jar
    ending.down = False
    await jobs_of(site)
    assert await site.sessions((await site.user(ADA)).id) == []
