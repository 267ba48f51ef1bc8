"""Each switch of whmcs-api §10 that is about the wire, on either side."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from bridge.clients.credential import Rights
from bridge.clients.credentials import Credentials
from bridge.clock import chance
from bridge.legacy.options import LegacyOptions
from bridge.legacy.params import of_mapping
from bridge.legacy.probes import GetConfigurationValue
from bridge.legacy.users import AddUser
from bridge.legacy.wire import Content, Format, reply
from bridge.secret import Secret
from bridge.types import Subject, UserId
from bridge.users.backend import Authenticated, Refused
from bridge.users.passwords import Passwords
from bridge.users.sql import SqlUsers
from tests.accounts.world import World
from tests.legacy.desk import IDENTIFIER, SECRET, desk
from tests.legacy.people import CALLER
from tests.users.conftest import CHEAP, RING, SLOTS, Told, draw_stamp

LIST: Content = {"result": "success", "users": [{"id": 1, "vip": True}]}
GOOD = {"email": "user@example.com", "password2": 'p & < > " ; = + \u00e9\u4e2d'}


def said(options: LegacyOptions, form: Format, content: Content = LIST) -> str:
    return reply("getusers", content, form, options).body.decode()


@pytest.mark.parametrize("kind", ["text/plain; charset=utf-8", "text/html; charset=utf-8", "text/html"])
def test_1_the_media_type_of_pairs(kind: Any) -> None:
    assert reply("x", LIST, "nvp", LegacyOptions(nvp_content_type=kind)).content_type == kind.encode()
    assert reply("x", LIST, "json", LegacyOptions(nvp_content_type=kind)).content_type == b"application/json"


def test_2_lists_in_xml() -> None:
    assert "<users>\n<user>\n<id>1</id>" in said(LegacyOptions(), "xml")
    assert "<users>\n<id>1</id>" in said(LegacyOptions(xml_lists="repeat"), "xml")


def test_3_lists_as_pairs() -> None:
    assert said(LegacyOptions(), "nvp") == "result=success;users[0][id]=1;users[0][vip]=1;"
    refused = "result=error;message=This API function can only return XML response format;"
    assert said(LegacyOptions(nvp_lists="refuse"), "nvp") == refused
    assert said(LegacyOptions(nvp_lists="refuse"), "nvp", {"result": "success"}) == "result=success;"


@pytest.mark.parametrize("status", [200, 400, 403])
async def test_4_the_status_of_an_unknown_action(credentials: Credentials, status: Any) -> None:
    answer = await desk(credentials, LegacyOptions(unknown_action_status=status)).call("Unheard")
    assert (answer.status_code, answer.json()["message"]) == (status, "The requested API Action could not be found")


async def test_6_the_hash_under_a_second_factor(credentials: Credentials) -> None:
    assert "passwordhash" not in await desk(credentials, LegacyOptions()).validate("totp@example.com")
    empty = await desk(credentials, LegacyOptions(hash_under_2fa="empty")).validate("totp@example.com")
    assert (empty["passwordhash"], empty["twoFactorEnabled"]) == ("", True)


async def test_7_the_form_of_the_token(credentials: Credentials) -> None:
    assert len((await desk(credentials, LegacyOptions()).validate())["passwordhash"]) == 40
    in_json = await desk(credentials, LegacyOptions(token_format="json")).validate()
    assert json.loads(in_json["passwordhash"]).keys() == {"id", "tk"}


@pytest.mark.parametrize(
    ("options", "clients", "email", "members"),
    [
        (LegacyOptions(), {1: 7}, "user@example.com", {"userid": 1}),
        (LegacyOptions(add_clientid=True), {1: 7}, "user@example.com", {"userid": 1, "clientid": 7}),
        (LegacyOptions(add_clientid=True), {}, "user@example.com", {"userid": 1}),
        (LegacyOptions(userid_mode="client"), {1: 7}, "user@example.com", {"userid": 7}),
        (LegacyOptions(userid_mode="client"), {1: 7}, "totp@example.com", {"userid": 7}),
        (
            LegacyOptions(userid_mode="client", add_clientid=True),
            {1: 7},
            "user@example.com",
            {"userid": 7, "clientid": 7},
        ),
    ],
)
async def test_8_what_userid_numbers(
    credentials: Credentials, options: LegacyOptions, clients: Mapping[int, int], email: str, members: dict[str, int]
) -> None:
    answer = await desk(credentials, options, clients=clients).validate(email)
    assert {name: value for name, value in answer.items() if name in ("userid", "clientid")} == members
    assert list(answer)[: len(members) + 1] == ["result", *members]


@pytest.mark.parametrize("email", ["user@example.com", "totp@example.com"])
async def test_8_who_owns_no_client_is_a_wrong_login_to_who_knows_clients_alone(
    credentials: Credentials, email: str
) -> None:
    """His own number might be somebody else's client."""
    other = desk(credentials, LegacyOptions(userid_mode="client"), clients={2: 1})
    assert await other.validate(email) == {"result": "error", "message": "Email or Password Invalid"}
    assert "owns no client (userid_mode)" in other.heard.reasons


async def test_8_a_reset_is_asked_for_by_the_same_number(credentials: Credentials) -> None:
    for mode, number in (("user", "1"), ("client", "7")):
        options = LegacyOptions(userid_mode="user" if mode == "user" else "client")
        other = desk(credentials, options, clients={1: 7})
        assert (await other.call("ResetPassword", id=number)).json() == {"result": "success"}
        assert [who for who, _ in other.resets.asked] == [UserId(1)]
        wrong = await other.call("ResetPassword", id="1" if mode == "client" else "7")
        assert wrong.json() == {"result": "error", "message": "User Not Found"}


async def test_9_a_second_factor_as_an_error(credentials: Credentials) -> None:
    assert (await desk(credentials, LegacyOptions()).validate("totp@example.com"))["result"] == "success"
    answer = await desk(credentials, LegacyOptions(error_on_2fa=True)).validate("totp@example.com")
    assert answer == {"result": "error", "message": "Email or Password Invalid"}


async def test_10_refusals_as_pairs(credentials: Credentials) -> None:
    wrong = {"identifier": IDENTIFIER, "secret": "x", "responsetype": "json", "action": "WhmcsDetails"}
    usual = await desk(credentials, LegacyOptions()).send(wrong)
    assert usual.json() == {"result": "error", "message": "Authentication Failed"}
    pairs = await desk(credentials, LegacyOptions(nvp_refusals=True)).send(wrong)
    assert (pairs.status_code, pairs.text) == (403, "result=error;message=Authentication Failed")
    good = await desk(credentials, LegacyOptions(nvp_refusals=True)).send(wrong | {"secret": SECRET})
    assert good.json()["result"] == "success"


def test_11_scalars_as_text() -> None:
    assert said(LegacyOptions(), "json").endswith('[{"id":1,"vip":true}]}')
    assert said(LegacyOptions(string_scalars=True), "json").endswith('[{"id":"1","vip":"true"}]}')


async def test_12_whether_a_reset_tells_who_is_unknown(credentials: Credentials) -> None:
    told = await desk(credentials, LegacyOptions()).call("ResetPassword", email="nobody@example.com")
    assert told.json() == {"result": "error", "message": "User Not Found"}
    hidden = desk(credentials, LegacyOptions(hide_unknown_users=True))
    assert (await hidden.call("ResetPassword", email="nobody@example.com")).json() == {"result": "success"}


async def test_14_the_version_that_is_shown() -> None:
    options = LegacyOptions(advertised_version="9.0.0")
    assert '<whmcsapi version="9.0.0">' in said(options, "xml") and '"8.13.1"' in said(LegacyOptions(), "xml")
    value = GetConfigurationValue(options=options, base_url="https://login.example.com")
    answer = await value(of_mapping({"setting": "Version"}), CALLER)
    assert answer.content["value"] == "9.0.0-release.1"


@pytest.mark.parametrize(
    ("mode", "sent", "bound"),
    [
        ("clientip", {"clientip": "203.0.113.7"}, "203.0.113.7"),
        ("clientip", {}, "None"),
        ("caller", {"clientip": "203.0.113.7"}, "127.0.0.1"),
        ("never", {"clientip": "203.0.113.7"}, "None"),
    ],
)
async def test_15_to_which_address_a_session_is_bound(
    credentials: Credentials, mode: Any, sent: dict[str, str], bound: str
) -> None:
    other = desk(credentials, LegacyOptions(bind_ip=mode))
    await other.validate(**sent)
    (attempt,) = other.login.attempts
    assert attempt.wish is not None and str(attempt.wish.bind_ip) == bound


async def test_18_an_admins_md5(credentials: Credentials) -> None:
    md5 = "5f4dcc3b5aa765d61d8327deb882cf99"
    await credentials.create_admin("boss", Rights.parse(actions=["*"]), username="root", md5=Secret(md5))
    sent = {"username": "root", "password": md5, "responsetype": "json", "action": "WhmcsDetails"}
    assert (await desk(credentials, LegacyOptions()).send(sent)).status_code == 403
    assert (await desk(credentials, LegacyOptions(admin_md5_login=True)).send(sent)).status_code == 200


def people(world: World, *, html_escaped: bool = False, sub_is_number: bool = False) -> SqlUsers:
    return SqlUsers(
        db=world.db,
        passwords=Passwords(CHEAP, html_escaped=html_escaped, count=lambda name: world.hashed.update([name])),
        ring=RING,
        slots=SLOTS,
        clock=world.clock,
        chance=chance,
        draw_stamp=draw_stamp,
        versions=Told(),
        sub_is_number=sub_is_number,
    )


async def test_25_the_subject_of_somebody_new(world: World) -> None:
    uuid = await people(world).create(email="uuid@example.com")
    number = await people(world, sub_is_number=True).create(email="number@example.com")
    mapped = await people(world, sub_is_number=True).create(email="mapped@example.com", sub=Subject("wh-7"))
    assert len(uuid.sub) == 36 and (number.id, number.sub, mapped.sub) == (2, "2", "wh-7")
    assert await people(world).by_sub(Subject("2")) == number


async def test_25_a_number_that_is_somebodys_subject_is_not_given(world: World) -> None:
    users = people(world, sub_is_number=True)
    mapped = await users.create(email="mapped@example.com", sub=Subject("2"))
    made = await users.create(email="number@example.com")
    assert (mapped.sub, made.id, made.sub) == ("2", 3, "3")
    assert await users.by_sub(Subject("2")) == mapped


async def test_25_adduser_gives_such_subjects(world: World) -> None:
    users = people(world, sub_is_number=True)
    world.upkeep._users = users
    given = {"firstname": "N", "lastname": "N", "email": "n@example.com", "password2": "a good password"}
    answer = await AddUser(users=users, upkeep=world.upkeep, ledger=world.ledger).action.run(of_mapping(given), CALLER)
    made = await users.by_sub(Subject(str(answer.content["user_id"])))
    assert made is not None and made.email == "n@example.com"


TYPED = """a & b < c > "d" 'e'"""
WRITTEN = "a &amp; b &lt; c &gt; &quot;d&quot; &#039;e&#039;"


async def test_27_a_hash_of_what_html_writes(world: World) -> None:
    await people(world).create(email="old@example.com", password=Secret(WRITTEN))
    assert isinstance(await people(world).authenticate("old@example.com", Secret(TYPED)), Refused)
    escaping = people(world, html_escaped=True)
    assert isinstance(await escaping.authenticate("old@example.com", Secret(TYPED + " ")), Refused)
    assert isinstance(await escaping.authenticate("old@example.com", Secret(TYPED)), Authenticated)
    # From now on it is the hash of what was typed, and of nothing else.
    assert isinstance(await people(world).authenticate("old@example.com", Secret(TYPED)), Authenticated)
    assert isinstance(await people(world).authenticate("old@example.com", Secret(WRITTEN)), Refused)


@pytest.mark.parametrize(("password", "runs"), [("a & b", 2), ("no such letter", 1)])
async def test_27_it_costs_as_much_for_who_is_unknown_as_for_who_is_wrong(
    world: World, password: str, runs: int
) -> None:
    escaping = people(world, html_escaped=True)
    await escaping.create(email="known@example.com", password=Secret("something else"))
    for email in ("known@example.com", "unknown@example.com"):
        world.hashed.clear()
        await escaping.authenticate(email, Secret(password))
        assert world.hashed == {"argon2": runs}


async def test_28_the_words_for_wrong_credentials(credentials: Credentials) -> None:
    options = LegacyOptions(auth_failed_text="Invalid or missing credentials")
    answer = await desk(credentials, options).send({"responsetype": "json", "action": "WhmcsDetails"})
    assert (answer.status_code, answer.json()["message"]) == (403, "Invalid or missing credentials")
