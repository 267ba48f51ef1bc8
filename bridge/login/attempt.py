"""The one place where a password is checked — DESIGN §4, sessions-and-accounts A6; RFC 8176 for `amr`.

Guard, row, check, birth: in this order at every door.
"""

import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, assert_never

import anyio

from bridge.errors import Unavailable
from bridge.events.event import Events
from bridge.login.entry import TRIES, Admits, Arrival, Arrivals, Entry
from bridge.login.options import LoginOptions
from bridge.login.outcome import (
    LoggedIn,
    Outcome,
    Refused,
    SecondFactorElsewhere,
    SecondFactorNeeded,
    TooMany,
    Unreachable,
)
from bridge.login.passwordless import Passwordless
from bridge.login.proof import Way
from bridge.login.remembering import Remembering
from bridge.login.second_factor import SecondFactor
from bridge.login.shown import Shown
from bridge.login.throttle import Attempt, Blocked, Pause, Throttle
from bridge.login.watch import Watch
from bridge.secret import Secret
from bridge.sessions.birth import Birth
from bridge.sessions.judge import Alive
from bridge.tokens import LoginToken
from bridge.types import Visit
from bridge.users import backend as of_backend
from bridge.users.backend import UserBackend
from bridge.users.user import User

__all__ = [
    "LoggedIn",
    "Login",
    "Outcome",
    "Refused",
    "SecondFactorElsewhere",
    "SecondFactorNeeded",
    "TooMany",
    "Unreachable",
]

AMR: Final = ("pwd",)


class Login:
    """Every door's way in.  All methods raise `Unavailable` (and `Busy`, when too many passwords are being checked)."""

    def __init__(
        self,
        *,
        users: UserBackend,
        second_factor: SecondFactor,
        entry: Entry,
        throttle: Throttle,
        watch: Watch,
        arrivals: Arrivals,
        passwordless: Passwordless | None,
        remembering: Remembering | None,
        options: LoginOptions,
        events: Events,
        pause: Pause = anyio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        took: Callable[[float], object] = lambda _: None,
    ) -> None:
        """`passwordless`: None where there can be no passkeys; `remembering`: None where no browser is kept
        signed in; `took` is told how many seconds each password check took."""
        self.passwordless: Passwordless | None = passwordless
        self.remembering: Remembering | None = remembering
        self._users = users
        self.second_factor: SecondFactor = second_factor
        self.entry: Entry = entry
        self._throttle = throttle
        self._watch = watch
        self._arrivals = arrivals
        self._floor = options.floor_ms / 1000
        self._events = events
        self._pause = pause
        self._monotonic = monotonic
        self._took = took

    async def attempt(
        self,
        email: str,
        password: Secret,
        *,
        wish: Birth | None,
        visit: Visit,
        over: Alive | None = None,
        child: LoginToken | None = None,
        shown: Shown | None = None,
        admits: Admits | None = None,
    ) -> Outcome:
        """Is it him?  Then what was wished for is born; `wish=None` only asks.

        `over`: the living session of this browser, which goes on under a new token; `child`: its app cookie; `shown`:
        the second factor, from whoever has no second step: judged where one is owed, once the password was right;
        `admits`: for whom this door is, asked then too.
        """
        arrival = (
            Arrival(wish=wish, visit=visit, over=over, child=child, shown=shown, admits=admits)
            if wish is not None
            else None
        )
        return await self._guarded(email, visit, partial(self._first_step, email, password, arrival, visit))

    async def finish(
        self,
        pending: LoginToken,
        shown: Shown,
        *,
        wish: Birth,
        visit: Visit,
        over: Alive | None = None,
        child: LoginToken | None = None,
    ) -> Outcome:
        """The second step of a login that `attempt` left pending."""
        return await self._finish(pending, shown, Arrival(wish=wish, visit=visit, over=over, child=child))

    async def ways(self, pending: LoginToken) -> tuple[Way, ...] | None:
        """How that login may be finished, the usual way first; None: not any more."""
        return await self.second_factor.ways(pending)

    async def passkey_request(self, pending: LoginToken, browser: str) -> str | None:
        """What that browser is asked for when it shall be a passkey; None: he has none."""
        return await self.second_factor.passkey_request(pending, browser)

    async def confirm_password(self, user: User, password: Secret, visit: Visit) -> Outcome:
        """Is it still the person of this session?  `LoggedIn` without anything born, whatever second factor he has."""

        async def check(_attempt: Attempt) -> Outcome:
            answer = await self._users.authenticate(user.email, password)
            if isinstance(answer, of_backend.Authenticated) and answer.user.id != user.id:
                answer = of_backend.Refused("another user")
            outcome = await self._told(answer, visit)
            if not isinstance(outcome, User):
                return outcome
            self._events.tell("login.ok", visit, user=user.id, amr=AMR, reason="confirmed")
            return LoggedIn(outcome, None)

        return await self._guarded(user.email, visit, check)

    async def _guarded(self, email: str, visit: Visit, check: Callable[[Attempt], Awaitable[Outcome]]) -> Outcome:
        """Counted before it is checked; given back when it was no wrong password.  Never faster than the floor."""
        admitted = await self._throttle.password(email, visit)
        if isinstance(admitted, Blocked):
            self._events.tell("login.blocked", visit, reason="throttled")
            return TooMany(admitted.wait)
        begun = self._monotonic()
        outcome = await self._settled(Attempt(self._throttle, admitted), check)
        await self._no_sooner(begun)
        return outcome

    async def _settled(self, attempt: Attempt, check: Callable[[Attempt], Awaitable[Outcome]]) -> Outcome:
        wrong = True  # also when the task is cancelled: somebody who hangs up has made his guess all the same
        try:
            outcome = await check(attempt)
            wrong = isinstance(outcome, Refused)
            return outcome
        except Unavailable:
            wrong = False
            raise
        finally:
            await attempt.over(wrong=wrong)

    async def _first_step(
        self, email: str, password: Secret, arrival: Arrival | None, visit: Visit, attempt: Attempt
    ) -> Outcome:
        for _ in range(TRIES):
            found = await self._told(await self._users.authenticate(email, password), visit)
            if not isinstance(found, User):
                return found
            attempt.right()
            outcome = await self._let_in(found, arrival, visit)
            if outcome is not None:
                return outcome
        raise Unavailable("contended")

    async def _let_in(self, user: User, arrival: Arrival | None, visit: Visit) -> Outcome | None:
        """None: the row changed after it was read, so the password must be checked again (store §2, rule 3)."""
        if arrival is not None and arrival.admits is not None and not await arrival.admits(user.id):
            self._events.tell("login.fail", visit, user=user.id, reason="not-admitted")
            return Refused("not-admitted")
        if user.second_factor != "none":
            return await self._owed(user, arrival, visit)
        if arrival is None:
            self._events.tell("login.ok", visit, user=user.id, amr=AMR)
            await self._watch.came_in(user, visit, None)
            return LoggedIn(user, None)
        failed = self._watch.look(user)
        try:
            born = await self.entry.against(user, partial(self.entry.enter, user, arrival, amr=AMR))
            if born is None:
                return None
            self._arrivals.note(user.id, visit.ip)
            self._events.tell("login.ok", visit, user=user.id, sid=born.token.sid, session=born.record.id, amr=AMR)
            await self._watch.came_in(user, visit, arrival, failed)
        finally:
            failed.cancel()
        return LoggedIn(user, born)

    async def _owed(self, user: User, arrival: Arrival | None, visit: Visit) -> Outcome | None:
        """A second factor.  Only a browser has a second step, and a program only what came with the password; who must
        enrol again has none to show (security §7)."""
        pending, shown = None, arrival.shown if arrival is not None else None
        if (
            user.second_factor != "re-enrol"
            and arrival is not None
            and (arrival.wish.kind == "op" or shown is not None)
        ):
            pending = await self.entry.against(user, partial(self.second_factor.begin, user, keep=arrival.wish.keep))
            if pending is None:
                return None
        self._events.tell("login.ok", visit, user=user.id, amr=AMR, reason="second-factor-owed")
        if arrival is None or pending is None or shown is None:
            return SecondFactorNeeded(user, pending)
        return await self._finish(pending, shown, arrival)

    async def _finish(self, pending: LoginToken, shown: Shown, arrival: Arrival) -> Outcome:
        outcome = await self.second_factor.finish(pending, shown, arrival)
        if isinstance(outcome, LoggedIn):
            self._arrivals.note(outcome.user.id, arrival.visit.ip)
            await self._watch.came_in(outcome.user, arrival.visit, arrival)
        return outcome

    async def _told(self, answer: of_backend.Answer, visit: Visit) -> User | Outcome:
        """The user whose password was right, or what to answer; what failed is told to the log."""
        match answer:
            case of_backend.Authenticated(user):
                return user
            case of_backend.SecondFactorElsewhere(url):
                self._events.tell("login.ok", visit, amr=AMR, reason="second-factor-elsewhere")
                return SecondFactorElsewhere(url)
            case of_backend.Refused(why, user_id):
                self._events.tell("login.fail", visit, user=user_id, reason=why)
                await self._watch.failed(user_id)
                return Refused()
            case of_backend.Unreachable():
                self._events.tell("upstream.down", visit, reason=self._users.name)
                return Unreachable()
            case _:
                assert_never(answer)

    async def _no_sooner(self, begun: float) -> None:
        """An answer takes at least `login.floor_ms`, so that the scheme of a hash does not show (A5)."""
        took = self._monotonic() - begun
        self._took(took)
        if (rest := self._floor - took) > 0:
            await self._pause(rest)
