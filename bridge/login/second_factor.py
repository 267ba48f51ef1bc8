"""The second step of a login — store §2, A7, A8.

A right password without its second factor is a pending login.  What proves the second factor, the end of the pending
login and the birth of the session are one commit: of fifty logins with one code, one gets in.
"""

from collections.abc import Callable, Sequence
from typing import Final

from msgspec.structs import replace

from bridge.clock import Chance, Clock
from bridge.errors import Unavailable
from bridge.events.event import Events
from bridge.login.entry import TRIES, Arrival, Entry
from bridge.login.options import LoginOptions
from bridge.login.outcome import LoggedIn, Outcome, Refused, TooMany
from bridge.login.pending import Pending, Vouched
from bridge.login.proof import Right, Way, Wrong
from bridge.login.shown import Shown
from bridge.login.throttle import Blocked, Throttle
from bridge.login.watch import Watch
from bridge.login.ways import Ways
from bridge.sessions.sealed import Sealed, used
from bridge.sessions.sessions import Stale
from bridge.sessions.stamp import stamp_value
from bridge.stores.store import Add, Change, Expect, Store, Swap
from bridge.tokens import LoginToken, Names, new_id
from bridge.types import Key
from bridge.users.backend import UserBackend
from bridge.users.user import User

_KEPT: Final = 600.0  # seconds that a used login and a step's mark stay (store §2, rule 2)


class SecondFactor:
    """The second step."""

    def __init__(
        self,
        *,
        store: Store,
        names: Names,
        codec: Sealed[Pending],
        users: UserBackend,
        ways: Ways,
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
        self._ways = ways
        self._entry = entry
        self._throttle = throttle
        self._watch = watch
        self._epoch = epoch
        self._clock = clock
        self._chance = chance
        self._options = options
        self._events = events

    async def begin(
        self, user: User, *, keep: bool = False, vouched: Vouched | None = None, also: Sequence[Change] = ()
    ) -> LoginToken | Stale:
        """A pending login for a user whose password was checked against this row, or who was `vouched` for.

        `keep`: he asked to stay signed in; `also`: in the same commit.
        """
        token = LoginToken.draw(user.tag, self._chance)
        key = self._names.pending(user.tag, token)
        until = int(self._clock.now()) + self._options.pending_seconds
        pending = Pending(
            uid=user.id,
            stamp=user.stamp,
            epoch=self._epoch(),
            until=until,
            nonce=self._nonce(),
            keep=keep,
            vouched=vouched,
        )
        done = await self._store.commit(
            Add(key, self._codec.encode(key, pending), self._options.pending_seconds + _KEPT),
            *also,
            Expect(self._names.stamp(user.tag), stamp_value(user.id, user.stamp)),
        )
        return token if done else Stale()

    async def ways(self, token: LoginToken) -> tuple[Way, ...] | None:
        """How this login may be finished, the usual way first; None: not at all.  Raises `Unavailable`."""
        _, pending = await self._read(self._names.pending(token.tag, token))
        return await self._ways.open_to(pending.uid) if pending is not None else None

    async def passkey_request(self, token: LoginToken, browser: str) -> str | None:
        """What that browser is asked for when it shall be a passkey; None: he has none.  Raises `Unavailable`."""
        _, pending = await self._read(self._names.pending(token.tag, token))
        return await self._ways.passkey_request(pending.uid, token, browser) if pending is not None else None

    async def finish(self, token: LoginToken, shown: Shown, arrival: Arrival) -> Outcome:
        """The second factor of a pending login.  Raises `Unavailable`."""
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
            outcome = await self._check(token, key, shown, arrival)
            wrong = isinstance(outcome, Refused) and outcome.why != "stale"
            return outcome
        except Unavailable:
            wrong = False
            raise
        finally:
            await self._throttle.settle(admitted, wrong=wrong)

    async def _check(self, token: LoginToken, key: Key, shown: Shown, arrival: Arrival) -> Outcome:
        paid: Right | None = None
        spent = False
        for _ in range(TRIES):
            raw, pending = await self._read(key)
            if raw is None or pending is None:
                return Refused("stale")
            # The factor first: a row with the old stamp, read later, says that this was his factor then.
            found = paid or await self._ways.check(pending.uid, token, shown)
            user = await self._users.by_id(pending.uid)
            if found is None or user is None or user.disabled or user.stamp != pending.stamp:
                return Refused("stale")
            if isinstance(found, Right) and found.spend is not None and paid is None:
                refusal = await found.spend(arrival.visit)
                paid = found if refusal is None else None
                found = refusal or found
            if isinstance(found, Wrong) or spent:
                why = "used" if isinstance(found, Right) else found.why
                if await self._count(key, raw, pending):
                    self._events.tell("second-factor.fail", arrival.visit, user=user.id, reason=why)
                    await self._watch.failed(user.id)
                    return Refused(why)
                continue
            mark = self._names.mark(token.tag, *found.mark) if found.mark is not None else None
            once = (Add(mark, self._chance(16), _KEPT),) if mark is not None else ()
            also = (Swap(key, raw, used(self._nonce()), _KEPT), *once)
            came, amr = self._came(pending, arrival, found.amr)
            born = await self._entry.enter(user, came, amr=amr, also=also)
            if not isinstance(born, Stale):
                self._events.tell(
                    "second-factor.ok",
                    arrival.visit,
                    user=user.id,
                    sid=born.token.sid,
                    session=born.record.id,
                    amr=amr,
                    way=found.way,
                )
                return LoggedIn(user, born)
            await self._entry.unchanged(user)
            spent = mark is not None and (await self._store.read(mark))[0] is not None
        raise Unavailable("contended")

    def _came(self, pending: Pending, arrival: Arrival, amr: Sequence[str]) -> tuple[Arrival, tuple[str, ...]]:
        """Who was only vouched for gets what a link gives, whatever the page wished for him, and replaces nobody."""
        if pending.vouched is None:
            return replace(arrival, wish=replace(arrival.wish, keep=pending.keep)), tuple(amr)
        proved = (each for each in amr if each not in ("pwd", "mfa"))  # nobody gave a password
        return Arrival(wish=self._entry.by_link(pending.vouched), visit=arrival.visit), ("sso", *proved)

    async def _read(self, key: Key) -> tuple[bytes | None, Pending | None]:
        (raw,) = await self._store.read(key)
        pending = self._codec.decode(key, raw)
        if pending is None or pending.epoch != self._epoch() or self._clock.now() >= pending.until:
            return raw, None
        return raw, pending if pending.tries < self._options.code_tries else None

    async def _count(self, key: Key, raw: bytes, pending: Pending) -> bool:
        """One wrong proof more.  Nothing is answered before this is written: parallel guesses cannot hide."""
        more = Pending(
            uid=pending.uid,
            stamp=pending.stamp,
            epoch=pending.epoch,
            until=pending.until,
            tries=pending.tries + 1,
            nonce=self._nonce(),
            keep=pending.keep,
            vouched=pending.vouched,
        )
        ttl = max(pending.until - self._clock.now(), 0.0) + _KEPT
        return await self._store.commit(Swap(key, raw, self._codec.encode(key, more), ttl))

    def _nonce(self) -> str:
        return new_id(self._chance)
