"""Looks for a login token in a request and says who holds it — security §2, §13; engine §11."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol
from urllib.parse import urlsplit

from bridge.asgi import Proxies, Scope, header
from bridge.errors import Unavailable
from bridge.events.event import Events
from bridge.middleware.visitor import BridgeUser, SessionInfo, Visitor
from bridge.sessions.cookie import Ambiguous, Cookies
from bridge.sessions.judge import Alive, Dead, DeadReason
from bridge.sessions.options import SessionOptions, TokenSource
from bridge.tokens import LoginToken
from bridge.types import IPAddress, Place, Subject, UserId, Visit

_TOLD: Final[frozenset[DeadReason]] = frozenset({"wrong-place", "address-changed"})
"""Refusals of a living token, which somebody should hear of."""


class Resolver(Protocol):
    """Sessions, or a reader of them."""

    async def resolve(self, token: LoginToken, place: Place, ip: IPAddress | None) -> Alive | Dead: ...


class Person(Protocol):
    """What is shown of a user; `bridge.users.user.User` is one."""

    @property
    def sub(self) -> Subject | None: ...
    @property
    def name(self) -> str: ...
    @property
    def email(self) -> str: ...
    @property
    def groups(self) -> tuple[str, ...]: ...


People = Callable[[UserId, Alive], Awaitable[Person | None]]
"""The user's profile, from a cache; None: there is no such user any more."""


class Doorman:
    """One per app.  `allowed_origins` and `sources`: `sessions.*`."""

    def __init__(
        self,
        *,
        sessions: Resolver,
        people: People,
        cookies: Cookies,
        proxies: Proxies,
        options: SessionOptions,
        events: Events,
    ) -> None:
        looks: Mapping[TokenSource, _Look] = {
            "cookie": self._cookie,
            "bearer": _bearer,
            "host-session": self._host_session,
        }
        self._looks: list[tuple[_Look, Place]] = [(looks[source], _PLACE[source]) for source in options.sources]
        self._sessions = sessions
        self._people = people
        self._cookies = cookies
        self._proxies = proxies
        self._options = options
        self._events = events

    async def who(self, scope: Scope) -> Visitor:
        """Who sends this request or opens this WebSocket.  Never raises `Unavailable`: see `Visitor.unknown`."""
        found = self._find(scope)
        if found is None:
            return _NOBODY
        token, place = found
        try:
            verdict = await self._sessions.resolve(token, place, self._proxies.client(scope))
            if isinstance(verdict, Dead):
                return self._refused(scope, token, verdict)
            person = await self._people(verdict.record.uid, verdict)
        except Unavailable as error:
            return Visitor.unknown(error.retry_after, websocket=scope["type"] == "websocket")
        if person is None:
            return Visitor.nobody("disabled")
        return Visitor.signed_in(_user(verdict, person), verdict)

    def _find(self, scope: Scope) -> tuple[LoginToken, Place] | None:
        found: tuple[LoginToken, Place] | None = None
        for look, place in self._looks:
            text = look(scope)
            if isinstance(text, Ambiguous):
                self._tell(scope, "cookie-twice")
                return None
            token = LoginToken.parse(text) if text else None
            if token is not None and found is not None and found[0].sid != token.sid:
                self._tell(scope, "two-tokens")
                return None
            if token is not None and found is None:
                found = token, place
        return found if found is not None and self._from_here(scope) else None

    def _from_here(self, scope: Scope) -> bool:
        """A browser lets any page open a WebSocket with our cookie; only pages of this origin may (DESIGN §7)."""
        if scope["type"] != "websocket" or (origin := header(scope, b"origin")) is None:
            return True
        if origin in self._options.allowed_origins or _same_host(origin, header(scope, b"host")):
            return True
        self._tell(scope, "foreign-origin")
        return False

    def _refused(self, scope: Scope, token: LoginToken, dead: Dead) -> Visitor:
        if dead.reason in _TOLD:
            uid = dead.record.uid if dead.record is not None else None
            self._tell(scope, dead.reason, user=uid, sid=token.sid)
        return Visitor.nobody(dead.reason)

    def _tell(self, scope: Scope, reason: str, *, user: UserId | None = None, sid: str | None = None) -> None:
        visit = Visit("local", self._proxies.client(scope))
        self._events.tell("session.refused", visit, user=user, sid=sid, reason=reason)

    def _cookie(self, scope: Scope) -> str | Ambiguous | None:
        return self._cookies.read(scope, "app")

    def _host_session(self, scope: Scope) -> str | None:
        value = scope.get("session", {}).get(self._options.cookie_name)
        return value if isinstance(value, str) else None


_Look = Callable[[Scope], str | Ambiguous | None]
_NOBODY: Final = Visitor.nobody()
_PLACE: Final[Mapping[TokenSource, Place]] = {"cookie": "middleware", "bearer": "middleware", "host-session": "host"}


def _bearer(scope: Scope) -> str | None:
    scheme, _, token = (header(scope, b"authorization") or "").partition(" ")
    return token.strip(" ") if scheme.lower() == "bearer" else None


def _same_host(origin: str, host: str | None) -> bool:
    parts = urlsplit(origin)
    default = {"http": ":80", "https": ":443"}.get(parts.scheme)
    if default is None or not host:
        return False
    ours = host.lower()
    return parts.netloc.lower() in {ours, ours.removesuffix(default), ours + default}


def _user(alive: Alive, person: Person) -> BridgeUser:
    return BridgeUser(
        id=alive.record.uid,
        sub=person.sub,
        name=person.name,
        email=person.email,
        groups=person.groups,
        session=SessionInfo(alive.record),
    )
