"""The legacy door over a scripted login: what it was asked is kept, what it answers is by the e-mail address."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2
import msgspec

from bridge.asgi import Proxies
from bridge.clients.credential import Rights
from bridge.clients.credentials import Credentials
from bridge.clock import SystemClock, chance
from bridge.errors import Unavailable
from bridge.events.event import Event, Events
from bridge.legacy.actions import Action, Answer, Caller, registry, success
from bridge.legacy.bans import Bans
from bridge.legacy.credentials import Callers
from bridge.legacy.endpoint import LegacyApi
from bridge.legacy.local import LocalApi
from bridge.legacy.look_ups import LookUps
from bridge.legacy.options import LegacyOptions
from bridge.legacy.params import Params
from bridge.legacy.reset_password import ResetPassword
from bridge.legacy.validate_login import ValidateLogin
from bridge.legacy.whmcs_details import WhmcsDetails
from bridge.login.entry import Admits
from bridge.login.outcome import (
    LoggedIn,
    Outcome,
    Refused,
    SecondFactorElsewhere,
    SecondFactorNeeded,
    TooMany,
    Unreachable,
)
from bridge.login.shown import Code, Shown
from bridge.resets.ask import Queued, UnknownUser
from bridge.ring import Ring
from bridge.secret import Secret
from bridge.sessions.birth import Birth, Tools, birth
from bridge.sessions.options import SessionOptions
from bridge.sessions.record import RecordCodec
from bridge.sessions.stamp import draw_stamp
from bridge.stores.guard import MemoryGuard
from bridge.tokens import Names, Slots
from bridge.types import AccountId, IPNetwork, Subject, UserId, Visit
from bridge.users.user import User

ISSUER = "https://login.example.com"
IDENTIFIER, SECRET = "D4j1dKYE3g40VROOPCGyJ9zRwP0ADJIv", "F1CKGXRIpylMfsrig3mwwdSdYUdLiFlo"
PASSWORD = 'p & < > " ; = + \u00e9\u4e2d'
RIGHTS = Rights.parse(actions=["ValidateLogin", "ResetPassword", "WhmcsDetails", "Echo", "Broken"])

_RING = Ring.parse(Ring.new_line("m1"))
_TAG = Slots(Secret(b"s" * 32)).of_user(UserId(1))
USER = User(id=UserId(1), sub=Subject("sub-1"), tag=_TAG, email="user@example.com", stamp=draw_stamp("new"))


@dataclass
class Attempt:
    email: str
    password: Secret
    wish: Birth | None
    visit: Visit
    shown: Shown | None


@dataclass
class ScriptedLogin:
    """`user@` comes in with the password; the other names say what happens."""

    attempts: list[Attempt] = field(default_factory=list[Attempt])

    async def attempt(
        self,
        email: str,
        password: Secret,
        *,
        wish: Birth | None,
        visit: Visit,
        shown: Shown | None,
        admits: Admits | None,
    ) -> Outcome:
        self.attempts.append(Attempt(email, password, wish, visit, shown))
        if admits is not None and not await admits(USER.id):
            return Refused("not-admitted")
        match email.partition("@")[0]:
            case "user" if password.matches(PASSWORD):
                return self._in(USER, wish, visit)
            case "totp" if shown == Code("123456"):
                return self._in(msgspec.structs.replace(USER, second_factor="totp"), wish, visit)
            case "totp" if shown is not None:
                return Refused("used")
            case "totp":
                return SecondFactorNeeded(USER, None)
            case "elsewhere":
                return SecondFactorElsewhere("https://whmcs.example.com/login")
            case "many":
                return TooMany(30.0)
            case "unreachable":
                return Unreachable()
            case "down":
                raise Unavailable("the store is away")
            case _:
                return Refused()

    @staticmethod
    def _in(user: User, wish: Birth | None, visit: Visit) -> LoggedIn:
        assert wish is not None
        tools = Tools(Names(ISSUER), RecordCodec(_RING.subkeys("record-mac"), ISSUER), SessionOptions())
        now = SystemClock().now()
        return LoggedIn(user, birth(user.standing, wish, visit, amr=["pwd"], now=now, draw=chance, tools=tools))


@dataclass
class ScriptedResets:
    """Knows user 1 and his address."""

    asked: list[tuple[UserId | str, Visit]] = field(default_factory=list[tuple[UserId | str, Visit]])

    async def ask_for(self, who: UserId | str, visit: Visit) -> Queued | UnknownUser:
        self.asked.append((who, visit))
        if who == "down@example.com":
            raise Unavailable("the database is away")
        return Queued() if who in (1, "user@example.com") else UnknownUser()


@dataclass
class Heard:
    """Every event."""

    events: list[Event] = field(default_factory=list[Event])

    def hear(self, event: Event) -> None:
        self.events.append(event)

    @property
    def reasons(self) -> list[str]:
        return [event.reason for event in self.events]


async def echo(params: Params, caller: Caller) -> Answer:
    """An action of the operator's own."""
    return success(text=params.text("text"), caller=caller.name)


async def broken(params: Params, caller: Caller) -> Answer:
    raise Unavailable("what it stands on is away")


@dataclass
class Desk:
    """The door, and what stands behind it."""

    api: LegacyApi
    local: LocalApi
    credentials: Credentials
    login: ScriptedLogin
    resets: ScriptedResets
    heard: Heard

    async def send(
        self,
        body: Mapping[str, str] | bytes | None = None,
        *,
        query: str = "",
        method: str = "POST",
        client: str = "127.0.0.1",
        **headers: str,
    ) -> httpx2.Response:
        """One raw request from that address."""
        transport = httpx2.ASGITransport(app=self.api, client=(client, 40_000))
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        data: dict[str, Any] = {"content": body} if isinstance(body, bytes) else {"data": body}
        async with httpx2.AsyncClient(transport=transport, base_url="http://login.example.com") as http:
            return await http.request(method, f"/includes/api.php{query}", headers=given, **data)

    async def call(self, action: str = "ValidateLogin", *, client: str = "127.0.0.1", **values: str) -> httpx2.Response:
        """A POST with good credentials that asks for JSON."""
        good = {"identifier": IDENTIFIER, "secret": SECRET, "responsetype": "json", "action": action}
        return await self.send(good | values, client=client)

    async def validate(self, email: str = "user@example.com", password2: str = PASSWORD, **values: str) -> Any:
        """The JSON answer to ValidateLogin."""
        return json.loads((await self.call(email=email, password2=password2, **values)).content)


def desk(
    credentials: Credentials,
    options: LegacyOptions,
    *,
    proxies: tuple[IPNetwork, ...] = (),
    sessions: SessionOptions | None = None,
    clients: Mapping[int, int] | None = None,
) -> Desk:
    """A door with these options, for these callers.  `clients`: of each user his number as a client."""
    of_user = {1: 1} if clients is None else clients

    async def client_of(user: UserId) -> AccountId | None:
        return AccountId(of_user[user]) if user in of_user else None

    async def owner_of(client: AccountId) -> UserId | None:
        return next((UserId(user) for user, number in of_user.items() if number == client), None)

    login, resets, heard = ScriptedLogin(), ScriptedResets(), Heard()
    actions = registry(
        ValidateLogin(login=login, client_of=client_of, options=options, sessions=sessions or SessionOptions()).action,
        ResetPassword(resets=resets, owner_of=owner_of, options=options).action,
        WhmcsDetails(options=options).action,
        Action(name="Echo", run=echo, parameters=frozenset({"text"})),
        Action(name="Broken", run=broken, parameters=frozenset()),
        Action(name="Powerful", run=echo, parameters=frozenset(), powerful=True),
    )
    guard, names = MemoryGuard(SystemClock()), Names(ISSUER)
    bans = Bans(guard=guard, names=names, ring=_RING, options=options)
    api = LegacyApi(
        callers=Callers(credentials=credentials, options=options, bans=bans),
        look_ups=LookUps(guard=guard, names=names, ring=_RING, options=options),
        actions=actions,
        options=options,
        proxies=Proxies(proxies),
        events=Events(SystemClock(), heard),
    )
    return Desk(api, LocalApi(actions=actions, proxies=Proxies(proxies)), credentials, login, resets, heard)
