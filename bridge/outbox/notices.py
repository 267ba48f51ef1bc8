"""Letters that tell a user what was done with his account: password, second step, new device, failures — A9.

Whoever does it puts `payload(visit, at)` under one of these purposes into the outbox, in the transaction of the change;
`Notices.senders` delivers.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from bridge.outbox.device import device_name
from bridge.outbox.letter import (
    Circumstances,
    Letter,
    ManyFailuresLetter,
    NewDeviceLetter,
    PasswordChangedLetter,
    SecondFactorChangedLetter,
)
from bridge.outbox.outbox import Delivery
from bridge.outbox.post import Addressee, Post
from bridge.outbox.worker import Sender
from bridge.types import UserId, Visit

PASSWORD_CHANGED: Final = "password-changed"  # noqa: S105  a purpose
SECOND_FACTOR_ON: Final = "second-factor-on"
SECOND_FACTOR_OFF: Final = "second-factor-off"
NEW_DEVICE: Final = "new-device"
MANY_FAILURES: Final = "many-failures"


def payload(visit: Visit, at: float, *, failures: int = 0) -> dict[str, str]:
    """What a letter will say of who did it: when, from where, on what, and after how many failures."""
    facts = {
        "at": str(int(at)),
        "device": device_name(visit.user_agent) or "",
        "ip": str(visit.ip or ""),
        "failures": str(failures),
        "language": visit.language,
    }
    return {name: value for name, value in facts.items() if value not in {"", "0"}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Notices:
    """Delivers them.  Who is no longer there gets none."""

    users: Callable[[UserId], Awaitable[Addressee | None]]
    """The user's row now: the letter goes to the address in it."""
    post: Post
    reset_page: str
    """The full address where a new password can be asked for."""
    account_page: str
    """The full address of the person's own page."""

    @property
    def senders(self) -> Mapping[str, Sender]:
        """For the outbox's worker."""
        purposes = (PASSWORD_CHANGED, SECOND_FACTOR_ON, SECOND_FACTOR_OFF, NEW_DEVICE, MANY_FAILURES)
        return dict.fromkeys(purposes, self._send)

    async def _send(self, delivery: Delivery) -> None:
        user = None if delivery.user is None else await self.users(delivery.user)
        if user is not None:
            asked = delivery.payload.get("language", "")
            await self.post.send(delivery, user, self._letter(delivery, user.email), asked=asked)

    def _letter(self, delivery: Delivery, email: str) -> Letter:
        facts = delivery.payload
        seen = Circumstances(at=int(facts["at"]), device=facts.get("device"), ip=facts.get("ip"))
        match delivery.purpose:
            case "password-changed":
                return PasswordChangedLetter(email=email, seen=seen, reset_page=self.reset_page)
            case "second-factor-on" | "second-factor-off" as which:
                on = which == SECOND_FACTOR_ON
                return SecondFactorChangedLetter(email=email, on=on, seen=seen, reset_page=self.reset_page)
            case "new-device":
                return NewDeviceLetter(email=email, seen=seen, account_page=self.account_page)
            case "many-failures":
                failures = int(facts["failures"])
                return ManyFailuresLetter(email=email, failures=failures, seen=seen, account_page=self.account_page)
            case purpose:
                raise ValueError(f"no letter for {purpose}")
