"""A reset link is followed, and used once — sessions-and-accounts §6.2, R3, R6, R7; security §24.

Looking at a link changes nothing, however often.  Using it is one UPDATE that compares what the link was tied to:
of fifty who post at once, one has changed the password.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, Protocol

from bridge.errors import Unavailable
from bridge.events.event import Events
from bridge.resets.ask import Users
from bridge.resets.change import Notify, tell_owner
from bridge.resets.judge import NewPasswords
from bridge.resets.link import Bad, Expired, Links
from bridge.resets.send import state_of
from bridge.secret import Secret
from bridge.sessions.sessions import Sessions
from bridge.types import UserId, Visit
from bridge.users.policy import PasswordFault
from bridge.users.user import User

LinkProblem = Literal["expired", "used", "bad"]


@dataclass(frozen=True, slots=True)
class Ready:
    """The link is good: show the form.  `user` is the row it is tied to."""

    user: User


@dataclass(frozen=True, slots=True)
class Refused:
    """The link is not good, or no longer."""

    problem: LinkProblem


@dataclass(frozen=True, slots=True)
class Unfit:
    """The link is good, the new password is not."""

    fault: PasswordFault
    user: User


@dataclass(frozen=True, slots=True)
class Changed:
    """The password is changed and everything of the user has ended.  Nobody is signed in (R6)."""

    user: User


class PasswordWriter(Users, Protocol):
    """Users whose password can be set."""

    async def set_password(self, user: User, new: Secret) -> User | None:
        """Compare-and-swap on the row that `user` was read from; None: it has changed since."""
        ...


class ResetCompletion:
    """Reads links and uses them."""

    def __init__(
        self,
        *,
        links: Links,
        users: PasswordWriter,
        sessions: Sessions,
        passwords: NewPasswords,
        notify: Notify,
        events: Events,
    ) -> None:
        self._links = links
        self._users = users
        self._sessions = sessions
        self._passwords = passwords
        self._notify = notify
        self._events = events

    async def look(self, token: str) -> Ready | Refused:
        """What the link is now.  Reads the user's row; changes nothing."""
        link = self._links.read(token)
        if isinstance(link, Expired):
            return Refused("expired")
        if isinstance(link, Bad):
            return Refused("bad")
        user = await self._users.by_id(UserId(link.user))
        if user is None or user.disabled or not self._passwords.kept_here(user):
            return Refused("bad")
        return Ready(user) if self._links.fits(link, state_of(user)) else Refused("used")

    async def finish(self, token: str, new: Secret, visit: Visit) -> Changed | Unfit | Refused:
        """Use the link: the password, the end of every session, a mail to the owner.  Raises `Unavailable`, `Busy`."""
        found = await self.look(token)
        if isinstance(found, Refused):
            self._events.tell("reset.refused", visit, reason=found.problem)
            return found
        if fault := self._passwords.judge(found.user, new):
            return Unfit(fault, found.user)
        changed = await self._users.set_password(found.user, new)
        if changed is None:
            self._events.tell("reset.refused", visit, user=found.user.id, reason="used")
            return Refused("used")
        self._events.tell("reset.done", visit, user=changed.id)
        # SQL holds the new stamp already.  A store that does not answer now lets nobody in either, and before its
        # doors reopen the reconciler has published this stamp.
        with suppress(Unavailable):
            await self._sessions.publish_stamp(changed.id, changed.tag)
        await tell_owner(self._notify, changed, visit)
        return Changed(changed)
