"""Signing in with a passkey and nothing else — WebAuthn §7.2, sessions-and-accounts A6, A8; store §2, rule 3.

Guard, row, check, birth, as with a password.  Such a passkey has asked for a PIN, a finger or a face, so no second
step is owed.
"""

from functools import partial

from bridge.errors import Unavailable
from bridge.events.event import Events
from bridge.login.entry import Arrival, Arrivals, Entry
from bridge.login.outcome import LoggedIn, Outcome, Refused, TooMany
from bridge.login.passkeys import Passkeys
from bridge.login.proof import Right, Wrong
from bridge.login.relying_party import Said
from bridge.login.shown import Assertion
from bridge.login.throttle import Blocked, Throttle
from bridge.login.watch import Watch
from bridge.users.backend import UserBackend
from bridge.users.user import User


class Passwordless:
    """The way in beside the password."""

    def __init__(
        self,
        *,
        passkeys: Passkeys,
        users: UserBackend,
        entry: Entry,
        throttle: Throttle,
        watch: Watch,
        arrivals: Arrivals,
        events: Events,
    ) -> None:
        self._passkeys = passkeys
        self._users = users
        self._entry = entry
        self._throttle = throttle
        self._watch = watch
        self._arrivals = arrivals
        self._events = events

    def request(self, browser: str) -> str:
        """What that browser is asked for."""
        return self._passkeys.for_a_sign_in(browser)

    async def attempt(self, shown: Assertion, arrival: Arrival) -> Outcome:
        """Is it him?  Then what was wished for is born.  Raises `Unavailable`."""
        admitted = await self._throttle.passkey(arrival.visit)
        if isinstance(admitted, Blocked):
            self._events.tell("login.blocked", arrival.visit, reason="passkeys")
            return TooMany(admitted.wait)
        wrong = True  # also when the task is cancelled
        try:
            outcome = await self._attempt(shown, arrival)
            wrong = isinstance(outcome, Refused) and outcome.why != "stale"
            return outcome
        except Unavailable:
            wrong = False
            raise
        finally:
            await self._throttle.settle(admitted, wrong=wrong)

    async def _attempt(self, shown: Assertion, arrival: Arrival) -> Outcome:
        said = self._passkeys.said(shown.response, "sign-in", shown.browser)
        if said is None:
            return Refused("stale")
        user, found = await self._judge(shown, said)
        refusal = await found.spend(arrival.visit) if isinstance(found, Right) and found.spend else found
        if user is None or isinstance(refusal, Wrong) or not isinstance(found, Right):
            why = refusal.why if isinstance(refusal, Wrong) else "wrong"
            self._events.tell("login.fail", arrival.visit, user=user.id if user else None, reason=f"passkey-{why}")
            return Refused(why)
        also = () if found.spent is None else (found.spent,)
        born = await self._entry.against(user, partial(self._entry.enter, user, arrival, amr=found.amr, also=also))
        if born is None:  # his row has changed since it was read: he begins again
            return Refused("stale")
        self._arrivals.note(user.id, arrival.visit.ip)
        self._events.tell(
            "login.ok",
            arrival.visit,
            user=user.id,
            sid=born.token.sid,
            session=born.record.id,
            amr=found.amr,
            reason="passkey",
        )
        await self._watch.came_in(user, arrival.visit, arrival)
        return LoggedIn(user, born)

    async def _judge(self, shown: Assertion, said: Said) -> tuple[User | None, Right | Wrong]:
        """Whose it is, by his row as it was before it is checked.  One that is removed meanwhile is not found when it
        is used up, or his stamp is another when the session shall be born."""
        passkey = await self._passkeys.rows.passkey(said.credential_id)
        user = await self._users.by_id(passkey.user) if passkey is not None else None
        if passkey is None or user is None:
            return None, Wrong()
        kept_here = user.authority == self._users.name and user.second_factor in ("totp", "passkey")
        if user.disabled or not kept_here:
            return user, Wrong()
        return user, self._passkeys.alone(user, shown, said, passkey)
