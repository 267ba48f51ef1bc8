"""A whole provider on real rooms: users, clients, keys and consents in SQLite, sessions and tokens in any store."""

import base64
import hashlib
import html
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx2

from bridge.accounts.accounts import Accounts
from bridge.accounts.cached import CachedAccounts
from bridge.accounts.members import Members
from bridge.accounts.options import AccountOptions
from bridge.asgi import Proxies, Receive, Reply, Scope, Send
from bridge.clients.clients import Clients
from bridge.clients.metadata import OFFERED, Offered
from bridge.clients.redirects import place_of
from bridge.clients.registrations import Registrations
from bridge.database.consents import ConsentRows
from bridge.database.database import Database
from bridge.database.endings import Endings
from bridge.database.versions import VersionTable
from bridge.events.audit import AuditLog
from bridge.events.event import Event, Events
from bridge.events.ledger import Ledger
from bridge.events.options import EventsOptions
from bridge.fetch.answers import Fetched, NotFetched
from bridge.grants.consents import Consents
from bridge.grants.families import Families
from bridge.grants.options import GrantOptions
from bridge.grants.unclaimed import Unclaimed
from bridge.grants.wrap import Wrap
from bridge.interactions.arrivals import HOUR, Arrivals
from bridge.interactions.interactions import Interactions
from bridge.keys.keyring import Keyring
from bridge.mint import TokenMint
from bridge.oidc.client_keys import ClientKeys
from bridge.oidc.issue import Issuing
from bridge.oidc.options import OidcOptions
from bridge.oidc.provider import Provider
from bridge.oidc.registration import RegistrationEndpoint, Who
from bridge.oidc.response_modes import offer_of
from bridge.oidc.sector import check_sector
from bridge.ring import Ring
from bridge.secret import Secret
from bridge.sessions.birth import Birth, Born
from bridge.sessions.cookie import Cookies
from bridge.sessions.options import SessionOptions
from bridge.sessions.record import RecordCodec
from bridge.sessions.sessions import Sessions
from bridge.sessions.stamp import draw_stamp
from bridge.stores.guard import MemoryGuard
from bridge.stores.store import Store
from bridge.stores.versions import Versions
from bridge.testing.hands import Hands
from bridge.tokens import Names, Slots
from bridge.types import ClientId, Visit
from bridge.users.cached import CachedUsers
from bridge.users.options import UserOptions
from bridge.users.passwords import Passwords
from bridge.users.sql import SqlUsers
from bridge.users.upkeep import UserUpkeep
from bridge.users.user import User

ISSUER = "https://login.example"
CALLBACK = "https://shop.example/cb"
RING = Ring.parse(Ring.new_line("k1"))
SLOT_KEY = Secret(secrets.token_bytes(32))
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")

ALL_GRANTS = ["authorization_code", "refresh_token", "client_credentials"]
CLIENTS: dict[str, dict[str, Any]] = {
    "shop": {
        "redirect_uris": [CALLBACK],
        "grant_types": ALL_GRANTS,
        "post_logout_redirect_uris": ["https://shop.example/bye"],
    },
    "es": {"redirect_uris": [CALLBACK], "grant_types": ALL_GRANTS, "id_token_signed_response_alg": "ES256"},
    "post": {"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "client_secret_post"},
    "phone": {
        "redirect_uris": ["com.example.phone:/cb", "http://127.0.0.1/cb", "http://[::1]/cb", "http://localhost/cb"],
        "application_type": "native",
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
    },
    "spa": {"redirect_uris": ["https://spa.example/cb?x=1"], "token_endpoint_auth_method": "none"},
    "panel": {"redirect_uris": ["https://panel.example/cb"], "scope": "openid clients"},
    "two": {"redirect_uris": ["https://two.example/a", "https://two.example/b"]},
    "ours": {"redirect_uris": ["https://ours.example/cb"], "grant_types": ALL_GRANTS},
    "robot": {
        "grant_types": ["client_credentials"],
        "response_types": [],
        "scope": "reports:read reports:write openid",
    },
    "front": {
        "redirect_uris": ["https://front.example/cb"],
        "grant_types": [*ALL_GRANTS, "implicit"],
        "response_types": ["code", "id_token", "token id_token", "code id_token", "token code", "code id_token token"],
    },
    "page": {
        "redirect_uris": ["https://page.example/cb?x=1"],
        "token_endpoint_auth_method": "none",
        "grant_types": ["implicit"],
        "response_types": ["id_token token"],
        "id_token_signed_response_alg": "ES256",
    },
    "imported": {"redirect_uris": ["https://old.example/cb"]},
}
EVERY_FLOW = OidcOptions(implicit=True, hybrid=True, visits_per_minute=1_000_000)


@dataclass
class Told:
    """Hears every event."""

    events: list[Event]

    def hear(self, event: Event) -> None:
        self.events.append(event)


class Web:
    """What lies at addresses that clients name."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes | Fetched] = {}
        self.asked: list[str] = []

    async def get(self, url: str, *, accept: str = "") -> Fetched | NotFetched:
        self.asked.append(url)
        found = self.pages.get(url)
        if found is None:
            return NotFetched("unreachable")
        return found if isinstance(found, Fetched) else Fetched(200, {}, found)


class PlainPages:
    """Pages without any beauty: what they were told, as text."""

    def render_error(
        self, scope: Scope, *, status: int, text: str, parameter: str, retry_after: int | None = None
    ) -> Reply:
        later = ((b"retry-after", str(retry_after).encode()),) if retry_after is not None else ()
        return Reply(status, f"{parameter}: {text}".encode(), b"text/html", later)

    def form_post(self, scope: Scope, *, target: str, app_name: str, fields: Sequence[tuple[str, str]]) -> Reply:
        inputs = "".join(f'<input name="{html.escape(k)}" value="{html.escape(v)}">' for k, v in fields)
        return Reply(200, f'<form action="{html.escape(target)}">{inputs}</form>'.encode(), b"text/html")

    def offer_error(self, scope: Scope, *, text: str, target: str, fields: Sequence[tuple[str, str]]) -> Reply:
        inputs = "".join(f'<input name="{html.escape(k)}" value="{html.escape(v)}">' for k, v in fields)
        return Reply(400, f'{text} <a href="{html.escape(target)}">{inputs}</a>'.encode(), b"text/html")


class World:
    """One worker of one installation."""

    def __init__(
        self,
        db: Database,
        store: Store,
        clock: Hands,
        *,
        grants: GrantOptions | None = None,
        keyring: Keyring | None = None,
        registration: Who | None = None,
        oidc: OidcOptions | None = None,
    ) -> None:
        self.db, self.store, self.clock = db, store, clock
        self.names, self.slots = Names(ISSUER), Slots(SLOT_KEY)
        self.names.prefix = f"lb:{secrets.token_hex(4)}:"  # many worlds share one Redis
        self.told = Told([])
        self.events = Events(clock, self.told)
        self.endings = Endings(db, clock)
        # What was read of them is believed for a second, which does not pass here.
        self.versions = Versions(store, self.names, VersionTable(db), monotonic=lambda: 0.0)
        self.session_options = SessionOptions()
        self.users = SqlUsers(
            db=db,
            passwords=Passwords(UserOptions(argon2_memory=64, argon2_passes=1)),
            ring=RING,
            slots=self.slots,
            clock=clock,
            chance=secrets.token_bytes,
            draw_stamp=draw_stamp,
            versions=self.versions,
        )
        self.sessions = Sessions(
            store=store,
            names=self.names,
            codec=RecordCodec(RING.subkeys("record-mac"), ISSUER),
            truth=self.endings,
            clock=clock,
            chance=secrets.token_bytes,
            options=self.session_options,
            events=self.events,
        )
        options = oidc or OidcOptions()
        offer = offer_of(options)
        offered = Offered(grant_types=OFFERED.grant_types | {*offer.grant_types}, response_types=frozenset(offer.types))
        self.clients = Clients(db=db, ring=RING, versions=self.versions, clock=clock, offered=offered)
        self.keyring = keyring or Keyring(db=db, ring=RING, clock=clock, events=self.events)
        self.families = Families(store=store, names=self.names, truth=self.endings, clock=clock)
        self.consents = Consents(store=store, names=self.names, rows=ConsentRows(db), families=self.families)
        self.interactions = Interactions(
            store=store, names=self.names, ring=RING, clock=clock, chance=secrets.token_bytes
        )
        self.cookies = Cookies(self.session_options, plain=False)
        self.mint = TokenMint(RING)
        self.issuing = Issuing(
            store=store,
            names=self.names,
            slots=self.slots,
            mint=self.mint,
            wrap=Wrap(RING),
            clock=clock,
            chance=secrets.token_bytes,
            options=grants or GrantOptions(),
            epoch=lambda: self.endings.epoch,
            families=self.families,
            publish_stamp=self.sessions.publish_stamp,
            events=self.events,
            unclaimed=Unclaimed(grants or GrantOptions()),
        )
        self.web = Web()
        self.client_keys = ClientKeys(fetch=self.web, clock=clock, symmetric_secret=self.clients.symmetric_secret)
        self.members = Members(db, clock)
        self.registrations = Registrations(db=db, clients=self.clients, ring=RING, clock=clock, unused=86_400)
        self.accounts = Accounts(
            db=db,
            upkeep=UserUpkeep(users=self.users, clock=clock, draw_stamp=draw_stamp),
            clock=clock,
            options=AccountOptions(),
        )
        self.provider = Provider(
            issuer=ISSUER,
            options=options,
            issuing=self.issuing,
            clients=self.clients,
            client_keys=self.client_keys,
            fetch=self.web,
            users=CachedUsers(self.users, self.versions),
            accounts=CachedAccounts(self.members, self.accounts, self.versions),
            keys=self.keyring,
            sessions=self.sessions,
            consents=self.consents,
            interactions=self.interactions,
            arrivals=Arrivals(guard=MemoryGuard(clock), names=self.names, ring=RING, limit=options.visits_per_minute),
            cookies=self.cookies,
            pages=PlainPages(),
            proxies=Proxies(),
            registration=self._registration(registration) if registration else None,
        )
        self.endpoints = {**self.provider.endpoints(), **self.provider.aliases()}
        self.http = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(self),
            base_url=ISSUER,
            follow_redirects=False,
            trust_env=False,
            # many browsers share it: it must not keep what one of them was given
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        )

    def _registration(self, who: Who) -> RegistrationEndpoint:
        audit = AuditLog(self.db, self.clock, EventsOptions())
        return RegistrationEndpoint(
            issuer=ISSUER,
            who=who,
            registrations=self.registrations,
            ledger=Ledger(db=self.db, audit=audit, events=self.events, versions=self.versions),
            arrivals=Arrivals(guard=MemoryGuard(self.clock), names=self.names, ring=RING, limit=20, seconds=HOUR),
            sector_of=partial(check_sector, fetch=self.web),
            proxies=Proxies(),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self.endpoints.get(scope["path"], Reply(404))
        await endpoint(scope, receive, send)

    async def open(self) -> "World":
        await self.endings.recent(None)
        await self.versions.republish()
        await self.versions.poll()
        self.bob = await self.user("bob@example.com")
        return self

    async def user(self, email: str) -> User:
        found = await self.users.by_email(email)
        assert found is not None
        return found

    async def sign_in(self, user: User | None = None, amr: tuple[str, ...] = ("pwd",)) -> "Browser":
        """A browser in which somebody has signed in at the issuer's pages."""
        browser = Browser(self)
        await browser.sign_in(user or self.bob, amr)
        return browser

    async def allow(self, client: str, *scopes: str, user: User | None = None) -> None:
        """A consent that was given before, to what registered itself for its first address."""
        who, known = user or self.bob, await self.clients.get(client)
        place = place_of(known.redirect_uris[0]) if known and known.source == "registration" else None
        await self.consents.grant(who.id, who.tag, ClientId(client), scopes, place=place)

    async def token(self, client: str = "shop", **form: str | list[str]) -> httpx2.Response:
        """A token request with the client's own way to authenticate."""
        headers, extra = credentials(client)
        return await self.http.post("/oauth/token", data={**extra, **form}, headers=headers)

    async def redeem(self, code: str, client: str = "shop", **more: str) -> httpx2.Response:
        uri = CLIENTS[client]["redirect_uris"][0]
        form = {"code": code, "redirect_uri": uri, "code_verifier": VERIFIER, **more}
        return await self.token(client, grant_type="authorization_code", **{k: v for k, v in form.items() if v})

    async def refresh(self, token: str, client: str = "shop", **more: str) -> httpx2.Response:
        return await self.token(client, grant_type="refresh_token", refresh_token=token, **more)

    async def userinfo(self, token: str) -> httpx2.Response:
        return await self.http.get("/oauth/userinfo", headers={"authorization": f"Bearer {token}"})

    async def signed_up(self, client: str = "shop", *scopes: str, **request: str) -> dict[str, Any]:
        """The whole way to tokens, for somebody who allowed it before."""
        wanted = scopes or ("openid", "email", "profile")
        await self.allow(client, *wanted)
        browser = await self.sign_in()
        code = await browser.code(client, scope=" ".join(wanted), **request)
        reply = await self.redeem(code, client)
        assert reply.status_code == 200, reply.text
        tokens: dict[str, Any] = reply.json()
        return tokens

    def kinds(self) -> list[str]:
        """Which events were told."""
        return [event.kind for event in self.told.events]


class Browser:
    """Cookies, and what follows a redirect to one of our own pages."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.jar: dict[str, str] = {}
        self.user: User | None = None
        self.session = ""

    async def sign_in(self, user: User, amr: tuple[str, ...] = ("pwd",)) -> Born:
        """As the login page does: a session, a new cookie before login, and its answer to a visit."""
        wish = Birth.browser(self.world.session_options)
        await self.world.sessions.publish_stamp(user.id, user.tag)
        born = await self.world.sessions.start(user.standing, wish, Visit(door="pages"), amr=amr)
        assert isinstance(born, Born)
        self.user, self.session = user, born.record.id
        self.jar[self.world.cookies.name("op")] = born.token.text.reveal()
        return born

    async def get(self, path: str, headers: Mapping[str, str] | None = None) -> httpx2.Response:
        cookie = "; ".join(f"{name}={value}" for name, value in self.jar.items())
        reply = await self.world.http.get(path, headers={**({"cookie": cookie} if cookie else {}), **(headers or {})})
        self._take(reply)
        return reply

    async def post(self, path: str, form: Mapping[str, str], *, cross_site: bool = False) -> httpx2.Response:
        """`cross_site`: from another origin, so cookies that are SameSite=Lax stay at home."""
        cookie = "; ".join(f"{name}={value}" for name, value in self.jar.items())
        headers = {"cookie": cookie} if cookie and not cross_site else {}
        reply = await self.world.http.post(path, data=dict(form), headers=headers)
        self._take(reply)
        return reply

    async def authorize(self, client: str = "shop", /, **request: str | None) -> httpx2.Response:
        return await self.get(authorize_path(client, **request))

    async def code(self, client: str = "shop", /, **request: str | None) -> str:
        """A code that needs no page."""
        return answer(await self.authorize(client, **request))["code"]

    async def login(
        self, reply: httpx2.Response, user: User | None = None, amr: tuple[str, ...] = ("pwd",)
    ) -> httpx2.Response:
        """Do what the login page does, and go back."""
        interaction = page(reply, "/login")
        old = self.jar[self.world.cookies.name("pre")]
        await self.sign_in(user or self.world.bob, amr)
        new = self.world.interactions.new_binding()
        answered = await self.world.interactions.answer(interaction, old, "login", session=self.session, rebind=new)
        assert answered is not None
        self.jar[self.world.cookies.name("pre")] = new
        return await self.get(f"/oauth/authorize?interaction={interaction}")

    async def consent(self, reply: httpx2.Response, *, allow: bool = True) -> httpx2.Response:
        """Do what the consent page does, and go back."""
        interaction = page(reply, "/consent")
        binding = self.jar[self.world.cookies.name("pre")]
        visit = await self.world.interactions.load(interaction, binding)
        assert visit is not None and visit.record.app is not None and self.user is not None
        app = visit.record.app
        if allow:
            await self.world.consents.grant(
                self.user.id,
                self.user.tag,
                app.client,
                visit.record.scopes,
                visit.record.claims,
                place=app.place,
            )
        await self.world.interactions.answer(interaction, binding, "consent" if allow else "deny", session=self.session)
        return await self.get(f"/oauth/authorize?interaction={interaction}")

    def _take(self, reply: httpx2.Response) -> None:
        for line in reply.headers.get_list("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            self.jar[name] = value


def credentials(client: str) -> tuple[dict[str, str], dict[str, str]]:
    """Header and form with which a client authenticates."""
    match CLIENTS[client].get("token_endpoint_auth_method", "client_secret_basic"):
        case "none":
            return {}, {"client_id": client}
        case "client_secret_post":
            return {}, {"client_id": client, "client_secret": secret_of(client)}
        case _:
            return basic(client, secret_of(client)), {}


def basic(client: str, secret: str) -> dict[str, str]:
    pair = f"{client}:{secret}".encode()
    return {"authorization": "Basic " + base64.b64encode(pair).decode()}


def secret_of(client: str) -> str:
    return _SECRETS[client]


_SECRETS: dict[str, str] = {}


def authorize_path(client: str = "shop", /, **request: str | None) -> str:
    """A request that is right, but for what is said otherwise; None: without that parameter."""
    usual: dict[str, str | None] = {
        "client_id": client,
        "redirect_uri": CLIENTS.get(client, {}).get("redirect_uris", [CALLBACK])[0],
        "response_type": "code",
        "scope": "openid",
        "state": "st",
        "nonce": "no",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    wanted = {name: value for name, value in {**usual, **request}.items() if value is not None}
    return f"/oauth/authorize?{urlencode(wanted)}"


def answer(reply: httpx2.Response) -> dict[str, str]:
    """What was sent back to the client, each once."""
    assert reply.status_code == 303, reply.text
    found = parse_qsl(urlsplit(reply.headers["location"]).query, keep_blank_values=True, strict_parsing=True)
    assert len(dict(found)) == len(found)
    return dict(found)


def carried(reply: httpx2.Response) -> dict[str, str]:
    """What was sent back to the client behind `#`, each once; nothing of it stands in the query."""
    assert reply.status_code == 303, reply.text
    where = urlsplit(reply.headers["location"])
    found = parse_qsl(where.fragment, keep_blank_values=True, strict_parsing=True)
    assert len(dict(found)) == len(found) and where.query in ("", "x=1")
    return dict(found)


def page(reply: httpx2.Response, path: str) -> str:
    """The visit with which the browser is sent to that page."""
    assert reply.status_code == 303, reply.text
    where = urlsplit(reply.headers["location"])
    assert where.path == path, reply.headers["location"]
    return parse_qs(where.query)["interaction"][0]


def shown(reply: httpx2.Response) -> str:
    """The text of an error page: nobody was sent anywhere."""
    assert reply.status_code == 400 and "location" not in reply.headers
    return reply.text


def form_fields(text: str) -> dict[str, str]:
    """The fields of a form, as a browser would send them."""
    return {html.unescape(k): html.unescape(v) for k, v in re.findall(r'name="([^"]*)" value="([^"]*)"', text)}


async def furnish(db: Database, store: Store) -> Keyring:
    """The rows that every world begins with: keys, two people, and the clients.  The keyring has been opened."""
    world = World(db, store, Hands(time.time()), oidc=EVERY_FLOW)
    await world.keyring.ensure()
    await world.users.create(
        email="bob@example.com",
        first_name="Bob",
        last_name="Ross",
        language="en",
        email_verified=True,
        sub=None,
    )
    await world.users.create(email="eve@example.com")
    for client_id, metadata in CLIENTS.items():
        if client_id == "imported":
            _SECRETS[client_id] = "old:secret+with/50% of=everything"
            await world.clients.import_({**metadata, "client_id": client_id, "client_secret": _SECRETS[client_id]})
            continue
        made = await world.clients.create(
            {"client_name": client_id.title(), **metadata}, client_id=client_id, first_party=client_id == "ours"
        )
        if made.secret is not None:
            _SECRETS[client_id] = made.secret.reveal()
    return world.keyring
