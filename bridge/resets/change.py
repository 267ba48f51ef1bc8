"""A person changes his password while signed in — S3, S9, A3, A9.

This session stays, under new tokens: whoever had copied the old ones is out.  Every other session of his ends in the
transaction that writes the hash.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

from bridge.errors import Unavailable
from bridge.events.event import Events
from bridge.secret import Secret
from bridge.sessions.birth import Born
from bridge.sessions.judge import Alive, Dead
from bridge.sessions.renewal import renewed
from bridge.sessions.sessions import Sessions
from bridge.types import Stamp, Visit
from bridge.users.user import User

Notify = Callable[[User, Visit], Awaitable[object]]
"""Queues the mail that tells the owner.  Raises `Unavailable`."""

_AMR: Final = ("pwd",)  # RFC 8176; what was shown now, whatever the session began with
_log = logging.getLogger("bridge.resets")


class PasswordKeeper(Protocol):
    """Users whose password can be set."""

    async def set_password(self, user: User, new: Secret, *, keep: Stamp | None = None) -> User | None:
        """Compare-and-swap on the row that `user` was read from, and on its stamp where `keep` names it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordChange:
    """Changes passwords that were confirmed by the current one."""

    users: PasswordKeeper
    sessions: Sessions
    notify: Notify
    events: Events

    async def change(self, user: User, new: Secret, kept: Alive, visit: Visit) -> Born | Dead | None:
        """The kept session under new tokens; Dead: the password is changed, and this session ended with the others;
        None: nothing is changed, as the row is not what it was when it was read.

        `user` is the row that the current password was checked against.  Raises `Unavailable`, `Busy`: nothing is
        known to have changed.
        """
        changed = await self.users.set_password(user, new, keep=kept.record.stamp)
        if changed is None:
            return None
        self.events.tell("password.changed", visit, user=user.id, session=kept.record.id)
        await tell_owner(self.notify, changed, visit)
        try:
            return await renewed(self.sessions, kept, changed.standing, visit, amr=_AMR)
        except Unavailable:  # SQL knows the new stamp; he signs in again, with the new password
            return Dead("password-changed", kept.record)


async def tell_owner(notify: Notify, user: User, visit: Visit) -> None:
    """Queue the notice.  The password is changed: a mail that cannot be queued does not undo it."""
    try:
        await notify(user, visit)
    except Unavailable as error:
        _log.error("user %d is not told that the password was changed: %s", user.id, error)
