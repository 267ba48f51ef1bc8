"""ValidateLogin: is it this person, and a token for his session — whmcs-api §3.1.

The only action that proves who somebody is.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias, assert_never

from bridge.asgi import parse_ip
from bridge.errors import Unavailable
from bridge.legacy.actions import Action, Answer, Caller, failure, success
from bridge.legacy.options import LegacyOptions
from bridge.legacy.params import Params
from bridge.legacy.wire import Value
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
from bridge.login.shown import Shown, shown_by
from bridge.secret import Secret
from bridge.sessions.birth import Birth
from bridge.sessions.options import SessionOptions
from bridge.tokens import LoginToken
from bridge.types import AccountId, IPAddress, UserId, Visit

WRONG = "Email or Password Invalid"
_PARAMETERS: Final = frozenset({"email", "password2", "clientip", "second_factor"})


class Login(Protocol):
    """Where every door has its passwords checked."""

    async def attempt(
        self,
        email: str,
        password: Secret,
        *,
        wish: Birth | None,
        visit: Visit,
        shown: Shown | None,
        admits: Admits | None,
    ) -> Outcome: ...


ClientOf: TypeAlias = Callable[[UserId], Awaitable[AccountId | None]]
"""The number of a user as a client; None: he has none.  Raises Unavailable."""


class ValidateLogin:
    """Checks e-mail address and password; a right one makes a session of kind `legacy`."""

    def __init__(self, *, login: Login, client_of: ClientOf, options: LegacyOptions, sessions: SessionOptions) -> None:
        self._login = login
        self._client_of = client_of
        self._options = options
        self._sessions = sessions

    @property
    def action(self) -> Action:
        """For the registry."""
        return Action(name="ValidateLogin", run=self, parameters=_PARAMETERS)

    async def __call__(self, params: Params, caller: Caller) -> Answer:
        """One text for every reason, so that a caller's users learn nothing.  Raises Unavailable.

        `second_factor`, ours: a code of the authenticator app or a recovery code, and the token is given at once.
        """
        email, password = params.text("email"), params.secret("password2")
        if missing := [name for name in ("email", "password2") if not params.text(name)]:
            return failure(WRONG, f"{' and '.join(missing)} missing")
        given = params.optional("clientip").strip()
        person = parse_ip(given) if given else None
        owner = _Owner(self._client_of)
        outcome = await self._login.attempt(
            email,
            password,
            wish=self._wish(caller, person),
            visit=caller.visit(person),
            shown=shown_by(Secret(params.optional("second_factor"))),
            # Whoever is a wrong login here must not be left with a session.
            admits=owner.admits if self._options.userid_mode == "client" else None,
        )
        return await self._answer(outcome, caller, owner)

    def _wish(self, caller: Caller, person: IPAddress | None) -> Birth:
        terms = caller.sessions
        return Birth.legacy(
            self._sessions,
            via=caller.name,
            idle=terms.idle,
            absolute=terms.lifetime,
            cap=terms.cap,
            bind_ip=self._bound_to(caller, person),
        )

    def _bound_to(self, caller: Caller, person: IPAddress | None) -> IPAddress | None:
        match self._options.bind_ip:
            case "clientip":
                return person or caller.person
            case "caller":
                return caller.person or caller.address
            case "never":
                return None

    async def _answer(self, outcome: Outcome, caller: Caller, owner: "_Owner") -> Answer:
        match outcome:
            case LoggedIn(user, born):
                if born is None:
                    raise TypeError("a session was wished for and none was born")
                two_factor = user.second_factor != "none"
                return await self._success(user.id, owner, two_factor=two_factor, token=born.token)
            case SecondFactorNeeded(user):
                if self._options.error_on_2fa if caller.error_on_2fa is None else caller.error_on_2fa:
                    return failure(WRONG, "second factor (error_on_2fa)")
                return await self._success(user.id, owner, two_factor=True)
            case SecondFactorElsewhere():
                return failure(WRONG, "the second factor is known only to the user's authority")
            case Refused("not-admitted"):
                return failure(WRONG, "owns no client (userid_mode)")
            case Refused("wrong"):
                return failure(WRONG, "refused")
            case Refused(why):
                return failure(WRONG, f"second factor refused: {why}")
            case TooMany():
                return failure(WRONG, "too many attempts")
            case Unreachable():
                raise Unavailable("the user's authority did not answer")
            case _:
                assert_never(outcome)

    async def _success(
        self, user: UserId, owner: "_Owner", *, two_factor: bool, token: LoginToken | None = None
    ) -> Answer:
        of_client = self._options.userid_mode == "client"
        client = owner.client if of_client or not self._options.add_clientid else await self._client_of(user)
        members: dict[str, Value] = {"userid": client if of_client else user}
        if self._options.add_clientid and client is not None:
            members["clientid"] = client
        if token is not None:
            members["passwordhash"] = self._hash(user, token)
        elif self._options.hash_under_2fa == "empty":
            members["passwordhash"] = ""
        owed = two_factor and token is None
        return success(**members, twoFactorEnabled=two_factor, why="second factor owed" if owed else "")

    def _hash(self, user: UserId, token: LoginToken) -> str:
        text = token.text.reveal()
        if self._options.token_format == "json":  # noqa: S105  # a form
            return json.dumps({"id": user, "tk": text}, separators=(",", ":"))
        return text


@dataclass
class _Owner:
    """Whoever tries to come in, and his number as a client: looked up once, before he is let in."""

    client_of: ClientOf
    client: AccountId | None = None

    async def admits(self, user: UserId) -> bool:
        """Whether he has one."""
        self.client = await self.client_of(user)
        return self.client is not None
