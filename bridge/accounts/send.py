"""The outbox's sender of invites: reads the invite now, and mails its link — whmcs-api §3.5, security §10."""

from dataclasses import dataclass
from typing import Final

from bridge.accounts.invites import Invites
from bridge.outbox.letter import InviteLetter
from bridge.outbox.outbox import Delivery
from bridge.outbox.post import Post
from bridge.types import UserId
from bridge.users.sql import SqlUsers

PATH: Final = "/invite/t/"


@dataclass(frozen=True, slots=True)
class _Invitee:
    """Somebody who is no user yet."""

    email: str
    id: UserId | None = None
    language: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class InviteSender:
    """Sends one invite, unless nothing can come of it any more."""

    invites: Invites
    users: SqlUsers
    post: Post
    base_url: str
    """The configured address: the link's host never comes from a request."""

    async def __call__(self, delivery: Delivery) -> None:
        """To the address of the user, where there is one: what was typed may be spelt like it and be another's."""
        found = await self.invites.token_of(int(delivery.payload["invite"]))
        if found is None:
            return
        invite, token = found
        to = await self.users.by_email(invite.email) or _Invitee(invite.email)
        letter = InviteLetter(email=to.email, link=f"{self.base_url}{PATH}{token.reveal()}", until=invite.expires_at)
        await self.post.send(delivery, to, letter)
