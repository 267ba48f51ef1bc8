"""A sign-out while the store does not answer: queued, and done when it answers again — sessions-and-accounts §5.7.

The job names the hash of a token, never a token.
"""

from dataclasses import dataclass
from typing import Final

from bridge.outbox.outbox import Delivery, Outbox
from bridge.secret import Secret
from bridge.sessions.judge import Alive
from bridge.sessions.sessions import Sessions
from bridge.tokens import LoginToken
from bridge.types import SlotTag

SIGN_OUT: Final = "sign-out"


@dataclass(frozen=True, slots=True, kw_only=True)
class LateSignOuts:
    """Queues them, and does what was queued."""

    outbox: Outbox
    sessions: Sessions

    async def later(self, token: LoginToken) -> None:
        """Queue it.  Raises `Unavailable`."""
        await self.outbox.put(None, SIGN_OUT, None, {"tag": token.tag, "sid": token.sid})

    async def send(self, delivery: Delivery) -> None:
        """End the session that lay under that hash, if it lives.  Raises `Unavailable`: the outbox tries again."""
        tag, sid = SlotTag(delivery.payload["tag"]), delivery.payload["sid"]
        found = await self.sessions.why(LoginToken(Secret(""), tag, sid))
        if isinstance(found, Alive):
            await self.sessions.end(found.record.uid, tag, found.record.id, "you", actor="outbox")
