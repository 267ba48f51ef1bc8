"""A page out of many rows, and searches by how a text begins, alike on three databases — whmcs-api §3.5, §3.6.

A search is a range of an index, never LIKE: nothing in it is a wildcard, SQLite does not fold its case, and PostgreSQL
needs no opinion on the pattern.  That takes columns which sort byte by byte (`tables._ordered`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import Column, ColumnElement, Row, Table, func, select, union

from bridge.database.database import Database

MOST: Final = 25_000
"""Rows of one page, however many were asked for."""

_FARTHEST: Final = 2**63 - 1

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Which part of a list is wanted.  What cannot be is brought to the nearest that can."""

    start: int = 0
    """So many are skipped."""
    limit: int = 25
    """So many at most."""
    descending: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """Part of a list."""

    items: Sequence[T]
    total: int
    """How many there are in the whole list."""
    start: int
    """So many come before the first of `items`."""


def begins_with(column: Column[Any], beginning: str) -> ColumnElement[bool]:
    """Whether the column, which must sort byte by byte, begins so."""
    end = _next(beginning)
    return (column >= beginning) & (column < end) if end else column >= beginning


async def read_page(
    db: Database,
    table: Table,
    span: Span,
    *,
    where: Sequence[ColumnElement[bool]],
    any_of: Sequence[ColumnElement[bool]] = (),
    order_by: Column[Any],
) -> Page[Row[Any]]:
    """The rows for which all of `where` holds, and one of `any_of` if there are any: each by an index of its own.

    Rows that are equal in `order_by` come in the order of their numbers.
    """
    number = table.c.id
    if any_of:
        # OR would leave it to the database whether to use the indexes; a branch each does not.
        found = union(*(select(number).where(each, *where) for each in any_of)).subquery("found")
        counted = select(func.count()).select_from(found)
        rows = select(table).join(found, found.c.id == number)
    else:
        counted = select(func.count()).select_from(table).where(*where)
        rows = select(table).where(*where)
    start, limit = min(max(span.start, 0), _FARTHEST), min(max(span.limit, 0), MOST)
    # Databases disagree about where nothing stands: here it comes first.
    order = [*([order_by.is_not(None)] if order_by.nullable else []), *({order_by: 0, number: 0})]
    ordered = rows.order_by(*(each.desc() if span.descending else each.asc() for each in order))
    async with db.read() as tx:
        total: int = (await tx.execute(counted)).scalar_one()
        items = (await tx.execute(ordered.offset(start).limit(limit))).all()
    return Page(items=items, total=total, start=start)


def _next(beginning: str) -> str:
    """The first text, in the order of code points, behind all that begin so; "": there is none."""
    head = beginning.rstrip("\U0010ffff")
    if not head:
        return ""
    last = ord(head[-1]) + 1
    return head[:-1] + chr(0xE000 if last == 0xD800 else last)
