"""Lists a page at a time: what is asked for, and the counters that every such answer begins with — whmcs-api §3.5.

page = await directory.page(span_of(params))
return success(**counters(page), users=[…])
"""

from datetime import UTC, datetime
from typing import Any, Final

from bridge.database.search import Page, Span
from bridge.legacy.params import Params

SPAN: Final = frozenset({"limitstart", "limitnum", "sorting"})
"""The parameters that `span_of` reads."""


def span_of(params: Params) -> Span:
    """Which part is wanted.  What is absent, or no number that makes sense, is as documented: 0 and 25."""
    start, limit = params.number("limitstart") or 0, params.number("limitnum") or 0
    wanted = Span(start=max(start, 0), descending=params.optional("sorting").strip().upper() == "DESC")
    return wanted if limit < 1 else Span(start=wanted.start, limit=limit, descending=wanted.descending)


def counters(page: Page[Any]) -> dict[str, Any]:
    """How many there are, how many come before these, how many these are."""
    return {"totalresults": page.total, "startnumber": page.start, "numreturned": len(page.items)}


def moment(seconds: int) -> str:
    """`2020-12-15 15:29:49`, in UTC."""
    return _utc(seconds).strftime("%Y-%m-%d %H:%M:%S")


def day(seconds: int) -> str:
    """`2020-12-15`, in UTC."""
    return _utc(seconds).strftime("%Y-%m-%d")


def minute(seconds: int) -> str:
    """`15/12/2020 15:29`, in UTC."""
    return _utc(seconds).strftime("%d/%m/%Y %H:%M")


def _utc(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
