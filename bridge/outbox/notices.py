"""Letters that tell a user what was done with his account: password, second step, new device, failures — A9.

Whoever does it puts `payload(visit, at)` under one of these purposes into the outbox, in the transaction of the change;
`Notices.senders` delivers.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, get_args

from bridge.outbox.device import device_name
from bridge.outbox.letter import (
    Circumstances,
    DeviceCopiedLetter,
    Letter,
    ManyFailuresLetter,
    NewDeviceLetter,
    PasskeyCopiedLetter,
    PasswordChangedLetter,
    RecoveryCodeUsedLetter,
    SecondFactorChangedLetter,
)
from bridge.outbox.outbox import Delivery
from bridge.outbox.post import Addressee, Post
from bridge.outbox.worker import Sender
from bridge.types import FactorChange, UserId, Visit

PASSWORD_CHANGED: Final = "password-changed"  # noqa: S105  a purpose
SECOND_FACTOR_CHANGED: Final = "second-factor-changed"
RECOVERY_CODE_USED: Final = "recovery-code-used"
PASSKEY_COPIED: Final = "passkey-copied"
DEVICE_COPIED: Final = "device-copied"
NEW_DEVICE: Final = "new-device"
MANY_FAILURES: Final = "many-failures"


def payload(visit: Visit, at: float, **more: str | int) -> dict[str, str]:
    """What a letter will say of who did it: when, from where, on what, and `more` (after how many `failures`)."""
    facts: dict[str, str | int] = {
        "at": int(at),
        "device": device_name(visit.user_agent) or "",
        "ip": str(visit.ip or ""),
        "language": visit.language,
        **more,
    }
    return {name: str(value) for name, value in facts.items() if value not in {"", 0}}


def factor_changed(visit: Visit, at: float, change: FactorChange, *, alone: bool) -> dict[str, str]:
    """The same of a change of second factors; `alone`: the password is enough from now on."""
    return payload(visit, at, change=change, alone=int(alone))


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
        purposes = (
            PASSWORD_CHANGED,
            SECOND_FACTOR_CHANGED,
            RECOVERY_CODE_USED,
            PASSKEY_COPIED,
            DEVICE_COPIED,
            NEW_DEVICE,
            MANY_FAILURES,
        )
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
            case "second-factor-changed":
                change, alone = _change(facts["change"]), "alone" in facts
                return SecondFactorChangedLetter(
                    email=email, change=change, alone=alone, seen=seen, reset_page=self.reset_page
                )
            case "recovery-code-used":
                left = int(facts.get("left", "0"))
                return RecoveryCodeUsedLetter(email=email, left=left, seen=seen, account_page=self.account_page)
            case "passkey-copied":
                return PasskeyCopiedLetter(email=email, seen=seen, account_page=self.account_page)
            case "device-copied":
                return DeviceCopiedLetter(email=email, seen=seen, account_page=self.account_page)
            case "new-device":
                return NewDeviceLetter(email=email, seen=seen, account_page=self.account_page)
            case "many-failures":
                failures = int(facts["failures"])
                return ManyFailuresLetter(email=email, failures=failures, seen=seen, account_page=self.account_page)
            case purpose:
                raise ValueError(f"no letter for {purpose}")


def _change(text: str) -> FactorChange:
    (found,) = (each for each in get_args(FactorChange) if each == text)
    change: FactorChange = found
    return change
