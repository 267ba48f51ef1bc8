"""Insert, or leave, or count up: one statement that two writers cannot get between, in three dialects — DESIGN §5."""

from sqlalchemy import ColumnElement, Table
from sqlalchemy.dialects import mysql, postgresql, sqlite

from bridge.database.database import Tx


async def insert_unless_there(tx: Tx, table: Table, **values: object) -> None:
    """Insert the row; one with the same primary key stays as it is."""
    key = next(iter(table.primary_key.columns))
    match tx.dialect.name:
        case "mysql":
            # INSERT IGNORE would also cut what does not fit.
            await tx.execute(mysql.insert(table).values(**values).on_duplicate_key_update({key.name: key}))
        case "postgresql":
            await tx.execute(postgresql.insert(table).values(**values).on_conflict_do_nothing())
        case _:
            await tx.execute(sqlite.insert(table).values(**values).on_conflict_do_nothing())


async def insert_or_update(tx: Tx, table: Table, values: dict[str, object], **update: ColumnElement[object]) -> None:
    """Insert the row; if one with the same primary key is there, set the columns of `update` in it instead.

    Either way its lock is held until the transaction ends.
    """
    key = list(table.primary_key.columns)
    match tx.dialect.name:
        case "mysql":
            await tx.execute(mysql.insert(table).values(values).on_duplicate_key_update(update))
        case "postgresql":
            await tx.execute(
                postgresql.insert(table).values(values).on_conflict_do_update(index_elements=key, set_=update)
            )
        case _:
            await tx.execute(sqlite.insert(table).values(values).on_conflict_do_update(index_elements=key, set_=update))
