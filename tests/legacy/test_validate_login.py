"""ValidateLogin — whmcs-api §3.1, §4.1, §4.2, §10."""

import json
from ipaddress import ip_address
from typing import Any

import pytest

from bridge.clients.credential import Rights, SessionTerms
from bridge.clients.credentials import Credentials
from bridge.legacy.options import LegacyOptions
from bridge.login.shown import Code, RecoveryCode
from bridge.secret import Secret
from bridge.sessions.options import SessionOptions
from bridge.tokens import LoginToken
from bridge.types import IPAddress
from tests.legacy.desk import IDENTIFIER, PASSWORD, SECRET, Desk, desk

WRONG = {"result": "error", "message": "Email or Password Invalid"}


async def test_a_right_password_gives_user_and_token(door: Desk) -> None:
    said = await door.validate()
    token = said.pop("passwordhash")
    assert said == {"result": "success", "userid": 1, "twoFactorEnabled": False}
    assert LoginToken.parse(token) is not None


async def test_the_members_come_in_the_documented_order(door: Desk) -> None:
    assert list(await door.validate()) == ["result", "userid", "passwordhash", "twoFactorEnabled"]


@pytest.mark.parametrize(
    ("email", "password2", "why"),
    [
        ("user@example.com", "wrong", "refused"),
        ("nobody@example.com", PASSWORD, "refused"),
        ("many@example.com", PASSWORD, "too many attempts"),
        ("elsewhere@example.com", PASSWORD, "the second factor is known only to the user's authority"),
        ("", PASSWORD, "email missing"),
        ("user@example.com", "", "password2 missing"),
        ("", "", "email and password2 missing"),
    ],
)
async def test_one_text_for_every_reason_and_the_log_knows_which(
    door: Desk, email: str, password2: str, why: str
) -> None:
    assert await door.validate(email, password2) == WRONG
    assert door.heard.reasons == [why]


async def test_username_sent_for_email_is_named_in_the_log(door: Desk) -> None:
    reply = await door.call(username="user@example.com", password2=PASSWORD)
    assert reply.json() == WRONG and door.heard.reasons == ["email missing"]


@pytest.mark.parametrize("email", ["unreachable@example.com", "down@example.com"])
async def test_an_authority_that_is_away_never_looks_like_a_wrong_password(door: Desk, email: str) -> None:
    reply = await door.call(email=email, password2=PASSWORD)
    assert reply.status_code == 503
    assert reply.json() == {"result": "error", "message": "Service Temporarily Unavailable"}


async def test_a_second_factor_is_told_and_no_token_given(door: Desk) -> None:
    assert await door.validate("totp@example.com") == {"result": "success", "userid": 1, "twoFactorEnabled": True}


async def test_the_hash_under_a_second_factor_can_be_empty(credentials: Credentials) -> None:
    other = desk(credentials, LegacyOptions(hash_under_2fa="empty"))
    assert (await other.validate("totp@example.com"))["passwordhash"] == ""
    assert len((await other.validate())["passwordhash"]) == 40


async def test_an_account_with_a_second_factor_can_be_an_error(credentials: Credentials) -> None:
    other = desk(credentials, LegacyOptions(error_on_2fa=True))
    assert await other.validate("totp@example.com") == WRONG
    assert (await other.validate())["result"] == "success"


@pytest.mark.parametrize("setting", [False, True])
@pytest.mark.parametrize("own", [None, False, True])
async def test_a_credential_says_so_for_its_own_callers(
    credentials: Credentials, setting: bool, own: bool | None
) -> None:
    rights = Rights.parse(actions=["ValidateLogin"], error_on_2fa=own)
    await credentials.create("own", rights, identifier="own", secret=Secret("s"))
    other = desk(credentials, LegacyOptions(error_on_2fa=setting))
    said = await other.validate("totp@example.com", identifier="own", secret="s")
    wrong = setting if own is None else own
    assert (said == WRONG) is wrong and (said["result"] == "success") is not wrong
    assert (await other.validate(identifier="own", secret="s"))["result"] == "success"
    assert (await other.validate("totp@example.com") == WRONG) is setting


async def test_a_second_factor_in_the_same_call_brings_the_token(door: Desk) -> None:
    said = await door.validate("totp@example.com", second_factor="123 456")
    assert list(said) == ["result", "userid", "passwordhash", "twoFactorEnabled"]
    assert said["twoFactorEnabled"] is True and LoginToken.parse(said["passwordhash"]) is not None
    assert door.heard.reasons == [""]


@pytest.mark.parametrize("setting", [False, True])
async def test_a_wrong_second_factor_is_the_documented_error(credentials: Credentials, setting: bool) -> None:
    other = desk(credentials, LegacyOptions(error_on_2fa=setting))
    assert await other.validate("totp@example.com", second_factor="000000") == WRONG
    assert other.heard.reasons == ["second factor refused: used"]
    assert (await other.validate("totp@example.com", second_factor="123456"))["result"] == "success"


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("123456", Code("123456")),
        (" 123-456 ", Code("123456")),
        ("\uff11\uff12\uff13\uff14\uff15\uff16", Code("123456")),
        ("", None),
        ("  ", None),
        ("null", None),
        ("undefined", None),
    ],
)
async def test_six_digits_are_the_apps_code_however_they_are_typed(door: Desk, typed: str, shown: Code | None) -> None:
    await door.validate("totp@example.com", second_factor=typed)
    assert door.login.attempts[0].shown == shown


@pytest.mark.parametrize("typed", ["12345", "1234567", "x1yz-0000-0000-0000", "\u0661\u0662\u0663\u0664\u0665\u0666"])
async def test_all_else_is_a_recovery_code_as_it_was_typed(door: Desk, typed: str) -> None:
    await door.validate("totp@example.com", second_factor=typed)
    shown = door.login.attempts[0].shown
    assert isinstance(shown, RecoveryCode) and shown.text.matches(typed)


async def test_s25_a_second_factor_that_query_and_body_contradict_is_refused(door: Desk) -> None:
    body = {"identifier": IDENTIFIER, "secret": SECRET, "responsetype": "json", "action": "ValidateLogin"}
    body |= {"email": "totp@example.com", "password2": PASSWORD, "second_factor": "123456"}
    assert (await door.send(body, query="?second_factor=654321")).json() == WRONG
    assert door.login.attempts == [] and door.heard.reasons == ["query and body differ in second_factor"]
    assert (await door.send(body, query="?second_factor=123456")).json()["result"] == "success"


@pytest.mark.parametrize("email", ["totp@example.com", "user@example.com"])
@pytest.mark.parametrize("form", ["json", "xml", "nvp"])
@pytest.mark.parametrize("hash_under_2fa", ["absent", "empty"])
async def test_only_without_a_second_factor_a_token_is_on_the_wire(
    credentials: Credentials, email: str, form: str, hash_under_2fa: Any
) -> None:
    other = desk(credentials, LegacyOptions(hash_under_2fa=hash_under_2fa))
    reply = await other.call(email=email, password2=PASSWORD, responsetype=form)
    tag = LoginToken.parse((await other.validate())["passwordhash"])
    assert tag is not None
    assert (tag.tag in reply.text) is (email == "user@example.com")


async def test_the_token_can_be_the_json_that_php_apps_decode(credentials: Credentials) -> None:
    other = desk(credentials, LegacyOptions(token_format="json"))
    layout = json.loads((await other.validate())["passwordhash"])
    assert list(layout) == ["id", "tk"] and layout["id"] == 1
    assert LoginToken.parse(layout["tk"]) is not None


async def test_the_own_clients_number_can_be_added(credentials: Credentials, door: Desk) -> None:
    other = desk(credentials, LegacyOptions(add_clientid=True))
    assert (await other.validate())["clientid"] == 1
    assert (await other.validate("totp@example.com"))["clientid"] == 1
    assert "clientid" not in await door.validate()


async def test_scalars_can_be_text_as_the_examples_show_them(credentials: Credentials) -> None:
    said = await desk(credentials, LegacyOptions(string_scalars=True)).validate("totp@example.com")
    assert said == {"result": "success", "userid": "1", "twoFactorEnabled": "true"}


@pytest.mark.parametrize(
    ("bind_ip", "clientip", "bound"),
    [
        ("clientip", "198.51.100.7", "198.51.100.7"),
        ("clientip", "::ffff:198.51.100.7", "198.51.100.7"),
        ("clientip", "", None),
        ("clientip", "undefined", None),
        ("clientip", "no address", None),
        ("never", "198.51.100.7", None),
        ("caller", "198.51.100.7", "127.0.0.1"),
        ("caller", "", "127.0.0.1"),
    ],
)
async def test_to_which_address_a_session_is_bound(
    credentials: Credentials, bind_ip: Any, clientip: str, bound: str | None
) -> None:
    other = desk(credentials, LegacyOptions(bind_ip=bind_ip))
    assert (await other.validate(clientip=clientip))["result"] == "success"
    wish = other.login.attempts[0].wish
    assert wish is not None and wish.bind_ip == _address(bound)


async def test_the_callers_own_address_is_not_the_persons(door: Desk) -> None:
    """Else one portal's users would lock one another out (security §23)."""
    await door.validate()
    await door.validate(clientip="198.51.100.7")
    visits = [attempt.visit for attempt in door.login.attempts]
    assert [visit.ip for visit in visits] == [None, ip_address("198.51.100.7")]
    assert {(visit.door, visit.caller) for visit in visits} == {("legacy", "portal")}


async def test_email_and_password_arrive_as_they_were_sent(door: Desk) -> None:
    """Trimming the address is the login's matter, and a password is never trimmed."""
    await door.validate("  User@Example.com ", " null ")
    attempt = door.login.attempts[0]
    assert attempt.email == "  User@Example.com " and attempt.password.matches(" null ")


async def test_a_credential_decides_about_the_sessions_it_makes(credentials: Credentials) -> None:
    terms = SessionTerms(lifetime=7_200, idle=600, cap=3)
    rights = Rights.parse(actions=["ValidateLogin"], sessions=terms)
    await credentials.create("mobile", rights, identifier="mobile", secret=Secret("s"))
    other = desk(credentials, LegacyOptions(), sessions=SessionOptions(idle=1_000, absolute=40_000, cap=9))
    await other.validate(identifier="mobile", secret="s")
    await other.validate()
    wishes = [attempt.wish for attempt in other.login.attempts]
    assert [(w.via, w.idle, w.absolute, w.cap) for w in wishes if w] == [
        ("mobile", 600, 7_200, 3),
        ("portal", 1_000, 40_000, 9),
    ]
    assert {w.kind for w in wishes if w} == {"legacy"}


def _address(text: str | None) -> IPAddress | None:
    return ip_address(text) if text else None
