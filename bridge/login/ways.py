"""The ways through the second step: a code of the authenticator app, a passkey, or a recovery code — A7, A8.

A code is good once.  What says so of the app's codes is a mark in the commit that gives birth to the session; of a
recovery code it is SQL, before that commit: whoever was told that it is his has used it up.
"""

from functools import partial
from typing import Final, Protocol

from bridge.clock import Clock
from bridge.events.ledger import Deed, Ledger
from bridge.login.passkeys import Passkeys
from bridge.login.proof import Right, Way, Wrong
from bridge.login.shown import Assertion, Code, RecoveryCode, Shown
from bridge.login.totp import step_of
from bridge.outbox.notices import RECOVERY_CODE_USED, payload
from bridge.outbox.outbox import Outbox
from bridge.secret import Secret
from bridge.tokens import LoginToken
from bridge.types import UserId, Visit
from bridge.users.passkey import Passkey

OTP: Final = ("pwd", "otp", "mfa")  # RFC 8176


class Enrolled(Protocol):
    """What somebody has."""

    @property
    def totp_since(self) -> int | None: ...
    @property
    def passkeys(self) -> tuple[Passkey, ...]: ...
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

    def __init__(
        self,
        *,
        factors: Factors,
        passkeys: Passkeys | None,
        ledger: Ledger,
        outbox: Outbox,
        clock: Clock,
        skew: int,
    ) -> None:
        """`passkeys`: None where there can be none; `skew`: how many steps of 30 seconds a code may be off."""
        self._factors = factors
        self._passkeys = passkeys
        self._ledger = ledger
        self._outbox = outbox
        self._clock = clock
        self._skew = skew

    async def open_to(self, user: UserId) -> tuple[Way, ...]:
        """Those that he has, the usual one first."""
        has = await self._factors.enrolled(user)
        ways: tuple[tuple[Way, bool], ...] = (
            ("totp", has.totp_since is not None),
            ("passkey", bool(has.passkeys) and self._passkeys is not None),
            ("recovery-code", has.codes_left > 0),
        )
        return tuple(way for way, there in ways if there)

    async def passkey_request(self, user: UserId, pending: LoginToken, browser: str) -> str | None:
        """What that browser is asked for, to finish that login; None: he has no passkey."""
        return await self._passkeys.for_the_second_step(user, browser, pending.sid) if self._passkeys else None

    async def check(self, user: UserId, pending: LoginToken, shown: Shown) -> Right | Wrong | None:
        """Whether it is his now, and finishes that login; None: he has nothing of the kind."""
        match shown:
            case Assertion():
                passkeys = self._passkeys
                return await passkeys.second(user, pending.tag, shown, pending.sid) if passkeys else None
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

    async def _spend(self, user: UserId, code: int, visit: Visit) -> Wrong | None:
        """Its owner is told, in the transaction that uses it up."""

        async def work(deed: Deed) -> bool:
            left = await self._factors.spend_code(deed, user, code)
            if left is None:
                return False
            facts = payload(visit, self._clock.now(), left=left)
            await self._outbox.put(deed.tx, RECOVERY_CODE_USED, user, facts)
            return True

        return None if await self._ledger.do(visit, work) else Wrong("used")
