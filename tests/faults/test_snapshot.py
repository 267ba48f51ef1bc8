"""Redis is brought back from an old snapshot in the middle of a load: nothing that was revoked lives again.

Security §3, store §2 rule 9: a lying Redis has the old session, the old stamp and the unused code all at once.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from bridge.errors import Unavailable
from bridge.secret import Secret
from bridge.types import ClientId
from tests.faults.machines import RedisMachine
from tests.flows.oauth import App
from tests.flows.visitor import Visitor
from tests.running import ADA, LI, NEW_PASSWORD, PASSWORD, TOM, Furnished, Given, Site, code
from tests.security.holdings import Visiting, scope_with, validate_login
from tests.security.workers import worker

pytestmark = pytest.mark.slow
EVE, ZOE, MIA = "eve@example.com", "zoe@example.com", "mia@example.com"

Accepted = Callable[[], Awaitable[bool]]


@pytest.fixture
async def sites(database: Furnished, machine: RedisMachine) -> AsyncIterator[tuple[Site, Site]]:
    """Two workers, either of which may be the first to notice."""
    more: Given = {("store", "url"): machine.url}
    async with worker(database, more) as one, worker(database, more) as other:
        yield one, other


@dataclass
class Watch:
    """Asks again and again whether any of these is accepted."""

    asked: Mapping[str, Accepted]
    counts: dict[str, int] = field(default_factory=dict)
    caught: set[str] = field(default_factory=set)

    async def run(self) -> None:
        while True:
            for name, accepted in self.asked.items():
                if await accepted():
                    self.caught.add(name)
                self.counts[name] = self.counts.get(name, 0) + 1
                await asyncio.sleep(0.002)

    async def asked_each(self, times: int) -> None:
        """Wait until it did so that often: a machine that has more to do asks less often."""
        for _ in range(1_200):
            if all(self.counts.get(name, 0) >= times for name in self.asked):
                return
            await asyncio.sleep(0.05)
        pytest.fail(f"within a minute: {self.counts}")


@asynccontextmanager
async def watching(*watches: Watch) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(watch.run()) for watch in watches]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(end, asyncio.CancelledError) for end in ends), ends


def at_the_issuer(site: Site, browser: Visitor) -> Accepted:
    async def accepted() -> bool:
        reply = await browser.copy().get("/account")
        assert reply.status_code in (200, 303, 503)
        return bool(reply.status_code == 200)

    return accepted


def in_an_app(site: Site, token: str) -> Accepted:
    async def accepted() -> bool:
        return (await site.bridge.who(scope_with(cookies={"__Host-login_auth_tk": token}))).alive is not None

    return accepted


def at_userinfo(app: App, token: str) -> Accepted:
    async def accepted() -> bool:
        status = (await app.userinfo(token)).status_code
        assert status in (200, 401, 503)
        return bool(status == 200)

    return accepted


def to_refresh(app: App, token: str) -> Accepted:
    async def accepted() -> bool:
        status = (await app.refresh(token)).status_code
        assert status in (200, 400, 503)
        return bool(status == 200)

    return accepted


def as_code(app: App, text: str) -> Accepted:
    async def accepted() -> bool:
        status = (await app.redeem(text)).status_code
        assert status in (200, 400, 503)
        return bool(status == 200)

    return accepted


def as_pending(site: Site, browser: Visitor) -> Accepted:
    form = browser.form("second-factor-submit")

    async def accepted() -> bool:
        thief = browser.copy()
        await thief.post(form.action, {**form.fields, "code": code()})
        return "__Host-lb_op" in thief.jar

    return accepted


async def signed_in(site: Site, visit: Visiting, email: str) -> Visitor:
    browser = visit(site)
    await browser.sign_in(email, path="/account")
    assert browser.at == "/account"
    return browser


@pytest.mark.parametrize("outage", [0.0, 0.5])
async def test_nothing_revoked_lives_again_and_the_rest_goes_on(
    sites: tuple[Site, Site], visit: Visiting, machine: RedisMachine, outage: float
) -> None:
    """Without an outage no request fails, so nothing but the server's identity tells that it is another."""
    one, other = sites
    for email in (EVE, ZOE, MIA):
        await one.person(email)
    rooms, notes, spa = one.bridge.rooms, App(one, "notes"), App(one, "spa")

    # Before the snapshot: everything alive.
    ada, li, eve, zoe, mia = [await signed_in(one, visit, email) for email in (ADA, LI, EVE, ZOE, MIA)]
    ended, kept = [await notes.tokens(each) for each in (ada, mia)]
    withdrawn, revoked = await notes.tokens(eve), await spa.tokens(zoe)
    unused, used = await _code(notes, mia), await _code(notes, zoe)
    portal = {email: await validate_login(one, email) for email in (ADA, LI, EVE, MIA)}
    old = zoe.copy()
    tom, late = visit(one), visit(one)
    for browser in (tom, late):
        await browser.sign_in(TOM)
    snapshot = await asyncio.to_thread(machine.snapshot)

    # After it: endings of each kind.
    users = {email: await one.user(email) for email in (ADA, LI, EVE, ZOE)}
    await ada.open("/logout")
    leaving = ada.copy()
    await ada.press("logout-confirm")
    await rooms.sessions.end_all(users[LI].id, users[LI].tag, "user")
    await rooms.consents.withdraw(users[EVE].id, users[EVE].tag, ClientId("notes"))
    changed = await rooms.users.set_password(users[EVE], Secret(NEW_PASSWORD))
    assert changed is not None
    await rooms.sessions.publish_stamp(changed.id, changed.tag)
    gone = {"client_id": "spa", "token": revoked["refresh_token"]}
    assert (await spa.http.post("/oauth/revoke", data=gone)).status_code == 200
    assert (await notes.redeem(used)).status_code == 200
    await zoe.open("/login?confirm=1")  # shows who she is again: her session goes on under a new token
    await zoe.press("login-submit", email=ZOE, password=PASSWORD)
    assert old.jar["__Host-lb_op"] != zoe.jar["__Host-lb_op"]
    stepped = late.copy()
    stepped.last = late.last
    await late.press("second-factor-submit", code=code())
    assert "__Host-lb_op" in late.jar

    dead = Watch({
        "Ada's session": at_the_issuer(one, leaving),
        "Ada's app": in_an_app(other, leaving.jar["__Host-login_auth_tk"]),
        "Ada's access token": at_userinfo(notes, ended["access_token"]),
        "Ada's refresh token": to_refresh(notes, ended["refresh_token"]),
        "Li's session": at_the_issuer(other, li),
        "Li's app": in_an_app(one, li.jar["__Host-login_auth_tk"]),
        "Li's portal": in_an_app(other, portal[LI]),
        "Eve's session": at_the_issuer(one, eve),
        "Eve's portal": in_an_app(one, portal[EVE]),
        "what Eve took back": at_userinfo(App(other, "notes"), withdrawn["access_token"]),
        "its refresh token": to_refresh(App(other, "notes"), withdrawn["refresh_token"]),
        "the revoked family": at_userinfo(App(other, "spa"), revoked["access_token"]),
        "its refresh": to_refresh(App(other, "spa"), revoked["refresh_token"]),
        "the used code": as_code(App(other, "notes"), used),
        "Zoe's old token": at_the_issuer(other, old),
        "the used second step": as_pending(one, stepped),
    })  # fmt: skip
    for name, accepted in dead.asked.items():
        assert not await accepted(), name
    alive = {
        "Mia's session": at_the_issuer(one, mia),
        "Mia's portal": in_an_app(other, portal[MIA]),
        "Mia's access token": at_userinfo(App(other, "notes"), kept["access_token"]),
        "Ada's portal": in_an_app(one, portal[ADA]),  # she ended another session
    }
    load = Watch(alive)
    async with watching(dead, load):
        await asyncio.sleep(0.3)
        machine.kill()
        await asyncio.sleep(outage)
        machine.start(snapshot=snapshot)  # in this thread: meanwhile nobody can ask
        await asyncio.sleep(4)
        await dead.asked_each(21)
    assert dead.caught == set(), dead.counts
    assert load.caught == set(alive)

    # What was issued before the loss and is good for one use is refused, though nobody had used it.
    assert (await notes.redeem(unused)).status_code == 400
    assert not await as_pending(other, tom)()
    for name, accepted in alive.items():
        assert await accepted(), name
    assert {"store.lost", "store.regained"} <= set(one.told.kinds()) & set(other.told.kinds())
    # A token that had been replaced came back with the snapshot: whoever holds it may be a thief, so the session ends.
    assert not await at_the_issuer(one, zoe)()
    again = await signed_in(other, visit, ZOE)
    assert (await App(other, "notes").redeem(await _code(App(other, "notes"), again))).status_code == 200


async def test_what_is_ended_while_redis_is_away_is_dead_when_it_is_back(
    sites: tuple[Site, Site], visit: Visiting, machine: RedisMachine
) -> None:
    """SQL first: whoever ended it was told that it is not done, and it is done all the same."""
    one, other = sites
    ada, li = [await signed_in(one, visit, email) for email in (ADA, LI)]
    users = [await one.user(email) for email in (ADA, LI)]
    (session,) = await one.sessions(users[0].id)
    snapshot = await asyncio.to_thread(machine.snapshot)
    machine.kill()
    with pytest.raises(Unavailable):
        await one.bridge.rooms.sessions.end(users[0].id, users[0].tag, session, "administrator")
    with pytest.raises(Unavailable):
        await one.bridge.rooms.sessions.end_all(users[1].id, users[1].tag, "admin")
    dead = Watch({"one session": at_the_issuer(other, ada), "all": at_the_issuer(other, li)})
    async with watching(dead):
        machine.start(snapshot=snapshot)
        await asyncio.sleep(4)
        await dead.asked_each(11)
    assert dead.caught == set()
    await ada.open("/account")
    assert ada.at.startswith("/login") and "administrator" in ada.text


async def _code(app: App, browser: Visitor) -> str:
    await browser.open(app.request())
    if browser.at.startswith("/consent"):
        await browser.press("consent-allow")
    return app.answer(browser)["code"]
