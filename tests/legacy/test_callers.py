"""Who may call: admins with an md5, bans, roles, and the options themselves — whmcs-api §2.2, §2.4, §10."""

import hashlib
from typing import Any

import httpx2
import pytest

from bridge.clients.credential import Rights
from bridge.clients.credentials import Credentials
from bridge.clients.roles import Roles
from bridge.clock import SystemClock
from bridge.errors import ConfigError
from bridge.legacy.actions import POWERFUL, Action, owned, registry
from bridge.legacy.credentials import AuthenticatedCaller
from bridge.legacy.options import LegacyOptions
from bridge.secret import Secret
from tests.legacy.desk import IDENTIFIER, SECRET, Desk, desk, echo

MD5 = hashlib.md5(b"admin password").hexdigest()
NOBODY = {"identifier": "", "secret": ""}


@pytest.fixture
async def admins(credentials: Credentials) -> Desk:
    """Admin login is on, and there is one."""
    rights = Rights.parse(actions=["WhmcsDetails"])
    await credentials.create_admin("boss", rights, username="admin", md5=Secret(MD5))
    return desk(credentials, LegacyOptions(admin_md5_login=True))


async def as_admin(door: Desk, password: str, username: str = "admin", client: str = "127.0.0.1") -> httpx2.Response:
    return await door.call("WhmcsDetails", client=client, username=username, password=password, **NOBODY)


async def test_an_admin_comes_in_with_his_name_and_md5(admins: Desk) -> None:
    assert (await as_admin(admins, MD5)).status_code == 200
    assert admins.heard.events[0].actor == "boss"


@pytest.mark.parametrize("password", ["admin password", MD5.upper(), "0" * 32, "", "undefined"])
async def test_nothing_else_is_his_password(admins: Desk, password: str) -> None:
    reply = await as_admin(admins, password)
    assert (reply.status_code, reply.json()["message"]) == (403, "Authentication Failed")


async def test_admin_login_is_off_as_it_comes(admins: Desk) -> None:
    assert (await as_admin(desk(admins.credentials, LegacyOptions()), MD5)).status_code == 403


async def test_an_admins_md5_is_no_identifiers_secret(admins: Desk) -> None:
    """The pair `identifier` and `secret` is for identifiers alone."""
    reply = await admins.call("WhmcsDetails", identifier="admin", secret=MD5)
    assert reply.status_code == 403


@pytest.mark.parametrize("username", ["admin", "nobody"])
async def test_three_wrong_admin_logins_close_admin_login_to_the_address(admins: Desk, username: str) -> None:
    for _ in range(3):
        assert (await as_admin(admins, "0" * 32, username)).json()["message"] == "Authentication Failed"
    banned = await as_admin(admins, MD5)
    assert (banned.status_code, banned.json()["message"]) == (403, "Forbidden IP 127.0.0.1")
    assert (await as_admin(admins, MD5, client="127.0.0.2")).status_code == 200
    assert (await admins.call("WhmcsDetails")).status_code == 200  # others may share the address


async def test_right_admin_logins_do_not_count(admins: Desk) -> None:
    for _ in range(2):
        await as_admin(admins, "0" * 32)
        for _ in range(5):
            assert (await as_admin(admins, MD5)).status_code == 200


async def test_how_many_wrong_ones_can_be_set(admins: Desk) -> None:
    strict = desk(admins.credentials, LegacyOptions(admin_md5_login=True, admin_failures=1))
    await as_admin(strict, "0" * 32)
    assert (await as_admin(strict, MD5)).json()["message"] == "Forbidden IP 127.0.0.1"


async def test_an_action_that_the_role_lacks_is_refused_in_lower_case(door: Desk) -> None:
    await door.credentials.create("few", Rights.parse(actions=["Echo"]), identifier="few", secret=Secret("s"))
    reply = await door.call("ValidateLogin", identifier="few", secret="s")
    assert (reply.status_code, reply.json()["message"]) == (
        403,
        'Invalid Permissions: API action "validatelogin" is not allowed',
    )
    assert door.heard.events[0].actor == "few" and "ValidateLogin is not" in door.heard.reasons[0]


async def test_any_of_its_roles_allows_an_action_and_the_log_names_them(door: Desk) -> None:
    roles = Roles(db=door.credentials._db, versions=door.credentials._versions, clock=SystemClock())
    await roles.add("echoes", ["Echo"])
    await roles.add("logins", ["ValidateLogin"])
    await door.credentials.create("few", Rights.parse(roles=["logins", "echoes"]), identifier="few", secret=Secret("s"))
    assert (await door.call("Echo", identifier="few", secret="s")).json()["result"] == "success"
    refused = await door.call("WhmcsDetails", identifier="few", secret="s")
    assert refused.json()["message"] == 'Invalid Permissions: API action "whmcsdetails" is not allowed'
    why = "WhmcsDetails is not among its actions nor those of its roles echoes, logins"
    assert door.heard.events[-1].reason == why


@pytest.mark.parametrize("name", sorted(POWERFUL))
def test_s30_a_powerful_action_is_one_whoever_writes_it(name: str) -> None:
    for spelled in (name, name.upper()):
        assert Action(name=spelled, run=echo, parameters=frozenset()).must_be_named


@pytest.mark.parametrize(("actions", "allowed"), [(["*"], False), (["*", "AddUser"], True)])
async def test_s30_everything_gives_no_powerful_action_though_its_author_forgot_to_say_so(
    door: Desk, actions: list[str], allowed: bool
) -> None:
    made = await door.credentials.create("all", Rights.parse(actions=actions))
    forgotten = Action(name="AddUser", run=echo, parameters=frozenset(), powerful=False)
    refusal = door.api._callers.may_call(AuthenticatedCaller(made.credential, None), forgotten)
    assert (refusal is None) is allowed


def test_s30_what_needs_the_password_or_only_reads_is_not_powerful() -> None:
    for name in ("ValidateLogin", "ResetPassword", "GetUsers", "GetClientsDetails", "WhmcsDetails"):
        assert not Action(name=name, run=echo, parameters=frozenset()).must_be_named
        assert Action(name=name, run=echo, parameters=frozenset(), powerful=True).must_be_named


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ((), ["echo", "powerful"]),
        (("Echo",), ["echo"]),
        ((" ECHO ", "powerful"), ["echo", "powerful"]),
    ],
)
def test_the_bridge_answers_the_actions_that_it_owns(names: tuple[str, ...], expected: list[str]) -> None:
    actions = registry(*(Action(name=name, run=echo, parameters=frozenset()) for name in ("Echo", "Powerful")))
    assert list(owned(actions, names)) == expected


def test_an_action_that_there_is_not_is_named() -> None:
    with pytest.raises(ConfigError, match=r"legacy.actions: there is no action ehco, x"):
        owned(registry(Action(name="Echo", run=echo, parameters=frozenset())), ("x", "Ehco", "echo"))


@pytest.mark.parametrize(("actions", "status"), [(["*"], 403), (["*", "Powerful"], 200), (["Powerful"], 200)])
async def test_a_powerful_action_is_not_in_everything(door: Desk, actions: list[str], status: int) -> None:
    await door.credentials.create("all", Rights.parse(actions=actions), identifier="all", secret=Secret("s"))
    assert (await door.call("Powerful", identifier="all", secret="s")).status_code == status


@pytest.mark.parametrize(
    "values",
    [
        {"secret": ""},
        {"secret": "x"},
        {"identifier": "x"},
        {"identifier": IDENTIFIER.lower()},
        {"identifier": "\x00"},
        {"identifier": "x" * 4_000},
        {"identifier": "", "secret": SECRET},
        {"identifier": "", "secret": "", "username": IDENTIFIER},
        {"identifier": "", "secret": "", "username": IDENTIFIER, "password": MD5},
        NOBODY,
    ],
)
async def test_wrong_and_missing_credentials_are_the_same(door: Desk, values: dict[str, str]) -> None:
    reply = await door.call("WhmcsDetails", **values)
    assert (reply.status_code, reply.json()) == (403, {"result": "error", "message": "Authentication Failed"})


@pytest.mark.parametrize(
    "wrong",
    [
        {"access_key": Secret("short")},
        {"access_key": Secret("with space in it")},
        {"access_key": Secret("a&b=c;d/e")},
        {"advertised_version": "eight"},
        {"admin_failures": 0},
        {"admin_ban": 1},
        {"auth_failed_text": ""},
        {"auth_failed_text": "two\nlines"},
    ],
)
def test_an_option_that_cannot_be_is_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"legacy.{next(iter(wrong))} must be"):
        LegacyOptions(**wrong)


def test_every_character_of_the_documentation_may_be_in_an_access_key() -> None:
    assert LegacyOptions(access_key=Secret("azAZ09!@#$%.()*[]-_")).access_key
