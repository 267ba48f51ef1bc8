"""Users a page at a time, and by how they begin — whmcs-api §3.5 (GetUsers), security §10."""

import pytest

from bridge.database.database import Database
from bridge.database.search import Span
from bridge.users.directory import UserDirectory
from bridge.users.sql import SqlUsers

PEOPLE = [
    ("ada@example.com", "Ada", "Lovelace"),
    ("JM@example.com", "José", "Müller"),
    ("strasse@example.com", "", ""),
    ("x@bücher.example", "王", "小明"),
]


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("", [1, 2, 3, 4]),
        ("ada", [1]),
        ("ADA@EXAMPLE.COM", [1]),
        ("lovel", [1]),
        ("ada lovelace", [1]),
        ("lovelace ada", []),
        ("jm@", [2]),
        ("JOSE", [2]),
        ("muller", [2]),
        ("straße", [3]),
        ("x@büch", []),  # the beginning of a domain has no IDNA
        ("x@bücher.ex", [4]),
        ("x@bücher.example", [4]),
        ("王", [4]),
        ("王 小", [4]),
        ("%", []),
        ("_", []),
        ("xample", []),
        ("\x00", [1, 2, 3, 4]),
        ("ada\x00\x00", [1]),
        ("\udfff", [1, 2, 3, 4]),
    ],
)
async def test_a_search_finds_what_begins_so_on_every_database(
    everywhere: SqlUsers, db: Database, search: str, expected: list[int]
) -> None:
    made = [await everywhere.create(email=email, first_name=first, last_name=last) for email, first, last in PEOPLE]
    page = await UserDirectory(db).page(search=search)
    assert page.items == [made[number - 1] for number in expected] and page.total == len(expected)


async def test_a_page_is_part_of_the_whole_list(everywhere: SqlUsers, db: Database) -> None:
    made = [await everywhere.create(email=f"u{n}@example.com", first_name="U") for n in range(5)]
    directory = UserDirectory(db)
    page = await directory.page(Span(start=1, limit=2))
    assert (page.items, page.total, page.start) == (made[1:3], 5, 1)
    assert (await directory.page(Span(limit=2, descending=True), search="u")).items == [made[4], made[3]]
    assert (await directory.page(Span(start=7))).items == []


async def test_a_name_is_found_as_it_is_now(everywhere: SqlUsers, db: Database) -> None:
    user = await everywhere.create(email="a@example.com", first_name="Ada", last_name="Byron")
    changed = await everywhere.change_profile(user.id, last_name="Lovelace")
    directory = UserDirectory(db)
    assert (await directory.page(search="ada lov")).items == [changed]
    assert (await directory.page(search="byron")).items == []
