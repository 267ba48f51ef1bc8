"""The bridge: rooms and doors put together, opened, served — DESIGN §4, §7.

login = Bridge(Config.load(Path("bridge.toml")))
app = login.middleware(app)                     # its own paths answered, the rest of `app` knows who is there
app = Starlette(routes=[Mount("/sso", login)], lifespan=login.lifespan)
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from bridge.app.doors import home, make_doors
from bridge.app.health import Health
from bridge.app.leaving import SIGN_OUT, LateSignOuts
from bridge.app.mail import PASSWORD_CHANGED, Notices
from bridge.app.rooms import Rooms, make_rooms
from bridge.asgi import ASGIApp, Proxies, Receive, Scope, Send
from bridge.clock import Chance, Clock, SystemClock, chance
from bridge.config import Config
from bridge.database.revision import check_revision
from bridge.errors import ConfigError, Unavailable
from bridge.events.event import Listener
from bridge.front import Front, anybody, lifespan, local_only
from bridge.legacy.actions import Action
from bridge.legacy.local import LocalApi
from bridge.middleware.asgi import BridgeMiddleware
from bridge.middleware.doorman import Doorman
from bridge.middleware.visitor import Visitor
from bridge.outbox.letter import Letters
from bridge.outbox.mailer import open_mailer
from bridge.outbox.post import Post
from bridge.outbox.worker import OutboxWorker, Sender
from bridge.resets.ask import PURPOSE as RESET
from bridge.resets.send import ResetSender
from bridge.sessions.judge import Alive
from bridge.stores.store import Add
from bridge.types import UserId

_log = logging.getLogger("bridge")


class Bridge:
    """One login for every door.  An ASGI app; `running()` opens it where nobody runs its lifespan.

    `listeners` hear every event; `actions` are the operator's own legacy actions.  Raises ConfigError.
    """

    def __init__(
        self,
        config: Config,
        *,
        clock: Clock | None = None,
        chance: Chance = chance,
        listeners: Sequence[Listener] = (),
        actions: Sequence[Action] = (),
    ) -> None:
        self.config = config
        self.rooms: Rooms = make_rooms(config, clock=clock or SystemClock(), chance=chance)
        self._opening = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self._open = False
        self._proxies = Proxies(config.server.trusted_proxies)
        everybody: tuple[Listener, ...] = (self.rooms.metrics, self.rooms.audit, *listeners)
        for listener in everybody:
            self.rooms.events.listen(listener)
        self._post = _post(self.rooms)
        self._notices = _notices(self.rooms, self._post)
        doors = make_doors(self.rooms, self._notices, proxies=self._proxies, actions=actions)
        health = self._health()
        self._front = Front(
            exact={**doors.endpoints, **health.endpoints()},
            prefixes=doors.prefixes,
            trouble=doors.troubles,
            tell=_tell,
            admit=local_only if config.dev else anybody,
        )
        self.local_api: Callable[..., Awaitable[Any]] = LocalApi(actions=doors.actions, proxies=self._proxies)
        """`await login.local_api("ValidateLogin", {...}, request=request)`: the legacy actions within the process."""
        self._doorman = Doorman(
            sessions=self.rooms.sessions,
            people=self._person,
            cookies=self.rooms.cookies,
            proxies=self._proxies,
            options=config.sessions,
            events=self.rooms.events,
        )

    # ── as an ASGI app ──

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers its own paths, and 404 for others."""
        if scope["type"] == "lifespan":
            await lifespan(receive, send, self.open, self.close)
        elif scope["type"] == "http":
            await self._opened()
            endpoint = self._front.find(scope) or (home if scope["path"] == scope.get("root_path", "") + "/" else None)
            if endpoint is not None:
                await self._front.answer(endpoint, scope, receive, send)
            else:
                await self._front.refuse(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    def middleware(self, app: ASGIApp) -> ASGIApp:
        """`app`, with the bridge's own paths answered here and `request.user` filled for all others."""
        return _Interceptor(self, app, self._front)

    def lifespan(self, _app: Any = None) -> Any:
        """For `Starlette(lifespan=login.lifespan)`: a mounted app's own lifespan is not run."""
        return self.running()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Open within this block: `async with login.running(): …`."""
        await self.open()
        try:
            yield
        finally:
            await self.close()

    # ── opening and closing ──

    async def open(self) -> None:
        """Connect, check that this store and database are ours, make the first keys, begin the background work.

        Raises ConfigError (another instance's store or slot key, tables of another version) and `Unavailable`.
        """
        async with self._opening:
            if self._open:
                return
            rooms = self.rooms
            await rooms.database.open()
            await check_revision(rooms.database)
            await rooms.raw_store.open()
            await self._claim()
            await rooms.keyring.ensure()
            await rooms.reconciler.tick()
            await rooms.versions.poll()
            self._begin(self._work())
            self._open = True

    async def close(self) -> None:
        """Finish what was begun: touches, mail that was asked for, audit rows; then disconnect."""
        async with self._opening:
            if not self._open:
                return
            self._open = False
            await self.rooms.sessions.finish()
            await self.rooms.resets.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._tasks.clear()
            await self.rooms.audit.close()
            await self.rooms.raw_store.close()
            await self.rooms.database.close()

    # ── for the middleware ──

    async def who(self, scope: Scope) -> Visitor:
        """Who sends this request."""
        await self._opened()
        return await self._doorman.who(scope)

    def used(self, alive: Alive) -> None:
        """His session was used: noted after the answer, at most once a minute."""
        self.rooms.sessions.used(alive)

    async def _person(self, user: UserId, alive: Alive) -> Any:
        return await self.rooms.cached_users.by_id(user, stamp=alive.record.stamp)

    async def _opened(self) -> None:
        if not self._open:
            await self.open()

    # ── what runs beside the requests ──

    def _work(self) -> list[Coroutine[Any, Any, None]]:
        rooms, config = self.rooms, self.config
        sender = ResetSender(
            users=rooms.users,
            links=rooms.links,
            post=self._post,
            events=rooms.events,
            base_url=config.base_url,
        )
        senders: dict[str, Sender] = {
            RESET: sender,
            PASSWORD_CHANGED: self._notices.send_password_changed,
            SIGN_OUT: LateSignOuts(outbox=rooms.outbox, sessions=rooms.sessions).send,
        }
        worker = OutboxWorker(rooms.database, senders, rooms.clock, rooms.events, config.mail)
        return [
            rooms.reconciler.run(),
            rooms.versions.run(),
            rooms.last_logins.run(),
            worker.run(),
            rooms.audit.run(),
            self._follow_keys(),
            self._sweep(worker),
        ]

    def _begin(self, work: Sequence[Coroutine[Any, Any, None]]) -> None:
        self._tasks = [asyncio.create_task(each) for each in work]
        for task in self._tasks:
            task.add_done_callback(_complain)

    async def _follow_keys(self) -> None:
        """Another worker, or the command line, changed the keys: read them again, within two seconds."""
        seen = self.rooms.versions.token("keys")
        while True:
            await asyncio.sleep(0.5)
            token = self.rooms.versions.token("keys")
            if token is not None and token != seen:
                with suppress(Unavailable):
                    await self.rooms.keyring.refresh()
                    seen = token

    async def _sweep(self, worker: OutboxWorker) -> None:
        """Forget, once an hour, what could no longer matter."""
        while True:
            await asyncio.sleep(3_600)
            with suppress(Unavailable):
                await self.rooms.endings.sweep()
                await self.rooms.audit.forget()
                await worker.forget()

    async def _claim(self) -> None:
        """This part of the store is ours, under this slot key: another instance's is refused (security §6)."""
        rooms = self.rooms
        key = rooms.names.owner()
        mine = f"{rooms.names.issuer} {rooms.slots.fingerprint}".encode()
        for _ in range(2):
            (owner,) = await rooms.raw_store.read(key)
            if owner == mine:
                return
            if owner is not None:
                raise ConfigError(
                    "store.url: this store is in use under another issuer or slot key (secrets.slot); "
                    "a slot key never changes in the life of an instance"
                )
            await rooms.raw_store.commit(Add(key, mine, 400 * 86_400.0))

    def _health(self) -> Health:
        rooms = self.rooms

        async def keys() -> None:
            if not rooms.keyring.published():
                raise Unavailable("no signing keys")

        async def store() -> None:
            await rooms.store.read(rooms.names.owner())

        return Health(
            checks={"store": store, "database": rooms.database.ping, "keys": keys},
            metrics=rooms.metrics,
            proxies=self._proxies,
            metrics_allowed=self.config.server.metrics_allowed,
        )


class _Interceptor:
    """Answers the bridge's paths; tells everybody else's app who is there."""

    def __init__(self, login: Bridge, app: ASGIApp, front: Front) -> None:
        self._login = login
        self._front = front
        self._app = app
        self._known = BridgeMiddleware(app, login)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        elif scope["type"] == "http" and (endpoint := self._front.find(scope)) is not None:
            await self._login.open()
            await self._front.answer(endpoint, scope, receive, send)
        else:
            await self._known(scope, receive, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The app's own lifespan, with ours around it."""

        async def watched(message: Any) -> None:
            if message["type"] == "lifespan.startup.complete":
                await self._login.open()
            await send(message)
            if message["type"].startswith("lifespan.shutdown"):
                await self._login.close()

        await self._app(scope, receive, watched)


def _post(rooms: Rooms) -> Post:
    pages = rooms.config.pages
    letters = Letters(pages.brand, template_dirs=pages.template_dirs, locale_dirs=pages.locale_dirs)
    return Post(mailer=open_mailer(rooms.config.mail, rooms.clock), letters=letters, events=rooms.events)


def _notices(rooms: Rooms, post: Post) -> Notices:
    return Notices(users=rooms.users, outbox=rooms.outbox, post=post, clock=rooms.clock, base_url=rooms.config.base_url)


def _tell(error: BaseException, reference: str, scope: Scope) -> None:
    """The path's query may hold a token: only the path is told."""
    _log.error("reference %s: %s %s failed", reference, scope["method"], scope["path"], exc_info=error)


def _complain(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.critical("a background task ended", exc_info=error)
