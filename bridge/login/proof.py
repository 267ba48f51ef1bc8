"""What becomes of a second factor that somebody shows."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from bridge.stores.store import Expect
from bridge.types import Visit

Way = Literal["totp", "passkey", "recovery-code"]


@dataclass(frozen=True, slots=True)
class Wrong:
    """It is not his, or not any more.  copied: its count of signatures says that there is another of it."""

    why: Literal["wrong", "used", "copied"] = "wrong"


@dataclass(frozen=True, slots=True)
class Right:
    """It is his.  `way`: what it was; `mark`: purpose and value of what must not have been there before; `spend`: uses
    it up, and answers None to one of all who try; `spent`: what that left, and is still there when somebody comes in:
    a store that was set back meanwhile would let two spend it."""

    way: Way
    amr: tuple[str, ...]
    mark: tuple[str, str] | None = None
    spend: Callable[[Visit], Awaitable[Wrong | None]] | None = None
    spent: Expect | None = None
