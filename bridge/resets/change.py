"""A person changes his password while signed in — S9, A3, A9.

This session stays; every other one of his ends, in the transaction that writes the hash.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from bridge.errors import Unavailable
from bridge.events.event import Events
from bridge.secret import Secret
from bridge.sessions.judge import Alive, Dead
from bridge.sessions.sessions import Sessions
from bridge.types import Stamp, Visit
from bridge.users.user import User

Notify = Callable[[User, Visit], Awaitable[object]]
"""Queues the mail that tells the owner."""


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

    async def change(self, user: User, new: Secret, kept: Alive, visit: Visit) -> Alive | Dead | None:
        """The kept session under its new stamp; Dead: it ended meanwhile; None: the row has changed since it was read.

        `user` is the row that the current password was checked against.  Raises `Unavailable`, `Busy`.
        """
        changed = await self.users.set_password(user, new, keep=kept.record.stamp)
        if changed is None:
            return None
        self.events.tell("password.changed", visit, user=user.id, session=kept.record.id)
        with suppress(Unavailable):  # the password is changed; a mail that cannot be queued does not undo it
            await self.notify(changed, visit)
        return await self.sessions.keep(kept, changed.stamp)
