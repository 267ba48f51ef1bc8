"""A query that is written down once and asked as often as somebody signs in, or each second — DESIGN §5."""

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, TypeAlias

from sqlalchemy import CompoundSelect, Select
from sqlalchemy.dialects import sqlite

_SQLITE: Final = sqlite.dialect()

Question: TypeAlias = Select[*tuple[Any, ...]] | CompoundSelect[*tuple[Any, ...]]


class LookUp:
    """`LookUp(select(users).where(users.c.id == bindparam("id")))`, asked with `db.first(look_up, id=7)`, or `all`."""

    def __init__(self, query: Question) -> None:
        self.query: Question = query

    @cached_property
    def on_sqlite(self) -> "OnSqlite":
        """The same in SQLite's own words."""
        return OnSqlite(self.query)


class OnSqlite:
    """A query as SQLite's driver takes it, and its rows as everybody reads them: writing it down anew for each
    look-up costs twenty times what SQLite needs for its answer."""

    def __init__(self, query: Question) -> None:
        written = query.compile(dialect=_SQLITE)
        columns = list(query.selected_columns)
        self.text: str = str(written)
        if "POSTCOMPILE" in self.text:
            raise ValueError("a look-up is written down once, and a list is written anew for each number of items")
        self._names: list[str] = list(written.positiontup or ())
        self._fixed = {name: bound.value for name, bound in written.binds.items() if not bound.required}
        self._row = _row_type([column.name for column in columns])
        self._readers: list[tuple[int, Callable[[Any], Any]]] = [
            (place, reader)
            for place, column in enumerate(columns)
            if (reader := column.type.dialect_impl(_SQLITE).result_processor(_SQLITE, None)) is not None
        ]

    def values(self, given: Mapping[str, Any]) -> list[Any]:
        """The parameters in their order."""
        known = {**self._fixed, **given}
        return [known[name] for name in self._names]

    def row(self, raw: Sequence[Any]) -> Any:
        """The row: attributes by the names of its columns, and `_asdict()`."""
        if not self._readers:
            return self._row(raw)
        values = list(raw)
        for place, reader in self._readers:
            values[place] = reader(values[place])
        return self._row(values)


def _row_type(names: Sequence[str]) -> Callable[[Sequence[Any]], Any]:
    made: Any = namedtuple("Row", names)  # type: ignore[misc]  # which columns there are is known only now
    read: Callable[[Sequence[Any]], Any] = made._make
    return read
