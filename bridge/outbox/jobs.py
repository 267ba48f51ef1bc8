"""The outbox's table as its worker sees it: claim, finish, put off, forget — sessions-and-accounts §6.3.

A claim is one UPDATE that names the claimer and pushes `due_at` to the end of the lease: of two workers, the one that
comes second finds the job not due.  Whoever dies holding a claim loses it when the lease ends.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import BigInteger, ColumnElement, Integer, and_, bindparam, delete, func, or_, select, true, update

from bridge.clock import Chance, Clock
from bridge.database.database import Database, Tx
from bridge.database.lookup import LookUp
from bridge.database.tables import outbox
from bridge.outbox.outbox import Delivery
from bridge.tokens import new_id
from bridge.types import UserId

State = Literal["waiting", "sent", "dead"]

_WAITS: Final = outbox.c.state == "waiting"


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery and the claim under which it may be finished."""

    delivery: Delivery
    claim: str


class Jobs:
    """The jobs of one database."""

    def __init__(
        self, db: Database, clock: Clock, draw: Chance, *, only: Sequence[str] = (), but: Sequence[str] = ()
    ) -> None:
        """`only`, `but`: of these purposes, or of all others."""
        self._db = db
        self._clock = clock
        self._draw = draw
        purpose = outbox.c.purpose
        others = and_(true(), *(purpose != one for one in but))
        self._mine = or_(*(purpose == one for one in only)) if only else others
        self._due = LookUp(
            select(outbox.c.id)
            .where(self._mine, _WAITS, outbox.c.due_at <= bindparam("now", type_=BigInteger))
            .order_by(outbox.c.due_at)
            .limit(bindparam("most", type_=Integer))
        )

    async def claim(self, most: int, lease: float) -> list[Claimed]:
        """Up to `most` jobs that are due, ours for `lease` seconds."""
        now = int(self._clock.now())
        found = await self._db.all(self._due, now=now, most=most)
        return await self._claim([row.id for row in found], outbox.c.due_at <= now, lease) if found else []

    async def claim_new(self, once: Sequence[str], lease: float) -> list[Claimed]:
        """Those of these names that nobody tried yet, due or not."""
        new = and_(outbox.c.once.in_(once), outbox.c.attempts == 0)
        async with self._db.read() as tx:
            found = (await tx.execute(select(outbox.c.id).where(self._mine, _WAITS, new))).scalars().all()
        return await self._claim(found, new, lease) if found else []

    async def _claim(self, ids: Iterable[int], still: ColumnElement[bool], lease: float) -> list[Claimed]:
        """Those of which that still holds when it is their turn."""
        now, claim = int(self._clock.now()), new_id(self._draw)
        wanted = sorted(ids)  # every worker locks them in one order
        ours = {"claim": claim, "due_at": int(now + lease) + 1, "attempts": outbox.c.attempts + 1}

        async def take(tx: Tx) -> Sequence[Any]:
            await tx.execute(update(outbox).where(_WAITS, still, outbox.c.id.in_(wanted)).values(**ours))
            mine = select(outbox).where(outbox.c.id.in_(wanted), outbox.c.claim == claim)
            return (await tx.execute(mine.order_by(outbox.c.id))).all()

        return [_claimed(row) for row in await self._db.transaction(take)]

    async def finish(self, job: Claimed, state: Literal["sent", "dead"], error: str = "") -> None:
        """It needs no other try.  What was in a sent one is forgotten."""
        facts: dict[str, Any] = {"state": state, "finished_at": int(self._clock.now()), "last_error": error}
        await self._set(job, **facts, **({"payload": "{}"} if state == "sent" else {}))

    async def put_off(self, job: Claimed, seconds: float, error: str) -> None:
        """Try again after so many seconds."""
        await self._set(job, due_at=int(self._clock.now() + seconds), claim="", last_error=error)

    async def count(self) -> Mapping[State, int]:
        """How many jobs wait, and how many were given up."""
        counted: tuple[State, ...] = ("waiting", "dead")
        query = select(outbox.c.state, func.count()).where(self._mine, outbox.c.state.in_(counted))
        async with self._db.read() as tx:
            found = (await tx.execute(query.group_by(outbox.c.state))).all()
        return {**dict.fromkeys(counted, 0), **dict(found)}

    async def forget(self, *, sent_before: float, dead_before: float) -> int:
        """Delete what was finished before those times; says how many rows."""
        old = or_(
            and_(outbox.c.state == "sent", outbox.c.finished_at < sent_before),
            and_(outbox.c.state == "dead", outbox.c.finished_at < dead_before),
        )
        async with self._db.begin() as tx:
            return (await tx.execute(delete(outbox).where(old))).rowcount

    async def _set(self, job: Claimed, **values: Any) -> None:
        """Nothing, if the lease ended and somebody else holds it now."""
        mine = and_(outbox.c.id == job.delivery.id, outbox.c.claim == job.claim, outbox.c.state == "waiting")
        async with self._db.begin() as tx:
            await tx.execute(update(outbox).where(mine).values(**values))


def _claimed(row: Any) -> Claimed:
    delivery = Delivery(
        id=row.id,
        purpose=row.purpose,
        user=None if row.user_id is None else UserId(row.user_id),
        payload=json.loads(row.payload),
        attempt=row.attempts,
        message_id=row.message_id,
    )
    return Claimed(delivery, row.claim)
