"""What is good once, whatever becomes of the store: a name that SQL remembers — security §3, §8.

For what others make and the bridge first sees when it is used.  A thing of ours carries the store's epoch and is
refused after a loss (store §2, rule 9); a link that somebody else signed cannot, and its mark would be gone with all
that the store forgot.  The names stand beside those of replaced records, under no session, and are swept with them.
"""

from typing import Final

from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from bridge.database.database import Tx
from bridge.database.tables import ended_keys
from bridge.types import Key, SlotTag, UserId

NO_SESSION: Final = ""


async def first_use(tx: Tx, key: Key, user: UserId, tag: SlotTag, *, now: int, until: int) -> bool:
    """Use it up, with all else that this transaction does; False: somebody has.  Remembered until that Unix time."""
    row = {"key": key, "session_id": NO_SESSION, "user_id": user, "tag": tag, "ended_at": now, "until": until}
    try:
        async with tx.begin_nested():
            await tx.execute(insert(ended_keys).values(row))
    except IntegrityError:
        return False
    return True
