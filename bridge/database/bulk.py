"""Many rows into one table by one statement that is written down once — DESIGN §5, "written in batches"."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Dialect, Table, insert

from bridge.database.database import Tx


class Bulk:
    """Inserts rows of these columns, whose values are what the driver takes: numbers, text and None."""

    def __init__(self, table: Table, columns: Sequence[str], dialect: Dialect) -> None:
        written = insert(table).compile(dialect=dialect, column_keys=list(columns))
        self._text = str(written)
        self._names: list[str] = list(written.positiontup or ())

    async def insert(self, tx: Tx, rows: Sequence[Mapping[str, Any]]) -> None:
        """All of them; each has every column."""
        await tx.exec_driver_sql(self._text, [tuple(row[name] for name in self._names) for row in rows])
