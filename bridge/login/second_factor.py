"""Time-based one-time passwords — RFC 6238, 30 s, six digits, SHA-1; each code good once (A7, store §2).

A right password without its code is a pending login.  The code, the mark of its step, the end of the pending login and
the birth of the session are one commit: of fifty logins with one code, one gets in.
"""

import base64
import binascii
import hmac
import unicodedata
from collections.abc import Callable
from typing import Final, Protocol

from pyotp.totp import TOTP

from bridge.clock import Chance, Clock
from bridge.errors import Unavailable
from bridge.events.event import Events
from bridge.login.entry import TRIES, Arrival, Entry
from bridge.login.options import LoginOptions
from bridge.login.outcome import LoggedIn, Outcome, Refused, TooMany
from bridge.login.pending import Pending
from bridge.login.throttle import Blocked, Throttle
from bridge.login.watch import Watch
from bridge.secret import Secret
from bridge.sessions.sealed import Sealed, used
from bridge.sessions.sessions import Stale
from bridge.sessions.stamp import stamp_value
from bridge.stores.store import Add, Expect, Store, Swap
from bridge.tokens import LoginToken, Names, new_id
from bridge.types import Key, UserId
from bridge.users.backend import UserBackend
from bridge.users.user import User

STEP: Final = 30
_SHORTEST_BYTES: Final = 10
AMR: Final = ("pwd", "otp", "mfa")  # RFC 8176
_KEPT: Final = 600.0  # seconds that a used login and a step's mark stay (store §2, rule 2)


class Factors(Protocol):
    """Where second factors are known."""

    async def totp_secret(self, user: UserId) -> Secret | None:
        """The base32 secret of his authenticator, from the primary; None: he has none."""
        ...


class SecondFactor:
    """The second step."""

    def __init__(
        self,
        *,
        store: Store,
        names: Names,
        codec: Sealed[Pending],
        users: UserBackend,
        factors: Factors,
        entry: Entry,
        throttle: Throttle,
        watch: Watch,
        epoch: Callable[[], int],
        clock: Clock,
        chance: Chance,
        options: LoginOptions,
        events: Events,
    ) -> None:
        """`epoch`: the store's, as SQL last said it (store §2, rule 9)."""
        self._store = store
        self._names = names
        self._codec = codec
        self._users = users
        self._factors = factors
        self._entry = entry
        self._throttle = throttle
        self._watch = watch
        self._epoch = epoch
        self._clock = clock
        self._chance = chance
        self._options = options
        self._events = events

    async def begin(self, user: User) -> LoginToken | Stale:
        """A pending login for a user whose password was checked against this row."""
        token = LoginToken.draw(user.tag, self._chance)
        key = self._names.pending(user.tag, token)
        until = int(self._clock.now()) + self._options.pending_seconds
        pending = Pending(uid=user.id, stamp=user.stamp, epoch=self._epoch(), until=until, nonce=self._nonce())
        done = await self._store.commit(
            Add(key, self._codec.encode(key, pending), self._options.pending_seconds + _KEPT),
            Expect(self._names.stamp(user.tag), stamp_value(user.id, user.stamp)),
        )
        return token if done else Stale()

    async def finish(self, token: LoginToken, code: str, arrival: Arrival) -> Outcome:
        """The code of a pending login.  Raises `Unavailable`."""
        key = self._names.pending(token.tag, token)
        _, pending = await self._read(key)
        if pending is None:
            return Refused("stale")
        admitted = await self._throttle.code(pending.uid)
        if isinstance(admitted, Blocked):
            self._events.tell("login.blocked", arrival.visit, user=pending.uid, reason="codes")
            return TooMany(admitted.wait)
        wrong = True  # also when the task is cancelled: somebody who hangs up has made his guess all the same
        try:
            outcome = await self._check(token, key, code, arrival)
            wrong = outcome in (Refused("wrong"), Refused("used"))
            return outcome
        except Unavailable:
            wrong = False
            raise
        finally:
            await self._throttle.settle(admitted, wrong=wrong)

    async def _check(self, token: LoginToken, key: Key, code: str, arrival: Arrival) -> Outcome:
        spent = False
        for _ in range(TRIES):
            raw, pending = await self._read(key)
            user, step = await self._judge(pending, code) if pending is not None else (None, None)
            if raw is None or pending is None or user is None:
                return Refused("stale")
            if step is None or spent:
                if await self._count(key, raw, pending):
                    reason = "used" if spent else "wrong"
                    self._events.tell("second-factor.fail", arrival.visit, user=user.id, reason=reason)
                    await self._watch.failed(user.id)
                    return Refused("used" if spent else "wrong")
                continue
            mark = self._names.mark(token.tag, "totp", str(step))
            also = (Swap(key, raw, used(self._nonce()), _KEPT), Add(mark, self._chance(16), _KEPT))
            born = await self._entry.enter(user, arrival, amr=AMR, also=also)
            if not isinstance(born, Stale):
                self._events.tell(
                    "second-factor.ok", arrival.visit, user=user.id, sid=born.token.sid, session=born.record.id, amr=AMR
                )
                return LoggedIn(user, born)
            await self._entry.unchanged(user)
            spent = (await self._store.read(mark))[0] is not None
        raise Unavailable("contended")

    async def _read(self, key: Key) -> tuple[bytes | None, Pending | None]:
        (raw,) = await self._store.read(key)
        pending = self._codec.decode(key, raw)
        if pending is None or pending.epoch != self._epoch() or self._clock.now() >= pending.until:
            return raw, None
        return raw, pending if pending.tries < self._options.code_tries else None

    async def _judge(self, pending: Pending, code: str) -> tuple[User | None, int | None]:
        """The user whose row is still the one of the password (else None), and the step that the code is of."""
        # The secret first: a row with the old stamp, read later, says that this was the secret then.
        secret = await self._factors.totp_secret(pending.uid)
        user = await self._users.by_id(pending.uid)
        if secret is None or user is None or user.disabled or user.stamp != pending.stamp:
            return None, None
        return user, step_of(secret, code, now=self._clock.now(), skew=self._options.code_skew)

    async def _count(self, key: Key, raw: bytes, pending: Pending) -> bool:
        """One wrong code more.  Nothing is answered before this is written: parallel guesses cannot hide."""
        more = Pending(
            uid=pending.uid,
            stamp=pending.stamp,
            epoch=pending.epoch,
            until=pending.until,
            tries=pending.tries + 1,
            nonce=self._nonce(),
        )
        ttl = max(pending.until - self._clock.now(), 0.0) + _KEPT
        return await self._store.commit(Swap(key, raw, self._codec.encode(key, more), ttl))

    def _nonce(self) -> str:
        return new_id(self._chance)


def step_of(secret: Secret, code: str, *, now: float, skew: int) -> int | None:
    """The 30-second step whose code this is, at most `skew` steps from now; None: of none.  Spaces do not matter."""
    typed = "".join(unicodedata.normalize("NFKC", code[:64]).split()).replace("-", "").encode("utf-8", "replace")
    present, found = int(now // STEP), None
    try:
        totp = _Enrolled(secret.reveal())
        for step in range(present - skew, present + skew + 1):  # all of them: the time tells nothing
            if hmac.compare_digest(totp.generate_otp(step).encode(), typed):
                found = step
    except (binascii.Error, ValueError):  # a secret that was never one
        return None
    return found


class _Enrolled(TOTP):
    """The library refuses what is shorter than 112 bits, and 80 bits are what most authenticators were given for years.
    Nobody who was enrolled so elsewhere is to be locked out; new secrets are longer."""

    def byte_secret(self) -> bytes:
        """Raises ValueError for less than 80 bits, or what is no base32."""
        decoded = base64.b32decode(self.secret + "=" * (-len(self.secret) % 8), casefold=True)
        if len(decoded) < _SHORTEST_BYTES:
            raise ValueError("a secret of less than 80 bits")
        return decoded
