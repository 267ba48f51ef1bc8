"""The sessions: start, resolve, touch, rotate, end — store §2, DESIGN §6, sessions-and-accounts §5.

Each method is one flow of the table in store §2: it reads, lets a pure function decide, and commits once.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import msgspec

from bridge.clock import Chance, Clock
from bridge.errors import Unavailable, recorded_first
from bridge.events.event import Events
from bridge.sessions import ending
from bridge.sessions.birth import Birth, Born, Earlier, Parent, Tools, birth, lifetime, new_child, rotation
from bridge.sessions.judge import Alive, Dead, judge_anywhere, touch_due
from bridge.sessions.options import SessionOptions
from bridge.sessions.record import EndReason, RecordCodec, SessionRecord
from bridge.sessions.resolve import Reader
from bridge.sessions.stamp import draw_stamp, stamp_value
from bridge.sessions.touches import Touches
from bridge.sessions.truth import Truth
from bridge.sessions.view import SessionView, living, tidied, too_many, view
from bridge.stores.decide import decide_on
from bridge.stores.store import Change, Store, Swap
from bridge.tokens import LoginToken, Names
from bridge.types import ClientId, IPAddress, Key, Place, SlotTag, Stamp, StampReason, Standing, UserId, Visit

TRIES = 6

WithIt = Callable[[Born], Sequence[Change]]


def _nothing(_: Born) -> Sequence[Change]:
    return ()


@dataclass(frozen=True, slots=True)
class Stale:
    """Nothing was written: what the credential was checked against is no longer so.

    Publish the stamp, read the row again; the same stamp: try again; another: check the credential again (rule 3).
    """


class Sessions:
    """All sessions of one instance.  Every method raises `Unavailable` when store or SQL does not answer."""

    def __init__(
        self,
        *,
        store: Store,
        names: Names,
        codec: RecordCodec,
        truth: Truth,
        clock: Clock,
        chance: Chance,
        options: SessionOptions,
        events: Events,
    ) -> None:
        self.options = options
        self.tools: Tools = Tools(names, codec, options)
        self.reader: Reader = Reader(store=store, names=names, codec=codec, clock=clock, options=options)
        self._store = store
        self._truth = truth
        self._clock = clock
        self._chance = chance
        self._events = events
        self._touches = Touches(self.touch)

    def keys_of(self, token: LoginToken) -> tuple[Key, Key]:
        """Where the token's session and its user's stamp lie: one slot, one MGET."""
        return self.reader.keys_of(token)

    async def start(
        self,
        standing: Standing,
        wish: Birth,
        visit: Visit,
        *,
        amr: Sequence[str],
        acr: str | None = None,
        also: Sequence[Change] = (),
        earlier: Earlier | None = None,
        with_it: WithIt = _nothing,
    ) -> Born | Stale:
        """A new session for a user whose credential was checked against the row that `standing` comes from.

        `also`: what must happen in the same commit (a pending login becomes used, a code's step is marked); `with_it`:
        the same, of what names the session; `earlier`: the sign-in that it goes on with.
        """
        now = self._clock.now()
        born = birth(
            standing, wish, visit, amr=amr, acr=acr, earlier=earlier, now=now, draw=self._chance, tools=self.tools
        )
        if not await self._store.commit(*born.changes, *also, *with_it(born)):
            return Stale()
        self._tell_of(born, visit)
        await self._make_room(born, wish.cap)
        return born

    async def resolve(self, token: LoginToken, place: Place, ip: IPAddress | None) -> Alive | Dead:
        """The session, or why there is none.  An absent stamp is asked of SQL and published."""
        key, stamp = self.reader.keys_of(token)
        raw, raw_stamp = await self._store.read(key, stamp)
        if raw_stamp is None and raw is not None:
            raw, raw_stamp = await self._read(token)
        return self.reader.judge(token, raw, raw_stamp, place=place, ip=ip, key=key)

    async def why(self, token: LoginToken) -> Alive | Dead:
        """The same wherever it was shown: for whoever judged place and address before, and to tell its owner."""
        return self._again(token, *await self._read(token))

    async def touch(self, alive: Alive) -> bool:
        """Write down that it was used, and renew the stamp's time; False: somebody else changed it meanwhile."""
        now = self._clock.now()
        record = msgspec.structs.replace(alive.record, last=max(int(now), alive.record.iat))
        value = self.tools.codec.encode(alive.key, record)
        stamp = stamp_value(record.uid, record.stamp)
        return await self._store.commit(
            Swap(alive.key, alive.seen, value, lifetime(record, now, self.options)),
            Swap(self.tools.names.stamp(alive.token.tag), stamp, stamp, self.options.stamp_ttl),
        )

    def due(self, alive: Alive) -> bool:
        """Whether this use is to be written down."""
        return touch_due(alive.record, self._clock.now(), self.options)

    def used(self, alive: Alive) -> None:
        """It was used: written down in the background, if that is due."""
        if self.due(alive):
            self._touches.soon(alive)

    async def finish(self) -> None:
        """Wait for what is still being written down; at shut-down."""
        await self._touches.finish()

    async def rotate(
        self,
        alive: Alive,
        standing: Standing,
        visit: Visit,
        *,
        amr: Sequence[str],
        acr: str | None = None,
        auth_time: int | None = None,
        child: LoginToken | None = None,
        also: Sequence[Change] = (),
        with_it: WithIt = _nothing,
    ) -> Born | Dead | Stale:
        """The same session under a new token, after its owner's credential was checked against `standing`'s row: now,
        or at `auth_time`.

        `child`: the app cookie that came along; if it is this session's child it is replaced too.  When this returns
        the old tokens are nobody, and SQL knows it.
        """
        now = self._clock.now()
        child = child if child is not None and child.tag == alive.token.tag else None
        keys = self.keys_of(alive.token)
        raw, raw_stamp, raw_child = await self._store.read(*keys, self.tools.names.session(child or alive.token))
        fresh = self._again(alive.token, raw, raw_stamp)
        if isinstance(fresh, Dead):
            return fresh
        if fresh.record.stamp != standing.stamp or fresh.record.uid != standing.user:
            return Stale()
        old_child = self._child_of(fresh, child, raw_child, raw_stamp)
        born = rotation(
            fresh,
            old_child,
            visit,
            amr=amr,
            acr=acr,
            auth_time=auth_time,
            now=now,
            draw=self._chance,
            tools=self.tools,
        )
        if not await self._store.commit(*born.changes, *also, *with_it(born)):
            return Stale()
        for old in (fresh, old_child):
            if old is not None:
                await self._truth.end_key(old.key, old.record.id, standing.user, alive.token.tag, old.record.abs)
        self._events.tell(
            "session.rotated", visit, user=standing.user, sid=born.token.sid, session=born.record.id, amr=tuple(amr)
        )
        return born

    async def child(self, parent: Alive, *, via: str) -> Born | Dead:
        """A new `app` session of an `op` session; Dead: the parent ended meanwhile."""
        for _ in range(TRIES):
            fresh = self._again(parent.token, *await self._store.read(*self.keys_of(parent.token)))
            if isinstance(fresh, Dead):
                return fresh
            under = Parent(fresh.token.tag, fresh.key, fresh.seen, fresh.record)
            born = new_child(under, via=via, now=self._clock.now(), draw=self._chance, tools=self.tools)
            if await self._store.commit(*born.changes):
                return born
        raise Unavailable("contended")

    async def end(
        self, user: UserId, tag: SlotTag, session_id: str, reason: EndReason, *, actor: str = ""
    ) -> list[SessionRecord]:
        """End a session and everything born under it; returns the records that were alive.  SQL first.

        Raises Delayed when it stands there, and the store does not answer.
        """
        now = self._clock.now()
        until, known = await ending.before_the_end(self._store, self.tools, tag, session_id, now=now)
        await self._truth.end_session(user, tag, session_id, reason, until, told=known)
        self._events.tell("session.ended", user=user, session=session_id, reason=reason, actor=actor)
        with recorded_first():
            over = await ending.end_born_under(
                self._store, self.tools, user, tag, session_id, reason=reason, at=int(now)
            )
        if (late := ending.known_to(over.records)).keys() - known.keys():  # who came at this very moment
            await self._truth.end_session(user, tag, session_id, reason, until, told=late)
        return over.records

    async def end_others(self, alive: Alive) -> Alive | Dead:
        """End all of the user's sessions but this one (rule 4).  Its children and families end too: make them again."""
        new = draw_stamp("user", self._chance)
        user = alive.record.uid
        if not await self._truth.restamp(user, new, expected=alive.record.stamp):
            return await self._died(alive)
        self._events.tell("sessions.ended-all", user=user, session=alive.record.id, reason="others")
        return await self.keep(alive, new)

    async def keep(self, alive: Alive, new: Stamp) -> Alive | Dead:
        """Let this one session survive a new stamp, which SQL took over the session's own by compare-and-swap, in the
        transaction that changed the password, the factor or the e-mail address (rule 4)."""
        decide = partial(ending.kept, alive=alive, new=new, now=self._clock.now(), tools=self.tools)
        moved = await decide_on(self._store, self.keys_of(alive.token), decide, tries=TRIES)
        return moved if moved is not None else await self._died(alive)

    async def end_all(self, user: UserId, tag: SlotTag, reason: StampReason, *, actor: str = "") -> Stamp | None:
        """End every session of a user; None: there is no such user.  What they were is told by the new stamp.

        Raises Delayed when it stands in SQL, and the store does not answer.
        """
        if not await self._truth.restamp(user, draw_stamp(reason, self._chance)):
            return None
        self._events.tell("sessions.ended-all", user=user, reason=reason, actor=actor)
        with recorded_first():
            return await self.publish_stamp(user, tag)

    async def publish_stamp(self, user: UserId, tag: SlotTag) -> Stamp | None:
        """Make the store say what SQL says of the user's stamp, and return it; None: there is no such user."""
        return await ending.publish_stamp(self._store, self.tools, self._truth, user, tag)

    async def list_of(self, user: UserId, tag: SlotTag) -> list[SessionView]:
        """The user's living sessions, the newest first; a child shows as its parent."""
        stamp = await self.publish_stamp(user, tag)
        found = await self._all_of(tag)
        return [view(record) for record in living(found, stamp, self._clock.now()) if record.uid == user]

    async def known_as(self, user: UserId, tag: SlotTag, client: ClientId) -> set[str]:
        """What that client knows the user's sessions by."""
        found = [record for _, record in await self._all_of(tag) if isinstance(record, SessionRecord)]
        return {record.clients[client] for record in found if record.uid == user and client in record.clients}

    async def _read(self, token: LoginToken) -> Sequence[bytes | None]:
        values = await self._store.read(*self.keys_of(token))
        if values[1] is None and (uid := self._uid_at(token, values[0])) is not None:
            await self.publish_stamp(uid, token.tag)  # absent means: ask SQL
            values = await self._store.read(*self.keys_of(token))
        return values

    async def _died(self, alive: Alive) -> Dead:
        """Why a session that was alive is so no more; publishes the stamp first, so that every reader agrees."""
        await self.publish_stamp(alive.record.uid, alive.token.tag)
        verdict = await self.why(alive.token)
        return verdict if isinstance(verdict, Dead) else Dead("unknown", verdict.record)

    def _again(self, token: LoginToken, raw: bytes | None, raw_stamp: bytes | None) -> Alive | Dead:
        now = self._clock.now()
        return judge_anywhere(token, self.tools.names.session(token), raw, raw_stamp, now=now, codec=self.tools.codec)

    def _child_of(
        self, parent: Alive, token: LoginToken | None, raw: bytes | None, raw_stamp: bytes | None
    ) -> Alive | None:
        """The child that came along, if it is one of this very session."""
        verdict = self._again(token, raw, raw_stamp) if token is not None else None
        return verdict if isinstance(verdict, Alive) and verdict.record.parent == parent.record.id else None

    def _uid_at(self, token: LoginToken, raw: bytes | None) -> UserId | None:
        record = self.tools.codec.decode(self.tools.names.session(token), raw)
        return record.uid if isinstance(record, SessionRecord) else None

    async def _all_of(self, tag: SlotTag) -> list[ending.Found]:
        members = await self._store.members(self.tools.names.sessions_of(tag))
        return await ending.look(self._store, self.tools, members)

    async def _make_room(self, born: Born, cap: int) -> None:
        """End what is beyond the cap.  The login is done: a store that fails now does not undo it."""
        index = self.tools.names.sessions_of(born.token.tag)
        with suppress(Unavailable):
            if len(await self._store.members(index)) <= cap:
                return
            found, now = await self._all_of(born.token.tag), self._clock.now()
            for record in too_many(living(found, born.record.stamp, now), born.record, cap):
                await self.end(record.uid, born.token.tag, record.id, "evicted")
            await self._store.commit(*tidied(index, found, now))

    def _tell_of(self, born: Born, visit: Visit) -> None:
        record = born.record
        self._events.tell(
            "session.created", visit, user=record.uid, sid=born.token.sid, session=record.id, amr=record.amr
        )
