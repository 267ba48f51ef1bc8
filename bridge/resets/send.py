"""The outbox's sender of reset links: looks the account up, makes the link now, and mails it — §6.2, R5.

Mail goes to the stored address, never to what was typed (security §10).  An account that may not have a link gets no
mail, and the job is done all the same.
"""

from dataclasses import dataclass
from typing import Final

from bridge.events.event import Events
from bridge.outbox.letter import ResetLetter
from bridge.outbox.outbox import Delivery
from bridge.outbox.post import Post
from bridge.resets.ask import Users
from bridge.resets.link import AccountState, Links
from bridge.types import Visit
from bridge.users.backend import Capability
from bridge.users.email import email_key
from bridge.users.user import User

PATH: Final = "/reset/t/"
_VISIT: Final = Visit("pages")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetSender:
    """Sends one queued request."""

    users: Users
    links: Links
    post: Post
    events: Events
    base_url: str
    """The configured address: the link's host never comes from a request."""

    async def __call__(self, delivery: Delivery) -> None:
        """Its payload is what `ResetRequests` queued.  Raises what the mailer raises: the outbox tries again."""
        user = await self.users.by_email(delivery.payload["email_key"])
        if user is None or user.disabled or not self._sends_to(user):
            self.events.tell("reset.refused", _VISIT, user=user.id if user else None, reason="no-account")
            return
        token = self.links.make(user.id, state_of(user)).reveal()
        letter = ResetLetter(email=user.email, link=f"{self.base_url}{PATH}{token}", minutes=self.links.lifetime // 60)
        await self.post.send(delivery, user, letter, asked=delivery.payload.get("language", ""))

    def _sends_to(self, user: User) -> bool:
        """Whether it is ours to reset: a link to a password that another system keeps would change nothing."""
        return user.authority == self.users.name and Capability.SEND_RESET in self.users.capabilities


def state_of(user: User) -> AccountState:
    """What a link to this account is tied to."""
    return AccountState(email_key(user.email) or user.email, user.credential_version, user.reset_gen)
