"""What must be delivered, kept in SQL until it is — sessions-and-accounts §6.3.

    async with db.begin() as tx:
        ...                                             # the change
        await outbox.put(tx, "password-changed", user, {...})   # and its letter: both or neither

A job holds whom and what, never a token: that is made when the letter is sent.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import and_, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from bridge.clock import Chance, Clock, chance
from bridge.database.database import Database, Tx
from bridge.database.tables import outbox
from bridge.events.ledger import Deed
from bridge.tokens import new_id
from bridge.types import UserId

_GIVEN_UP: Final = select(outbox.c.purpose).where(outbox.c.state == "dead").distinct().order_by(outbox.c.purpose)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Revived:
    """What came of another beginning, by purpose."""

    again: Mapping[str, int]
    """So many jobs are tried again."""
    over: Mapping[str, int]
    """So many were left as they are: what they have to say is not true any more."""


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

    async def given_up(self) -> Sequence[str]:
        """The purposes of what was given up.  Raises Unavailable."""
        async with self._db.read() as tx:
            return (await tx.execute(_GIVEN_UP)).scalars().all()

    async def revive(self, deed: Deed, *, only: Sequence[str] = (), lives: Mapping[str, int]) -> Revived:
        """Try again, from the first attempt, what was given up; `only` of these purposes, if any are named.

        `lives`: for so many seconds a job of that purpose has something to give, counted from when it was left.  An
        older one is not sent: nobody waits for that link any more, and a new one is not for us to offer.
        """
        now, again, over = int(self._clock.now()), dict[str, int](), dict[str, int]()
        fresh = {"state": "waiting", "attempts": 0, "due_at": now, "claim": "", "finished_at": None}
        for purpose in (await deed.tx.execute(_GIVEN_UP)).scalars().all():
            if only and purpose not in only:
                continue
            dead = and_(outbox.c.state == "dead", outbox.c.purpose == purpose)
            good = and_(dead, outbox.c.created_at > now - lives[purpose]) if purpose in lives else dead
            if revived := (await deed.tx.execute(update(outbox).where(good).values(**fresh))).rowcount:
                again[purpose] = revived
                await deed.record("outbox.retried", purpose=purpose, jobs=str(revived))
            if left := (await deed.tx.execute(select(func.count()).where(dead))).scalar_one():
                over[purpose] = left
        return Revived(again=again, over=over)

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
