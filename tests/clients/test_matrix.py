"""Real clients, raw requests and PHP against a real login over HTTP — whmcs-api §11: client x case x form."""

import re
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

import pytest

from bridge.sessions.judge import Alive
from bridge.tokens import LoginToken
from tests.clients.callers import CLIENTS, Call, Said
from tests.clients.house import ACCESS_KEY, LONG, PASSWORD, House

WRONG = "Email or Password Invalid"
NO_IP = "Invalid IP 127.0.0.1"
TOKEN = re.compile("[0-9A-Za-z]{40}")
RESETS = [name for name in CLIENTS if name != "whmcs"]  # which has no ResetPassword


@dataclass(frozen=True)
class Case:
    """A login, and what must come of it: an error, or these members."""

    email: str = "user@example.com"
    password: str = PASSWORD
    door: str = ""
    error: str = ""
    userid: int = 1
    two_factor: bool = False
    caller: dict[str, str] = field(default_factory=dict[str, str])


LOGINS = {
    "good": Case(),
    "under a sub-path": Case(door="/billing"),
    "bad password": Case(password="wrong", error=WRONG),
    "unknown user": Case(email="nobody@example.com", error=WRONG),
    "no password": Case(password="", error=WRONG),
    "no email": Case(email="", error=WRONG),
    "case and white space": Case(email="  USER@Example.COM "),
    "password with white space": Case(password=f" {PASSWORD} ", error=WRONG),
    "second factor": Case(email="totp@example.com", userid=2, two_factor=True),
    "second factor, bad password": Case(email="totp@example.com", password="wrong", error=WRONG),
    "second factor as an error": Case(email="totp@example.com", door="/strict", error=WRONG),
    "second factor to be enrolled again": Case(email="enrol@example.com", userid=5, two_factor=True),
    "disabled user": Case(email="disabled@example.com", error=WRONG),
    "imported, over 72 bytes": Case(email="imported@example.com", password=LONG, userid=3),
    "over 1,024 bytes": Case(password="x" * 1_025, error=WRONG),
    "bad secret": Case(caller={"secret": "wrong"}, error="Authentication Failed"),
    "bad identifier": Case(caller={"identifier": "wrong"}, error="Authentication Failed"),
    "address not allowed": Case(door="/closed", error=NO_IP),
    "access key": Case(door="/closed", caller={"accesskey": ACCESS_KEY}),
    "wrong access key": Case(door="/closed", caller={"accesskey": "wrong"}, error=NO_IP),
    "credential of another address": Case(caller={"identifier": "elsewhere"}, error=NO_IP),
    "role": Case(caller={"identifier": "few"}, error='Invalid Permissions: API action "validatelogin" is not allowed'),
}


def validate(house: House, client: str, case: Case) -> Said:
    values = {"email": case.email, "password2": case.password}
    return CLIENTS[client](Call(house.url(case.door), "ValidateLogin", values, **case.caller))


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("name", LOGINS)
def test_a_login_means_the_same_to_every_client(house: House, client: str, name: str) -> None:
    case = LOGINS[name]
    said = validate(house, client, case)
    assert said.error == case.error
    if case.error:
        return
    assert said.values["result"] == "success"
    assert str(said.values["userid"]) == str(case.userid)
    assert said.values["twoFactorEnabled"] == _spelled(client, case.two_factor)
    assert ("passwordhash" in said.values) is not case.two_factor
    if not case.two_factor:
        assert TOKEN.fullmatch(said.values["passwordhash"])


@pytest.mark.parametrize("client", CLIENTS)
def test_the_token_is_a_living_session_in_the_host_app_and_nobody_at_the_issuer(house: House, client: str) -> None:
    said = validate(house, client, Case())
    token = LoginToken.parse(said.values["passwordhash"])
    assert token is not None
    alive = house.ask(house.sessions.resolve(token, "host", None))
    assert isinstance(alive, Alive)
    assert (alive.record.kind, alive.record.uid, alive.record.via) == ("legacy", 1, "portal")
    assert not isinstance(house.ask(house.sessions.resolve(token, "issuer", None)), Alive)


@pytest.mark.parametrize("client", ["json", "xml", "nvp", "whmcspy", "whmcs-js"])
def test_a_session_for_an_address_is_nobody_elsewhere(house: House, client: str) -> None:
    values = {"email": "user@example.com", "password2": PASSWORD, "clientip": "198.51.100.7"}
    token = LoginToken.parse(CLIENTS[client](Call(house.url(), "ValidateLogin", values)).values["passwordhash"])
    assert token is not None
    for address, alive in (("198.51.100.9", True), ("203.0.113.7", False)):
        found = house.ask(house.sessions.resolve(token, "host", ip_address(address)))
        assert isinstance(found, Alive) is alive


def test_nobody_believes_a_forwarded_address_without_a_proxy(house: House) -> None:
    """Neither the door nor uvicorn before it.  What somebody passed on is not from this machine either."""
    for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP", "CF-Connecting-IP", "Client-IP"):
        value = "for=203.0.113.9" if name == "Forwarded" else "203.0.113.9"
        request = urllib.request.Request(house.url("/closed"), b"", {name: value})
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=30)
        passed_on = name in {"X-Forwarded-For", "Forwarded", "X-Real-IP"}
        said = "Invalid IP unknown" if passed_on else NO_IP
        assert refused.value.read() == f"result=error;message={said}".encode(), name


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"email": "user@example.com"}, ""),
        ({"email": " User@EXAMPLE.com "}, ""),
        ({"id": "1"}, ""),
        ({"email": "nobody@example.com"}, "User Not Found"),
        ({"id": "99"}, "User Not Found"),
        ({"email": "no address"}, "Please provide a valid email address"),
        ({}, "Please enter the email address or provide the id"),
    ],
)
@pytest.mark.parametrize("client", RESETS)
def test_a_reset_is_queued_or_the_documented_error(
    house: House, client: str, values: dict[str, str], error: str
) -> None:
    before = len(house.queue.mails)
    said = CLIENTS[client](Call(house.url(), "ResetPassword", values))
    assert said.error == error
    queued = house.queue.mails[before:]
    assert [mail["email_key"] for mail in queued] == ([] if error else ["user@example.com"])


@pytest.mark.parametrize("client", ["json", "xml", "nvp", "get", "whmcspy", "whmcs-js"])
def test_details_are_told(house: House, client: str) -> None:
    said = CLIENTS[client](Call(house.url(), "WhmcsDetails", {}))
    assert said.values["result"] == "success"


@pytest.mark.parametrize("client", ["whmcs", "whmcs-js"])
def test_refusals_as_pairs_break_these_clients_so_they_are_off_as_it_comes(house: House, client: str) -> None:
    """What the option says of itself (whmcs-api §1.4); the default is in the matrix above."""
    said = validate(house, client, Case(door="/old"))
    assert "json" in said.error.lower() and NO_IP not in said.error.partition("->")[0]


def _spelled(client: str, flag: bool) -> Any:
    """A boolean in JSON, PHP's cast of it elsewhere."""
    return ("1" if flag else "") if client in ("xml", "nvp") else flag
