"""What revisions are made of: columns as `tables` means them, and steps that a second run steps over.

MariaDB and MySQL keep what stood before an interruption, so every step can be run again.
"""

from typing import Final

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql, postgresql

# SQLite numbers rows only by a plain INTEGER; the others take 64 bits.
ID: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
LONG: Final = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql")
BLOB: Final = sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql")


def exact(length: int) -> sa.String:
    """Text that compares byte by byte: on MariaDB and MySQL by a collation which they call by different names."""
    dialect = op.get_bind().dialect
    if dialect.name != "mysql":
        return sa.String(length)
    is_mariadb: bool = getattr(dialect, "is_mariadb", False)
    return mysql.VARCHAR(length, collation="utf8mb4_nopad_bin" if is_mariadb else "utf8mb4_0900_bin")


def ordered(length: int) -> sa.String:
    """Text that sorts byte by byte too, whatever PostgreSQL's locale."""
    postgres = op.get_bind().dialect.name == "postgresql"
    return postgresql.VARCHAR(length, collation="C") if postgres else exact(length)


def table(name: str, *parts: sa.schema.SchemaItem, sqlite_autoincrement: bool = False) -> None:
    """Make a table."""
    op.create_table(
        name,
        *parts,
        if_not_exists=True,
        sqlite_autoincrement=sqlite_autoincrement,
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
    )


def column(name: str, new: sa.Column[object]) -> None:
    """Add a column to the table of that name."""
    if new.name not in {each["name"] for each in sa.inspect(op.get_bind()).get_columns(name)}:
        op.add_column(name, new)


def index(name: str, table_name: str, *columns: str, unique: bool = False) -> None:
    """Make an index."""
    if name not in {each["name"] for each in sa.inspect(op.get_bind()).get_indexes(table_name)}:
        op.create_index(name, table_name, columns, unique=unique)
