"""AddUser, GetUsers, UpdateUser — whmcs-api §3.5."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import select

from bridge.database.tables import outbox, users
from bridge.secret import Secret
from bridge.users.backend import Authenticated
from tests.accounts.world import World
from tests.legacy.people import People

JOHN = {"firstname": "John", "lastname": "Smith", "email": "john@example.com", "password2": "a good password"}


@pytest.fixture
def people(world: World) -> People:
    return People(world)


async def rows(world: World, table: Any) -> list[Any]:
    async with world.db.read() as tx:
        return list(await tx.execute(select(table).order_by(table.c.id)))


async def test_who_was_added_is_listed_and_signs_in(people: People) -> None:
    added = await people.ask("AddUser", **JOHN, language="chinese")
    assert added == {"result": "success", "user_id": 1}
    assert await people.ask("GetUsers") == {
        "result": "success",
        "totalresults": 1,
        "startnumber": 0,
        "numreturned": 1,
        "users": [
            {
                "id": 1,
                "firstname": "John",
                "lastname": "Smith",
                "email": "john@example.com",
                "datecreated": "2027-01-15 08:00:00",
                "validationdata": "",
                "clients": [],
            }
        ],
    }
    answer = await people.world.users.authenticate("JOHN@example.com ", Secret("a good password"))
    assert isinstance(answer, Authenticated) and answer.user.language == "zh-CN"
    assert await people.world.rows() == [("user.created", 1)]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"firstname": "", "lastname": "", "email": "", "password2": ""}, "You did not enter a first name"),
        ({"firstname": " \t"}, "You did not enter a first name"),
        ({"lastname": "", "email": "", "password2": ""}, "You did not enter a last name"),
        ({"email": "", "password2": ""}, "You did not enter an email address"),
        ({"password2": "", "email": "no address"}, "You did not enter a password"),
        ({"email": "no address"}, "The email address entered is not valid"),
        ({"email": "TAKEN@example.com"}, "A user already exists with that email address"),
        ({"firstname": "x" * 101}, "firstname: more than 100 characters"),
        ({"lastname": "x" * 101}, "lastname: more than 100 characters"),
        ({"language": "x" * 36}, "language: more than 35 characters"),
        ({"password2": "x" * 1_025}, "The password entered is not valid"),
        ({"password2": "a\0b"}, "The password entered is not valid"),
    ],
)
async def test_adduser_refuses_in_the_documented_words_and_order(
    people: People, changed: dict[str, str], message: str
) -> None:
    await people.world.user("taken")
    assert await people.says("AddUser", **(JOHN | changed)) == message
    assert len(await people.found()) == 1
    assert await people.world.rows() == [] and not people.world.hashed, "hashes cost too much to be made for nothing"


async def test_a_password_is_taken_as_it_was_sent(people: People) -> None:
    await people.ask("AddUser", **(JOHN | {"password2": " & <b> \u4e2d "}))
    assert isinstance(await people.world.users.authenticate(JOHN["email"], Secret(" & <b> \u4e2d ")), Authenticated)


async def test_of_fifty_who_add_one_address_at_once_one_does(people: People) -> None:
    people.world.db._patience = 30.0
    said = await asyncio.gather(*(people.says("AddUser", **JOHN) for _ in range(50)))
    assert sorted(said) == ["", *["A user already exists with that email address"] * 49]
    assert len(await people.found()) == 1
    assert await people.world.rows() == [("user.created", 1)]


async def test_getusers_begins_where_it_is_told_and_counts(people: People) -> None:
    for name in ("ada", "bob", "cyd", "dan"):
        await people.world.user(name)
    assert await people.names() == ["ada", "bob", "cyd", "dan"]
    assert await people.names(sorting="DESC") == ["dan", "cyd", "bob", "ada"]
    page = await people.ask("GetUsers", limitstart=1, limitnum=2)
    assert (page["totalresults"], page["startnumber"], page["numreturned"]) == (4, 1, 2)
    assert await people.names(limitstart=1, limitnum=2) == ["bob", "cyd"]
    assert await people.names(limitstart=9) == []


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("grace", ["grace.h"]),
        ("GRACE.H@ex", ["grace.h"]),
        ("hop", ["grace.h"]),
        ("grace hop", ["grace.h"]),
        ("race", []),
        ("opper", []),
        ("%", ["100%"]),
        ("_", ["_under"]),
        ("100%", ["100%"]),
        ("gr_ce", []),
        ("gr%", []),
        ("\\", []),
        ("'", []),
        ("undefined", ["grace.h", "100%", "_under"]),
        ("", ["grace.h", "100%", "_under"]),
    ],
)
async def test_search_is_how_an_address_or_a_name_begins_and_nothing_in_it_is_a_wildcard(
    people: People, search: str, found: list[str]
) -> None:
    await people.world.user("grace.h", first_name="Grace", last_name="Hopper")
    await people.world.user("100%", first_name="%", last_name="Percent")
    await people.world.user("_under", first_name="_", last_name="Under")
    assert await people.names(search=search) == found


@pytest.mark.parametrize(
    ("email", "found"),
    [
        ("ada@example.com", ["ada"]),
        (" ADA@Example.COM ", ["ada"]),
        ("ada@example.co", []),
        ("ada", []),
        ("%", []),
        ("undefined", []),
        ("null", []),
    ],
)
async def test_email_finds_the_user_of_exactly_that_address(people: People, email: str, found: list[str]) -> None:
    await people.world.user("ada")
    await people.world.user("bob", email="ada@example.com.evil.example")
    assert [user["email"] for user in await people.found(email=email)] == [f"{name}@example.com" for name in found]
    page = await people.ask("GetUsers", email=email, search="zzz", limitstart=5)
    assert (page["totalresults"], page["startnumber"], page["numreturned"]) == (len(found), 0, len(found))


async def test_the_clients_of_a_user_are_shown_and_which_of_them_he_owns(people: People) -> None:
    ada = await people.world.user("ada")
    own, other = await people.world.account("own", ada.id), await people.world.account("other")
    await people.world.join(ada.id, other.id)
    (shown,) = await people.found(email="ada@example.com")
    assert shown["clients"] == [{"id": own.id, "isOwner": True}, {"id": other.id, "isOwner": False}]


async def test_updateuser_changes_what_is_given_and_leaves_the_rest(people: People) -> None:
    ada = await people.world.user("ada", last_name="Lovelace", language="en")
    assert await people.ask("UpdateUser", user_id=ada.id, firstname="Augusta") == {
        "result": "success",
        "user_id": ada.id,
    }
    await people.ask("UpdateUser", user_id=ada.id, lastname="King", language="german", firstname="undefined")
    await people.ask("UpdateUser", user_id=ada.id, lastname="  ", firstname="null", language="french")
    (shown,) = await people.found()
    assert (shown["firstname"], shown["lastname"]) == ("Augusta", "King")
    now = await people.world.users.by_id(ada.id)
    assert now is not None and now.language == "fr" and now.stamp == ada.stamp
    assert [kind for kind, _ in await people.world.rows()] == ["user.changed"] * 3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"user_id": "9"}, "Invalid User ID requested"),
        ({"firstname": "x"}, "Invalid User ID requested"),
        ({"user_id": "0", "firstname": "x"}, "Invalid User ID requested"),
        ({"user_id": "-1", "firstname": "x"}, "Invalid User ID requested"),
        ({"user_id": "99999999999999999999", "firstname": "x"}, "Invalid User ID requested"),
        ({"user_id": "1e0", "firstname": "x"}, "Invalid User ID requested"),
        ({"user_id": "1"}, "One of `email`, `firstname`, `lastname`, or `language` is required"),
        (
            {"user_id": "1", "firstname": " ", "email": "null", "lastname": "undefined"},
            "One of `email`, `firstname`, `lastname`, or `language` is required",
        ),
        ({"user_id": "1", "email": "no address", "firstname": "x"}, "The email address entered is not valid"),
        (
            {"user_id": "1", "email": "BOB@example.com", "firstname": "x"},
            "A user already exists with that email address",
        ),
        ({"user_id": "1", "email": "new@example.com", "firstname": "x" * 101}, "firstname: more than 100 characters"),
    ],
)
async def test_updateuser_refuses_in_the_documented_words_and_order_and_changes_nothing(
    people: People, given: dict[str, str], message: str
) -> None:
    ada = await people.world.user("ada")
    await people.world.user("bob")
    assert await people.says("UpdateUser", **given) == message
    assert await people.world.users.by_id(ada.id) == ada
    assert await people.world.changes.waiting(ada.id) is None
    assert await people.world.rows() == [] and await rows(people.world, outbox) == []


async def test_who_was_removed_is_no_longer_there_for_any_of_them(people: People) -> None:
    ada = await people.world.user("ada")
    await people.world.ask(people.world.upkeep.remove, ada.id)
    assert await people.found() == [] and await people.found(email="ada@example.com") == []
    assert await people.says("UpdateUser", user_id=ada.id, firstname="x") == "Invalid User ID requested"


async def test_a_new_address_is_not_his_before_he_confirmed_it(people: People) -> None:
    ada = await people.world.user("ada")
    assert await people.says("UpdateUser", user_id=ada.id, email="Countess@example.com", firstname="Augusta") == ""
    (shown,) = await people.found()
    assert (shown["email"], shown["firstname"]) == ("ada@example.com", "Augusta")
    waiting = await people.world.changes.waiting(ada.id)
    assert waiting is not None and (waiting.new_email, waiting.requested_by) == ("Countess@example.com", "portal")
    (job,) = await rows(people.world, outbox)
    assert (job.purpose, job.user_id, job.payload) == ("email-confirm", ada.id, f'{{"change": "{waiting.id}"}}')
    assert [kind for kind, _ in await people.world.rows()] == ["email.requested", "user.changed"]


async def test_his_own_address_needs_no_confirmation(people: People) -> None:
    ada = await people.world.user("ada")
    assert await people.says("UpdateUser", user_id=ada.id, email=" ada@example.com ") == ""
    assert await people.world.changes.waiting(ada.id) is None
    assert await rows(people.world, outbox) == [] and await people.world.rows() == []


async def test_an_address_that_another_authority_keeps_is_not_changed_here(people: People) -> None:
    ada = await people.world.user("ada", authority="whmcs")
    assert await people.says("UpdateUser", user_id=ada.id, email="new@example.com") == "Invalid User ID requested"
    assert await rows(people.world, outbox) == []


async def test_no_action_here_sets_or_shows_a_password(people: People) -> None:
    await people.ask("AddUser", **JOHN)
    with pytest.raises(AssertionError):  # not among its parameters
        await people.ask("UpdateUser", user_id=1, password2="another good password")
    (row,) = await rows(people.world, users)
    assert row.password_hash not in str(await people.ask("GetUsers"))
