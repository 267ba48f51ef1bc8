"""Everything that a bridge gives away, once each: what an attacker might hold, and where he might show it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2

from bridge.login.relying_party import RelyingParty
from bridge.types import Visit
from tests.authenticator import Authenticator
from tests.flows.elsewhere import BEGUN, SESSION, traveller
from tests.flows.mailbox import Mailbox, link_in
from tests.flows.oauth import App
from tests.flows.visitor import Form, Visitor
from tests.oidc.signing import claims_of, key, public, sign
from tests.running import ADA, API_SECRET, CLIENT_SECRET, IDENTIFIER, PASSWORD, SHOP, TOM, Site, code

Visiting = Callable[[Site], Visitor]
FORM = {"content-type": "application/x-www-form-urlencoded"}
NEW_APP = {"redirect_uris": ["https://new.example/cb"], "client_name": "New"}
LOCAL = ("127.0.0.1", 40_000)


@dataclass
class Holdings:
    """What was given away by `gather`, by its kind; `browser` is Ada's, `tom` is one that owes a code."""

    site: Site
    browser: Visitor
    tom: Visitor
    tablet: Visitor
    stranger: Visitor
    app: App
    tokens: dict[str, str] = field(default_factory=dict)

    managed: str = ""
    """The app that registered itself."""
    guest: Form = field(default_factory=lambda: Form("", {}))
    """Where a passkey signs in, in a browser that nobody has signed in with: `stranger`."""
    adding: Form = field(default_factory=lambda: Form("", {}))
    """Where Ada adds a passkey, in `tablet`."""
    setup: Form = field(default_factory=lambda: Form("", {}))
    """Where Ada sets up a new authenticator app, whose secret is a token too, in another browser of hers: `tablet`."""

    def __getitem__(self, kind: str) -> str:
        return self.tokens[kind]


async def gather(site: Site, visit: Visiting, mailbox: Mailbox) -> Holdings:
    """One of each kind, alive: Ada's, but for `pending`, which is Tom's, and `own`, which is the robot's."""
    browser, tom, tablet, stranger, app = visit(site), visit(site), visit(site), visit(site), App(site)
    held = Holdings(site, browser, tom, tablet, stranger, app)
    held.tokens |= {"password": PASSWORD, "api-secret": API_SECRET, "client-secret": CLIENT_SECRET}
    await browser.open("/login")
    await browser.press("login-submit", email=ADA, password=PASSWORD, keep="1")
    await tablet.sign_in(ADA)
    await tablet.open("/account/totp")
    held.setup = tablet.form("totp-submit")
    held.tokens["totp-offer"] = held.setup.fields["offer"]
    held.tokens["totp-secret"] = tablet.page.one("code", id="totp-secret").text.replace(" ", "")
    held.tokens["recovery-code"] = await _recovery_code(site)
    await tablet.open("/account/passkeys")
    held.adding = tablet.form("passkey-submit")
    held.tokens["passkey-made"] = Authenticator(site.url).make(asked(tablet))
    passkey = await _passkey(site)
    await stranger.open("/login")
    held.guest = stranger.form("passkey-submit")
    held.tokens["passkey-signed"] = passkey.sign(asked(stranger))
    held.tokens |= await _of_apps(site, browser, app)
    held.managed, more = await _registered(site, app)
    held.tokens |= more
    await browser.open(app.request(prompt="login"))
    held.tokens["interaction"] = browser.query["interaction"]
    held.tokens["csrf"] = browser.form("login-submit").fields["csrf"]
    names = site.bridge.rooms.cookies.name
    held.tokens |= {kind: browser.jar[names(kind)] for kind in ("op", "app", "pre", "known", "dev")}
    held.tokens |= await _elsewhere(site, browser)
    held.tokens["legacy"] = await validate_login(site)
    held.tokens["sso"] = await _sso(site, visit)
    held.tokens["link"] = await _link(site)
    site.bridge.rooms.resets.ask(ADA, Visit("pages"))
    held.tokens["reset"] = link_in(await mailbox.next(ADA)).rpartition("/")[2]
    held.tokens["signup"] = await _sign_up(site)
    await tom.sign_in(TOM)
    held.tokens["pending"] = tom.jar[names("pending")]
    return held


async def _of_apps(site: Site, browser: Visitor, app: App) -> dict[str, str]:
    tokens = await app.tokens(browser, "openid offline_access")
    await browser.get(app.request("openid offline_access"))
    robot = {"client_name": "Robot", "grant_types": ["client_credentials"], "response_types": []}
    secret = (await site.client("robot", robot)).secret
    guard = {"client_name": "Guard", "grant_types": [], "response_types": [], "resource_server": True}
    guards = (await site.client("guard", guard)).secret
    assert secret is not None and guards is not None
    signer = {"token_endpoint_auth_method": "private_key_jwt", "jwks": public(key("ES256"))}
    await site.client("signer", {"grant_types": ["client_credentials"], "response_types": [], **signer})
    said = claims_of("signer", time.time(), aud=site.url, exp=int(time.time()) + 3_000)
    own = await app.http.post(
        "/oauth/token", data={"grant_type": "client_credentials"}, auth=("robot", secret.reveal())
    )
    return {
        "access": tokens["access_token"],
        "refresh": tokens["refresh_token"],
        "id_token": tokens["id_token"],
        "code": app.answer(browser)["code"],
        "own": own.json()["access_token"],
        "robot-secret": secret.reveal(),
        "guard-secret": guards.reveal(),
        "assertion": sign(said, key("ES256"), "ES256"),
    }


async def _registered(site: Site, app: App) -> tuple[str, dict[str, str]]:
    """The id of an app that registered itself; what registers apps, and what manages this one."""
    made = await site.bridge.rooms.registrations.invite("them", uses=None)
    assert made is not None and made.token is not None
    initial = made.token.reveal()
    reply = await app.http.post("/oauth/register", json=NEW_APP, headers={"authorization": f"Bearer {initial}"})
    assert reply.status_code == 201, reply.text
    app_of = reply.json()
    return app_of["client_id"], {
        "initial": initial,
        "managing": app_of["registration_access_token"],
        "registered-secret": app_of["client_secret"],
    }


async def _elsewhere(site: Site, browser: Visitor) -> dict[str, str]:
    """What the browser was given for the shop, and what it holds there."""
    async with traveller(site) as ada:
        ada.here.jar = dict(browser.jar)
        await ada.set_out()
        await ada.here.press("continue-as")
        return {"ticket": ada.ticket, "begun": ada.there.jar[BEGUN]}


async def bring(site: Site, ticket: str, begun: str) -> str | None:
    """The form is sent to the shop; what it is given there."""
    async with traveller(site) as somebody:
        somebody.there.jar = {BEGUN: begun}
        await somebody.bring(ticket)
        return somebody.there.jar.get(SESSION)


async def redeem(site: Site, ticket: str, begun: str) -> httpx2.Response:
    """The same by a satellite."""
    return await _api(site, "redeem", {"ticket": ticket, "origin": SHOP, "binding": begun})


def asked(browser: Visitor) -> str:
    """What the page asks of an authenticator, by a script."""
    (options,) = [form["data-passkey"] for form in browser.page.all("form") if form.get("data-passkey")]
    return options


async def _passkey(site: Site) -> Authenticator:
    """An authenticator with a passkey of Tom's."""
    rooms, tom, device, challenge = site.bridge.rooms, await site.user(TOM), Authenticator(site.url), b"c" * 60
    party = RelyingParty.at(site.url, "Acme")
    assert party is not None
    new = party.registered(device.make(party.creation(tom, challenge, ())), challenge)
    assert new is not None
    made = await rooms.ledger.do(Visit("command"), lambda deed: rooms.factors.add_passkey(deed, tom.id, new, "key"))
    assert made is not None
    return device


async def _recovery_code(site: Site) -> str:
    """One of Tom's."""
    rooms, tom = site.bridge.rooms, await site.user(TOM)
    changed = await rooms.ledger.do(Visit("command"), lambda deed: rooms.factors.renew_codes(deed, tom.id))
    assert changed is not None
    return changed.codes[0].reveal()


async def _sso(site: Site, visit: Visiting) -> str:
    """What a browser is given that follows a link."""
    browser = visit(site)
    await browser.get(f"/oauth/singlesignon.php?access_token={await _link(site)}")
    return browser.jar[site.bridge.rooms.cookies.name("app")]


async def _sign_up(site: Site) -> str:
    """What is mailed to somebody who has no account yet."""
    rooms = site.bridge.rooms
    async with rooms.database.begin() as tx:
        number = await rooms.sign_ups.ask(tx, "nora@example.com", binding="another browser", interaction=None)
    waiting = await rooms.sign_ups.token_of(number)
    assert waiting is not None
    return waiting[1].reveal()


async def _link(site: Site) -> str:
    """What a portal is given for Ada, who has not followed it yet."""
    said = await site.bridge.local_api("CreateSsoToken", {"user_id": (await site.user(ADA)).id})
    return str(said["access_token"])


async def validate_login(site: Site, email: str = ADA, password: str = PASSWORD) -> str:
    """A new `passwordhash`."""
    reply = await call(site, action="ValidateLogin", email=email, password2=password)
    return str(reply.json()["passwordhash"])


async def call(site: Site, *, secret: str = API_SECRET, **form: str) -> httpx2.Response:
    """A call of the legacy API, from an allowed address."""
    transport = httpx2.ASGITransport(site.bridge, client=LOCAL)
    async with httpx2.AsyncClient(transport=transport, base_url=site.url, trust_env=False) as http:
        form = {"identifier": IDENTIFIER, "secret": secret, "responsetype": "json", **form}
        return await http.post("/includes/api.php", data=form)


async def touch(site: Site, token: str, *, secret: str = API_SECRET) -> httpx2.Response:
    """A satellite says that the session was used."""
    return await _api(site, "touch", {"token": token}, secret=secret)


async def _api(site: Site, name: str, body: dict[str, str], *, secret: str = API_SECRET) -> httpx2.Response:
    transport = httpx2.ASGITransport(site.bridge, client=LOCAL)
    async with httpx2.AsyncClient(transport=transport, base_url=site.url, trust_env=False) as http:
        return await http.post(f"/api/v1/sessions/{name}", json=body, auth=(IDENTIFIER, secret))


def scope_with(
    *, cookies: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None, **more: Any
) -> dict[str, Any]:
    """A request to an app behind the middleware."""
    sent = dict(headers or {})
    if cookies:
        sent["cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return {
        "type": "http",
        "method": "GET",
        "path": "/",
        "root_path": "",
        "query_string": b"",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in sent.items()],
        "client": ("203.0.113.9", 1),
        **more,
    }


def toms_code() -> str:
    """What Tom's authenticator shows."""
    return code()
