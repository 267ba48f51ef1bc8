"""The ways through the second step: a code of the authenticator app, or a recovery code — A7, A8.

A code is good once.  What says so of the app's codes is a mark in the commit that gives birth to the session; of a
recovery code it is SQL, before that commit: whoever was told that it is his has used it up.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal, Protocol

from bridge.clock import Clock
from bridge.events.ledger import Deed, Ledger
from bridge.login.totp import step_of
from bridge.outbox.notices import RECOVERY_CODE_USED, payload
from bridge.outbox.outbox import Outbox
from bridge.secret import Secret
from bridge.types import UserId, Visit

OTP: Final = ("pwd", "otp", "mfa")  # RFC 8176

Way = Literal["totp", "recovery-code"]


@dataclass(frozen=True, slots=True)
class Code:
    """Six digits from the authenticator app, as they were typed."""

    text: str


@dataclass(frozen=True, slots=True)
class RecoveryCode:
    """One of the codes that he wrote down, as it was typed."""

    text: Secret


Shown = Code | RecoveryCode


@dataclass(frozen=True, slots=True)
class Right:
    """It is his.  `way`: what it was; `mark`: purpose and value of what must not have been there before; `spend`: uses
    it up, for one of all who try."""

    way: Way
    amr: tuple[str, ...]
    mark: tuple[str, str] | None = None
    spend: Callable[[Visit], Awaitable[bool]] | None = None


@dataclass(frozen=True, slots=True)
class Wrong:
    """It is not his, or not any more."""

    why: Literal["wrong", "used"] = "wrong"


class Enrolled(Protocol):
    """What somebody has."""

    @property
    def totp_since(self) -> int | None: ...
    @property
    def codes_left(self) -> int: ...


class KnownCode(Protocol):
    """A recovery code of his."""

    @property
    def id(self) -> int: ...
    @property
    def used(self) -> bool: ...


class Factors(Protocol):
    """Where second factors are known, on the primary; `bridge.users.factors.SqlFactors` is one."""

    async def enrolled(self, user: UserId) -> Enrolled: ...

    async def totp_secret(self, user: UserId) -> Secret | None:
        """The base32 secret of his authenticator; None: he has none."""
        ...

    async def recovery_code(self, user: UserId, code: Secret) -> KnownCode | None:
        """The code of his that this is; None: it is none."""
        ...

    async def spend_code(self, deed: Deed, user: UserId, code: int) -> int | None:
        """Use it up, and say how many are left; None: somebody was first."""
        ...


class Ways:
    """Judges what is shown.  Raises `Unavailable`."""

    def __init__(self, *, factors: Factors, ledger: Ledger, outbox: Outbox, clock: Clock, skew: int) -> None:
        """`skew`: how many steps of 30 seconds a code may be early or late."""
        self._factors = factors
        self._ledger = ledger
        self._outbox = outbox
        self._clock = clock
        self._skew = skew

    async def open_to(self, user: UserId) -> tuple[Way, ...]:
        """Those that he has, the usual one first."""
        has = await self._factors.enrolled(user)
        ways: tuple[tuple[Way, bool], ...] = (
            ("totp", has.totp_since is not None),
            ("recovery-code", has.codes_left > 0),
        )
        return tuple(way for way, there in ways if there)

    async def check(self, user: UserId, shown: Shown) -> Right | Wrong | None:
        """Whether it is his now; None: he has nothing of the kind."""
        match shown:
            case Code(text):
                return await self._code(user, text)
            case RecoveryCode(text):
                return await self._recovery_code(user, text)

    async def _code(self, user: UserId, text: str) -> Right | Wrong | None:
        secret = await self._factors.totp_secret(user)
        if secret is None:
            return None
        step = step_of(secret, text, now=self._clock.now(), skew=self._skew)
        return Right("totp", OTP, mark=("totp", str(step))) if step is not None else Wrong()

    async def _recovery_code(self, user: UserId, text: Secret) -> Right | Wrong:
        known = await self._factors.recovery_code(user, text)
        if known is None:
            return Wrong()
        if known.used:
            return Wrong("used")
        return Right("recovery-code", OTP, spend=partial(self._spend, user, known.id))

    async def _spend(self, user: UserId, code: int, visit: Visit) -> bool:
        """Its owner is told, in the transaction that uses it up."""

        async def work(deed: Deed) -> bool:
            left = await self._factors.spend_code(deed, user, code)
            if left is None:
                return False
            facts = payload(visit, self._clock.now(), left=left)
            await self._outbox.put(deed.tx, RECOVERY_CODE_USED, user, facts)
            return True

        return await self._ledger.do(visit, work)
