"""What must be delivered, kept in SQL until it is — sessions-and-accounts §6.3.

    async with db.begin() as tx:
        ...                                             # the change
        await outbox.put(tx, "password-changed", user, {...})   # and its letter: both or neither

A job holds whom and what, never a token: that is made when the letter is sent.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from bridge.clock import Chance, Clock, chance
from bridge.database.database import Database, Tx
from bridge.database.tables import outbox
from bridge.tokens import new_id
from bridge.types import UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One try to deliver one job."""

    id: int
    purpose: str
    user: UserId | None
    payload: Mapping[str, str]
    attempt: int
    """1 for the first."""
    message_id: str
    """The same for every try: whoever gets the letter twice can see that it is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """A job that is not done: it waits for its next try, or was given up."""

    id: int
    purpose: str
    user: UserId | None
    client: str | None
    """The app that is to be told; None: it is a letter."""
    state: str
    attempts: int
    due_at: int
    """Unix seconds."""
    error: str
    """What came of the last try."""


class Outbox:
    """Where the rooms leave what is to be delivered."""

    def __init__(self, db: Database, clock: Clock, *, draw: Chance = chance) -> None:
        self._db = db
        self._clock = clock
        self._draw = draw

    async def put(
        self, tx: Tx | None, purpose: str, user: UserId | None, payload: Mapping[str, str], *, delay: float = 0
    ) -> int:
        """Leave a job, in the transaction of what caused it (None: in one of its own), due after `delay` seconds.

        Returns its number.  Raises Unavailable.
        """
        if tx is None:
            async with self._db.begin() as own:
                return await self._put(own, purpose, user, payload, delay)
        return await self._put(tx, purpose, user, payload, delay)

    async def put_once(
        self, tx: Tx, purpose: str, user: UserId | None, payload: Mapping[str, str], *, once: str, delay: float = 0
    ) -> bool:
        """Leave a job by that name; False: somebody left it before.  Raises Unavailable."""
        if (await tx.execute(select(outbox.c.id).where(outbox.c.once == once))).first() is not None:
            return False
        try:
            async with tx.begin_nested():
                await self._put(tx, purpose, user, payload, delay, once=once)
        except IntegrityError:  # at this moment
            return False
        return True

    async def left(self) -> Sequence[Left]:
        """What is not done, the oldest first.  Raises Unavailable."""
        async with self._db.read() as tx:
            rows = await tx.execute(select(outbox).where(outbox.c.state != "sent").order_by(outbox.c.id))
        return [
            Left(
                id=row.id,
                purpose=row.purpose,
                user=None if row.user_id is None else UserId(row.user_id),
                client=json.loads(row.payload).get("client"),
                state=row.state,
                attempts=row.attempts,
                due_at=row.due_at,
                error=row.last_error,
            )
            for row in rows
        ]

    async def revive(self) -> int:
        """Try again, from the first attempt, whatever was given up; says how many jobs that are."""
        now = int(self._clock.now())
        fresh = {"state": "waiting", "attempts": 0, "due_at": now, "claim": "", "finished_at": None}
        async with self._db.begin() as tx:
            return (await tx.execute(update(outbox).where(outbox.c.state == "dead").values(**fresh))).rowcount

    async def _put(
        self,
        tx: Tx,
        purpose: str,
        user: UserId | None,
        payload: Mapping[str, str],
        delay: float,
        *,
        once: str | None = None,
    ) -> int:
        now = self._clock.now()
        row = {
            "purpose": purpose,
            "user_id": user,
            "payload": json.dumps(dict(payload)),
            "state": "waiting",
            "due_at": int(now + delay),
            "message_id": new_id(self._draw),
            "created_at": int(now),
            "once": once,
        }
        key = (await tx.execute(insert(outbox).values(**row))).inserted_primary_key
        return int(key[0]) if key else 0
