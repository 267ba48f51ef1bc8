"""`login-bridge user` and `session`: people, and what of theirs lives — DESIGN §6, §10."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import select

from bridge.app.rooms import Rooms
from bridge.cli import user as people
from bridge.cli.rooms import VISIT
from bridge.database.endings import Endings
from bridge.database.tables import outbox
from bridge.errors import Unavailable
from bridge.secret import Secret
from bridge.sessions.birth import Birth, Born
from bridge.sessions.judge import Alive, Dead
from bridge.sessions.record import parse_record_keys
from bridge.types import Visit
from bridge.users.backend import Authenticated
from tests.cli.conftest import Command, within

EMAIL = "jo@example.com"
PASSWORD = "four rivers and a kettle"
TOTP = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def test_a_user_is_added_with_everything(place: Path, command: Command) -> None:
    names = ("--first-name", "Jo", "--last-name", "Doe", "--group", "staff", "--group", "beta", "--sub", "jo-1")
    stdin = f"{PASSWORD}\n{TOTP.lower()}\n"
    said = command(
        "user", "add", "Jo@Example.com", *names, "--password-stdin", "--totp-secret-stdin", "--json", stdin=stdin
    )
    user = said.json
    assert user == {
        "id": 1,
        "sub": "jo-1",
        "email": "Jo@Example.com",
        "email_verified": False,
        "first_name": "Jo",
        "last_name": "Doe",
        "name": "Jo Doe",
        "groups": ["staff", "beta"],
        "second_factor": "totp",
        "authority": "bridge",
        "disabled": False,
        "created_at": user["created_at"],
    }
    assert PASSWORD not in said.out
    assert TOTP not in said.out
    assert within(_authenticates) is True
    assert within(_totp) == TOTP
    assert command("user", "list", "--json").json == [user]


def test_a_user_without_a_password_gets_in_by_no_password(place: Path, command: Command) -> None:
    said = command("user", "add", EMAIL)
    assert said.out.startswith(f"added {EMAIL}, user 1, sub ")
    assert within(_authenticates) is False


def test_the_list_is_a_table_for_people(place: Path, command: Command) -> None:
    for number in range(3):
        command("user", "add", f"{number}@example.com", "--group", "g")
    head, *rows = command("user", "list").out.splitlines()
    assert head.split() == ["ID", "EMAIL", "NAME", "GROUPS", "2ND", "FACTOR", "DISABLED"]
    assert [row.split()[:2] for row in rows] == [["1", "0@example.com"], ["2", "1@example.com"], ["3", "2@example.com"]]


@pytest.mark.parametrize(
    ("arguments", "stdin", "why"),
    [
        (["user", "add", EMAIL, "--password-stdin"], "short\n", "the password has fewer than 15 characters"),
        (["user", "add", EMAIL, "--password-stdin"], f"{'x' * 1025}\n", "the password has more than 1,024 bytes"),
        (["user", "add", EMAIL, "--password-stdin"], "passwordpassword\n", "the password is one that is guessed first"),
        (["user", "add", EMAIL, "--password-stdin"], "", "no password came on standard input"),
        (["user", "add", EMAIL, "--totp-secret-stdin"], "not-base-32!\n", "the TOTP secret is not base32"),
        (["user", "add", EMAIL, "--totp-secret-stdin"], "JBSWY3DP\n", "the TOTP secret has fewer than 10 bytes"),
        (["user", "add", "jo"], "", "jo: not an e-mail address"),
        (["user", "disable", "nobody@example.com"], "", "there is no user nobody@example.com"),
        (["user", "enable", "77"], "", "there is no user 77"),
        (["user", "logout", "nobody@example.com"], "", "there is no user nobody@example.com"),
        (["user", "logout"], "", "user logout: USER, or --all"),
        (["user", "logout", "--all", "1"], "", "user logout: USER, or --all"),
        (["user", "sessions", "nobody@example.com"], "", "there is no user nobody@example.com"),
        (["session", "why", "nobody@example.com"], "", "there is no user nobody@example.com"),
        (["session", "show"], "", "session show: USER and SESSION, or --token-stdin"),
        (["session", "show", "--token-stdin"], "x\n", "that is no login token: 40 letters and digits"),
        (["session", "show", "--token-stdin"], f"{'A' * 40}\n", "the session never was, or too long ago"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    place: Path, command: Command, arguments: list[str], stdin: str, why: str
) -> None:
    for as_json in ([], ["--json"]):
        said = command(*arguments, *as_json, stdin=stdin)
        assert (said.status, said.out, said.err) == (1, "", f"login-bridge: {why}\n")


def test_an_address_belongs_to_one_user_however_it_is_written(place: Path, command: Command) -> None:
    command("user", "add", EMAIL)
    said = command("user", "add", EMAIL.upper())
    assert said.status == 1
    assert said.err.startswith(f"login-bridge: {EMAIL.upper()}: another user has this")


def test_a_disabled_user_is_out_and_may_be_let_in_again(place: Path, command: Command) -> None:
    command("user", "add", EMAIL, "--password-stdin", stdin=f"{PASSWORD}\n")
    born = within(_signed_in)
    assert command("user", "disable", EMAIL, "--json").json["disabled"] is True
    assert within(_authenticates) is False
    assert command("user", "sessions", EMAIL, "--json").json == []
    shown = command("session", "show", "--token-stdin", stdin=f"{born.token.text.reveal()}\n")
    assert shown.err == "login-bridge: the session ended because the user was disabled\n"
    assert command("user", "disable", "1").err == f"login-bridge: {EMAIL} is disabled already\n"
    assert command("user", "enable", "1").out == f"enabled {EMAIL}\n"
    assert within(_authenticates) is True
    assert command("user", "enable", EMAIL).err == f"login-bridge: {EMAIL} is not disabled\n"


def test_who_lost_his_second_factor_signs_in_by_his_password_again(place: Path, command: Command) -> None:
    command("user", "add", EMAIL, "--password-stdin", "--totp-secret-stdin", stdin=f"{PASSWORD}\n{TOTP}\n")
    within(_signed_in)
    assert command("user", "reset-factors", EMAIL, "--json").json["second_factor"] == "none"
    assert within(_totp) == "" and command("user", "sessions", EMAIL, "--json").json == []
    again = command("user", "reset-factors", "1")
    assert (again.status, again.err) == (1, f"login-bridge: {EMAIL} has no second factor here\n")
    exported = [json.loads(line) for line in command("audit", "export", "--since", "1h").out.splitlines()]
    changes = [(row["kind"], row["actor"], row["reason"]) for row in exported if row["kind"] == "second-factor.changed"]
    assert changes == [("second-factor.changed", "command", "all-removed")]
    assert within(_letters) == ["second-factor-changed"]


def test_sessions_are_listed_shown_and_ended(place: Path, command: Command) -> None:
    command("user", "add", EMAIL)
    first, second = within(_signed_in), within(_signed_in)
    listed = command("user", "sessions", EMAIL, "--json").json
    assert {row["id"] for row in listed} == {first.record.id, second.record.id}
    assert [row["kind"] for row in listed] == ["op", "op"]
    by_id = command("session", "show", EMAIL, first.record.id, "--json").json
    by_token = command("session", "show", "--token-stdin", "--json", stdin=f"{first.token.text.reveal()}\n").json
    assert by_id == by_token
    assert by_id["id"] == first.record.id
    assert f"id          {first.record.id}\n" in command("session", "show", EMAIL, first.record.id).out

    assert command("session", "revoke", EMAIL, first.record.id).out == f"ended {first.record.id}\n"
    assert [row["id"] for row in command("user", "sessions", EMAIL, "--json").json] == [second.record.id]
    again = command("session", "revoke", EMAIL, first.record.id)
    assert again.status == 1
    assert again.err.startswith(f"login-bridge: {EMAIL} has no living session {first.record.id}")

    assert command("user", "logout", EMAIL, "--json").json == {"id": 1, "email": EMAIL, "ended": "all"}
    assert command("user", "sessions", EMAIL, "--json").json == []


def test_everybody_is_signed_out_by_one_command(place: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """More people than a page of them, and than the audit holds at once."""
    monkeypatch.setattr(people, "_PAGE", 5)
    monkeypatch.setattr(people, "_AT_ONCE", 2)
    monkeypatch.setenv("BRIDGE__EVENTS__AUDIT_QUEUE", "5")
    assert command("user", "logout", "--all", "--json").json == {"users": 0, "ended": "all"}
    command("user", "add", EMAIL)
    within(_signed_in)
    assert command("user", "logout", "--all").out == "signed 1 user out everywhere\n"
    assert command("user", "sessions", EMAIL, "--json").json == []
    for number in range(11):
        command("user", "add", f"{number}@example.com")
    within(_signed_in)
    assert command("user", "logout", "--all", "--json").json == {"users": 12, "ended": "all"}
    assert command("user", "sessions", EMAIL, "--json").json == []
    rows = [json.loads(line) for line in command("audit", "export", "--since", "1h").out.splitlines()]
    assert sorted(row["user_id"] for row in rows if row["kind"] == "sessions.ended-all") == [1, *range(1, 13)]


def test_who_signs_everybody_out_hears_how_far_it_came(
    place: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    command("user", "add", EMAIL)
    before = within(_stamp)
    monkeypatch.setenv("BRIDGE__STORE__URL", "redis://127.0.0.1:1")
    said = command("user", "logout", "--all")
    assert said.status == 1 and said.err.endswith("(signed out so far: 0; to do it again is harmless)\n")
    assert within(_stamp) != before


def test_what_a_browser_calls_itself_moves_no_cursor(place: Path, command: Command) -> None:
    command("user", "add", EMAIL)
    born = within(partial(_signed_in, visit=replace(VISIT, user_agent="\x1b[2Jx\x9b1A\u202ey\nz")))
    shown = r"\x1b[2Jx\x9b1A\u202ey\nz"
    assert command("user", "sessions", EMAIL, "--json").json[0]["user_agent"] == shown
    for arguments in (["session", "show", EMAIL, born.record.id], ["user", "sessions", EMAIL]):
        out = command(*arguments).out
        assert shown in out
        assert not set(out) & set("\x1b\x9b\u202e")


def test_why_tells_what_became_of_each_session(place: Path, command: Command) -> None:
    command("user", "add", EMAIL)
    revoked = within(_signed_in)
    command("session", "revoke", EMAIL, revoked.record.id)
    lapsed = within(_signed_in)
    command("user", "logout", EMAIL)
    alive = within(_signed_in)
    told = {row["id"]: row["state"] for row in command("session", "why", EMAIL, "--json").json}
    assert told == {
        revoked.record.id: "ended-by-administrator",
        lapsed.record.id: "ended-by-administrator",
        alive.record.id: "alive",
    }
    text = command("session", "why", EMAIL).out
    assert "was ended by an administrator" in text
    assert "UTC" in text


def test_a_session_whose_token_was_replaced_is_one_session(place: Path, command: Command) -> None:
    command("user", "add", EMAIL)
    born = within(_signed_in)
    for _ in range(8):  # what is read first, the record or a trace of it, is chance
        born = within(partial(_rotated, born=born))
    (row,) = command("session", "why", EMAIL, "--json").json
    assert (row["id"], row["state"]) == (born.record.id, "alive")


def test_no_session_that_is_shown_can_be_used_as_one(place: Path, command: Command) -> None:
    command("user", "add", EMAIL)
    token = within(_signed_in).token.text.reveal()
    for arguments in (["user", "sessions", EMAIL], ["session", "why", EMAIL], ["audit", "export", "--since", "1h"]):
        for as_json in ([], ["--json"]):
            assert token[11:] not in command(*arguments, *as_json).out


def test_readers_get_the_derived_keys_and_never_the_master_key(place: Path, command: Command) -> None:
    said = command("session", "reader-keys", "--json").json
    ((key_id, key),) = parse_record_keys(said["record_keys"]).items()
    assert key_id == "1"
    assert key == within(_record_mac)
    assert command("session", "reader-keys").out == said["record_keys"]
    assert (place / "var/master.key").read_text().splitlines()[-1] not in said["record_keys"]


def test_an_ending_is_recorded_though_the_store_does_not_answer(
    place: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    command("user", "add", EMAIL, "--password-stdin", stdin=f"{PASSWORD}\n")
    before = within(_stamp)
    monkeypatch.setenv("BRIDGE__STORE__URL", "redis://127.0.0.1:1")
    said = command("user", "logout", EMAIL)
    assert said.status == 1
    assert said.err == (
        "login-bridge: it is recorded, but the store does not answer: it takes effect when the store does\n"
    )
    assert within(_stamp) != before
    assert command("user", "disable", EMAIL).status == 1
    assert within(_authenticates) is False
    rows = [json.loads(line)["kind"] for line in command("audit", "export", "--since", "1h").out.splitlines()]
    assert rows[-2:] == ["sessions.ended-all", "user.disabled"]


@pytest.mark.parametrize("everybody", [False, True])
def test_an_ending_that_the_database_did_not_take_is_not_called_recorded(
    place: Path, command: Command, monkeypatch: pytest.MonkeyPatch, everybody: bool
) -> None:
    async def away(*_: object, **__: object) -> bool:
        raise Unavailable("the database did not answer: away")

    command("user", "add", EMAIL)
    monkeypatch.setattr(Endings, "restamp", away)
    said = command("user", "logout", "--all" if everybody else EMAIL)
    assert said.status == 1 and said.err.startswith("login-bridge: the database did not answer: away")


def test_what_was_done_is_in_the_audit(place: Path, command: Command) -> None:
    command("user", "add", EMAIL)
    command("user", "disable", EMAIL)
    command("user", "enable", EMAIL)
    command("user", "logout", EMAIL)
    rows = [json.loads(line) for line in command("audit", "export", "--since", "1h", "--json").out.splitlines()]
    ours: list[tuple[Any, ...]] = [
        (row["kind"], row["actor"], row.get("user_id")) for row in rows if row["actor"] != "start"
    ]
    assert ours == [
        ("user.created", "command", 1),
        ("user.disabled", "command", 1),
        ("user.enabled", "command", 1),
        ("sessions.ended-all", "command", 1),
    ]


@pytest.mark.parametrize(("since", "found"), [("1h", True), ("2020-01-31", True), ("2999-01-31T08:00:00Z", False)])
def test_the_audit_is_exported_since_some_time(place: Path, command: Command, since: str, found: bool) -> None:
    assert bool(command("audit", "export", "--since", since).out) is found


def test_a_time_that_is_none_is_refused(place: Path, command: Command) -> None:
    said = command("audit", "export", "--since", "yesterday")
    assert (said.status, said.out) == (1, "")
    assert said.err.startswith("login-bridge: --since yesterday: a date")


def test_another_slot_key_is_refused_before_anything_is_written(place: Path, command: Command) -> None:
    command("user", "add", EMAIL)
    (place / "var/slot.key").unlink()
    command("init")
    said = command("user", "add", "more@example.com")
    assert (said.status, said.out) == (1, "")
    assert said.err == "login-bridge: secrets.slot is not the slot key under which this database was made\n"


async def _signed_in(rooms: Rooms, *, visit: Visit = VISIT) -> Born:
    user = await rooms.users.by_email(EMAIL)
    assert user is not None
    born = await rooms.sessions.start(user.standing, Birth.browser(rooms.config.sessions), visit, amr=["pwd"])
    if not isinstance(born, Born):  # the stamp is not in the store yet
        await rooms.sessions.publish_stamp(user.id, user.tag)
        born = await rooms.sessions.start(user.standing, Birth.browser(rooms.config.sessions), visit, amr=["pwd"])
    assert isinstance(born, Born)
    return born


async def _rotated(rooms: Rooms, born: Born) -> Born:
    user, alive = await rooms.users.by_email(EMAIL), await rooms.sessions.why(born.token)
    assert user is not None
    assert isinstance(alive, Alive)
    again = await rooms.sessions.rotate(alive, user.standing, VISIT, amr=["pwd"])
    assert isinstance(again, Born)
    assert isinstance(await rooms.sessions.why(born.token), Dead)
    return again


async def _authenticates(rooms: Rooms) -> bool:
    return isinstance(await rooms.users.authenticate(EMAIL, Secret(PASSWORD)), Authenticated)


async def _totp(rooms: Rooms) -> str:
    user = await rooms.users.by_email(EMAIL)
    secret = await rooms.factors.totp_secret(user.id) if user else None
    return secret.reveal() if secret else ""


async def _letters(rooms: Rooms) -> list[str]:
    async with rooms.database.read() as tx:
        return list((await tx.execute(select(outbox.c.purpose))).scalars())


async def _stamp(rooms: Rooms) -> str:
    user = await rooms.users.by_email(EMAIL)
    assert user is not None
    return user.stamp


async def _record_mac(rooms: Rooms) -> bytes:
    return rooms.ring.newest.derive("record-mac")
