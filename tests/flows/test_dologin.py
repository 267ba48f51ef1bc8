"""AutoAuth links at `/dologin.php`, where a setting asks for them — whmcs-api §5.3, §10 no. 21; security §8."""

import asyncio
import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import select

from bridge.database.tables import audit, ended_keys
from bridge.errors import ConfigError
from bridge.legacy.options import LegacyOptions
from bridge.secret import Secret
from bridge.testing.hands import Hands
from tests.flows.portal import COMMAND, account
from tests.flows.visitor import Visitor
from tests.running import ADA, DAN, LI, TOM, Furnished, Given, Site, in_process
from tests.security.holdings import scope_with

Visiting = Callable[..., Visitor]
KEY = "autoauthkey-0123456789"
APP = "__Host-login_auth_tk"
ROUNDS = 3


def setting(mode: str) -> Given:
    return {("legacy", "autoauth"): mode, ("legacy", "autoauth_key"): KEY}


@pytest.fixture(params=["hmac", "sha1"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def site(database: Furnished, clock: Hands, mode: str) -> AsyncIterator[Site]:
    async with in_process(database, more=setting(mode), clock=clock) as site:
        yield site


def link(
    mode: str, at: float, *, email: str = ADA, goto: str = "/bills", key: str = KEY, then: Mapping[str, str | None] = {}
) -> str:
    """As a portal makes it; `then`: what is changed afterwards."""
    timestamp = str(int(at))
    if mode == "sha1":
        shown = hashlib.sha1(f"{email}{timestamp}{key}".encode()).hexdigest()
    else:
        shown = hmac.new(key.encode(), f"{email}\n{timestamp}\n{goto}".encode(), hashlib.sha256).hexdigest()
    sent: dict[str, str | None] = {"email": email, "timestamp": timestamp, "hash": shown, "goto": goto, **then}
    return f"/dologin.php?{urlencode({name: value for name, value in sent.items() if value is not None})}"


async def said(browser: Visitor, path: str, **headers: str) -> str:
    """Why a link was refused."""
    reply = await browser.get(path, **headers)
    assert reply.status_code == 400, reply.headers.get("location")
    assert APP not in browser.jar
    return browser.page.one("code").text.removeprefix("the link: ")


async def test_a_link_signs_its_person_in_once(site: Site, visit: Visiting, mode: str, clock: Hands) -> None:
    path, browser = link(mode, clock.now()), visit(site)
    reply = await browser.get(path)
    assert reply.status_code == 303 and reply.headers["location"].startswith("/oauth/singlesignon.php?access_token=")
    assert reply.headers["cache-control"] == "no-store" and reply.headers["referrer-policy"] == "no-referrer"
    reply = await browser.get(reply.headers["location"])
    assert (reply.status_code, reply.headers["location"]) == (303, "/bills")
    alive = (await site.bridge.who(scope_with(cookies={APP: browser.jar[APP]}))).alive
    assert alive is not None
    record = alive.record
    assert (record.uid, record.kind, record.amr, record.via) == ((await site.user(ADA)).id, "sso", ("sso",), "dologin")
    assert await said(visit(site), path) == "it was used before"
    async with site.bridge.rooms.database.read() as tx:
        (row,) = (await tx.execute(select(audit).where(audit.c.kind == "sso.created"))).all()
    assert (row.user_id, row.actor, row.door) == (record.uid, "dologin", "legacy")


async def test_s3_a_store_that_is_set_back_lets_no_link_in_again(
    site: Site, visit: Visiting, mode: str, clock: Hands
) -> None:
    """Nobody need notice: what was used stands in SQL, and nothing of it in the store."""
    store: Any = site.bridge.rooms.raw_store
    path, before = link(mode, int(clock.now()) + 59), dict(store._values)
    assert (await visit(site).get(path)).status_code == 303
    store._values.clear()
    store._values.update(before)
    clock.move(958)
    await site.bridge.rooms.endings.sweep()
    assert await said(visit(site), path) == "it was used before"
    clock.move(2)
    await site.bridge.rooms.endings.sweep()
    assert await said(visit(site), path) == "it is too old, or of a clock that is wrong"
    async with site.bridge.rooms.database.read() as tx:
        assert (await tx.execute(select(ended_keys))).all() == []


async def test_the_log_says_why_nobody_came_in(site: Site, visit: Visiting, mode: str, clock: Hands) -> None:
    rooms, now = site.bridge.rooms, clock.now()
    ada, dan, li = await site.user(ADA), await site.user(DAN), await site.user(LI)
    closed = await account(site, li.id)
    await rooms.ledger.do(COMMAND, lambda deed: rooms.accounts.close(deed, closed.id))
    used = link(mode, now)
    await visit(site).get(used)
    cases: list[tuple[str, str, Any, dict[str, str]]] = [
        (used, "used", ada.id, {}),
        (link(mode, now - 901), "too-old", None, {}),
        (link(mode, now + 62), "too-old", None, {}),
        (link(mode, now, key=f"{KEY}x"), "not-genuine", None, {}),
        (link(mode, now, then={"email": None}), "not-genuine", None, {}),
        (link(mode, now, goto="//evil.example"), "leads-elsewhere", None, {}),
        (link(mode, now, email="nobody@example.com"), "no-such-user", None, {}),
        (link(mode, now, email=DAN), "disabled", dan.id, {}),
        (link(mode, now, email=LI), "closed", li.id, {}),
        (link(mode, now - 1), "not-followed", None, {"sec_purpose": "prefetch"}),
        (link(mode, now - 1) + "&goto=x", "malformed", None, {}),
    ]
    for path, why, user, headers in cases:
        await said(visit(site), path, **headers)
        event = site.told.events[-1]
        assert (event.kind, event.reason, event.user, event.actor) == ("sso.refused", why, user, "dologin"), path


async def test_it_is_good_for_fifteen_minutes_and_not_before_its_time(
    site: Site, visit: Visiting, mode: str, clock: Hands
) -> None:
    now = clock.now()
    for at in (now - 899, now + 59):
        assert (await visit(site).get(link(mode, at))).status_code == 303
    for at in (now - 901, now + 62):
        assert await said(visit(site), link(mode, at)) == "it is too old, or of a clock that is wrong"


async def test_of_fifty_who_follow_one_link_one_comes_in(
    request: pytest.FixtureRequest, database: Furnished, visit: Visiting, mode: str
) -> None:

    for url in (request.getfixturevalue("redis_url"), f"sqlite:///{database.file.with_name('store.db')}"):
        async with in_process(database, more={**setting(mode), ("store", "url"): url}) as site:
            for number in range(ROUNDS):
                path = link(mode, time.time(), goto=f"/bills/{number}", email=f"{ADA}{' ' * number}")
                replies = await asyncio.gather(*(visit(site).get(path) for _ in range(50)))
                assert sorted(reply.status_code for reply in replies) == [303] + [400] * 49


async def test_one_byte_changed_is_not_genuine(site: Site, visit: Visiting, mode: str, clock: Hands) -> None:
    now = clock.now()
    good = link(mode, now)
    digits = str(int(now))
    shown = good.partition("hash=")[2].partition("&")[0]
    changes: list[dict[str, str | None]] = [
        {"email": LI},
        {"email": ADA.upper()},
        {"email": ""},
        {"timestamp": str(int(now) + 1)},
        {"timestamp": f"0{digits}"},
        {"timestamp": digits[:9]},
        {"timestamp": f" {digits}"},
        {"timestamp": f"{digits}\n"},
        {"timestamp": digits.translate({48 + n: 0x660 + n for n in range(10)})},
        {"timestamp": None},
        {"hash": None},
        {"hash": shown.upper()},
        {"hash": shown[:-1]},
        {"hash": f"{shown}0"},
        {"hash": ("1" if shown[0] == "0" else "0") + shown[1:]},
        {"hash": "\u00e9" * 40},
    ]
    for changed in changes:
        assert await said(visit(site), link(mode, now, then=changed)) == "it is not genuine", changed
    assert await said(visit(site), link(mode, now, key=f"{KEY}x")) == "it is not genuine"
    # What belongs to the address is not to be moved into the number: the hash is of both together.
    moved = link(mode, now, email=f"{ADA}1", then={"timestamp": f"1{digits}"[:10]})
    assert await said(visit(site), moved) == "it is not genuine"
    for name in ("email", "timestamp", "hash", "goto"):
        assert "must not be repeated" in await said(visit(site), f"{good}&{name}=x")
    assert (await visit(site).get(good)).status_code == 303


async def test_a_digit_moved_from_the_address_to_the_time_is_refused(
    database: Furnished, clock: Hands, visit: Visiting
) -> None:
    """sha1 of `a@b1` and nine digits is sha1 of `a@b` and ten: only ten are taken, and the address must be known."""
    async with in_process(database, more=setting("sha1"), clock=clock) as site:
        digits = str(int(clock.now()))
        shown = hashlib.sha1(f"{ADA}{digits}{KEY}".encode()).hexdigest()
        split = {"email": f"{ADA}{digits[0]}", "timestamp": digits[1:], "hash": shown}
        assert await said(visit(site), f"/dologin.php?{urlencode(split)}") == "it is not genuine"


async def test_hmac_holds_the_place_too(database: Furnished, clock: Hands, visit: Visiting) -> None:
    async with in_process(database, more=setting("hmac"), clock=clock) as site:
        assert await said(visit(site), link("hmac", clock.now(), goto="/a").replace("goto=%2Fa", "goto=%2Fb")) == (
            "it is not genuine"
        )


@pytest.mark.parametrize(
    "goto", ["https://evil.example/", "//evil.example", "/\\evil.example", "%2f%2fevil.example", "javascript:alert(1)"]
)
async def test_it_never_leads_to_another_host(site: Site, visit: Visiting, mode: str, clock: Hands, goto: str) -> None:
    assert await said(visit(site), link(mode, clock.now(), goto=goto)) == "it leads to another place"


async def test_without_a_place_it_leads_home(site: Site, visit: Visiting, mode: str, clock: Hands) -> None:
    browser = visit(site)
    for goto, target in (("", "/"), ("clientarea.php?action=products", "/clientarea.php?action=products")):
        await browser.get(link(mode, clock.now() - len(goto), goto=goto))
        await browser.get(browser.reply.headers["location"])
        assert browser.reply.headers["location"] == target


async def test_nobody_else_is_signed_in_by_it(site: Site, visit: Visiting, mode: str, clock: Hands) -> None:
    rooms, li = site.bridge.rooms, await site.user(LI)
    closed = await account(site, li.id)
    await rooms.ledger.do(COMMAND, lambda deed: rooms.accounts.close(deed, closed.id))
    dan = await site.user(DAN)
    denied = "Single Sign-On authentication denied for"
    for email, why in (
        ("nobody@example.com", "there is nobody of that address"),
        ("no address", "there is nobody of that address"),
        (DAN, f'{denied} "Disabled" User ID: {dan.id}'),
        (LI, f'{denied} "Closed" User ID: {closed.id}'),
    ):
        assert await said(visit(site), link(mode, clock.now(), email=email)) == why


async def test_a_second_factor_is_owed(site: Site, visit: Visiting, mode: str, clock: Hands) -> None:
    browser = visit(site)
    await browser.open(link(mode, clock.now(), email=TOM))
    assert browser.at.startswith("/login/code") and APP not in browser.jar


async def test_whoever_is_signed_in_is_asked_first(site: Site, visit: Visiting, mode: str, clock: Hands) -> None:
    browser = visit(site)
    await browser.sign_in(LI)
    before = browser.jar[APP]
    await browser.open(link(mode, clock.now()))
    assert "Ada Lovelace" in browser.text and browser.jar[APP] == before
    await browser.press_only("arrive")
    assert browser.jar[APP] != before


async def test_only_a_person_who_goes_there_uses_it_up(site: Site, visit: Visiting, mode: str, clock: Hands) -> None:
    path, browser = link(mode, clock.now()), visit(site)
    await said(browser, path, sec_fetch_mode="no-cors", sec_fetch_dest="image")
    await said(browser, path, sec_fetch_mode="navigate", sec_fetch_dest="iframe")
    await said(browser, path, sec_purpose="prefetch")
    assert (await browser.request("HEAD", path)).status_code == 200
    assert (await browser.post(path, {})).status_code == 405
    assert (await browser.get(path)).status_code == 303


async def test_it_is_not_there_unless_a_setting_says_so(database: Furnished, visit: Visiting, clock: Hands) -> None:
    cases: list[Given] = [{("legacy", "autoauth_key"): KEY}, {**setting("sha1"), ("legacy", "enabled"): False}]
    for more in cases:
        async with in_process(database, more=more, clock=clock) as site:
            assert (await visit(site).get(link("sha1", clock.now()))).status_code == 404


async def test_a_row_that_cannot_be_written_makes_no_link(
    site: Site, visit: Visiting, mode: str, clock: Hands, monkeypatch: Any
) -> None:
    async def lost(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no room for the row")

    path = link(mode, clock.now())
    with monkeypatch.context() as patch:
        patch.setattr(site.bridge.rooms.audit, "write", lost)
        assert (await visit(site).get(path)).status_code == 500
    assert (await visit(site).get(path)).status_code == 303


def test_a_key_is_needed_and_must_be_long() -> None:
    for key in (None, Secret("short")):
        with pytest.raises(ConfigError, match="autoauth_key must be at least 16"):
            LegacyOptions(autoauth="hmac", autoauth_key=key)
    assert LegacyOptions(autoauth="off").autoauth_key is None
