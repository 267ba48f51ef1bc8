"""A person sets up and removes his second factors, while he is signed in — S3, S9, S15, A8, A9.

Whoever calls has made sure that he has just shown who he is.  The change, the new stamp, the letter to him and the
audit row are one transaction; this session goes on under new tokens, every other one has ended.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Literal, Protocol

import msgspec

from bridge.clock import Chance, Clock
from bridge.errors import Unavailable
from bridge.events.ledger import Deed, Ledger
from bridge.login.passkeys import Passkeys
from bridge.login.proof import Wrong
from bridge.login.totp import draw_secret, step_of
from bridge.outbox.notices import SECOND_FACTOR_CHANGED, factor_changed
from bridge.outbox.outbox import Outbox
from bridge.ring import Ring
from bridge.secret import Secret
from bridge.sessions.birth import Born
from bridge.sessions.judge import Alive, Dead
from bridge.sessions.renewal import renewed
from bridge.sessions.sessions import Sessions
from bridge.stores.store import Add, Store
from bridge.tokens import Names
from bridge.types import FactorChange, Stamp, UserId, Visit
from bridge.users.backend import Capability
from bridge.users.passkey import NewPasskey
from bridge.users.user import User

OFFER_SECONDS: Final = 1_800
"""How long a secret that was shown may be confirmed: some have to install an app first."""
_MARK_SECONDS: Final = 600.0


class Changed(Protocol):
    """What became of a change."""

    @property
    def user(self) -> User: ...
    @property
    def codes(self) -> tuple[Secret, ...]: ...


class Keeper(Protocol):
    """Where second factors are kept; `bridge.users.factors.SqlFactors` is one.

    `keep`: the stamp of the session that shall survive.  Each answers None for a row that is not to be changed.
    """

    async def set_totp(self, deed: Deed, user: UserId, secret: Secret, *, keep: Stamp) -> Changed | None: ...
    async def remove_totp(self, deed: Deed, user: UserId, *, keep: Stamp) -> Changed | None: ...
    async def add_passkey(
        self, deed: Deed, user: UserId, new: NewPasskey, label: str, *, keep: Stamp
    ) -> Changed | None: ...
    async def remove_passkey(self, deed: Deed, user: UserId, passkey: int, *, keep: Stamp) -> Changed | None: ...
    async def renew_codes(self, deed: Deed, user: UserId, *, keep: Stamp) -> Changed | None: ...
    async def remove_all(self, deed: Deed, user: UserId) -> Changed | None: ...


class Authority(Protocol):
    """Who keeps the users."""

    @property
    def name(self) -> str: ...
    @property
    def capabilities(self) -> Capability: ...


@dataclass(frozen=True, slots=True)
class Offer:
    """A new secret, shown to a person.  `sealed` comes back with his code: nobody else can have made it."""

    secret: Secret
    sealed: str


@dataclass(frozen=True, slots=True)
class Done:
    """It is changed.  `session`: this one under new tokens, or why it is over too; `codes`: to be shown once."""

    user: User
    session: Born | Dead
    codes: tuple[Secret, ...]


@dataclass(frozen=True, slots=True)
class NotDone:
    """Nothing is changed.  stale: the row or the session is not what it was, or the offer is not his or too old."""

    why: Literal["wrong", "used", "stale"]


class _Sealed(msgspec.Struct, frozen=True):
    secret: str
    until: int


class Enrolment:
    """Every method that changes something raises `Unavailable`: nothing is known to have changed."""

    def __init__(
        self,
        *,
        keeper: Keeper,
        passkeys: Passkeys | None,
        authority: Authority,
        ledger: Ledger,
        outbox: Outbox,
        sessions: Sessions,
        store: Store,
        names: Names,
        ring: Ring,
        clock: Clock,
        chance: Chance,
        skew: int,
    ) -> None:
        """`passkeys`: None where there can be none; `skew`: how many steps of 30 seconds a code may be off."""
        self._keeper = keeper
        self._passkeys = passkeys
        self._authority = authority
        self._ledger = ledger
        self._outbox = outbox
        self._sessions = sessions
        self._store = store
        self._names = names
        self._ring = ring
        self._clock = clock
        self._chance = chance
        self._skew = skew

    def kept_here(self, user: User) -> bool:
        """Whether this user's second factors are ours to manage; else another system owns him (DESIGN §8)."""
        return user.authority == self._authority.name and Capability.SECOND_FACTOR in self._authority.capabilities

    def offer_totp(self, alive: Alive) -> Offer:
        """A new secret, for this session alone."""
        secret = draw_secret(self._chance)
        return Offer(secret, self._seal(alive, secret, int(self._clock.now()) + OFFER_SECONDS))

    def offered(self, alive: Alive, sealed: str) -> Offer | None:
        """What was offered to this very session; None: not to it, or too long ago."""
        try:
            raw = urlsafe_b64decode(sealed.encode("ascii"))
        except (NotBase64, ValueError):
            return None
        plain = self._ring.open(raw, *_of(alive), purpose="enrolment")
        if plain is None:
            return None
        found = msgspec.json.decode(plain, type=_Sealed)
        return Offer(Secret(found.secret), sealed) if self._clock.now() < found.until else None

    async def confirm_totp(self, user: User, alive: Alive, offer: Offer, code: str, visit: Visit) -> Done | NotDone:
        """The app shows the codes of the offered secret: from now on one is owed."""
        step = step_of(offer.secret, code, now=self._clock.now(), skew=self._skew)
        if step is None:
            return NotDone("wrong")
        # A7: good once, here too.  Who looked over his shoulder has a code that is worth nothing.
        mark = self._names.mark(alive.token.tag, "totp", str(step))
        if not await self._store.commit(Add(mark, self._chance(16), _MARK_SECONDS)):
            return NotDone("used")

        async def write(deed: Deed, keep: Stamp) -> Changed | None:
            return await self._keeper.set_totp(deed, user.id, offer.secret, keep=keep)

        return await self._change(user, alive, visit, "totp-added", write)

    async def remove_totp(self, user: User, alive: Alive, visit: Visit) -> Done | NotDone:
        """His authenticator app is asked no more."""

        async def write(deed: Deed, keep: Stamp) -> Changed | None:
            return await self._keeper.remove_totp(deed, user.id, keep=keep)

        return await self._change(user, alive, visit, "totp-removed", write)

    @property
    def has_passkeys(self) -> bool:
        """Whether there can be passkeys here at all."""
        return self._passkeys is not None

    async def passkey_request(self, user: User, alive: Alive, browser: str) -> str | None:
        """What that browser is asked for when he adds one; None: there can be none here."""
        return await self._passkeys.for_a_new_one(user, browser, alive.record.id) if self._passkeys else None

    async def add_passkey(
        self, user: User, alive: Alive, response: str, *, label: str, browser: str, visit: Visit
    ) -> Done | NotDone:
        """The browser has made it for this session; `label`: what he calls it."""
        if self._passkeys is None:
            return NotDone("stale")
        new = await self._passkeys.registered(alive.token.tag, response, browser, alive.record.id)
        if isinstance(new, Wrong):
            return NotDone("used" if new.why == "used" else "wrong")
        made = new

        async def write(deed: Deed, keep: Stamp) -> Changed | None:
            return await self._keeper.add_passkey(deed, user.id, made, label, keep=keep)

        return await self._change(user, alive, visit, "passkey-added", write)

    async def remove_passkey(self, user: User, alive: Alive, passkey: int, visit: Visit) -> Done | NotDone:
        """That one opens nothing any more."""

        async def write(deed: Deed, keep: Stamp) -> Changed | None:
            return await self._keeper.remove_passkey(deed, user.id, passkey, keep=keep)

        return await self._change(user, alive, visit, "passkey-removed", write)

    async def renew_codes(self, user: User, alive: Alive, visit: Visit) -> Done | NotDone:
        """New recovery codes in place of the old."""

        async def write(deed: Deed, keep: Stamp) -> Changed | None:
            return await self._keeper.renew_codes(deed, user.id, keep=keep)

        return await self._change(user, alive, visit, "codes-renewed", write)

    async def remove_all(self, user: User, visit: Visit) -> User | None:
        """An administrator helps whoever lost everything: the password is enough again, and every session has ended.
        None: he had no second factor, or it is not ours.  Whoever calls publishes the stamp."""

        async def write(deed: Deed) -> Changed | None:
            return await self._keeper.remove_all(deed, user.id)

        changed = await self._write(user, visit, "all-removed", write)
        return changed.user if changed is not None else None

    async def _change(
        self,
        user: User,
        alive: Alive,
        visit: Visit,
        what: FactorChange,
        write: Callable[[Deed, Stamp], Awaitable[Changed | None]],
    ) -> Done | NotDone:
        changed = await self._write(user, visit, what, lambda deed: write(deed, alive.record.stamp))
        if changed is None:
            return NotDone("stale")
        return Done(changed.user, await self._renewed(alive, changed.user, visit), changed.codes)

    async def _write(
        self, user: User, visit: Visit, what: FactorChange, write: Callable[[Deed], Awaitable[Changed | None]]
    ) -> Changed | None:
        """The change and its letter, or neither."""

        async def work(deed: Deed) -> Changed | None:
            changed = await write(deed)
            if changed is not None:
                alone = changed.user.second_factor == "none"
                letter = factor_changed(visit, self._clock.now(), what, alone=alone)
                await self._outbox.put(deed.tx, SECOND_FACTOR_CHANGED, user.id, letter)
            return changed

        return await self._ledger.do(visit, work) if self.kept_here(user) else None

    async def _renewed(self, alive: Alive, user: User, visit: Visit) -> Born | Dead:
        record = alive.record
        try:
            return await renewed(
                self._sessions, alive, user.standing, visit, amr=record.amr, auth_time=record.auth_time
            )
        except Unavailable:  # SQL knows the new stamp; he signs in again
            return Dead("second-factor-changed", record)

    def _seal(self, alive: Alive, secret: Secret, until: int) -> str:
        plain = msgspec.json.encode(_Sealed(secret.reveal(), until))
        return urlsafe_b64encode(self._ring.seal(plain, *_of(alive), purpose="enrolment")).decode()


def _of(alive: Alive) -> tuple[str, str, str]:
    """Whose it is: sealed for one session, it opens for no other."""
    return "totp-offer", str(alive.record.uid), alive.record.id
