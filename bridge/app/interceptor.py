"""The bridge in front of an app: answers its own paths, and tells the app who is there — DESIGN §7, engine §11."""

from typing import Protocol

from bridge.app.life import Step, live
from bridge.asgi import ASGIApp, Message, Receive, Scope, Send
from bridge.front import Front
from bridge.middleware.asgi import BridgeMiddleware, Knows


class Opens(Knows, Protocol):
    """The bridge."""

    async def open(self) -> None: ...
    async def close(self) -> None: ...


class Interceptor:
    """`login.middleware(app)`."""

    def __init__(self, app: ASGIApp, login: Opens, front: Front) -> None:
        self.app = app
        self._login = login
        self._front = front
        self._known = BridgeMiddleware(app, login)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (found := self._front.find(scope)) is not None:
            await self._front.answer(found, receive, send)
        elif scope["type"] == "lifespan":
            life = _Life(receive, send, opening=self._login.open, closing=self._login.close)
            await life.around(self.app, scope)
        else:
            await self._known(scope, receive, send)


class _Life:
    """The app's own lifespan with the bridge's around its service: open before it serves, closed after it ended.

    An app that knows no lifespan (it raises, returns, or answers as if it were a request) has the bridge's.
    """

    def __init__(self, receive: Receive, send: Send, *, opening: Step, closing: Step) -> None:
        self._receive = receive
        self._send = send
        self._opening = opening
        self._closing = closing
        self._heard = False
        self._answered = False
        self._open = False
        self._failed = False

    async def around(self, app: ASGIApp, scope: Scope) -> None:
        """Until shut-down."""
        try:
            await app(scope, self._hear, self._say)
            if self._open:  # it has nothing to do at its end; we have
                await self._receive()
                await self._say({"type": "lifespan.shutdown.complete"})
        except Exception:
            if self._heard or self._answered:
                raise
        finally:
            await self._shut()
        if not self._answered:
            await live(self._receive, self._send, self._opening, self._closing, begun=self._heard)

    async def _hear(self) -> Message:
        self._heard = True
        return await self._receive()

    async def _say(self, message: Message) -> None:
        match message["type"]:
            case "lifespan.startup.complete":
                await self._begin()
            case "lifespan.startup.failed":
                self._answered = True
            case "lifespan.shutdown.complete" | "lifespan.shutdown.failed":
                await self._shut()  # before the server hears of it, which then ends the loop
            case other:
                raise RuntimeError(f"{other} is no message of a lifespan")
        if not self._failed:
            await self._send(message)

    async def _begin(self) -> None:
        self._answered = True
        try:
            await self._opening()
        except Exception as error:
            self._failed = True  # whatever the app makes of it has been said
            await self._send({"type": "lifespan.startup.failed", "message": str(error)})
            raise
        self._open = True

    async def _shut(self) -> None:
        if self._open:
            self._open = False
            await self._closing()
