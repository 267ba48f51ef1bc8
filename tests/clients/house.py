"""A whole login behind several legacy doors, on a real port: users in SQLite, sessions in memory, one thread."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

import bcrypt
import uvicorn

from bridge.asgi import Proxies, Receive, Scope, Send
from bridge.clients.credential import Rights
from bridge.clients.credentials import Credentials
from bridge.clock import SystemClock, chance
from bridge.database.database import Database
from bridge.database.endings import Endings
from bridge.database.migrate import migrate
from bridge.database.versions import VersionTable
from bridge.events.audit import AuditLog
from bridge.events.event import Events
from bridge.events.ledger import Ledger
from bridge.events.options import EventsOptions
from bridge.legacy.actions import registry
from bridge.legacy.bans import Bans
from bridge.legacy.credentials import Callers
from bridge.legacy.endpoint import PATH, LegacyApi
from bridge.legacy.look_ups import LookUps
from bridge.legacy.options import LegacyOptions
from bridge.legacy.reset_password import ResetPassword
from bridge.legacy.validate_login import ValidateLogin
from bridge.legacy.whmcs_details import WhmcsDetails
from bridge.login.assemble import assemble_login
from bridge.login.options import LoginOptions
from bridge.outbox.outbox import Outbox
from bridge.outbox.patient import PatientOutbox
from bridge.resets.ask import ResetRequests
from bridge.resets.options import ResetOptions
from bridge.ring import Ring
from bridge.secret import Secret
from bridge.sessions.options import SessionOptions
from bridge.sessions.record import RecordCodec
from bridge.sessions.sessions import Sessions
from bridge.sessions.stamp import draw_stamp
from bridge.stores.guard import MemoryGuard
from bridge.stores.memory import MemoryStore
from bridge.stores.versions import Versions
from bridge.tokens import Names, Slots
from bridge.types import UserId
from bridge.users.factors import SqlFactors
from bridge.users.last_logins import LastLogins
from bridge.users.options import UserOptions
from bridge.users.passwords import Passwords
from bridge.users.sql import SqlUsers

ISSUER = "https://login.example.com"
IDENTIFIER, SECRET = "D4j1dKYE3g40VROOPCGyJ9zRwP0ADJIv", "F1CKGXRIpylMfsrig3mwwdSdYUdLiFlo"
ACCESS_KEY = "Open!Sesame"
PASSWORD = 'p & < > " ; = + % \u00e9\u4e2d\U0001f600'
LONG = "\u4e2d" * 30  # 90 bytes; bcrypt, as PHP uses it, hashes the first 72
TOTP = "JBSWY3DPEHPK3PXP"

DOORS: Mapping[str, LegacyOptions] = {
    "": LegacyOptions(),
    "/billing": LegacyOptions(),
    "/closed": LegacyOptions(allowed_ips=(ip_network("203.0.113.0/24"),), access_key=Secret(ACCESS_KEY)),
    "/strict": LegacyOptions(error_on_2fa=True),
    "/old": LegacyOptions(allowed_ips=(), nvp_refusals=True),
}


@dataclass
class Queue:
    """Stands for the outbox: keeps what is to be mailed."""

    mails: list[Mapping[str, str]] = field(default_factory=list[Mapping[str, str]])

    async def put(self, tx: None, purpose: str, user: UserId | None, payload: Mapping[str, str]) -> None:
        self.mails.append(payload)


@dataclass
class House:
    """What a test may look at.  `sessions` belongs to the server's loop: ask it through `ask`."""

    sessions: Sessions
    queue: Queue
    doors: Mapping[str, LegacyApi]
    loop: asyncio.AbstractEventLoop
    port: int = 0

    def url(self, door: str = "") -> str:
        """The address of a door."""
        return f"http://127.0.0.1:{self.port}{door}{PATH}"

    def ask(self, question: Any) -> Any:
        """The answer of a coroutine, from within the server's loop."""
        return asyncio.run_coroutine_threadsafe(question, self.loop).result(10)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.doors[scope["path"].removesuffix(PATH)](scope, receive, send)


@contextlib.contextmanager
def running(database_url: str) -> Iterator[House]:
    """The house, reachable from here."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
        ready: list[House] = []
        up, stop = threading.Event(), threading.Event()

        async def serve() -> None:
            async with built(database_url) as house:
                config = uvicorn.Config(house, lifespan="off", log_level="critical", proxy_headers=False, ws="none")  # type: ignore[arg-type]
                server = uvicorn.Server(config)
                house.port = listener.getsockname()[1]
                task = asyncio.create_task(server.serve([listener]))
                ready.append(house)  # who connects before the server accepts waits in the listener's queue
                up.set()
                await asyncio.to_thread(stop.wait)
                server.should_exit = True
                await task

        thread = threading.Thread(target=asyncio.run, args=(serve(),))
        thread.start()
        try:
            assert up.wait(30), "the house did not start"
            yield ready[0]
        finally:
            stop.set()
            thread.join()


@contextlib.asynccontextmanager
async def built(database_url: str) -> AsyncIterator[House]:
    """All rooms that these doors stand on, with users and callers."""
    clock, events = SystemClock(), Events(SystemClock())
    names, ring, slots = Names(ISSUER), Ring.parse(Ring.new_line("m1")), Slots(Secret(b"s" * 32))
    db, store, guard = Database(database_url, clock), MemoryStore(clock), MemoryGuard(clock)
    await migrate(database_url)
    await db.open()
    versions, endings = Versions(store, names, VersionTable(db)), Endings(db, clock)
    passwords = Passwords(UserOptions(argon2_memory=8, argon2_passes=1))
    users = SqlUsers(
        db=db,
        passwords=passwords,
        ring=ring,
        slots=slots,
        clock=clock,
        chance=chance,
        draw_stamp=draw_stamp,
        versions=versions,
    )
    sessions = Sessions(
        store=store,
        names=names,
        codec=RecordCodec(ring.subkeys("record-mac"), ISSUER),
        truth=endings,
        clock=clock,
        chance=chance,
        options=SessionOptions(cap=1_000),
        events=events,
    )
    queue = Queue()
    login = assemble_login(
        users=users,
        factors=SqlFactors(db=db, ring=ring, clock=clock, chance=chance, draw_stamp=draw_stamp, authority=users.name),
        passkeys=None,
        sessions=sessions,
        store=store,
        guard=guard,
        names=names,
        ring=ring,
        arrivals=LastLogins(users.write_logins, clock),
        letters=PatientOutbox(queue),
        ledger=Ledger(db=db, audit=AuditLog(db, clock, EventsOptions()), events=events, versions=versions),
        outbox=Outbox(db, clock),
        epoch=lambda: endings.epoch,
        clock=clock,
        chance=chance,
        options=LoginOptions(account_per_5_minutes=10_000, account_per_hour=10_000, floor_ms=0),
        events=events,
    )
    resets = ResetRequests(
        users=users,
        outbox=queue,
        guard=guard,
        names=names,
        ring=ring,
        events=events,
        options=ResetOptions(per_account=10_000),
    )
    credentials = Credentials(db=db, ring=ring, versions=versions, hasher=passwords, clock=clock)
    await furnish(users, credentials)
    doors = {
        path: LegacyApi(
            callers=Callers(
                credentials=credentials,
                options=options,
                bans=Bans(guard=guard, names=names, ring=ring, options=options),
            ),
            look_ups=LookUps(guard=guard, names=names, ring=ring, options=options),
            actions=registry(
                ValidateLogin(login=login, client_of=himself, options=options, sessions=sessions.options).action,
                ResetPassword(resets=resets, owner_of=himself, options=options).action,
                WhmcsDetails(options=options).action,
            ),
            options=options,
            proxies=Proxies(),
            events=events,
        )
        for path, options in DOORS.items()
    }
    yield House(sessions, queue, doors, asyncio.get_running_loop())
    await db.close()


async def himself(number: int) -> Any:
    """Everybody is a client of his own number."""
    return number


async def furnish(users: SqlUsers, credentials: Credentials) -> None:
    """Users of every kind, and three callers."""
    await users.create(email="user@example.com", password=Secret(PASSWORD), first_name="Ute")
    await users.create(email="totp@example.com", password=Secret(PASSWORD), totp=Secret(TOTP))
    bcrypted = bcrypt.hashpw(LONG.encode()[:72], bcrypt.gensalt(4)).decode().replace("$2b$", "$2y$")
    await users.create(email="imported@example.com", password_hash=bcrypted)
    gone = await users.create(email="disabled@example.com", password=Secret(PASSWORD))
    await users.disable(gone.id)
    await users.create(email="enrol@example.com", password=Secret(PASSWORD), second_factor="re-enrol")
    everything = Rights.parse(actions=["ValidateLogin", "ResetPassword", "WhmcsDetails"])
    await credentials.create("portal", everything, identifier=IDENTIFIER, secret=Secret(SECRET))
    await credentials.create("few", Rights.parse(actions=["WhmcsDetails"]), identifier="few", secret=Secret(SECRET))
    elsewhere = Rights.parse(allowed_ips=["203.0.113.9"], actions=["*"])
    await credentials.create("elsewhere", elsewhere, identifier="elsewhere", secret=Secret(SECRET))
