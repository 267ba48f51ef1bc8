"""Nothing is born after the ending that should have prevented it, wherever it falls — security §15, §4; over the app.

One ending, whole, before each thing that authorize → token → refresh asks of store or database.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from bridge.types import ClientId, UserId
from tests.flows.oauth import App
from tests.flows.visitor import Visitor, onward_of
from tests.running import ADA, Furnished, Site, in_process
from tests.security.holdings import Visiting, scope_with

Ending = Callable[[Site, Visitor], Awaitable[None]]


@pytest.fixture
async def site(database: Furnished) -> AsyncIterator[Site]:
    async with in_process(database) as site:
        yield site


async def end_session(site: Site, browser: Visitor) -> None:
    ada = await site.user(ADA)
    for session in await site.sessions(ada.id):
        await site.bridge.rooms.sessions.end(ada.id, ada.tag, session, "you")


async def end_all(site: Site, browser: Visitor) -> None:
    ada = await site.user(ADA)
    await site.bridge.rooms.sessions.end_all(ada.id, ada.tag, "user")


async def withdraw(site: Site, browser: Visitor) -> None:
    ada = await site.user(ADA)
    await site.bridge.rooms.consents.withdraw(ada.id, ada.tag, ClientId("notes"))


async def disable(site: Site, browser: Visitor) -> None:
    ada = await site.user(ADA)
    if await site.bridge.rooms.users.disable(ada.id) is not None:
        await site.bridge.rooms.sessions.publish_stamp(ada.id, ada.tag)


@dataclass
class Switch:
    """Counts what this task asks of store and database; before the `at`-th of these it lets something happen.

    The bridge's chores ask too, at moments of their own: they are nobody's flow, and wait for nothing that happens.
    """

    at: int
    happen: Callable[[], Awaitable[None]]
    asked: int = 0
    happened: bool = False
    busy: bool = field(default=False)
    flow: asyncio.Task[Any] | None = field(default_factory=asyncio.current_task)

    async def pass_(self) -> None:
        if self.busy or asyncio.current_task() is not self.flow:
            return
        self.asked += 1
        if self.asked == self.at:
            self.busy = True
            await self.happen()
            self.busy, self.happened = False, True


def watched(site: Site, switch: Switch, patch: pytest.MonkeyPatch) -> None:
    store, database = site.bridge.rooms.raw_store, site.bridge.rooms.database

    def verb(owner: object, name: str) -> None:
        really = getattr(owner, name)

        async def asked(*arguments: Any) -> Any:
            await switch.pass_()
            return await really(*arguments)

        patch.setattr(owner, name, asked)

    def transaction(name: str) -> None:
        really = getattr(database, name)

        @asynccontextmanager
        async def begun() -> AsyncIterator[Any]:
            await switch.pass_()
            async with really() as tx:
                yield tx

        patch.setattr(database, name, begun)

    for name in ("read", "commit", "members"):
        verb(store, name)
    for name in ("begin", "read"):
        transaction(name)


async def authorized(app: App, browser: Visitor, scope: str) -> dict[str, str]:
    """An offline grant must be asked for each time (Core §11); the other needs no page."""
    if "offline_access" not in scope:
        await browser.get(app.request(scope, prompt="none"))
        return app.answer(browser)
    await browser.open(app.request(scope, prompt="consent"))
    if browser.at.startswith("/consent"):
        await browser.press("consent-allow")
    return app.answer(browser) if onward_of(browser.reply) else {}


async def flow(app: App, browser: Visitor, scope: str) -> dict[str, str]:
    """As far as it comes: what it brought."""
    got: dict[str, str] = {}
    answer = await authorized(app, browser, scope)
    if "code" not in answer:
        return got
    got["code"] = answer["code"]
    redeemed = await app.redeem(answer["code"])
    assert redeemed.status_code in (200, 400), redeemed.text
    if redeemed.status_code != 200:
        return got
    got |= {"access": redeemed.json()["access_token"], "refresh": redeemed.json()["refresh_token"]}
    refreshed = await app.refresh(got["refresh"])
    assert refreshed.status_code in (200, 400), refreshed.text
    if refreshed.status_code == 200:
        got |= {"next access": refreshed.json()["access_token"], "next refresh": refreshed.json()["refresh_token"]}
    return got


async def living(app: App, got: dict[str, str]) -> list[str]:
    """What of it still works.  A refresh uses the token up, so the last one first."""
    alive = [name for name in got if "access" in name and (await app.userinfo(got[name])).status_code == 200]
    for name in sorted({"next refresh", "refresh"} & got.keys()):
        alive += [name] if (await app.refresh(got[name])).status_code == 200 else []
    if "code" in got and "access" not in got and (await app.redeem(got["code"])).status_code == 200:
        alive.append("code")
    return alive


@pytest.mark.parametrize(
    ("ending", "scope", "survives"),
    [
        (end_session, "openid", False),
        (end_session, "openid offline_access", True),  # an offline grant outlives the session, and only that
        (end_all, "openid", False),
        (end_all, "openid offline_access", False),
        pytest.param(disable, "openid offline_access", False, marks=pytest.mark.slow),
        (withdraw, "openid", False),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
async def test_an_ending_before_any_await_of_the_flow(
    site: Site, visit: Visiting, ending: Ending, scope: str, survives: bool
) -> None:
    app, outcomes = App(site), set[tuple[str, ...]]()
    for at in itertools.count(1):
        ada = await site.user(ADA)
        await site.bridge.rooms.users.enable(ada.id)
        await site.bridge.rooms.sessions.publish_stamp(ada.id, ada.tag)
        browser = visit(site)
        await browser.sign_in(ADA)
        await app.tokens(browser, scope, prompt="consent")
        cookie = {"__Host-login_auth_tk": browser.jar["__Host-login_auth_tk"]}
        switch = Switch(at, lambda browser=browser: ending(site, browser))  # type: ignore[misc]
        with pytest.MonkeyPatch.context() as patch:
            watched(site, switch, patch)
            got = await flow(app, browser, scope)
        if switch.asked < at:
            break
        assert switch.happened, at
        outcomes.add(tuple(got))
        alive = await living(app, got)
        if survives:  # what was born before the ending lives on; a session does not
            assert ("code" in got) == bool(alive), (at, got, alive)
        else:
            assert alive == [], (at, alive)
        if ending is not withdraw:
            assert (await site.bridge.who(scope_with(cookies=cookie))).alive is None
            assert not (await browser.open("/account")).at.startswith("/account")
    # It fell before the code, before the tokens, between them and the refresh, and after all.
    assert len(outcomes) >= (3 if not survives else 2), outcomes


async def test_what_lives_without_an_ending(site: Site, visit: Visiting) -> None:
    """The control: all of it."""
    app, browser = App(site), visit(site)
    await browser.sign_in(ADA)
    await app.tokens(browser)
    got = await flow(app, browser, "openid")
    assert set(got) == {"code", "access", "refresh", "next access", "next refresh"}
    assert "next access" in await living(app, got)
    assert UserId((await site.user(ADA)).id) > 0
