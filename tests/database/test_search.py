"""Searches by how a text begins, alike on three databases, by their indexes — whmcs-api §3.5, §3.6."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, insert, make_url, select, text

from bridge.database.database import Database
from bridge.database.migrate import migrate
from bridge.database.search import MOST, Span, _next, begins_with, read_page
from bridge.database.tables import accounts, users
from bridge.database.text import fold
from tests.database.rows import add_user
from tests.databases import opened

NAMES = ["z", "za", "zA", "z\U0010ffff", "z\ud7ff", "{", "y", "ze\u0301", "%", "z%", "_", "", "Z", "z z", "\U0010ffff"]
ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)


@given(beginning=ANY, rest=ANY, other=ANY)
def test_a_beginning_is_a_range_of_code_points(beginning: str, rest: str, other: str) -> None:
    end = _next(beginning)
    for each in (beginning + rest, other):
        within = each >= beginning and (not end or each < end)
        assert within is each.startswith(beginning)


@pytest.mark.parametrize("beginning", ["z", "za", "%", "_", "z%", "z\U0010ffff", "\U0010ffff", "", "\ud7ff"])
async def test_every_database_finds_what_python_finds(db: Database, beginning: str) -> None:
    for number, name in enumerate(NAMES):
        await add_user(db, str(number), first_name_key=name)
    async with db.read() as tx:
        rows = await tx.execute(select(users.c.first_name_key).where(begins_with(users.c.first_name_key, beginning)))
        assert sorted(rows.scalars()) == sorted(name for name in NAMES if name.startswith(beginning))


@pytest.fixture
async def english(postgres_url: str) -> AsyncIterator[str]:
    """A PostgreSQL database whose own order of letters is not that of their numbers."""
    async with opened(postgres_url) as server:
        alone = server.engine.execution_options(isolation_level="AUTOCOMMIT")
        async with alone.connect() as tx:
            how = "TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C.UTF-8'"
            await tx.execute(text(f"CREATE DATABASE test_english {how}"))
        url = make_url(postgres_url).set(database="test_english").render_as_string(hide_password=False)
        try:
            await migrate(url)
            yield url
        finally:
            async with alone.connect() as tx:
                await tx.execute(text("DROP DATABASE test_english"))


async def test_the_locale_of_the_database_makes_no_difference(english: str) -> None:
    """In English "{" comes before "z", so that nothing would lie between "z" and what comes after it."""
    async with opened(english) as db:
        row = {"first_name_key": "zoe", "last_name_key": "z", "full_name_key": "zoe z", "email_key": "zoe@example.com"}
        number = await add_user(db, **row)
        for name in row:
            async with db.read() as tx:
                found = await tx.execute(select(users.c.id).where(begins_with(users.c[name], "z")))
                assert found.scalars().all() == [number], name
        async with db.read() as tx:
            assert (await tx.execute(text("SELECT '{' < 'z' AND 'a' < 'B'"))).scalar() is True


async def test_a_page_has_an_end_however_much_is_asked_for(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST == 25_000
    monkeypatch.setattr("bridge.database.search.MOST", 2)
    numbers = [await add_user(db, str(n)) for n in range(3)]
    page = await read_page(db, users, Span(limit=10**9), where=[], order_by=users.c.id)
    assert ([row.id for row in page.items], page.total) == (numbers[:2], 3)


async def test_who_is_found_in_two_ways_is_found_once(db: Database) -> None:
    number = await add_user(db, first_name_key="ada", last_name_key="adams", full_name_key="ada adams")
    ways = [begins_with(users.c[name], "ada") for name in ("first_name_key", "last_name_key", "full_name_key")]
    page = await read_page(db, users, Span(), where=[], any_of=ways, order_by=users.c.id)
    assert ([row.id for row in page.items], page.total) == ([number], 1)


@pytest.mark.slow
async def test_among_a_hundred_thousand_a_search_reads_indexes_and_never_the_table(empty_url: str) -> None:
    await migrate(empty_url)
    async with opened(empty_url, patience=60) as db:
        await _hundred_thousand(db)
        await _reads_indexes(db)


async def _reads_indexes(db: Database) -> None:
    ways = [begins_with(accounts.c[f"{name}_key"], "name 777") for name in ("first_name", "last_name", "email")]
    said: list[tuple[str, Any]] = []

    def hear(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        said.append((statement, parameters))

    event.listen(db.engine.sync_engine, "before_cursor_execute", hear)
    page = await read_page(
        db, accounts, Span(), where=[accounts.c.status == "Active"], any_of=ways, order_by=accounts.c.id
    )
    event.remove(db.engine.sync_engine, "before_cursor_execute", hear)
    assert page.total == 111 and len(page.items) == 25
    queries = [each for each in said if "accounts" in each[0]]
    assert len(queries) == 2
    for statement, parameters in queries:
        plan = await _plan(db, statement, parameters)
        assert "ix_accounts_first_name_key" in plan and not _scans(db, plan), plan


async def _hundred_thousand(db: Database) -> None:
    owner = await add_user(db)
    nothing = {"custom_fields": "[]", "billing": "{}", "email_preferences": "{}", "notes": ""}
    for start in range(0, 100_000, 5_000):
        rows = [
            {
                "uuid": str(n),
                "owner_id": owner,
                "email_key": f"{n}@example.com",
                "first_name": f"Name {n}",
                "first_name_key": fold(f"Name {n}"),
                "last_name_key": fold(f"Last {n}"),
                "status": "Active",
                "currency": "USD",
                "credit": "0.00",
                "created_at": n,
                "updated_at": n,
                **nothing,
            }
            for n in range(start, start + 5_000)
        ]
        async with db.begin() as tx:
            await tx.execute(insert(accounts), rows)
    async with db.begin() as tx:
        await tx.execute(text("ANALYZE TABLE accounts" if db.address.kind == "mysql" else "ANALYZE accounts"))


async def _plan(db: Database, statement: str, parameters: Any) -> str:
    explain = "EXPLAIN QUERY PLAN" if db.address.kind == "sqlite" else "EXPLAIN"
    async with db.read() as tx:
        rows = (await tx.exec_driver_sql(f"{explain} {statement}", parameters)).all()
    return "\n".join(str(tuple(row)) for row in rows)


def _scans(db: Database, plan: str) -> bool:
    match db.address.kind:
        case "sqlite":
            return "SCAN accounts" in plan
        case "postgresql":
            return "Seq Scan on accounts" in plan
        case "mysql":
            return any("'accounts', 'ALL'" in line or "'accounts', 'index'" in line for line in plan.splitlines())
