"""Passkeys: offered, and judged when they are shown — WebAuthn §7.1, §7.2, A8, security §14, §26.

Of all who show one response one gets in: its challenge leaves a mark first.  Then the count of signatures is written
down where it was lower: an authenticator whose count does not grow has a twin somewhere.
"""

from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Final, Protocol

from bridge.clock import Chance, Clock
from bridge.login.challenge import SECONDS, Challenges, Purpose
from bridge.login.proof import Right, Wrong
from bridge.login.relying_party import RelyingParty, Said, handle_of, read
from bridge.login.shown import Assertion
from bridge.login.watch import Queue
from bridge.outbox.notices import PASSKEY_COPIED, payload
from bridge.stores.store import Add, Expect, Store
from bridge.tokens import Names
from bridge.types import SlotTag, UserId, Visit
from bridge.users.passkey import NewPasskey, Passkey
from bridge.users.user import User

ALONE: Final = ("pop", "mfa")  # RFC 8176: a key, and what it asked for before it signed
SECOND: Final = ("pwd", "pop", "mfa")
_MARK_SECONDS: Final = SECONDS + 600.0


class Enrolled(Protocol):
    """What somebody has."""

    @property
    def passkeys(self) -> tuple[Passkey, ...]: ...


class PasskeyRows(Protocol):
    """Where passkeys are known, on the primary; `bridge.users.factors.SqlFactors` is one."""

    async def enrolled(self, user: UserId) -> Enrolled: ...

    async def passkey(self, credential_id: bytes) -> Passkey | None:
        """The passkey of that name, whosever it is."""
        ...

    async def use_passkey(self, passkey: Passkey, sign_count: int) -> bool:
        """Note that it was used; False: it is gone, or has counted as far already."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Passkeys:
    """Those of one installation.  Every method that reads or writes raises `Unavailable`."""

    party: RelyingParty
    challenges: Challenges
    rows: PasskeyRows
    store: Store
    names: Names
    letters: Queue
    clock: Clock
    chance: Chance

    async def for_a_new_one(self, user: User, *bound: str) -> str:
        """What a browser is asked for when he adds one."""
        known = (await self.rows.enrolled(user.id)).passkeys
        return self.party.creation(user, self.challenges.make("add", *bound), known)

    async def for_the_second_step(self, user: UserId, *bound: str) -> str | None:
        """What it is asked for after the password; None: he has none."""
        known = (await self.rows.enrolled(user)).passkeys
        return self.party.request(self.challenges.make("second-step", *bound), known, verified=False) if known else None

    def for_a_sign_in(self, *bound: str) -> str:
        """What it is asked for instead of the password: whichever the person has."""
        return self.party.request(self.challenges.make("sign-in", *bound), (), verified=True)

    async def registered(self, tag: SlotTag, response: str, *bound: str) -> NewPasskey | Wrong:
        """The new passkey in that response."""
        said = self.said(response, "add", *bound)
        new = self.party.registered(response, said.challenge) if said is not None else None
        if said is None or new is None:
            return Wrong()
        return new if await self.store.commit(self._mark(tag, said)) else Wrong("used")

    def said(self, response: str, purpose: Purpose, *bound: str) -> Said | None:
        """What the response says of itself, if it answers a challenge of ours for this."""
        said = read(response)
        return said if said is not None and self.challenges.good(said.challenge, purpose, *bound) else None

    async def second(self, user: UserId, tag: SlotTag, shown: Assertion, *bound: str) -> Right | Wrong:
        """One of his passkeys, after his password."""
        said = self.said(shown.response, "second-step", shown.browser, *bound)
        passkey = await self.rows.passkey(said.credential_id) if said is not None else None
        if said is None or passkey is None or passkey.user != user:
            return Wrong()
        return self._judge(tag, shown.response, said, passkey, alone=False)

    def alone(self, user: User, shown: Assertion, said: Said, passkey: Passkey) -> Right | Wrong:
        """A passkey of his without anything else: it must say whose it is, and have asked him for a PIN, a finger or a
        face."""
        if passkey.user != user.id or said.user_handle != handle_of(user):
            return Wrong()
        return self._judge(user.tag, shown.response, said, passkey, alone=True)

    def _judge(self, tag: SlotTag, response: str, said: Said, passkey: Passkey, *, alone: bool) -> Right | Wrong:
        """Whether it was signed with this passkey."""
        count = self.party.asserted(response, said.challenge, passkey.public_key, verified=alone)
        if count is None:
            return Wrong()
        mark = self._mark(tag, said)
        return Right(
            "passkey",
            ALONE if alone else SECOND,
            spend=partial(self._spend, mark, passkey, count),
            spent=Expect(mark.key, mark.value),
        )

    async def _spend(self, mark: Add, passkey: Passkey, count: int, visit: Visit) -> Wrong | None:
        if not await self.store.commit(mark):
            return Wrong("used")
        if await self.rows.use_passkey(passkey, count):
            return None
        if await self.rows.passkey(passkey.credential_id) is None:
            return Wrong()  # he has just removed it
        await self.letters.put(PASSKEY_COPIED, passkey.user, payload(visit, self.clock.now()))
        return Wrong("copied")

    def _mark(self, tag: SlotTag, said: Said) -> Add:
        """Uses the challenge up, unless that was done before."""
        name = self.names.mark(tag, "passkey", sha256(said.challenge).hexdigest())
        return Add(name, self.chance(16), _MARK_SECONDS)
