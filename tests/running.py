"""A whole bridge, running: on a port of its own for browsers, or within the test's own loop for all else.

`on_a_port` and `in_process` give a `Site`; its people, clients and API credential are those of `furnish`.
"""

import asyncio
import contextlib
import secrets
import shutil
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import uvicorn
from pyotp import totp as authenticator

from bridge.app import Bridge
from bridge.clients.clients import Registered
from bridge.clients.credential import Rights
from bridge.clock import Clock, SystemClock
from bridge.config import Config
from bridge.events.event import Event
from bridge.keys.keyring import SigningKey
from bridge.ring import Ring
from bridge.secret import Secret
from bridge.types import UserId
from bridge.users.user import User
from tests.servers import LOOPBACK, SmtpSink
from tests.stores.servers import patient

T = TypeVar("T")
Given = Mapping[tuple[str, ...], Any]

PASSWORD: Final = "plums ripen behind the old mill"
NEW_PASSWORD: Final = "geese cross the frozen harbour"
ADA, LI, TOM, DAN = "ada@example.com", "li@example.com", "tom@example.com", "dan@example.com"
"""Ada has a password and no more; Li reads Chinese; Tom owes a code; Dan is disabled."""
TOTP: Final = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
PUBLIC_URL: Final = "https://login.example.com"
SHOP: Final = "https://shop.example.net"
"""An app on another host, which may get tickets."""
CALLBACK: Final = "https://notes.example.net/callback"
IDENTIFIER, API_SECRET = "D4j1dKYE3g40VROOPCGyJ9zRwP0ADJIv", "F1CKGXRIpylMfsrig3mwwdSdYUdLiFlo"
CLIENT_SECRET: Final = "c1fb7a14c9cf4d7ea5e8b0b5dbb2f3ce"

CLIENTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "notes": {  # somebody else's: asks for consent
        "client_name": "Acme Notes",
        "redirect_uris": [CALLBACK],
        "post_logout_redirect_uris": ["https://notes.example.net/bye"],
        "grant_types": ["authorization_code", "refresh_token"],
        "policy_uri": "https://notes.example.net/privacy",
    },
    "ours": {
        "client_name": "Customer portal",
        "redirect_uris": ["https://portal.example.com/cb"],
        "grant_types": ["authorization_code", "refresh_token"],
    },
    "spa": {
        "client_name": "Acme Boards",
        "redirect_uris": ["https://boards.example.net/cb"],
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
    },
}

SECRETS: Final[Given] = {
    ("secrets", "master"): Ring.new_line("k1"),
    ("secrets", "slot"): Ring.new_line("slot").partition(":")[2],
}
QUICK: Final[Given] = {
    ("users", "argon2_memory"): 8,
    ("users", "argon2_passes"): 1,
    ("login", "floor_ms"): 0,
    ("login", "address_per_minute"): 10_000,
    ("login", "address_per_hour"): 10_000,
    ("login", "network_per_hour"): 10_000,
    ("login", "account_per_5_minutes"): 1_000,
    ("login", "account_per_hour"): 1_000,
    ("resets", "per_account"): 1_000,
    ("resets", "per_address"): 1_000,
    ("login", "notices_per_day"): 0,
    ("legacy", "look_ups_per_minute"): 1_000_000,
}
"""Passwords that cost nothing, limits that no test meets by accident, and no letters that it did not ask for."""
DEV: Final[Given] = {("profile",): "dev", ("preset",): "whmcs"}
PRODUCTION: Final[Given] = {
    ("profile",): "production",
    ("preset",): "whmcs",
    ("server", "base_url"): PUBLIC_URL,
    ("sessions", "ticket_origins"): [SHOP],
    ("oidc", "registration"): "token",
}


@dataclass
class Told:
    """Hears every event."""

    events: list[Event] = field(default_factory=list[Event])

    def hear(self, event: Event) -> None:
        self.events.append(event)

    def kinds(self) -> list[str]:
        """What happened, in order."""
        return [event.kind for event in self.events]


@dataclass(kw_only=True)
class Site:
    """One running bridge."""

    bridge: Bridge
    url: str
    told: Told
    loop: asyncio.AbstractEventLoop

    async def ask(self, question: Coroutine[Any, Any, T]) -> T:
        """The answer of a coroutine from within the bridge's own loop: `await site.ask(site.bridge.rooms.…)`."""
        if asyncio.get_running_loop() is self.loop:
            return await question
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(question, self.loop))

    async def user(self, email: str) -> User:
        """The row now."""
        found = await self.ask(self.bridge.rooms.users.by_email(email))
        assert found is not None
        return found

    async def person(self, email: str, **more: Any) -> User:
        """A new one of that address, with PASSWORD."""
        return await self.ask(self.bridge.rooms.users.create(email=email, password=Secret(PASSWORD), **more))

    async def client(self, client_id: str, metadata: Mapping[str, Any], **more: Any) -> Registered:
        """A new OAuth client."""
        return await self.ask(self.bridge.rooms.clients.create(metadata, client_id=client_id, **more))

    async def sessions(self, user: UserId) -> list[str]:
        """The ids of the person's living sessions."""
        rooms = self.bridge.rooms
        row = await self.ask(rooms.users.by_id(user))
        assert row is not None
        return [view.id for view in await self.ask(rooms.sessions.list_of(user, row.tag))]


def code(secret: str = TOTP, *, at: float | None = None) -> str:
    """What the authenticator shows."""
    totp = authenticator.TOTP(secret)
    return totp.now() if at is None else totp.at(int(at))


async def furnish(bridge: Bridge) -> None:
    """People, clients and an API credential: what the tests find."""
    rooms = bridge.rooms
    created = rooms.users.create
    secret = Secret(PASSWORD)
    await created(email=ADA, password=secret, first_name="Ada", last_name="Lovelace", email_verified=True)
    await created(email=LI, password=secret, first_name="Li", last_name="Wei", language="zh-CN")
    await created(email=TOM, password=secret, first_name="Tom", totp=Secret(TOTP))
    await rooms.users.disable((await created(email=DAN, password=secret)).id)
    documents = [{**client, "client_id": name, "client_secret": CLIENT_SECRET} for name, client in CLIENTS.items()]
    for document in documents:
        if document.get("token_endpoint_auth_method") == "none":
            del document["client_secret"]
    await rooms.clients.import_(documents)
    everything = Rights.parse(actions=["*"])
    await rooms.credentials.create("portal", everything, identifier=IDENTIFIER, secret=Secret(API_SECRET))


@dataclass(frozen=True)
class Furnished:
    """A database with all that `furnish` makes, and its signing keys: opening an RSA key takes 50 ms."""

    file: Path
    keys: dict[str, SigningKey]

    def copy(self, folder: Path) -> "Furnished":
        """The same, in that folder."""
        return Furnished(Path(shutil.copy(self.file, folder / "bridge.db")), self.keys)


async def furnished(template: Path, folder: Path) -> Furnished:
    """One to be copied."""
    file = Path(shutil.copy(template, folder / "furnished.db"))
    bridge = Bridge(Config.load(None, {}, {**_settings(file), **DEV, ("store", "url"): "memory://"}))
    async with bridge.running():
        await furnish(bridge)
        return Furnished(file, {key.kid: key for key in bridge.rooms.keyring.published()})


def _settings(file: Path) -> dict[tuple[str, ...], Any]:
    return {**SECRETS, **QUICK, ("database", "url"): f"sqlite:///{file}"}


@contextlib.asynccontextmanager
async def in_process(
    database: Furnished,
    *,
    given: Given = PRODUCTION,
    more: Given | None = None,
    clock: Clock | None = None,
    impatient: bool = False,
) -> AsyncIterator[Site]:
    """A bridge in this very loop, asked through ASGI; by default of the production profile, at PUBLIC_URL.

    `impatient`: its Redis must answer as promptly as in production, since the test is about one that does not.
    """
    settings = {**_settings(database.file), ("store", "url"): "memory://", **given, **(more or {})}
    config, told = Config.load(None, {}, settings), Told()
    bridge = Bridge(config, clock=clock or SystemClock(), listeners=[told])
    bridge.rooms.keyring._keys = dict(database.keys)
    bridge.rooms.database._patience = 30.0  # fifty writers on a busy machine are no outage
    if not impatient:
        patient(bridge.rooms.raw_store)
    bridge.rooms.names.prefix = f"lb:{secrets.token_hex(4)}:"  # many share one Redis
    async with bridge.running():
        yield Site(bridge=bridge, url=config.base_url, told=told, loop=asyncio.get_running_loop())


@contextlib.contextmanager
def on_a_port(
    database: Furnished, sink: SmtpSink, *, name: str = LOOPBACK, more: Given | None = None, tls: Path | None = None
) -> Iterator[Site]:
    """A bridge of the dev profile on a free loopback port, in a thread and loop of its own; it mails to `sink`.

    `name`: what browsers call it; `tls`: a folder with cert.pem and key.pem.
    """
    made: list[Site] = []

    @contextlib.asynccontextmanager
    async def built(port: int) -> AsyncIterator[Any]:
        settings = {
            **_settings(database.file),
            **DEV,
            ("server", "port"): port,
            ("server", "base_url"): f"{'https' if tls else 'http'}://{name}:{port}",
            ("store", "url"): f"sqlite:///{database.file.with_name('store.db')}",
            ("mail", "url"): f"smtp://{LOOPBACK}:{sink.port}?starttls=never",
            **(more or {}),
        }
        told, config = Told(), Config.load(None, {}, settings)
        bridge = Bridge(config, listeners=[told])
        bridge.rooms.database._patience = 30.0
        patient(bridge.rooms.raw_store)
        async with bridge.running():
            made.append(Site(bridge=bridge, url=config.base_url, told=told, loop=asyncio.get_running_loop()))
            yield bridge

    with serving(built, tls=tls):
        yield made[0]


@contextlib.contextmanager
def serving(
    build: Callable[[int], contextlib.AbstractAsyncContextManager[Any]], *, tls: Path | None = None
) -> Iterator[int]:
    """An ASGI app, built for its port and served on it, in a thread and loop of its own."""
    with contextlib.closing(socket.create_server((LOOPBACK, 0), backlog=256)) as listener:
        port: int = listener.getsockname()[1]
        up, stop = threading.Event(), threading.Event()

        async def serve() -> None:
            async with build(port) as app:
                server = uvicorn.Server(
                    uvicorn.Config(
                        app,
                        lifespan="off",
                        log_level="critical",
                        proxy_headers=False,
                        server_header=False,
                        ws="none",
                        ssl_certfile=tls / "cert.pem" if tls else None,
                        ssl_keyfile=tls / "key.pem" if tls else None,
                    )
                )
                task = asyncio.create_task(server.serve([listener]))
                up.set()  # who connects before the server accepts waits in the listener's queue
                await asyncio.to_thread(stop.wait)
                server.should_exit = True
                await task

        with ThreadPoolExecutor(1) as thread:
            running = thread.submit(asyncio.run, serve())
            running.add_done_callback(lambda _: up.set())
            assert up.wait(30), "the app did not start"
            try:
                if not running.done():  # else it tells why
                    yield port
            finally:
                stop.set()
                running.result()
