"""Notices to a user about his account: queued with what happened, written when they are sent — A9.

A job names the user and the circumstances, never an address: that is looked up when the mail is sent.
"""

from dataclasses import dataclass
from typing import Final

from bridge.clock import Clock
from bridge.outbox.device import device_name
from bridge.outbox.letter import Circumstances, PasswordChangedLetter
from bridge.outbox.outbox import Delivery, Outbox
from bridge.outbox.post import Post
from bridge.types import Visit
from bridge.users.backend import UserBackend
from bridge.users.user import User

PASSWORD_CHANGED: Final = "password-changed"  # noqa: S105  # a purpose


@dataclass(frozen=True, slots=True, kw_only=True)
class Notices:
    """Queues them, and sends what was queued."""

    users: UserBackend
    outbox: Outbox
    post: Post
    clock: Clock
    base_url: str

    async def password_changed(self, user: User, visit: Visit) -> None:
        """Queue it.  Raises `Unavailable`."""
        circumstances = {
            "at": str(int(self.clock.now())),
            "ip": str(visit.ip or ""),
            "device": device_name(visit.user_agent) or "",
        }
        await self.outbox.put(None, PASSWORD_CHANGED, user.id, circumstances)

    async def send_password_changed(self, delivery: Delivery) -> None:
        """Send it to whoever has that account now.  Raises as `Post.send`."""
        user = await self.users.by_id(delivery.user) if delivery.user is not None else None
        if user is None:
            return
        seen = Circumstances(
            at=int(delivery.payload["at"]), device=delivery.payload["device"] or None, ip=delivery.payload["ip"] or None
        )
        letter = PasswordChangedLetter(email=user.email, seen=seen, reset_page=f"{self.base_url}/reset")
        await self.post.send(delivery, user, letter)
