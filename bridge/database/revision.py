"""Which form the tables have, known without Alembic: a worker asks this at its start — DESIGN §9."""

from typing import Final

from sqlalchemy import inspect, text
from sqlalchemy.engine import Connection

from bridge.database.database import Database, Tx
from bridge.errors import ConfigError

HEAD: Final = "0007"
"""The newest revision in `migrations/versions`."""


async def revision_of(tx: Tx) -> str | None:
    """The revision of the tables; None: there are none yet."""
    if not await tx.run_sync(_has_revision):
        return None
    found: str | None = (await tx.execute(text("SELECT version_num FROM alembic_version"))).scalar()
    return found


async def check_revision(db: Database) -> None:
    """Nothing, if the tables are today's.  Raises ConfigError, which says what to run, else Unavailable."""
    async with db.read() as tx:
        found = await revision_of(tx)
    refuse_a_newer(found)
    if found != HEAD:
        raise ConfigError(
            f"the database has revision {found or 'none'}, this version needs {HEAD}: login-bridge migrate"
        )


def refuse_a_newer(found: str | None) -> None:
    """Nothing, if this version can know those tables.  Raises ConfigError."""
    if found is not None and found > HEAD:
        raise ConfigError(
            f"the database has revision {found}, of a newer version; this one knows {HEAD}: install that one"
        )


def _has_revision(connection: Connection) -> bool:
    return inspect(connection).has_table("alembic_version")
