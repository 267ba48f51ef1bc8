"""An app behind the middleware, and a hand-made server that asks it: nothing between the test and the wire."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from bridge.asgi import ASGIApp, Message, Proxies, Receive, Scope, Send
from bridge.middleware import Doorman, TicketDoor, Visitor
from bridge.sessions.cookie import Cookies
from bridge.sessions.judge import Alive
from bridge.sessions.options import SessionOptions
from bridge.sessions.ticket import Redeemed, Refused
from bridge.stores.store import Store
from bridge.tokens import LoginToken
from bridge.types import Subject, UserId, Visit
from tests.sessions.world import ANN, World

Header = tuple[bytes, bytes]
ANNS_SUB = Subject("sub-of-ann")


@dataclass(frozen=True)
class Ann:
    """A profile."""

    sub: Subject = ANNS_SUB
    name: str = "Ann Example"
    email: str = "ann@example.org"
    groups: tuple[str, ...] = ("staff",)


class Login:
    """What `BridgeMiddleware` is given: the doorman of one world."""

    def __init__(self, store: Store, options: SessionOptions | None = None, *, plain: bool = False) -> None:
        self.world = World(store, options=options)
        self.people: dict[UserId, Ann] = {ANN: Ann()}
        self.asked = 0
        self._cookies = Cookies(self.world.options, plain=plain)
        self._doorman = Doorman(
            sessions=self.world.sessions,
            people=self._person,
            cookies=self._cookies,
            proxies=Proxies(),
            options=self.world.options,
            events=self.world.events,
        )

    async def who(self, scope: Scope) -> Visitor:
        return await self._doorman.who(scope)

    def used(self, alive: Alive) -> None:
        self.world.sessions.used(alive)

    def tickets(self, origin: str) -> TicketDoor:
        async def redeem(ticket: str, binding: str, visit: Visit) -> Redeemed | Refused:
            return await self.world.tickets.redeem(ticket, origin=origin, binding=binding, via="ticket", visit=visit)

        return TicketDoor(
            origin,
            issuer=self.world.issuer,
            cookies=self._cookies,
            proxies=Proxies(),
            events=self.world.events,
            redeem=redeem,
        )

    async def _person(self, user: UserId, alive: Alive) -> Ann | None:
        self.asked += 1
        return self.people.get(user)


@dataclass(frozen=True)
class Answer:
    """One answer, as it went over the wire."""

    status: int
    headers: list[Header]
    body: bytes

    def values(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.headers if key.lower() == name]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def ask(
    app: ASGIApp,
    *,
    path: str = "/",
    query: bytes = b"",
    method: str = "GET",
    headers: Iterable[Header] = (),
    body: bytes = b"",
    session: dict[str, Any] | None = None,
    client: str = "192.0.2.7",
) -> Answer:
    """Send one request and take the whole answer."""
    scope = _scope("http", path, headers, client) | {"method": method, "scheme": "https", "query_string": query}
    if session is not None:
        scope["session"] = session
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    assert [message["type"] for message in sent[:1]] == ["http.response.start"]
    whole = b"".join(message.get("body", b"") for message in sent[1:])
    return Answer(sent[0]["status"], [(bytes(name), bytes(value)) for name, value in sent[0]["headers"]], whole)


async def connect(app: ASGIApp, *, path: str = "/", headers: Iterable[Header] = ()) -> list[Message]:
    """Open a WebSocket, hang up, and say what the app sent."""
    sent: list[Message] = []
    said: Iterator[Message] = iter([{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1000}])

    async def receive() -> Message:
        return next(said)

    async def send(message: Message) -> None:
        sent.append(message)

    await app(_scope("websocket", path, headers, "192.0.2.7") | {"scheme": "wss", "subprotocols": []}, receive, send)
    return sent


def cookie(token: LoginToken | None, name: str = "__Host-login_auth_tk") -> Header:
    """The Cookie header of a browser that holds this token."""
    assert token is not None
    return b"cookie", f"theme=dark; {name}={token.text.reveal()}; lang=en".encode()


def _scope(kind: str, path: str, headers: Iterable[Header], client: str) -> dict[str, Any]:
    return {
        "type": kind,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"app.example"), *headers],
        "client": (client, 4711),
        "server": ("app.example", 443),
        "http_version": "1.1",
    }


async def says_who(scope: Scope, receive: Receive, send: Send) -> None:
    """A bare ASGI app that asks who is there."""
    user = scope["user"]
    body = json.dumps({"name": user.display_name, "scopes": list(scope["auth"].scopes)}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": body})


async def says_nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """A bare ASGI app that never asks."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})
