"""What an app sees as `request.user` and `request.auth` — DESIGN §6, §7."""

from dataclasses import dataclass
from typing import Final, Never

from msgspec import Struct
from starlette.authentication import AuthCredentials
from starlette.exceptions import HTTPException, WebSocketException
from starlette.requests import HTTPConnection

from bridge.sessions.judge import Alive, DeadReason
from bridge.sessions.record import SessionRecord
from bridge.types import SessionKind, Subject, UserId

TRY_AGAIN_LATER: Final = 1013
"""The code that a WebSocket is closed with while the store does not answer."""


class SessionInfo:
    """What an app may know of the session.  Times are Unix seconds."""

    __slots__ = ("_record",)

    def __init__(self, record: SessionRecord) -> None:
        self._record = record

    @property
    def id(self) -> str:
        """Names the session, in logs too; nobody can sign in with it."""
        return self._record.parent or self._record.id

    @property
    def kind(self) -> SessionKind:
        """The door: app (a person at the login page), legacy (ValidateLogin) or sso (a singlesignon link)."""
        return self._record.kind

    @property
    def auth_time(self) -> int:
        """When the person last showed who he is."""
        return self._record.auth_time

    @property
    def amr(self) -> tuple[str, ...]:
        """How (RFC 8176): pwd, otp, mfa, …"""
        return self._record.amr

    @property
    def acr(self) -> str | None:
        """How well, where that was decided."""
        return self._record.acr

    @property
    def until(self) -> int:
        """When it ends at the latest."""
        return self._record.abs

    def __repr__(self) -> str:
        return f"SessionInfo(id={self.id!r}, kind={self.kind!r})"


class BridgeUser(Struct, frozen=True, kw_only=True):
    """The person who is signed in."""

    id: UserId
    sub: Subject | None
    """The OpenID subject; None where only the session could be read."""
    name: str
    email: str
    groups: tuple[str, ...]
    session: SessionInfo

    @property
    def is_authenticated(self) -> bool:
        """True."""
        return True

    @property
    def display_name(self) -> str:
        """The name, else the e-mail address."""
        return self.name or self.email

    @property
    def identity(self) -> str:
        """The user's number as text."""
        return str(self.id)


@dataclass(frozen=True, slots=True)
class Anonymous:
    """Nobody is signed in."""

    ended: DeadReason | None = None
    """Why the token that came along is nobody, so that a page can say so."""

    def __bool__(self) -> bool:
        return False

    @property
    def is_authenticated(self) -> bool:
        """False."""
        return False

    @property
    def display_name(self) -> str:
        """Empty."""
        return ""

    @property
    def identity(self) -> str:
        """Empty."""
        return ""


class StoreDown(HTTPException):
    """503: somebody may be signed in, and nobody can say who (S18)."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(503, "The sign-in service does not answer. Try again soon.", {"Retry-After": str(retry_after)})


@dataclass(frozen=True, slots=True)
class _Silence:
    """How a question about the user is answered while the store does not answer."""

    retry_after: int
    websocket: bool

    def error(self) -> StoreDown | WebSocketException:
        """What to raise: StoreDown, or on a WebSocket the exception that closes it."""
        if self.websocket:
            return WebSocketException(TRY_AGAIN_LATER, "The sign-in service does not answer.")
        return StoreDown(self.retry_after)


class UnknownUser:
    """A token came along and the store does not answer: whoever asks anything of this user gets a 503."""

    def __init__(self, silence: _Silence) -> None:
        object.__setattr__(self, "_silence", silence)

    def __getattr__(self, name: str) -> Never:
        if name.startswith("__"):
            raise AttributeError(name)
        raise self._silence.error()

    def __bool__(self) -> bool:
        raise self._silence.error()

    def __repr__(self) -> str:
        return "UnknownUser()"


class UnknownCredentials:
    """The same for `request.auth`."""

    def __init__(self, silence: _Silence) -> None:
        self._silence = silence

    @property
    def scopes(self) -> list[str]:
        """Raises StoreDown."""
        raise self._silence.error()


class Visitor(Struct, frozen=True):
    """Who sends a request: what `scope["user"]` and `scope["auth"]` become."""

    user: BridgeUser | Anonymous | UnknownUser
    auth: AuthCredentials | UnknownCredentials
    alive: Alive | None = None

    @classmethod
    def nobody(cls, ended: DeadReason | None = None) -> "Visitor":
        """Nobody is signed in."""
        return cls(Anonymous(ended), AuthCredentials())

    @classmethod
    def unknown(cls, retry_after: int, *, websocket: bool) -> "Visitor":
        """The store does not answer."""
        silence = _Silence(retry_after, websocket)
        return cls(UnknownUser(silence), UnknownCredentials(silence))

    @classmethod
    def signed_in(cls, user: BridgeUser, alive: Alive) -> "Visitor":
        """Scopes are the user's groups, and `authenticated` as Starlette's own examples have it."""
        return cls(user, AuthCredentials(("authenticated", *user.groups)), alive)


def current_user(connection: HTTPConnection) -> BridgeUser:
    """The signed-in person, as a FastAPI dependency: `Annotated[BridgeUser, Depends(current_user)]`.

    Raises HTTPException: 401 when nobody is signed in, 503 while the store does not answer.
    """
    user = connection.scope["user"]
    if not user.is_authenticated:
        raise HTTPException(401, "Sign in first.", {"WWW-Authenticate": "Cookie"})
    assert isinstance(user, BridgeUser)
    return user
