"""A satellite: an app elsewhere that reads the bridge's sessions from a shared Redis — DESIGN §7, security §11.

It writes nothing there.  What must be written, that a session was used, it asks of the bridge's HTTP API; without that
a session used here alone idles out, and of the person only the number is known.
"""

import asyncio
import base64
import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPException as BrokenAnswer
from typing import Any, Final, TypeVar
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from bridge.asgi import Proxies, Scope
from bridge.clock import Clock, SystemClock
from bridge.errors import ConfigError, Unavailable
from bridge.events.event import Event, Events
from bridge.middleware.doorman import Doorman
from bridge.middleware.ticket import TicketDoor
from bridge.middleware.visitor import Visitor
from bridge.secret import Secret
from bridge.sessions.cookie import Cookies
from bridge.sessions.judge import Alive, Dead, touch_due
from bridge.sessions.options import SessionOptions
from bridge.sessions.record import RecordCodec, parse_record_keys
from bridge.sessions.resolve import Reader
from bridge.sessions.ticket import Redeemed, Refused, known_refusal
from bridge.sessions.touches import Touches
from bridge.stores.store import Store
from bridge.stores.url import open_store
from bridge.stores.versions import Cached, Versions
from bridge.tokens import LoginToken, Names
from bridge.types import IPAddress, IPNetwork, Place, Subject, UserId, Visit

ANSWER_SECONDS: Final = 3.0
LONGEST_ANSWER: Final = 64 * 1024
Answer = TypeVar("Answer")
log: Final = logging.getLogger("bridge.satellite")


@dataclass(frozen=True, slots=True)
class Profile:
    """What the bridge tells of a user; without an API nothing."""

    sub: Subject | None = None
    name: str = ""
    email: str = ""
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Question:
    """Whose profile: the same question whichever of the person's sessions is shown."""

    user: UserId
    alive: Alive = field(compare=False)


class Satellite:
    """`BridgeMiddleware(app, Satellite("redis://…", issuer=…, record_keys=…))`.

    `record_keys`: what `login-bridge session reader-keys` prints; never the master key.
    `bridge_url` and `credential` (identifier, secret): where and as whom sessions are touched, people asked for and
    tickets redeemed (actions TouchSession and RedeemTicket).
    `options`: as the bridge has them (`ip_check`, `cookie_name`, `shared_domain`, `sources`).  Raises ConfigError.
    """

    def __init__(
        self,
        redis_url: str,
        *,
        issuer: str,
        record_keys: str,
        bridge_url: str | None = None,
        credential: tuple[str, str] | None = None,
        options: SessionOptions | None = None,
        trusted_proxies: Sequence[IPNetwork] = (),
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._options = options or SessionOptions()
        self._store: Store = open_store(redis_url, clock=self._clock, reader=True)
        names = Names(issuer)
        codec = RecordCodec(parse_record_keys(record_keys), issuer)
        self._reader = Reader(store=self._store, names=names, codec=codec, clock=self._clock, options=self._options)
        self._api = _Api(bridge_url, credential) if bridge_url is not None and credential is not None else None
        if self._api is None and (bridge_url is not None or credential is not None):
            raise ConfigError("a satellite needs both bridge_url and credential, or neither")
        self._versions = Versions(self._store, names, _NoTruth())
        self._profiles: Cached[_Question, Profile] = Cached(self._ask, lambda: self._versions.token("users"))
        self._touches = Touches(self._touch)
        self._issuer = issuer
        self._cookies = Cookies(self._options, plain=issuer.startswith("http://"))
        self._proxies = Proxies(trusted_proxies)
        self._events = Events(self._clock, _Log())
        self._doorman = Doorman(
            sessions=self,
            people=self._person,
            cookies=self._cookies,
            proxies=self._proxies,
            options=self._options,
            events=self._events,
        )

    async def who(self, scope: Scope) -> Visitor:
        """Who sends this request: what `BridgeMiddleware` asks."""
        return await self._doorman.who(scope)

    def used(self, alive: Alive) -> None:
        """The session was used: the bridge is told in the background, if that is due."""
        if self._api is not None and touch_due(alive.record, self._clock.now(), self._options):
            self._touches.soon(alive)

    def tickets(self, origin: str) -> TicketDoor:
        """For `BridgeMiddleware(app, satellite, origin=…)`.  Raises ConfigError."""
        api = self._api
        if api is None:
            raise ConfigError("an app with an origin of its own needs bridge_url and credential, to redeem tickets")

        async def redeem(ticket: str, binding: str, _visit: Visit) -> Redeemed | Refused:
            return await asyncio.to_thread(api.redeem, ticket, origin, binding)

        return TicketDoor(
            origin,
            issuer=self._issuer,
            cookies=self._cookies,
            proxies=self._proxies,
            events=self._events,
            redeem=redeem,
        )

    async def resolve(self, token: LoginToken, place: Place, ip: IPAddress | None) -> Alive | Dead:
        """The session, or why there is none."""
        return await self._reader.resolve(token, place, ip)

    async def close(self) -> None:
        """Finish what is under way and let go of the connections."""
        await self._touches.finish()
        await self._store.close()

    @asynccontextmanager
    async def lifespan(self, app: Any = None) -> AsyncIterator[None]:  # noqa: ARG002  # Starlette's shape
        """For `Starlette(lifespan=satellite.lifespan)`: close at shut-down."""
        try:
            yield
        finally:
            await self.close()

    async def _person(self, user: UserId, alive: Alive) -> Profile | None:
        if self._api is None:
            return _BARE
        if self._versions.token("users") is None:
            with suppress(Unavailable):  # then nothing is believed from memory, and the bridge is asked
                await self._versions.poll()
        return await self._profiles.get(_Question(user, alive))

    async def _ask(self, question: _Question) -> Profile | None:
        return await self._told(question.alive)

    async def _touch(self, alive: Alive) -> None:
        await self._told(alive)

    async def _told(self, alive: Alive) -> Profile | None:
        assert self._api is not None
        return await asyncio.to_thread(self._api.touch, alive.token)


class _Api:
    """Calls of the bridge's API, each in a thread of its own: the standard library, no redirects, no proxy."""

    def __init__(self, bridge_url: str, credential: tuple[str, str]) -> None:
        if not bridge_url.startswith(("https://", "http://")):
            raise ConfigError("bridge_url must be http:// or https://")
        self._url = bridge_url.rstrip("/") + "/api/v1/sessions/"
        self._basic = Secret("Basic " + base64.b64encode(":".join(credential).encode()).decode())
        self._open = build_opener(ProxyHandler({}), _NoRedirect()).open

    def touch(self, token: LoginToken) -> Profile | None:
        """Touch the session; who it is, or None: it is over.  Raises Unavailable."""
        return self._call("touch", {"token": token.text.reveal()}, _profile)

    def redeem(self, ticket: str, origin: str, binding: str) -> Redeemed | Refused:
        """Use the ticket up, for a session.  Raises Unavailable."""
        return self._call("redeem", {"ticket": ticket, "origin": origin, "binding": binding}, _outcome)

    def _call(self, name: str, sent: dict[str, str], read: Callable[[dict[str, Any]], Answer]) -> Answer:
        headers = {"Authorization": self._basic.reveal(), "Content-Type": "application/json"}
        body = json.dumps(sent).encode()
        request = Request(self._url + name, body, headers, method="POST")  # noqa: S310  # the scheme was checked
        try:
            with self._open(request, timeout=ANSWER_SECONDS) as answer:
                return read(json.loads(answer.read(LONGEST_ANSWER)))
        except HTTPError as error:
            error.close()
            if error.code in (401, 403):
                log.error("the bridge refuses the satellite's credential: %s", error.code)
            raise Unavailable(f"the bridge answered {error.code}") from None
        except (OSError, ValueError, KeyError, TypeError, BrokenAnswer) as error:
            raise Unavailable(f"the bridge did not answer: {type(error).__name__}") from error


class _NoRedirect(HTTPRedirectHandler):
    """Our secret goes to the address that was configured, and nowhere else."""

    def redirect_request(self, *_args: Any, **_named: Any) -> None:
        return None


class _NoTruth:
    """A satellite knows no SQL and publishes nothing."""

    async def current(self) -> Mapping[str, int]:
        return {}


class _Log:
    """Refused tokens, for the app's own log."""

    def hear(self, event: Event) -> None:
        log.warning("%s: %s sid=%s ip=%s", event.kind, event.reason, event.sid, event.ip)


def _outcome(answer: dict[str, Any]) -> Redeemed | Refused:
    if answer["result"] != "redeemed":
        return Refused(known_refusal(answer["reason"]))
    token = LoginToken.parse(answer["token"])
    if token is None:
        raise ValueError("no token")
    return Redeemed(token, str(answer["next"]))


_BARE: Final = Profile()


def _profile(answer: dict[str, Any]) -> Profile | None:
    user = answer["user"]
    if user is None:
        return None
    return Profile(Subject(user["sub"]), user["name"], user["email"], tuple(user["groups"]))
