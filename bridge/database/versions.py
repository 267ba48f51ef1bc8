"""The versions of what is cached, raised in the transaction that changes it — security §20."""

from secrets import randbelow
from typing import Any, Final, Protocol

from sqlalchemy import ColumnElement, select

from bridge.database.database import Database, Tx
from bridge.database.lookup import LookUp
from bridge.database.tables import versions
from bridge.database.upsert import insert_or_update

_LONGEST_STEP: Final = 2**20
_ALL: Final = LookUp(select(versions.c.name, versions.c.version))


async def bump(tx: Tx, name: str) -> None:
    """Raise the version of `name` with this transaction.  Until it ends, whoever bumps the same name waits.

    Afterwards `bridge.stores.versions.Versions.publish(name)` tells the caches; the reconciler does, if nobody else.
    Nobody knows by how much: a database that went back to a backup does not give a version out again, under which a
    cache may hold what was forgotten.
    """
    step = 1 + randbelow(_LONGEST_STEP)
    raised: ColumnElement[Any] = versions.c.version + step
    await insert_or_update(tx, versions, {"name": name, "version": step}, version=raised)


class Published(Protocol):
    """Tells the other workers that what was bumped has changed."""

    async def publish(self, name: str) -> object:
        """Raises `Unavailable`."""
        ...


class VersionTable:
    """What SQL says of all versions: the truth behind `bridge.stores.versions.Versions`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def current(self) -> dict[str, int]:
        """Name → version, in a new transaction on the primary; a name that was never bumped is absent."""
        return {row.name: row.version for row in await self._db.all(_ALL)}
