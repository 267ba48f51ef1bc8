"""Many rows by one statement that is written down once, when it is first used — DESIGN §5, "written in batches"."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from sqlalchemy import Dialect, Insert, Table, Update, bindparam, insert

from bridge.database.database import Tx


class Bulk:
    """A statement for many rows, whose values are what the driver takes: numbers, text and None."""

    def __init__(self, statement: Insert | Update, dialect: Dialect) -> None:
        self._statement = statement
        self._dialect = dialect

    @classmethod
    def inserting(cls, table: Table, columns: Sequence[str], dialect: Dialect) -> "Bulk":
        """Into these columns."""
        return cls(insert(table).values({name: bindparam(name) for name in columns}), dialect)

    async def run(self, tx: Tx, rows: Sequence[Mapping[str, Any]]) -> None:
        """For all of them, in their order; each names every parameter."""
        text, names = self._written
        await tx.exec_driver_sql(text, [tuple(map(row.__getitem__, names)) for row in rows])

    @cached_property
    def _written(self) -> tuple[str, Sequence[str]]:
        """The text, and the names of its parameters in their order."""
        written = self._statement.compile(dialect=self._dialect)
        return str(written), list(written.positiontup or ())
