"""ResetPassword and WhmcsDetails — whmcs-api §3.2, §3.7."""

import pytest

from bridge.clients.credentials import Credentials
from bridge.legacy.options import LegacyOptions
from tests.legacy.desk import Desk, desk

SUCCESS = {"result": "success"}


def error(message: str) -> dict[str, str]:
    return {"result": "error", "message": message}


@pytest.mark.parametrize(
    ("values", "asked", "said"),
    [
        ({"email": "user@example.com"}, "user@example.com", SUCCESS),
        ({"id": "1"}, 1, SUCCESS),
        ({"id": "1", "email": "nobody@example.com"}, 1, SUCCESS),
        ({"id": "undefined", "email": "user@example.com"}, "user@example.com", SUCCESS),
        ({"email": "user@example.com", "answer": "Rex"}, "user@example.com", SUCCESS),
        ({"id": "2"}, 2, error("User Not Found")),
        ({"email": "nobody@example.com"}, "nobody@example.com", error("User Not Found")),
        ({"id": "abc"}, None, error("User Not Found")),
        ({"id": "-1"}, None, error("User Not Found")),
        ({"id": "9" * 30}, None, error("User Not Found")),
        ({"email": "no address"}, None, error("Please provide a valid email address")),
        ({}, None, error("Please enter the email address or provide the id")),
        ({"email": "null", "id": ""}, None, error("Please enter the email address or provide the id")),
    ],
)
async def test_a_link_is_asked_for_by_id_or_address(
    door: Desk, values: dict[str, str], asked: str | int | None, said: dict[str, str]
) -> None:
    reply = await door.call("ResetPassword", **values)
    assert (reply.status_code, reply.json()) == (200, said)
    assert [who for who, _ in door.resets.asked] == ([asked] if asked is not None else [])


@pytest.mark.parametrize("values", [{"email": "nobody@example.com"}, {"id": "2"}, {"id": "abc"}])
async def test_unknown_users_can_be_hidden(credentials: Credentials, values: dict[str, str]) -> None:
    hiding = desk(credentials, LegacyOptions(hide_unknown_users=True))
    assert (await hiding.call("ResetPassword", **values)).json() == SUCCESS
    assert hiding.heard.reasons == ["there is no such user"]


async def test_a_queue_that_is_away_is_503(door: Desk) -> None:
    assert (await door.call("ResetPassword", email="down@example.com")).status_code == 503


async def test_the_rooms_below_hear_who_called(door: Desk) -> None:
    await door.call("ResetPassword", id="1")
    visit = door.resets.asked[0][1]
    assert (visit.door, visit.caller, visit.ip) == ("legacy", "portal", None)


async def test_details_tell_the_advertised_version(credentials: Credentials, door: Desk) -> None:
    assert (await door.call("WhmcsDetails")).json() == {
        "result": "success",
        "whmcs": {"version": "8.13.1", "canonicalversion": "8.13.1-release.1"},
    }
    other = desk(credentials, LegacyOptions(advertised_version="9.0.1"))
    assert (await other.call("WhmcsDetails")).json()["whmcs"]["version"] == "9.0.1"
