"""The middleware itself, pure ASGI: fills `scope["user"]` and `scope["auth"]` — DESIGN §7, S16, S18."""

from typing import Protocol

from bridge.asgi import NO_STORE, ASGIApp, Message, Receive, Reply, Scope, Send
from bridge.middleware.ticket import TicketDoor
from bridge.middleware.visitor import StoreDown, UnknownUser, Visitor
from bridge.sessions.judge import Alive


class Knows(Protocol):
    """The bridge, or a satellite of it."""

    async def who(self, scope: Scope) -> Visitor:
        """Who sends this request."""
        ...

    def used(self, alive: Alive) -> None:
        """His session was used."""
        ...

    def tickets(self, origin: str) -> TicketDoor:
        """The paths at which an app of that origin sends people to sign in elsewhere, and takes them back."""
        ...


class BridgeMiddleware:
    """`BridgeMiddleware(app, login)`: inside `app`, `request.user` is the person who is signed in.

    A request without our cookie costs nothing.  While the store does not answer, a page that never asks for the user
    works; one that asks is answered 503.

    `origin`: of an app on another host than the issuer, whose people get sessions of their own there: it sends them to
    `sign_in_path(…)`.  Two paths below /login-bridge/ are then answered here.  Raises ConfigError.
    """

    def __init__(self, app: ASGIApp, login: Knows, *, origin: str | None = None) -> None:
        self.app = app
        self._login = login
        self._tickets = login.tickets(origin) if origin is not None else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        if self._tickets is not None and (endpoint := self._tickets.find(scope)) is not None:
            await endpoint(scope, receive, send)
            return
        visitor = await self._login.who(scope)
        scope["user"], scope["auth"] = visitor.user, visitor.auth
        if visitor.alive is not None:
            await self._for_somebody(visitor.alive, scope, receive, send)
        elif isinstance(visitor.user, UnknownUser) and scope["type"] == "http":
            await self._in_doubt(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _for_somebody(self, alive: Alive, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            self._login.used(alive)  # now: the connection may stay open for days
            await self.app(scope, receive, send)
            return
        try:
            await self.app(scope, receive, _private(send))
        finally:
            self._login.used(alive)

    async def _in_doubt(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except StoreDown as error:  # an app of Starlette answers it by itself, a bare one does not
            if begun:
                raise
            headers = [(name.lower().encode(), value.encode()) for name, value in (error.headers or {}).items()]
            reply = Reply(503, error.detail.encode(), b"text/plain; charset=utf-8", [*headers, *NO_STORE])
            await reply(scope, receive, send)


def _private(send: Send) -> Send:
    """The answer is this person's: no cache may give it to another, unless the app itself said so (S16)."""

    async def marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = message["headers"] = list(message.get("headers", ()))
            cache, vary = True, True
            for name, value in headers:
                match name.lower():
                    case b"cache-control":
                        cache = False
                    case b"vary" if b"cookie" in value.lower() or value == b"*":
                        vary = False
            if cache:
                headers.append((b"cache-control", b"no-store"))
            if vary:
                headers.append((b"vary", b"Cookie"))
        await send(message)

    return marked
