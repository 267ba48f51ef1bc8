"""The outbox's senders of links that show whose an address is, a changed or a new one — sessions-and-accounts §6.2.

The link that confirms goes to the new address, the one that undoes to the old: each in the row that was written.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bridge.outbox.letter import AlreadySignedUpLetter, EmailConfirmLetter, EmailUndoLetter, Letter, SignUpLetter
from bridge.outbox.outbox import Delivery
from bridge.outbox.post import Post
from bridge.outbox.worker import Sender
from bridge.types import UserId
from bridge.users.email_changes import CONFIRM, UNDO, EmailChange, EmailChanges
from bridge.users.sign_ups import SignUps
from bridge.users.sql import SqlUsers

PATH: Final = "/email/t/"
SIGN_UP_PATH: Final = "/signup/t/"
_STATES: Final = {CONFIRM: "waiting", UNDO: "confirmed"}


@dataclass(frozen=True, slots=True)
class _Address:
    """An address, and whose it is, if it is anybody's."""

    id: UserId | None
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
        to, asked = _Address(user.id, letter.email, user.language), delivery.payload.get("language", "")
        await self.post.send(delivery, to, letter, asked=asked)

    async def _taken(self, change: EmailChange) -> bool:
        """Whether another user has the address: he is told nothing, and whoever asked cannot tell (security §24)."""
        holder = await self.users.by_email(change.new_email) if change.state == "waiting" else None
        return holder is not None and holder.id != change.user


@dataclass(frozen=True, slots=True, kw_only=True)
class SignUpSender:
    """Sends the link for an account, or tells whoever has that address that he has one (security §10)."""

    sign_ups: SignUps
    users: SqlUsers
    post: Post
    sign_in_page: str
    base_url: str
    """The configured address: the link's host never comes from a request."""

    async def __call__(self, delivery: Delivery) -> None:
        """Nothing goes to an account that is shut, nor when nothing can come of the link any more."""
        found = await self.sign_ups.token_of(int(delivery.payload["sign_up"]))
        if found is None:
            return
        sign_up, token = found
        asked = delivery.payload.get("language", "")
        holder = await self.users.by_email(sign_up.email)
        if holder is None:
            link = f"{self.base_url}{SIGN_UP_PATH}{token.reveal()}"
            letter = SignUpLetter(email=sign_up.email, link=link, until=sign_up.expires_at)
            await self.post.send(delivery, _Address(None, sign_up.email, ""), letter, asked=asked)
        elif not holder.disabled:
            has_one = AlreadySignedUpLetter(email=holder.email, sign_in_page=self.sign_in_page)
            await self.post.send(delivery, holder, has_one, asked=asked)


def _letter(change: EmailChange, link: str) -> Letter:
    if change.state == "waiting":
        return EmailConfirmLetter(email=change.new_email, link=link, until=change.expires_at)
    return EmailUndoLetter(email=change.old_email, link=link, until=change.expires_at)
