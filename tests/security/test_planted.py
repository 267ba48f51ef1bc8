"""Every kind of event provoked, and no secret in any log line, audit row, figure or error page — A12, S17."""

import ast
import io
import logging
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import anyio
import httpx2
import pytest
from sqlalchemy import delete, select

import bridge
from bridge.app import Bridge
from bridge.asgi import Message, Receive, Scope, Send
from bridge.cli.main import run
from bridge.config.read import to_environment
from bridge.database.tables import audit, signing_keys, users
from bridge.events.log import JsonLog, set_up_logging
from bridge.events.options import EventsOptions
from bridge.fetch.answers import Fetched
from bridge.outbox.message import Undeliverable
from bridge.stores.sqlite import SqliteStore
from bridge.types import Visit
from bridge.users.backend import Unreachable
from tests.flows.mailbox import Mailbox, link_in
from tests.flows.oauth import CHALLENGE, VERIFIER, App
from tests.flows.visitor import Visitor
from tests.patience import until
from tests.running import (
    ADA,
    API_SECRET,
    CLIENT_SECRET,
    IDENTIFIER,
    LI,
    NEW_PASSWORD,
    PASSWORD,
    PRODUCTION,
    QUICK,
    SECRETS,
    TOTP,
    Furnished,
    Given,
    Site,
    code,
    in_process,
)
from tests.security.holdings import LOCAL, Holdings, Visiting, bring, call, gather, redeem, scope_with, touch

OPTIONS = EventsOptions(log_level="debug", counted_only=())
WRONG = {
    "wrong password": "Pl4nted-wr0ng-passw0rd-in-a-form",
    "wrong API secret": "PlantedWrongApiSecret0123456789ab",
    "wrong client secret": "PlantedWrongClientSecret012345678",
    "wrong token": "PlantedWrongToken" + "0aB" * 8,
    "wrong link": "PlantedLink.aVJ3xA.Zr3yTq9dKq0hFbN2m1xT7vUe4s8wYpLcAoGi5jHkBnM",
    "wrong code": "lbc_" + "Pl4nted" * 9 + "A",
}


@dataclass
class Recorder:
    """Everything that came out: answers, log lines, what commands print."""

    log: io.StringIO = field(default_factory=io.StringIO)
    answers: list[tuple[str, int, bytes]] = field(default_factory=list)
    printed: list[str] = field(default_factory=list)

    @property
    def errors(self) -> list[tuple[str, int, bytes]]:
        return [answer for answer in self.answers if answer[1] >= 400]


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """All of it, from the libraries' debug lines to the bytes on the wire."""
    recorder, root, really = Recorder(), logging.getLogger(), Bridge.__call__
    handlers, level = root.handlers[:], root.level

    async def recorded(self: Bridge, scope: Scope, receive: Receive, send: Send) -> None:
        parts: list[bytes] = []
        status = 0

        async def heard(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            parts.append(repr(message.get("headers", "")).encode() + message.get("body", b""))
            await send(message)

        try:
            await really(self, scope, receive, heard)
        finally:
            recorder.answers.append((scope["path"], status, b"".join(parts)))

    monkeypatch.setattr(Bridge, "__call__", recorded)
    set_up_logging(recorder.log, OPTIONS)
    yield recorder
    root.setLevel(level)
    root.handlers[:] = handlers


SETTINGS: Given = {
    ("sessions", "sources"): ["cookie", "bearer", "host-session"],
    ("events", "counted_only"): [],
    ("events", "log_level"): "debug",
    ("login", "account_per_5_minutes"): 3,
    ("sessions", "ticket_lifetime"): 120,
    ("users", "email_changes_per_account"): 1,
    ("users", "sign_up"): True,
    ("users", "sign_ups_per_address"): 1,
}


@pytest.fixture
def settings(database: Furnished, mailbox: Mailbox) -> Given:
    return {
        **SETTINGS,
        ("mail", "url"): f"file:{mailbox.folder}",
        ("store", "url"): f"sqlite:///{database.file.with_name('store.db')}",
    }


@pytest.fixture
async def site(database: Furnished, settings: Given, recorder: Recorder) -> AsyncIterator[Site]:
    async with in_process(database, more=settings) as site:
        site.bridge.rooms.events.listen(JsonLog(recorder.log, OPTIONS))
        yield site


def told_somewhere() -> set[str]:
    """Each kind of event that some line of the product tells."""
    kinds: set[str] = set()
    for file in Path(bridge.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call):
                kinds |= set(_kind_of(node))
    return kinds


def _kind_of(node: ast.Call) -> Iterator[str]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    given = [keyword.value for keyword in node.keywords if keyword.arg == "kind"] if name == "Event" else node.args[:1]
    if name in ("tell", "make", "Event"):
        yield from (str(value.value) for value in given if isinstance(value, ast.Constant) and "." in str(value.value))


@dataclass
class Scenario:
    """Provokes, and remembers every secret that was in it."""

    site: Site
    visit: Visiting
    mailbox: Mailbox
    monkeypatch: pytest.MonkeyPatch
    held: Holdings
    secrets: dict[str, str] = field(default_factory=dict)

    async def sign_ins(self) -> None:
        """login.*, second-factor.*, session.*, ticket.*, sso.refused, upstream.down, legacy.call."""
        site, visit = self.site, self.visit
        for email in (ADA, LI, "nobody@example.com"):
            await visit(site).sign_in(email, WRONG["wrong password"])
        for _ in range(5):
            await visit(site).sign_in("blocked@example.com", WRONG["wrong password"])
        await self.held.tom.press("second-factor-submit", code="000000")
        await self.held.tom.press("second-factor-submit", code=code())
        again = visit(site)
        await again.sign_in(ADA)
        self.keep("first", again)
        await again.open("/login?confirm=1")
        await again.press("login-submit", email=ADA, password=PASSWORD)
        self.keep("rotated", again)
        await redeem(site, WRONG["wrong token"], self.held["begun"])
        child = await bring(site, self.held["ticket"], self.held["begun"])
        assert child is not None
        self.secrets["session at the shop"] = child
        assert await bring(site, self.held["ticket"], self.held["begun"]) is None
        await again.open(f"/oauth/singlesignon.php?access_token={WRONG['wrong token']}")
        wrong_place = scope_with(cookies={"__Host-login_auth_tk": self.held["op"]})
        assert (await site.bridge.who(wrong_place)).alive is None

        async def unreachable(*_: object) -> Unreachable:
            return Unreachable()

        with self.monkeypatch.context() as patch:
            patch.setattr(site.bridge.rooms.users, "authenticate", unreachable)
            await visit(site).sign_in(ADA)
            await call(site, action="ValidateLogin", email=ADA, password2=PASSWORD)

    async def callers(self) -> None:
        """credential.refused, legacy.call: secrets in every place where a caller may put one."""
        site = self.site
        await call(site, action="ValidateLogin", email=ADA, password2=WRONG["wrong password"])
        await call(site, action="ValidateLogin", email=ADA, password2=PASSWORD, secret=WRONG["wrong API secret"])
        await call(site, action=f"Validate{WRONG['wrong password']}", password2=PASSWORD)
        await touch(site, WRONG["wrong token"])
        await touch(site, self.held["legacy"], secret=WRONG["wrong API secret"])
        query = httpx2.QueryParams(
            action="ValidateLogin",
            identifier=IDENTIFIER,
            secret=API_SECRET,
            email=ADA,
            password2=WRONG["wrong password"],
        )
        for path in (f"/includes/api.php?{query}", f"/includes/api.php?{query}&secret={WRONG['wrong API secret']}"):
            transport = httpx2.ASGITransport(site.bridge, client=LOCAL)
            async with httpx2.AsyncClient(transport=transport, base_url=site.url, trust_env=False) as http:
                await http.get(path)
                await http.put(path)

    async def applications(self) -> None:
        """token.*, code.issued, consent.*: replayed, refused, revoked."""
        app, held = self.held.app, self.held
        spa = App(self.site, "spa")
        tokens = await spa.tokens(self.held.browser)
        rotated = (await spa.refresh(tokens["refresh_token"])).json()
        self.secrets |= {f"spa's {name}": tokens[name] for name in ("access_token", "refresh_token", "id_token")}
        self.secrets |= {f"spa's next {name}": rotated[name] for name in ("access_token", "refresh_token")}
        await spa.refresh(rotated["refresh_token"])
        await spa.refresh(tokens["refresh_token"])  # the grand-parent: a replay
        await app.redeem(held["code"])
        await app.redeem(held["code"])
        await app.redeem(WRONG["wrong code"])
        await app.refresh(WRONG["wrong token"])
        await app.userinfo(WRONG["wrong token"])
        for token in (held["access"], WRONG["wrong token"]):  # where whmcs-api §6.4 has it, and where it is refused
            for path in ("/oauth/userinfo.php", "/oauth/userinfo"):
                await app.http.get(path, params={"access_token": token})
                await app.http.put(path, params={"access_token": token})
        form = {"grant_type": "refresh_token", "refresh_token": held["refresh"]}
        await app.http.post("/oauth/token", data=form, auth=("notes", WRONG["wrong client secret"]))
        await app.http.post(
            "/oauth/token", data={**form, "client_id": "notes", "client_secret": WRONG["wrong client secret"]}
        )
        await app.http.post("/oauth/revoke", data={"token": held["refresh"]}, auth=("notes", CLIENT_SECRET))
        browser = self.held.browser
        await browser.open("/account")
        withdraw = next(form for form in browser.page.all("form") if form["action"] == "/account/apps")
        fields = {e["name"]: e.get("value") or "" for e in withdraw.all("input") if e.get("name")}
        clients = [e["value"] for e in withdraw.all("button") if e.get("name") == "client"]
        await browser.post("/account/apps", {**fields, **({"client": clients[0]} if clients else {})})

    async def devices(self) -> None:
        """device.*: a browser that stays signed in comes back, is copied, and is forgotten."""
        names = self.site.bridge.rooms.cookies.name
        browser, other = self.visit(self.site), self.visit(self.site)
        for each in (browser, other):
            await each.open("/login")
            await each.press("login-submit", email=ADA, password=PASSWORD, keep="1")
        copy = browser.copy()
        for turn in range(2):
            self.keep(f"device {turn}", browser)
            del browser.jar[names("op")]
            await browser.open("/login")
            await browser.press("login-resume")
        del copy.jar[names("op")]
        await copy.open("/login")
        self.keep("other device", other)
        del other.jar[names("op")], other.jar[names("app")]
        await other.open("/logout")
        await other.press("logout-confirm")

    async def farewell(self) -> None:
        """logout.delivered: what an app is told, which is a token too."""
        site, browser = self.site, self.visit(self.site)

        async def taken(_: str, fields: Sequence[tuple[str, str]]) -> Fetched:
            self.secrets["logout token"] = dict(fields)["logout_token"]
            return Fetched(200, {}, b"")

        self.monkeypatch.setattr(site.bridge.rooms.fetch, "post", taken)
        told = {"redirect_uris": ["https://told.example.net/cb"]}
        await site.client("told", {**told, "backchannel_logout_uri": "https://told.example.net/out"}, first_party=True)
        await browser.sign_in(ADA)
        asked = {"client_id": "told", "redirect_uri": told["redirect_uris"][0], "response_type": "code"}
        challenge = {"code_challenge": CHALLENGE, "code_challenge_method": "S256", "scope": "openid"}
        await browser.get(f"/oauth/authorize?{httpx2.QueryParams({**asked, **challenge})}")
        await browser.open("/logout")
        await browser.press("logout-confirm")
        await until(lambda: "logout.delivered" in self.site.told.kinds())

    async def passwords(self) -> None:
        """password.changed, reset.*, sign-up.*, email.refused, mail.*, sessions.ended-all, session.ended."""
        site, browser = self.site, self.visit(self.site)
        await browser.open(f"/reset/t/{WRONG['wrong link']}")
        await browser.open(f"/reset/t/{self.held['reset']}")
        late, new = browser.copy(), {"new_password": NEW_PASSWORD, "new_password_again": NEW_PASSWORD}
        late.last = browser.last
        await browser.press("new-password-submit", new_password=PASSWORD, new_password_again=WRONG["wrong password"])
        await browser.press("new-password-submit", **new)
        await late.press("new-password-submit", **new)
        await browser.open(f"/reset/t/{self.held['reset']}")
        for typed in (WRONG["wrong password"], "nobody@example.com"):
            site.bridge.rooms.resets.ask(typed, Visit("pages"))
        for typed in (WRONG["wrong password"], ADA, ADA):
            await browser.open("/signup")
            await browser.press("signup-submit", email=typed)
        await browser.sign_in(ADA, NEW_PASSWORD, path="/account")
        self.keep("after the reset", browser)
        change = {"new_password": PASSWORD + " 2", "new_password_again": PASSWORD + " 2"}
        await browser.press("change-password-submit", current_password=WRONG["wrong password"], **change)
        await browser.press("change-password-submit", current_password=NEW_PASSWORD, **change)
        self.keep("after the change", browser)
        await self.visit(site).sign_in(ADA, PASSWORD + " 2")
        for address in ("ada.first@example.com", "ada.second@example.com"):
            await browser.open("/account")
            await browser.press("change-email-submit", new_email=address)
        await browser.open("/account")
        await browser.press("end-others")
        await browser.open("/logout")
        await browser.press("logout-confirm")
        mailer = site.bridge._work._post._mailer

        async def refused(to: str, letter: Any, **_: object) -> None:
            raise Undeliverable(f"554 refused: {letter}")

        with self.monkeypatch.context() as patch:
            patch.setattr(mailer, "send", refused)
            site.bridge.rooms.resets.ask(LI, Visit("pages"))
            await until(lambda: "mail.failed" in self.site.told.kinds())
        site.bridge.rooms.resets.ask(LI, Visit("pages"))
        self.secrets["Li's link"] = link_in(await self.mailbox.next(LI)).rpartition("/")[2]

    async def machinery(self) -> None:
        """store.*, key.changed, audit.lost, and failures that nobody expected."""
        rooms, lost = self.site.bridge.rooms, [True]

        def regained(store: object, identity: str | None = None) -> None:
            lost[0] = False

        with self.monkeypatch.context() as patch:
            patch.setattr(SqliteStore, "lost", property(lambda _: lost[0]))
            patch.setattr(SqliteStore, "regained", regained)
            await rooms.reconciler.tick()
        async with rooms.database.begin() as tx:
            await tx.execute(delete(signing_keys))
        await rooms.keyring.ensure()

        def broken(*_: object, **__: object) -> None:
            raise KeyError("a bug, in the middle of everything")

        for room, verb in ((rooms.users, "authenticate"), (rooms.raw_store, "commit"), (rooms.database, "begin")):
            with self.monkeypatch.context() as patch:
                patch.setattr(room, verb, broken)
                await self.visit(self.site).sign_in(ADA, PASSWORD)
                await call(self.site, action="ValidateLogin", email=ADA, password2=PASSWORD)
                await self.held.app.refresh(self.held["refresh"])
        await rooms.audit.flush()
        with self.monkeypatch.context() as patch:
            patch.setattr(rooms.audit, "_options", replace(rooms.audit._options, audit_queue=1))
            for _ in range(3):
                rooms.events.tell("login.fail")
        await rooms.audit.flush()

    def keep(self, name: str, browser: Visitor) -> None:
        self.secrets |= {f"{name}: {cookie}": value for cookie, value in browser.jar.items()}


def commands(settings: Given, database: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Iterator[str]:
    """What the commands print: user.*, client.changed, credential.changed, role.changed."""
    given = {**SECRETS, **QUICK, **PRODUCTION, **settings, ("database", "url"): f"sqlite:///{database}"}
    plain = {path: value for path, value in given.items() if not isinstance(value, list)}
    for name, value in to_environment(plain).items():
        monkeypatch.setenv(name, value)
    for arguments, typed in (
        (["user", "add", "new@example.com", "--password-stdin", "--totp-secret-stdin"], f"{NEW_PASSWORD}\n{TOTP}\n"),
        (["user", "disable", "new@example.com"], ""),
        (["user", "enable", "new@example.com"], ""),
        (["user", "logout", "new@example.com"], ""),
        (["credential", "add", "second", "--secret-stdin", "--allow-action", "ValidateLogin"], f"{API_SECRET}x\n"),
        (["role", "add", "support", "--allow-action", "ValidateLogin"], ""),
        (["client", "add", "--name", "New", "--redirect-uri", "https://new.example/cb", "--public"], ""),
        (["client", "list"], ""),
        (["session", "why", "new@example.com"], ""),
        (["audit", "export", "--since", "1d"], ""),
        (["config", "show"], ""),
    ):
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        assert run(arguments) == 0, (arguments, capsys.readouterr())
        yield "".join(capsys.readouterr())


@pytest.fixture
async def scenario(site: Site, visit: Visiting, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> Scenario:
    """One that has everything in hand."""
    return Scenario(site, visit, mailbox, monkeypatch, await gather(site, visit, mailbox))


@pytest.fixture
def printed(
    settings: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[Path], list[str]]:
    """What the commands print, on a copy of that database."""

    def printing(database: Path) -> list[str]:
        copy = shutil.copy(database, tmp_path / "copy.db")
        return list(commands(settings, Path(copy), monkeypatch, capsys))

    return printing


async def test_no_secret_is_ever_shown(
    scenario: Scenario, recorder: Recorder, house: Furnished, printed: Callable[[Path], list[str]]
) -> None:
    site = scenario.site
    scenario.secrets |= {**scenario.held.tokens, **WRONG}
    scenario.secrets |= {"new password": NEW_PASSWORD, "TOTP secret": TOTP, "verifier": VERIFIER, "typed": API_SECRET}
    await scenario.sign_ins()
    await scenario.callers()
    await scenario.applications()
    await scenario.devices()
    await scenario.farewell()
    await scenario.passwords()
    await scenario.machinery()
    recorder.printed += await anyio.to_thread.run_sync(printed, house.file)
    await site.bridge.rooms.audit.flush()
    async with site.bridge.rooms.database.read() as tx:
        rows = [repr(row) for row in await tx.execute(select(audit))]
        hashes = [row.password_hash for row in await tx.execute(select(users)) if row.password_hash]
    scenario.secrets |= {f"hash {number}": hashed.rpartition("$")[2] for number, hashed in enumerate(hashes)}
    figures = await _figures(site)
    shown = {
        "log": recorder.log.getvalue(),
        "audit": "\n".join(rows),
        "figures": figures,
        "printed": "\n".join(recorder.printed),
        "error pages": "\n".join(body.decode("latin-1") for _, _, body in recorder.errors),
    }
    told = set(site.told.kinds()) | {kind for kind in told_somewhere() if f"'{kind}'" in shown["audit"]}
    told |= {kind for kind in told_somewhere() if kind in shown["printed"]}
    assert told_somewhere() - told == set()
    assert len(rows) > 60 and len(recorder.errors) > 20 and "login.blocked" in shown["log"]
    assert {status for _, status, _ in recorder.errors} >= {400, 401, 403, 405, 410, 422, 429, 500, 503}
    found = [
        (where, name) for where, text in shown.items() for name, secret in scenario.secrets.items()
        if any(spelt in text for spelt in _spellings(secret)) and not _may_be_shown(where, name)
    ]  # fmt: skip
    assert found == []
    assert '"logger":"sqlalchemy' not in shown["log"] and '"logger":"aiosqlite' not in shown["log"]


def _may_be_shown(where: str, name: str) -> bool:
    """A form that is shown again carries what the same form carried, to the browser that holds the other half."""
    return where == "error pages" and name.rsplit(": ", maxsplit=1)[-1] in (
        "csrf",
        "interaction",
        "pre",
        "__Host-lb_pre",
    )


def _spellings(secret: str) -> set[str]:
    return {secret, quote(secret), quote_plus(secret), secret.encode().hex()}


async def _figures(site: Site) -> str:
    transport = httpx2.ASGITransport(site.bridge, client=LOCAL)
    async with httpx2.AsyncClient(transport=transport, base_url=site.url, trust_env=False) as http:
        reply = await http.get("/metrics")
    assert reply.status_code == 200 and "bridge_events_total" in reply.text
    return reply.text
