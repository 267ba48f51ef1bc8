"""A process dies between SQL and the store: the next reconciler tells the store what SQL knows — security §3."""

import asyncio
import os
import signal
import subprocess
import sys
import time

import pytest

from bridge.config.read import to_environment
from tests.faults.machines import RedisMachine
from tests.faults.processes import ROOT, on
from tests.faults.test_snapshot import Accepted, at_the_issuer, at_userinfo, in_an_app, to_refresh
from tests.flows.oauth import App
from tests.flows.visitor import Visitor
from tests.running import ADA, LI, PASSWORD, PRODUCTION, QUICK, SECRETS, Furnished, Given
from tests.security.holdings import Visiting, call, validate_login
from tests.security.workers import worker

pytestmark = pytest.mark.slow
BOUND = 2.0

SESSIONS = {"session", "child"}
TOKENS = {"access", "refresh"}
ENDS = {
    "session": {*SESSIONS, *TOKENS},
    "all": {*SESSIONS, *TOKENS, "portal"},
    "password": {*SESSIONS, *TOKENS, "portal"},
    "disable": {*SESSIONS, *TOKENS, "portal"},
    "consent": TOKENS,
    "family": TOKENS,
}
"""What must be dead after each."""


async def crash(what: str, settings: Given, **more: str) -> None:
    """Let a process do it, and die."""
    environment = {**os.environ, **to_environment({**SECRETS, **QUICK, **PRODUCTION, **settings}), **more}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.faults.crasher",
        what,
        ADA,
        cwd=ROOT,
        env={**environment, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == -signal.SIGKILL, said.decode()


@pytest.mark.parametrize("what", ENDS)
async def test_what_a_dead_process_ended_is_dead_within_the_bound(
    what: str, database: Furnished, machine: RedisMachine, visit: Visiting
) -> None:
    settings: Given = on(database, machine.url)
    async with worker(database, settings) as site:
        app, ada, li = App(site), visit(site), visit(site)
        for browser, email in ((ada, ADA), (li, LI)):
            await browser.sign_in(email, path="/account")
        tokens, theirs = await app.tokens(ada), await app.tokens(li)
        user = await site.user(ADA)
        (session,) = await site.sessions(user.id)
        portal = await validate_login(site)
        asked: dict[str, Accepted] = {
            "session": at_the_issuer(site, ada),
            "child": in_an_app(site, ada.jar["__Host-login_auth_tk"]),
            "portal": in_an_app(site, portal),
            "access": at_userinfo(app, tokens["access_token"]),
        }
        assert [name for name, accepted in asked.items() if not await accepted()] == []
        await crash(what, settings, CRASH_SESSION=session, CRASH_TOKEN=tokens["refresh_token"])
        dies = ENDS[what] - {"refresh"}
        start = time.monotonic()
        while [name for name in dies if await asked[name]()]:
            assert time.monotonic() - start < BOUND, [name for name in dies if await asked[name]()]
            await asyncio.sleep(0.02)
        assert not await to_refresh(app, tokens["refresh_token"])()
        assert [name for name in asked.keys() - dies if not await asked[name]()] == []
        # Nobody else is touched, and nobody comes in by what was changed.
        assert await at_userinfo(app, theirs["access_token"])() and await at_the_issuer(site, li)()
        if what in ("password", "disable"):
            refused = await call(site, action="ValidateLogin", email=ADA, password2=PASSWORD)
            assert refused.json()["result"] == "error"


async def test_what_a_dead_process_ended_is_dead_for_who_starts_later(
    database: Furnished, machine: RedisMachine, visit: Visiting
) -> None:
    """Nobody ran meanwhile: before the first request is answered the reconciler has told the store."""
    settings: Given = on(database, machine.url)
    async with worker(database, settings) as site:
        ada = visit(site)
        await ada.sign_in(ADA, path="/account")
        (session,) = await site.sessions((await site.user(ADA)).id)
    await crash("session", settings, CRASH_SESSION=session)
    async with worker(database, settings) as site:
        ada = moved(ada, visit(site))
        assert not await at_the_issuer(site, ada)()
        assert not await in_an_app(site, ada.jar["__Host-login_auth_tk"])()


def moved(browser: Visitor, visitor: Visitor) -> Visitor:
    """The same browser, at the worker that runs now."""
    visitor.jar = dict(browser.jar)
    return visitor
