"""The outbox's sender of the links that confirm and undo another e-mail address — sessions-and-accounts §6.2.

The link that confirms goes to the new address, the one that undoes to the old: each in the row that was written.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bridge.outbox.letter import EmailConfirmLetter, EmailUndoLetter, Letter
from bridge.outbox.outbox import Delivery
from bridge.outbox.post import Post
from bridge.outbox.worker import Sender
from bridge.types import UserId
from bridge.users.email_changes import CONFIRM, UNDO, EmailChange, EmailChanges
from bridge.users.sql import SqlUsers

PATH: Final = "/email/t/"
_STATES: Final = {CONFIRM: "waiting", UNDO: "confirmed"}


@dataclass(frozen=True, slots=True)
class _Address:
    """One of the two, and whose it is."""

    id: UserId
    email: str
    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailChangeSender:
    """Sends one link, unless nothing can come of it any more."""

    changes: EmailChanges
    users: SqlUsers
    post: Post
    base_url: str
    """The configured address: the link's host never comes from a request."""

    @property
    def senders(self) -> Mapping[str, Sender]:
        """For the outbox's worker."""
        return dict.fromkeys(_STATES, self._send)

    async def _send(self, delivery: Delivery) -> None:
        found = await self.changes.token_of(int(delivery.payload["change"]))
        if found is None or found[0].state != _STATES[delivery.purpose]:
            return
        change, token = found
        user = await self.users.by_id(change.user)
        if user is None or await self._taken(change):
            return
        letter = _letter(change, f"{self.base_url}{PATH}{token.reveal()}")
        await self.post.send(delivery, _Address(user.id, letter.email, user.language), letter)

    async def _taken(self, change: EmailChange) -> bool:
        """Whether another user has the address: he is told nothing, and whoever asked cannot tell (security §24)."""
        holder = await self.users.by_email(change.new_email) if change.state == "waiting" else None
        return holder is not None and holder.id != change.user


def _letter(change: EmailChange, link: str) -> Letter:
    if change.state == "waiting":
        return EmailConfirmLetter(email=change.new_email, link=link, until=change.expires_at)
    return EmailUndoLetter(email=change.old_email, link=link, until=change.expires_at)
