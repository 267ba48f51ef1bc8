"""The same actions within the process — security §30, DESIGN §6."""

from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from bridge.clients.credentials import Credentials
from bridge.errors import Unavailable
from bridge.legacy.options import LegacyOptions
from bridge.tokens import LoginToken
from tests.legacy.desk import PASSWORD, Desk, desk

LOGIN: dict[str, Any] = {"email": "user@example.com", "password2": PASSWORD}


@dataclass
class Request:
    scope: dict[str, Any]


def from_browser(address: str = "198.51.100.7", **headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "client": (address, 1), "headers": [*raw, (b"user-agent", b"Browser/1")]})


async def test_an_action_is_called_without_credentials(door: Desk) -> None:
    said = await door.local("validatelogin", LOGIN)
    assert (said["result"], said["userid"], said["twoFactorEnabled"]) == ("success", 1, False)
    assert LoginToken.parse(str(said["passwordhash"])) is not None


async def test_attempts_count_for_the_persons_address(door: Desk) -> None:
    await door.local("ValidateLogin", LOGIN, request=from_browser())
    visit = door.login.attempts[0].visit
    assert (visit.door, visit.ip, visit.user_agent) == ("local", ip_address("198.51.100.7"), "Browser/1")


async def test_a_session_is_bound_to_the_persons_address(credentials: Credentials, door: Desk) -> None:
    never = desk(credentials, LegacyOptions(bind_ip="never"))
    bound = []
    for one in (door, never):
        await one.local("ValidateLogin", LOGIN, request=from_browser())
        await one.local("ValidateLogin", LOGIN)
        bound += [attempt.wish.bind_ip for attempt in one.login.attempts if attempt.wish]
    assert bound == [ip_address("198.51.100.7"), None, None, None]


async def test_only_a_trusted_proxy_is_believed_about_it(credentials: Credentials, door: Desk) -> None:
    behind = desk(credentials, LegacyOptions(), proxies=(ip_network("10.0.0.1"),))
    for one, peer in ((door, "198.51.100.7"), (behind, "10.0.0.1")):
        await one.local("ValidateLogin", LOGIN, request=from_browser(peer, x_forwarded_for="1.2.3.4, 203.0.113.9"))
    assert [one.login.attempts[0].visit.ip for one in (door, behind)] == [
        ip_address("198.51.100.7"),
        ip_address("203.0.113.9"),
    ]


@pytest.mark.parametrize("name", ["responsetype", "identifier", "Email", "action", "anything"])
async def test_only_declared_parameters_are_taken(door: Desk, name: str) -> None:
    with pytest.raises(ValueError, match=f"ValidateLogin has no parameter '{name}'"):
        await door.local("ValidateLogin", LOGIN | {name: "x"})
    assert not door.login.attempts


async def test_what_is_no_action_is_answered_as_at_the_door(door: Desk) -> None:
    assert await door.local("MergeTicket") == {
        "result": "error",
        "message": "The requested API Action could not be found",
    }


async def test_numbers_need_not_be_text(door: Desk) -> None:
    assert await door.local("ResetPassword", {"id": 1}) == {"result": "success"}
    assert door.resets.asked[0][0] == 1


async def test_what_is_away_is_an_exception_not_a_wrong_password(door: Desk) -> None:
    with pytest.raises(Unavailable):
        await door.local("ValidateLogin", LOGIN | {"email": "unreachable@example.com"})
