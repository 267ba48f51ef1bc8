"""Who must be told that somebody signed out: a job for each app, in the transaction of the ending — BCL 1.0 §2.5.

The same ending may be seen by several (whoever ends the session, the reconciler, who follows stamps); each leaves the
same job, and the outbox takes it once.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Final

from sqlalchemy import select

from bridge.database.database import Database, Tx
from bridge.database.tables import oauth_clients
from bridge.outbox.outbox import Outbox
from bridge.secret import framed
from bridge.types import ClientId, UserId

BACKCHANNEL_LOGOUT: Final = "backchannel-logout"
HEAD_START: Final = 2.0
"""Seconds in which whoever ended the session may deliver it himself, before any worker takes it."""

Clients = Mapping[ClientId, str]
"""Who was signed in where: each client, and what it knows the session by."""


class Farewells:
    """Leaves them."""

    def __init__(self, db: Database, outbox: Outbox) -> None:
        self._db = db
        self._outbox = outbox

    async def leave(self, tx: Tx, user: UserId, clients: Clients, why: str = "") -> None:
        """A job for each of these that wants to be told.  `why`: what makes it another ending than the session's."""
        for client in await _listening(tx, clients):
            await self._outbox.put_once(
                tx,
                BACKCHANNEL_LOGOUT,
                user,
                {"client": client, "sid": clients[client]},
                once=once_of(client, clients[client], why),
                delay=HEAD_START,
            )

    async def leave_now(self, user: UserId, clients: Clients) -> None:
        """The same in a transaction of its own, where the ending is one that SQL knows already."""
        async with self._db.begin() as tx:
            await self.leave(tx, user, clients)


def once_of(client: ClientId, sid: str, why: str = "") -> str:
    """The name of the job: the end of that session, for that client."""
    return hashlib.sha256(framed(BACKCHANNEL_LOGOUT, client, sid, why)).hexdigest()


async def _listening(tx: Tx, clients: Iterable[ClientId]) -> list[ClientId]:
    """Those that named an address, and are not disabled."""
    wanted = sorted(clients)
    if not wanted:
        return []
    rows = await tx.execute(
        select(oauth_clients.c.client_id, oauth_clients.c.metadata)
        .where(oauth_clients.c.client_id.in_(wanted), oauth_clients.c.disabled_at.is_(None))
        .order_by(oauth_clients.c.client_id)
    )
    return [ClientId(client) for client, document in rows if json.loads(document).get("backchannel_logout_uri")]
