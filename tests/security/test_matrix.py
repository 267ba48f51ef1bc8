"""A token works in its own place only: every kind × every consumer — security §1, §2, §13."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx2

from bridge.login.totp import step_of
from bridge.secret import Secret
from tests.flows.mailbox import Mailbox
from tests.flows.oauth import App
from tests.flows.visitor import Visitor
from tests.oidc.signing import ASSERTION
from tests.running import ADA, PASSWORD, PUBLIC_URL, TOM, Site, code
from tests.security.holdings import (
    NEW_APP,
    Holdings,
    Visiting,
    bring,
    call,
    gather,
    redeem,
    scope_with,
    toms_code,
    touch,
)

SESSIONS = {"app", "legacy", "sso"}
RIGHT: dict[str, set[str]] = {
    "issuer-cookie": {"op"},
    "authorize": {"op"},
    "app-cookie": SESSIONS,
    "bearer": SESSIONS,
    "host-session": {"legacy"},
    "touch": SESSIONS,
    "ticket-at-the-shop": {"ticket"},
    "ticket-by-a-satellite": {"ticket"},
    "singlesignon": {"link"},
    "introspection": {"access", "refresh"},
    "robots-introspection": {"own"},
    "guards-introspection": {"access", "own"},
    "userinfo": {"access"},
    "userinfo-query": set(),
    "userinfo-php": {"access"},
    "userinfo-php-form": {"access"},
    "userinfo-php-query": {"access"},
    "authorize-php": {"op"},
    "as-code-php": {"code"},
    "as-refresh-php": {"refresh"},
    "client-secret-php": {"client-secret"},
    "interaction-php": {"interaction"},
    "revocation": {"access", "refresh"},
    "robots-revocation": {"own"},
    "registration": {"initial"},
    "registration-management": {"managing"},
    "as-code": {"code"},
    "as-refresh": {"refresh"},
    "pending-cookie": {"pending"},
    "recovery-step": {"recovery-code"},
    "totp-setup": {"totp-offer"},
    "passkey-sign-in": {"passkey-signed"},
    "passkey-setup": {"passkey-made"},
    "authenticator": {"totp-secret"},
    "reset-link": {"reset"},
    "reset-cookie": {"reset"},
    "sign-up-link": {"signup"},
    "sign-up-cookie": {"signup"},
    "id_token_hint": {"id_token"},
    "interaction": {"interaction"},
    "form": {"csrf"},
    "known-device": {"known"},
    "device-offer": {"dev"},
    "device-resume": {"dev"},
    "password": {"password"},
    "legacy-password": {"password"},
    "legacy-secret": {"api-secret"},
    "api-secret": {"api-secret"},
    "client-secret": {"client-secret"},
    "robots-secret": {"robot-secret"},
    "registered-apps-secret": {"registered-secret"},
    "guards-secret": {"guard-secret"},
    "client-assertion": {"assertion"},
}
"""Consumer → the kinds it takes.  `pre` and the other bindings open nothing anywhere."""


@dataclass
class Counter:
    """Where tokens are shown."""

    held: Holdings
    visit: Visiting

    @property
    def site(self) -> Site:
        return self.held.site

    def browser(self, **cookies: str) -> Visitor:
        """One with nothing but these cookies."""
        browser = self.visit(self.site)
        names = self.site.bridge.rooms.cookies.name
        browser.jar = {names(kind): value for kind, value in cookies.items()}  # type: ignore[arg-type]
        return browser

    async def takes(self, consumer: str, kind: str) -> bool:
        """Whether that consumer takes what we hold of that kind for what it expects."""
        show: Callable[[str], Awaitable[bool]] = getattr(self, consumer.replace("-", "_"))
        return await show(self.held[kind])

    async def issuer_cookie(self, token: str) -> bool:
        reply = await self.browser(op=token).get("/account")
        return reply.status_code == 200 and "Ada Lovelace" in reply.text

    async def authorize(self, token: str) -> bool:
        browser = self.browser(op=token)
        await browser.get(self.held.app.request(prompt="none"))
        return "code" in self.held.app.answer(browser)

    async def authorize_php(self, token: str) -> bool:
        browser = self.browser(op=token)
        await browser.get(self.held.app.request(prompt="none").replace("/authorize?", "/authorize.php?"))
        return "code" in self.held.app.answer(browser)

    async def app_cookie(self, token: str) -> bool:
        name = self.site.bridge.rooms.cookies.name("app")
        return await self._known(cookies={name: token})

    async def bearer(self, token: str) -> bool:
        return await self._known(headers={"authorization": f"Bearer {token}"})

    async def host_session(self, token: str) -> bool:
        return await self._known(session={"login_auth_tk": token})

    async def touch(self, token: str) -> bool:
        reply = await touch(self.site, token)
        assert reply.status_code == 200
        return bool(reply.json()["result"] != "dead")

    async def ticket_at_the_shop(self, token: str) -> bool:
        return await bring(self.site, token, self.held["begun"]) is not None

    async def ticket_by_a_satellite(self, token: str) -> bool:
        reply = await redeem(self.site, token, self.held["begun"])
        assert reply.status_code == 200
        return bool(reply.json()["result"] == "redeemed")

    async def singlesignon(self, token: str) -> bool:
        browser = self.browser()
        await browser.get(f"/oauth/singlesignon.php?{httpx2.QueryParams(access_token=token)}")
        return self.site.bridge.rooms.cookies.name("app") in browser.jar

    async def userinfo(self, token: str) -> bool:
        return (await self.held.app.userinfo(token)).status_code == 200

    async def userinfo_query(self, token: str) -> bool:
        return await self._told("GET", "/oauth/userinfo", params={"access_token": token})

    async def userinfo_php(self, token: str) -> bool:
        return await self._told("GET", "/oauth/userinfo.php", headers={"authorization": f"Bearer {token}"})

    async def userinfo_php_form(self, token: str) -> bool:
        return await self._told("POST", "/oauth/userinfo.php", data={"access_token": token})

    async def userinfo_php_query(self, token: str) -> bool:
        return await self._told("GET", "/oauth/userinfo.php", params={"access_token": token})

    async def revocation(self, token: str) -> bool:
        return await self._revoked(token, ("notes", self.held["client-secret"]))

    async def robots_revocation(self, token: str) -> bool:
        return await self._revoked(token, ("robot", self.held["robot-secret"]))

    async def introspection(self, token: str) -> bool:
        return await self._active(token, ("notes", self.held["client-secret"]))

    async def robots_introspection(self, token: str) -> bool:
        return await self._active(token, ("robot", self.held["robot-secret"]))

    async def guards_introspection(self, token: str) -> bool:
        return await self._active(token, ("guard", self.held["guard-secret"]))

    async def registration(self, token: str) -> bool:
        reply = await self.held.app.http.post("/oauth/register", json=NEW_APP, headers=_bearer(token))
        assert reply.status_code in (201, 401)
        return reply.status_code == 201

    async def registration_management(self, token: str) -> bool:
        path = f"/oauth/register?{httpx2.QueryParams(client_id=self.held.managed)}"
        reply = await self.held.app.http.get(path, headers=_bearer(token))
        assert reply.status_code in (200, 401)
        return reply.status_code == 200

    async def registered_apps_secret(self, token: str) -> bool:
        return await self._authenticates(self.held.managed, token)

    async def as_code(self, token: str) -> bool:
        return (await self.held.app.redeem(token)).status_code == 200

    async def as_refresh(self, token: str) -> bool:
        return (await self.held.app.refresh(token)).status_code == 200

    async def as_code_php(self, token: str) -> bool:
        app = App(self.site, token_path="/oauth/token.php")
        return (await app.redeem(token)).status_code == 200

    async def as_refresh_php(self, token: str) -> bool:
        app = App(self.site, token_path="/oauth/token.php")
        return (await app.refresh(token)).status_code == 200

    async def pending_cookie(self, token: str) -> bool:
        browser = self.browser(pending=token)
        await browser.open("/login/code")
        if not browser.at.startswith("/login/code"):
            return False
        await browser.press_only("second-factor-submit", code=toms_code())
        return self.site.bridge.rooms.cookies.name("op") in browser.jar

    async def recovery_step(self, token: str) -> bool:
        browser = self.browser()
        await browser.sign_in(TOM)
        await browser.open("/login/code?way=recovery-code")
        await browser.press_only("second-factor-submit", recovery_code=token)
        return self.site.bridge.rooms.cookies.name("op") in browser.jar

    async def totp_setup(self, token: str) -> bool:
        form = self.held.setup
        shown = code(self.held["totp-secret"])
        reply = await self.held.tablet.copy().post(form.action, {**form.fields, "offer": token, "code": shown})
        return "recovery codes now" in reply.text

    async def passkey_sign_in(self, token: str) -> bool:
        form, browser = self.held.guest, self.held.stranger.copy()
        await browser.post(form.action, {**form.fields, "passkey": token})
        return self.site.bridge.rooms.cookies.name("op") in browser.jar

    async def passkey_setup(self, token: str) -> bool:
        form = self.held.adding
        reply = await self.held.tablet.copy().post(form.action, {**form.fields, "passkey": token})
        return "recovery codes now" in reply.text

    async def authenticator(self, token: str) -> bool:
        """Whether its codes are those of the app that is being set up."""
        secret = Secret(self.held["totp-secret"])
        now = time.time()
        return step_of(Secret(token), code(secret.reveal(), at=now), now=now, skew=0) is not None

    async def reset_link(self, token: str) -> bool:
        reply = await self.browser().get(f"/reset/t/{token}")
        return reply.status_code == 303

    async def reset_cookie(self, token: str) -> bool:
        return (await self.browser(reset=token).get("/reset/new")).status_code == 200

    async def sign_up_link(self, token: str) -> bool:
        return (await self.browser().get(f"/signup/t/{token}")).status_code == 303

    async def sign_up_cookie(self, token: str) -> bool:
        return (await self.browser(signup=token).get("/signup/finish")).status_code == 200

    async def id_token_hint(self, token: str) -> bool:
        reply = await self.browser().request("GET", f"/oauth/logout?{httpx2.QueryParams(id_token_hint=token)}")
        return reply.status_code == 303

    async def interaction(self, token: str) -> bool:
        return await self._resumed("/oauth/authorize", token)

    async def interaction_php(self, token: str) -> bool:
        return await self._resumed("/oauth/authorize.php", token)

    async def form(self, token: str) -> bool:
        browser = self.held.browser.copy()
        where = self.held["interaction"]
        await browser.post("/login", {"csrf": token, "interaction": where, "email": ADA, "password": PASSWORD})
        return browser.reply.status_code != 403

    async def known_device(self, token: str) -> bool:
        return self.site.bridge.rooms.devices.device(token, ADA) is not None

    async def device_offer(self, token: str) -> bool:
        browser = self.browser(dev=token)
        await browser.open("/login")
        return "login-resume" in browser.page.ids()

    async def device_resume(self, token: str) -> bool:
        browser = self.browser()
        await browser.open("/login")
        browser.jar[self.site.bridge.rooms.cookies.name("dev")] = token
        form = browser.form("login-submit")
        await browser.post(form.action, {**form.fields, "answer": "resume"})
        return self.site.bridge.rooms.cookies.name("op") in browser.jar

    async def password(self, token: str) -> bool:
        browser = self.browser()
        await browser.sign_in(ADA, token)
        return self.site.bridge.rooms.cookies.name("op") in browser.jar

    async def legacy_password(self, token: str) -> bool:
        reply = await call(self.site, action="ValidateLogin", email=ADA, password2=token)
        return bool(reply.json()["result"] == "success")

    async def legacy_secret(self, token: str) -> bool:
        return (await call(self.site, action="WhmcsDetails", secret=token)).status_code == 200

    async def api_secret(self, token: str) -> bool:
        return (await touch(self.site, "x", secret=token)).status_code == 200

    async def client_secret(self, token: str) -> bool:
        return await self._authenticates("notes", token)

    async def client_secret_php(self, token: str) -> bool:
        return await self._authenticates("notes", token, "/oauth/token.php")

    async def robots_secret(self, token: str) -> bool:
        return await self._authenticates("robot", token)

    async def client_assertion(self, token: str) -> bool:
        form = {"grant_type": "refresh_token", "client_assertion_type": ASSERTION, "client_assertion": token}
        reply = await self.held.app.http.post("/oauth/token", data={**form, "refresh_token": "x"})
        return bool(reply.json()["error"] != "invalid_client")

    async def guards_secret(self, token: str) -> bool:
        return await self._authenticates("guard", token)

    async def _known(self, **request: object) -> bool:
        return (await self.site.bridge.who(scope_with(**request))).alive is not None  # type: ignore[arg-type]

    async def _told(self, method: str, path: str, **shown: Any) -> bool:
        return (await self.held.app.http.request(method, path, **shown)).status_code == 200

    async def _resumed(self, path: str, interaction: str) -> bool:
        browser = self.browser(pre=self.held["pre"])
        return (await browser.get(f"{path}?{httpx2.QueryParams(interaction=interaction)}")).status_code == 303

    async def _revoked(self, token: str, auth: tuple[str, str]) -> bool:
        endings = self.site.bridge.rooms.endings
        before = len((await endings.recent(None)).families)
        reply = await self.held.app.http.post("/oauth/revoke", data={"token": token}, auth=auth)
        assert reply.status_code == 200 and reply.content == b""
        return len((await endings.recent(None)).families) > before

    async def _active(self, token: str, auth: tuple[str, str]) -> bool:
        reply = await self.held.app.http.post("/oauth/introspect", data={"token": token}, auth=auth)
        assert reply.status_code == 200
        said = reply.json()
        assert said["active"] or said == {"active": False}
        return bool(said["active"])

    async def _authenticates(self, client: str, secret: str, path: str = "/oauth/token") -> bool:
        form = {"grant_type": "refresh_token", "refresh_token": "x"}
        reply = await self.held.app.http.post(path, data=form, auth=(client, secret))
        return bool(reply.json()["error"] != "invalid_client")


def _bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def test_each_is_good_in_its_own_place_alone(site: Site, visit: Visiting, mailbox: Mailbox) -> None:
    """Off the diagonal nothing succeeds; on it all do, also after each was shown in every wrong place, which used none
    of them up."""
    held = await gather(site, visit, mailbox)
    counter = Counter(held, visit)
    wrong = [(consumer, kind) for consumer, right in RIGHT.items() for kind in held.tokens if kind not in right]
    assert len(wrong) > 400
    assert [pair for pair in wrong if await counter.takes(*pair)] == []
    # A revocation ends the whole family, an answered form the visit, and a new second factor every session.
    last = ["revocation", "interaction", "form", "totp-setup"]
    # Of the same family, used already, or of a session that another one ends.
    once = {
        ("passkey-setup", "passkey-made"),
        ("revocation", "refresh"),
        ("ticket-by-a-satellite", "ticket"),
        ("as-code-php", "code"),
    }
    for consumer in sorted(RIGHT, key=lambda name: last.index(name) if name in last else -1):
        for kind in sorted(RIGHT[consumer]):
            if (consumer, kind) not in once:
                assert await counter.takes(consumer, kind), (consumer, kind)


async def test_a_refresh_token_is_revoked_too(site: Site, visit: Visiting, mailbox: Mailbox) -> None:
    held = await gather(site, visit, mailbox)
    assert await Counter(held, visit).takes("revocation", "refresh")


async def test_what_an_authenticator_made_is_added_too(site: Site, visit: Visiting, mailbox: Mailbox) -> None:
    held = await gather(site, visit, mailbox)
    assert await Counter(held, visit).takes("passkey-setup", "passkey-made")


async def test_a_code_is_good_at_the_other_address_too(site: Site, visit: Visiting, mailbox: Mailbox) -> None:
    held = await gather(site, visit, mailbox)
    assert await Counter(held, visit).takes("as-code-php", "code")


async def test_a_satellite_redeems_a_ticket_too(site: Site, visit: Visiting, mailbox: Mailbox) -> None:
    held = await gather(site, visit, mailbox)
    assert await Counter(held, visit).takes("ticket-by-a-satellite", "ticket")


async def test_a_ticket_is_nothing_without_what_the_browser_holds(
    site: Site, visit: Visiting, mailbox: Mailbox
) -> None:
    held = await gather(site, visit, mailbox)
    for kind in held.tokens.keys() - {"begun"}:
        assert await bring(site, held["ticket"], held[kind]) is None, kind
        assert (await redeem(site, held["ticket"], held[kind])).json()["reason"] == "other-browser"
    assert await bring(site, held["ticket"], held["begun"]) is not None


async def test_every_kind_is_right_somewhere_or_binds_only(site: Site, visit: Visiting, mailbox: Mailbox) -> None:
    held = await gather(site, visit, mailbox)
    assert held.tokens.keys() - set().union(*RIGHT.values()) == {"pre", "begun"}
    assert len(set(held.tokens.values())) == len(held.tokens)


async def test_two_sources_at_once_are_nobody(site: Site, visit: Visiting, mailbox: Mailbox) -> None:
    """§13."""
    held = await gather(site, visit, mailbox)
    name = site.bridge.rooms.cookies.name("app")
    both = scope_with(cookies={name: held["app"]}, headers={"authorization": f"Bearer {held['legacy']}"})
    assert (await site.bridge.who(both)).alive is None
    same = scope_with(cookies={name: held["app"]}, headers={"authorization": f"Bearer {held['app']}"})
    assert (await site.bridge.who(same)).alive is not None
    twice = scope_with(headers={"cookie": f"{name}={held['app']}; {name}={held['app']}"})
    assert (await site.bridge.who(twice)).alive is None
    assert "session.refused" in site.told.kinds()


async def test_a_legacy_token_opens_no_page_and_no_app(site: Site, visit: Visiting, mailbox: Mailbox) -> None:
    """§2: a leaked portal must not be able to sign in anywhere."""
    held = await gather(site, visit, mailbox)
    counter = Counter(held, visit)
    for kind in SESSIONS:
        assert not await counter.issuer_cookie(held[kind])
        browser = counter.browser(op=held[kind])
        await browser.get(held.app.request(prompt="none"))
        assert App(site).answer(browser)["error"] == "login_required"
    assert site.url == PUBLIC_URL
