"""The bridge: rooms and doors put together, opened, served — DESIGN §4, §7.

login = Bridge(Config.load(Path("bridge.toml")))
app = login.middleware(app)                     # its own paths answered, the rest of `app` knows who is there
app = Starlette(routes=[Mount("/sso", login)], lifespan=login.lifespan)
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Final
from urllib.parse import urlsplit

from bridge.app.admission import hosts_only, local_only
from bridge.app.claim import claim
from bridge.app.doors import home, make_doors
from bridge.app.eviction import drops
from bridge.app.health import Health
from bridge.app.interceptor import Interceptor
from bridge.app.life import live
from bridge.app.production import refuse_the_demo
from bridge.app.rooms import Rooms, make_rooms
from bridge.app.telling import Careful, Teller
from bridge.app.turnstile import Turnstile
from bridge.app.work import Work
from bridge.asgi import ASGIApp, Endpoints, Proxies, Receive, Scope, Send
from bridge.clock import Chance, Clock, SystemClock, chance
from bridge.config import Config
from bridge.database.revision import check_revision
from bridge.errors import BridgeError, ConfigError, Unavailable
from bridge.events.event import Listener
from bridge.front import Front
from bridge.legacy.actions import Action
from bridge.legacy.local import LocalApi, Request
from bridge.legacy.params import Plain
from bridge.legacy.wire import Content
from bridge.middleware.doorman import Doorman
from bridge.middleware.ticket import TicketDoor
from bridge.middleware.visitor import Visitor
from bridge.outbox.letter import Letters
from bridge.outbox.mailer import open_mailer
from bridge.outbox.post import Post
from bridge.sessions.judge import Alive, Dead
from bridge.sessions.ticket import Redeemed, Refused
from bridge.stores.canary import try_writing
from bridge.stores.store import Store
from bridge.tokens import LoginToken
from bridge.types import IPAddress, Place, UserId, Visit

PATIENCE: Final = 1.0
"""Seconds for which nobody tries again to open what could not be opened."""

_log = logging.getLogger("bridge")


class Bridge:
    """One login for every door.  An ASGI app; `running()` opens it where nobody runs its lifespan.

    Where nobody opens it at all, the first request does.  `listeners` hear every event; `actions` are the operator's
    own legacy actions.  Raises ConfigError.
    """

    def __init__(
        self,
        config: Config,
        *,
        clock: Clock | None = None,
        chance: Chance = chance,
        listeners: Sequence[Listener] = (),
        actions: Sequence[Action] = (),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config = config
        self.rooms: Rooms = make_rooms(config, clock=clock or SystemClock(), chance=chance)
        self._monotonic = monotonic
        self._opening = asyncio.Lock()
        self._open = False
        self._closed = False
        self._not_before = float("-inf")
        self._to_release = AsyncExitStack()
        self._inside = Turnstile()
        self._proxies = Proxies(config.server.trusted_proxies)
        everybody: tuple[Listener, ...] = (self.rooms.metrics, self.rooms.audit, *map(Careful, listeners))
        for listener in everybody:
            self.rooms.events.listen(listener)
        post = _post(self.rooms)
        self._work = Work(self.rooms, post=post)
        doors = make_doors(self.rooms, proxies=self._proxies, actions=actions, tell=self._work.tell)
        self._health = _health(self.rooms, self._work, self._proxies)
        health = self._health.endpoints()
        self._base = urlsplit(config.base_url).path
        self._front = Front(
            exact={**self._when_open(doors.endpoints), **health, "/readyz": self._opened_first(health["/readyz"])},
            prefixes=self._when_open(doors.prefixes),
            trouble=doors.troubles,
            tell=Teller(monotonic),
            admit=local_only if config.dev else hosts_only(_hosts(config)),
            base=self._base,
            alone={"": home, "/": home},
        )
        self._local_api = LocalApi(actions=doors.actions, proxies=self._proxies)
        self._doorman = Doorman(
            sessions=self,
            people=self._person,
            cookies=self.rooms.cookies,
            proxies=self._proxies,
            options=config.sessions,
            events=self.rooms.events,
        )
        self._told_of_mount = False

    # ── as an ASGI app ──

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers its own paths, and 404 for others."""
        match scope["type"]:
            case "http":
                if scope.get("root_path"):
                    self._see_where(scope)
                found = self._front.find_alone(scope)
                if found is not None:
                    await self._front.answer(found, receive, send)
                else:
                    await self._front.refuse(scope, receive, send)
            case "lifespan":
                await live(receive, send, self.open, self.close)
            case _:
                await send({"type": "websocket.close", "code": 1000})

    def middleware(self, app: ASGIApp) -> ASGIApp:
        """`app`, with the bridge's own paths answered here and `request.user` filled for all others."""
        return Interceptor(app, self, self._front)

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

    async def local_api(
        self, action: str, values: Mapping[str, Plain] | None = None, *, request: Request | None = None
    ) -> Content:
        """`await login.local_api("ValidateLogin", {…}, request=request)`: the legacy actions within the process.

        ValueError for a parameter that the action does not declare; Unavailable.
        """
        await self._opened()
        with self._inside:
            return await self._local_api(action, values, request=request)

    # ── opening and closing ──

    async def open(self) -> None:
        """Connect, check that this store and database are ours, make the first keys, begin the background work.

        Raises ConfigError (another instance's store or slot key, tables of another version, the demo's user in
        production) and `Unavailable`; what was opened by then is closed again.
        """
        async with self._opening:
            if not self._open:
                self._closed = False
                await self._open_all()

    async def close(self) -> None:
        """Let the requests under way finish, and what they began (touches, mail, audit rows); then disconnect.

        A request that comes now is answered 503.
        """
        async with self._opening:
            self._closed = True
            if self._open:
                self._open = False
                await self._to_release.aclose()

    # ── for the middleware ──

    async def who(self, scope: Scope) -> Visitor:
        """Who sends this request."""
        return await self._doorman.who(scope)

    async def resolve(self, token: LoginToken, place: Place, ip: IPAddress | None) -> Alive | Dead:
        """The session, or why there is none: what the doorman asks."""
        if not self._open:
            await self._opened()
        with self._inside:
            return await self.rooms.sessions.resolve(token, place, ip)

    def used(self, alive: Alive) -> None:
        """His session was used: noted after the answer, at most once a minute."""
        if self._open:
            self.rooms.sessions.used(alive)

    def tickets(self, origin: str) -> TicketDoor:
        """For `BridgeMiddleware(app, login, origin=…)`: an app in this process, on another host than the issuer."""
        if not self.rooms.tickets.may_get(origin):
            raise ConfigError(f"{origin} is not one of sessions.ticket_origins")

        async def redeem(ticket: str, binding: str, visit: Visit) -> Redeemed | Refused:
            await self._opened()
            with self._inside:
                return await self.rooms.tickets.redeem(
                    ticket, origin=origin, binding=binding, via="ticket", visit=visit
                )

        return TicketDoor(
            origin,
            issuer=self.config.base_url,
            cookies=self.rooms.cookies,
            proxies=self._proxies,
            events=self.rooms.events,
            redeem=redeem,
        )

    async def _person(self, user: UserId, alive: Alive) -> Any:
        with self._inside:
            return await self.rooms.cached_users.by_id(user, stamp=alive.record.stamp)

    # ── what lies beneath ──

    async def _open_all(self) -> None:
        rooms = self.rooms
        async with AsyncExitStack() as stack:
            stack.push_async_callback(rooms.database.close)
            await rooms.database.open()
            await check_revision(rooms.database)
            await refuse_the_demo(rooms)
            stack.push_async_callback(rooms.raw_store.close)
            await rooms.raw_store.open()
            await claim(rooms.raw_store, rooms.names, rooms.slots)
            await _warn_of_eviction(rooms.raw_store)
            await rooms.versions.refuse_an_older_truth()
            await rooms.keyring.ensure()
            await rooms.reconciler.tick()
            await rooms.versions.poll()
            self._work.begin()
            stack.push_async_callback(self._work.finish)
            stack.push_async_callback(self._inside.emptied, self.config.server.graceful_timeout)
            self._to_release = stack.pop_all()
        self._open = True

    async def _opened(self) -> None:
        """Open, if nobody did.  Raises `Unavailable`, at once while it could not be opened a moment ago."""
        if self._open:
            return
        self._refuse_if_closed()  # before the lock: who closes holds it until the last request has left
        async with self._opening:
            if self._open:
                return
            self._refuse_if_closed()
            if self._monotonic() < self._not_before:
                raise Unavailable("the bridge could not be opened a moment ago")
            try:
                await self._open_all()
            except BridgeError as error:
                self._not_before = self._monotonic() + PATIENCE
                _log.critical("the bridge cannot be opened: %s", error)
                raise Unavailable("the bridge cannot be opened") from error

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise Unavailable("the bridge is closed")

    def _when_open(self, endpoints: Endpoints) -> Endpoints:
        return {path: self._opened_first(endpoint) for path, endpoint in endpoints.items()}

    def _opened_first(self, endpoint: ASGIApp) -> ASGIApp:
        async def opened(scope: Scope, receive: Receive, send: Send) -> None:
            if not self._open:
                await self._opened()
            with self._inside:
                await endpoint(scope, receive, send)

        return opened

    def _see_where(self, scope: Scope) -> None:
        """Mounted elsewhere than the issuer says, no client finds what discovery names."""
        root: str = scope["root_path"]
        if root != self._base and not self._told_of_mount and not self._base.startswith(root + "/"):
            self._told_of_mount = True
            _log.error("the bridge is mounted at %s; set server.base_url to an address that ends in it", root)


def _hosts(config: Config) -> Sequence[str]:
    names = config.server.allowed_hosts
    return (*names, urlsplit(config.base_url).netloc) if names else ()


async def _warn_of_eviction(store: Store) -> None:
    """It may be changed while we run; a start that was refused for it would be an outage."""
    with suppress(Unavailable):
        if dropping := await drops(store):
            _log.error(dropping)


def _health(rooms: Rooms, work: Work, proxies: Proxies) -> Health:
    async def keys() -> None:
        if not rooms.keyring.published():
            raise Unavailable("no signing keys")

    async def store() -> None:
        await rooms.store.read(rooms.names.owner())
        await try_writing(rooms.store, rooms.names)

    watch = rooms.metrics.watch
    watch("outbox_waiting", "Letters and other jobs that wait, as last counted.", lambda: work.letters_waiting)
    watch("outbox_dead", "Jobs that were given up, as last counted.", lambda: work.letters_dead)
    watch("logouts_waiting", "Apps to be told of a sign-out, as last counted.", lambda: work.farewells_waiting)
    watch("logouts_dead", "Apps that could not be told of one, as last counted.", lambda: work.farewells_dead)
    watch("audit_waiting", "Events that are not yet in the audit.", lambda: rooms.audit.waiting)
    watch("audit_lost", "Events that found no room in the audit, since the start.", lambda: rooms.audit.lost)
    watch("store_lost", "1 while the store may have lost data and is not believed.", lambda: rooms.raw_store.lost)
    return Health(
        checks={"store": store, "database": rooms.database.ping, "keys": keys, "work": work.check},
        metrics=rooms.metrics,
        proxies=proxies,
        metrics_allowed=rooms.config.server.metrics_allowed,
    )


def _post(rooms: Rooms) -> Post:
    pages = rooms.config.pages
    letters = Letters(pages.brand, template_dirs=pages.template_dirs, locale_dirs=pages.locale_dirs)
    return Post(mailer=open_mailer(rooms.config.mail, rooms.clock), letters=letters, events=rooms.events)
