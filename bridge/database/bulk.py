"""Many rows by one statement that is written down once — DESIGN §5, "written in batches"."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Dialect, Insert, Table, Update, bindparam, insert

from bridge.database.database import Tx


class Bulk:
    """A statement for many rows, whose values are what the driver takes: numbers, text and None."""

    def __init__(self, statement: Insert | Update, dialect: Dialect) -> None:
        written = statement.compile(dialect=dialect)
        self._text = str(written)
        self._names: list[str] = list(written.positiontup or ())

    @classmethod
    def inserting(cls, table: Table, columns: Sequence[str], dialect: Dialect) -> "Bulk":
        """Into these columns."""
        return cls(insert(table).values({name: bindparam(name) for name in columns}), dialect)

    async def run(self, tx: Tx, rows: Sequence[Mapping[str, Any]]) -> None:
        """For all of them, in their order; each names every parameter."""
        await tx.exec_driver_sql(self._text, [tuple(map(row.__getitem__, self._names)) for row in rows])
