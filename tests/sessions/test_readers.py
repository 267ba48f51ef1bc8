"""The foreign readers' contract: one set of vectors for ours and for those of the documentation — security §12."""

import ipaddress
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import redis

from bridge.secret import Secret
from bridge.sessions.judge import Dead, DeadReason, judge
from bridge.sessions.options import SessionOptions
from bridge.sessions.record import RecordCodec, SessionRecord
from bridge.stores.acl import satellite_rules
from bridge.tokens import LoginToken, Names, Slots
from bridge.types import UserId
from tests.servers import Server, need, redis_binary
from tests.servers import redis as a_redis

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "session-record.md").read_text("utf-8")
VECTORS = json.loads((Path(__file__).parent / "vectors.json").read_text("utf-8"))
CASES: list[dict[str, Any]] = VECTORS["cases"]
KEYS = {key_id: bytes.fromhex(key) for key_id, key in VECTORS["record_keys"].items()}
NAMES = Names(VECTORS["issuer"])
CODEC = RecordCodec(KEYS, VECTORS["issuer"])

PROGRAMS = {"php": ("php", "php-cli"), "js": ("node", "nodejs")}
"""What runs a language's code, and the package it is in."""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_12_our_own_reader(case: dict[str, Any]) -> None:
    token = LoginToken.parse(case["token"])
    assert token is not None
    assert (NAMES.session(token), NAMES.stamp(token.tag)) == (case["key"], case["stamp_key"])
    verdict = judge(
        token,
        NAMES.session(token),
        _bytes(case["session"]),
        _bytes(case["stamp"]),
        place=case["place"],
        ip=ipaddress.ip_address(case["ip"]),
        now=case["now"],
        codec=CODEC,
        options=SessionOptions(),
    )
    assert (verdict.reason if isinstance(verdict, Dead) else "alive") == case["verdict"]


def test_there_is_a_vector_for_every_refusal() -> None:
    """`second-factor-changed` and `email-changed` differ from `password-changed` in one letter of the stamp."""
    told = {case["verdict"] for case in CASES} | {"second-factor-changed", "email-changed"}
    assert told == {"alive", *get_args(DeadReason)}


def test_records_are_written_as_the_vectors_have_them() -> None:
    alive = [case for case in CASES if case["verdict"] == "alive" and case["session"].startswith("1.k2.")]
    assert len(alive) > 5
    for case in alive:
        record = CODEC.decode(case["key"], case["session"].encode())
        assert isinstance(record, SessionRecord)
        assert CODEC.encode(case["key"], record).decode() == case["session"]


def test_the_tag_of_the_vectors_user() -> None:
    tag = Slots(Secret(bytes.fromhex(VECTORS["slot_key"]))).of_user(UserId(VECTORS["user"]))
    assert {case["token"][:11] for case in CASES} == {tag}


def test_the_page_prints_the_first_vector_and_every_member() -> None:
    for name in ("token", "key", "session", "stamp_key", "stamp"):
        assert CASES[0][name] in PAGE
    members = set(re.findall(r"`(\w+)`", PAGE))
    assert set(SessionRecord.__struct_fields__) <= members


def test_11_the_page_grants_what_the_shipped_rules_grant() -> None:
    assert satellite_rules("lb:<instance>:") in PAGE


@pytest.fixture(scope="module")
def given() -> Iterator[Server]:
    """A real Redis."""
    with a_redis(redis_binary()) as server:
        yield server


@pytest.mark.parametrize("language", PROGRAMS)
def test_12_the_documented_readers(language: str, given: Server, tmp_path: Path) -> None:
    binary, package = PROGRAMS[language]
    driver = (Path(__file__).parent / f"reader.{language}").read_text("utf-8")
    program = tmp_path / f"reader.{language}"
    program.write_text(driver.replace("// CODE: the documented function stands here", _snippet(language)), "utf-8")
    command = [need(binary, f"apt install {package}"), str(program)]
    client = redis.Redis(port=given.port)
    wanted, got = [], []
    for case in CASES:  # the user's stamp lies at one key: each case has it to itself
        client.flushdb()
        for key, value in ((case["key"], case["session"]), (case["stamp_key"], case["stamp"])):
            if value is not None:
                client.set(key, value.encode())
        wanted.append(str(VECTORS["user"]) if case["verdict"] == "alive" else "nobody")
        got.append(_run(command, given.port, [case]))
    client.close()
    assert got == wanted


@pytest.mark.parametrize("language", PROGRAMS)
def test_a_reader_is_short_enough_to_be_read(language: str) -> None:
    assert len([line for line in _snippet(language).splitlines() if line.strip()]) <= 19


def _run(command: list[str], port: int, cases: list[dict[str, Any]]) -> str:
    told = json.dumps(VECTORS | {"port": port, "cases": cases})
    return subprocess.run(command, input=told, capture_output=True, text=True, check=True, timeout=20).stdout.strip()


def _snippet(language: str) -> str:
    (code,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(code)


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode()
