"""The audit table as JSON lines — DESIGN §10, `login-bridge audit export --since`."""

from collections.abc import AsyncIterator
from typing import Final

from sqlalchemy import select

from bridge.database.database import Database
from bridge.database.tables import audit
from bridge.events.rows import line_of

PAGE: Final = 1_000


async def export(db: Database, *, since: float) -> AsyncIterator[str]:
    """Every row at or after that Unix time, in the order of writing, one JSON object each.  Raises Unavailable.

    A transaction for each page, so that an export of a year keeps nothing from being cleaned up.
    """
    last = 0
    while True:
        page = select(audit).where(audit.c.id > last, audit.c.at >= since).order_by(audit.c.id).limit(PAGE)
        async with db.read() as tx:
            rows = (await tx.execute(page)).mappings().all()
        for row in rows:
            yield line_of(dict(row))
            last = row["id"]
        if len(rows) < PAGE:
            return
