"""The versions of what is cached, raised in the transaction that changes it — security §20."""

from typing import Any, Final, Protocol

from sqlalchemy import ColumnElement, select

from bridge.database.database import Database, Tx
from bridge.database.lookup import LookUp
from bridge.database.tables import versions
from bridge.database.upsert import insert_or_update

_ALL: Final = LookUp(select(versions.c.name, versions.c.version))


async def bump(tx: Tx, name: str) -> None:
    """Raise the version of `name` with this transaction.  Until it ends, whoever bumps the same name waits.

    Afterwards `bridge.stores.versions.Versions.publish(name)` tells the caches; the reconciler does, if nobody else.
    """
    plus_one: ColumnElement[Any] = versions.c.version + 1
    await insert_or_update(tx, versions, {"name": name, "version": 1}, version=plus_one)


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
