"""The truth about endings: stamps, ended sessions, replaced records, ended families, the store's epoch — security §3.

Every call is a transaction of its own on the primary, and raises `Unavailable` when the database does not answer.
Whoever ends something writes it here first; the store is told afterwards, and told again by the reconciler.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from sqlalchemy import BigInteger, Table, bindparam, case, delete, select, update

from bridge.clock import Clock
from bridge.database.database import Database, Tx
from bridge.database.lookup import LookUp
from bridge.database.recent import RECENT, Recent, read_recent
from bridge.database.tables import ended_families, ended_keys, ended_sessions, store_epoch, users, versions
from bridge.database.upsert import insert_or_update, insert_unless_there
from bridge.errors import Unavailable
from bridge.types import ClientId, FamilyId, Key, SlotTag, Stamp, Standing, UserId

LONGEST_LIFE: Final = 400 * 86_400.0  # what the store allows at most; nothing that a stamp could end lives longer
_STAMP_OF: Final = LookUp(select(users.c.stamp).where(users.c.id == bindparam("id")))
_EPOCH: Final = select(store_epoch.c.epoch).where(store_epoch.c.id == 1)
_SINCE, _UNTIL = (bindparam(name, type_=BigInteger) for name in ("since", "until"))
_RESTAMPED: Final = LookUp(
    select(users.c.id, users.c.tag, users.c.stamp).where(users.c.stamp_changed_at.between(_SINCE, _UNTIL))
)
NOBODY: Final[Mapping[ClientId, str]] = {}
_LIFE: Final = "longest-life"
"""The row of `versions` with the longest life that was ever allowed here."""


Leave = Callable[[Tx, UserId, Mapping[ClientId, str]], Awaitable[None]]
"""Leaves for each of these clients, in that transaction, that it be told (`bridge.outbox.farewells`)."""


class Endings:
    """What has ended, as SQL knows it."""

    def __init__(
        self, db: Database, clock: Clock, *, longest_life: float = LONGEST_LIFE, leave: Leave | None = None
    ) -> None:
        """`longest_life`: seconds after which nothing born under an older stamp or consent can still be alive.

        What was born while more was allowed lives on: the longest that was ever given is what counts.
        """
        self._db = db
        self._clock = clock
        self._longest = longest_life
        self._leave = leave
        self._epoch: int | None = None

    async def stamp_of(self, user: UserId) -> Stamp | None:
        """The user's stamp now; None: there is no such user."""
        row = await self._db.first(_STAMP_OF, id=user)
        return None if row is None else Stamp(row.stamp)

    async def restamp(self, user: UserId, new: Stamp, *, expected: Stamp | None = None) -> bool:
        """Write the new stamp, where `expected` is given only over that very one.  False: nothing was written."""
        change = update(users).where(users.c.id == user).values(stamp=new, stamp_changed_at=self._now())
        if expected is not None:
            change = change.where(users.c.stamp == expected)
        async with self._db.begin() as tx:
            return (await tx.execute(change)).rowcount == 1

    async def end_session(
        self,
        user: UserId,
        tag: SlotTag,
        session_id: str,
        reason: str,
        until: float,
        *,
        told: Mapping[ClientId, str] = NOBODY,
    ) -> None:
        """The session has ended; remembered until that Unix time.  The first reason stays.

        `told`: the clients that it was known to, each to be told of it: both are written, or neither.
        """
        row = {"session_id": session_id, "user_id": user, "tag": tag, "reason": reason}
        async with self._db.begin() as tx:
            await self._write_end(tx, ended_sessions, until, row)
            if told and self._leave is not None:
                await self._leave(tx, user, told)

    async def restamped(self, since: float, until: float) -> list[Standing]:
        """Whose stamp changed between those Unix times, and what it is."""
        rows = await self._db.all(_RESTAMPED, since=int(since), until=int(until))
        return [Standing(UserId(row.id), SlotTag(row.tag), Stamp(row.stamp)) for row in rows]

    async def ended_session(self, session_id: str) -> str | None:
        """Why that session was ended; None: it was not, as far as is remembered."""
        query = select(ended_sessions.c.reason).where(ended_sessions.c.session_id == session_id)
        async with self._db.read() as tx:
            reason: str | None = (await tx.execute(query)).scalar()
        return reason

    async def end_key(self, key: Key, session_id: str, user: UserId, tag: SlotTag, until: float) -> None:
        """The record at `key` was replaced by another of the same session."""
        await self._end(ended_keys, until, key=key, session_id=session_id, user_id=user, tag=tag)

    async def end_family(self, tag: SlotTag, family: FamilyId, reason: str, until: float) -> None:
        """The family has ended; remembered until that Unix time.  The first reason stays."""
        await self._end(ended_families, until, tag=tag, family=family, reason=reason)

    async def recent(self, since: float | None) -> Recent:
        """What ended at or after that Unix time and still matters; None: everything that still matters.

        The epoch is read with it.
        """
        now = self._now()
        changed, ended = (int(now - self._longest), 0) if since is None else (int(since), int(since))
        found = read_recent(await self._db.all(RECENT, changed=changed, ended=ended, now=now))
        self._epoch = found.epoch
        return found

    @property
    def epoch(self) -> int:
        """The store's epoch as last read, by the reconciler each second.  Raises Unavailable before the first time."""
        if self._epoch is None:
            raise Unavailable("the store's epoch was not read yet")
        return self._epoch

    async def raise_epoch(self, identity: str) -> int:
        """A start, or a loss: raise the epoch, once for each new identity of the store however many workers notice."""
        raised = update(store_epoch).where(store_epoch.c.id == 1, store_epoch.c.identity != identity)
        async with self._db.begin() as tx:
            await tx.execute(raised.values(epoch=store_epoch.c.epoch + 1, identity=identity))
            self._longest = await _longest_ever(tx, _up(self._longest))
            epoch: int = (await tx.execute(_EPOCH)).scalar_one()
        self._epoch = epoch
        return epoch

    async def sweep(self) -> int:
        """Forget what could no longer be alive anyway; says how many rows that were."""
        gone = 0
        for table in (ended_sessions, ended_keys, ended_families):
            async with self._db.begin() as tx:
                gone += (await tx.execute(delete(table).where(table.c.until <= self._now()))).rowcount
        return gone

    async def _end(self, table: Table, until: float, **row: object) -> None:
        async with self._db.begin() as tx:
            await self._write_end(tx, table, until, row)

    async def _write_end(self, tx: Tx, table: Table, until: float, row: Mapping[str, object]) -> None:
        await insert_unless_there(tx, table, **row, ended_at=self._now(), until=_up(until))

    def _now(self) -> int:
        return int(self._clock.now())


async def _longest_ever(tx: Tx, life: int) -> float:
    """Remember it, unless a longer one is remembered; says which it is."""
    more = case((versions.c.version < life, life), else_=versions.c.version)
    await insert_or_update(tx, versions, {"name": _LIFE, "version": life}, version=more)
    return float((await tx.execute(select(versions.c.version).where(versions.c.name == _LIFE))).scalar_one())


def _up(seconds: float) -> int:
    return int(-(-seconds // 1))
