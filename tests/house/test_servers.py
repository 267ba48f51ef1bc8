"""The servers that the tests stand on: each answers, and each that is missing says how to get it."""

import smtplib
import socket
from collections import Counter
from email.message import EmailMessage
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import asyncmy
import asyncpg
import pytest
import redis
from playwright.async_api import Browser
from sqlalchemy.engine import make_url

from tests import databases
from tests.servers import LOOPBACK, Server, SmtpSink, _unused, free_port, need


def test_a_missing_program_is_a_skip_that_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BRIDGE_TEST_REQUIRE_ALL", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-program is missing: apt install it"):
        need("no-such-program", "apt install it")


def test_a_missing_program_is_a_failure_where_all_was_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDGE_TEST_REQUIRE_ALL", "1")
    with pytest.raises(pytest.fail.Exception, match="no-such-program is missing: apt install it"):
        need("no-such-program", "apt install it")


def test_a_free_port_is_one_that_no_server_and_no_outgoing_connection_has() -> None:
    ports = {free_port() for _ in range(200)}
    assert len(ports) > 150 and max(ports) < 32_768
    with socket.socket() as taken:
        taken.bind((LOOPBACK, free_port() + 1))
        assert not _unused(taken.getsockname()[1])


def test_debians_redis_answers(redis_server: Server) -> None:
    with redis.Redis.from_url(redis_server.url) as client:
        assert client.info("server")["redis_version"].startswith(("6.", "7.", "8."))


def test_the_wheels_valkey_answers(valkey_server: Server) -> None:
    with redis.Redis.from_url(valkey_server.url) as client:
        assert client.info("server")["server_name"] == "valkey"


async def test_postgresql_answers_in_utf8(postgres_url: str) -> None:
    connection = await asyncpg.connect(make_url(postgres_url).set(drivername="postgresql").render_as_string())
    try:
        assert await connection.fetchval("SHOW server_encoding") == "UTF8"
        assert await connection.fetchval("SHOW lc_collate") == "C.UTF-8"
    finally:
        await connection.close()


async def test_mariadb_answers_and_lets_us_create_databases(mariadb_url: str) -> None:
    url = make_url(mariadb_url)
    connection = await asyncmy.connect(host=url.host, port=url.port or 0, user=url.username, db=url.database)
    async with connection, connection.cursor() as cursor:
        await cursor.execute("CREATE DATABASE house_smoke")
        await cursor.execute("DROP DATABASE house_smoke")
        await cursor.execute("SELECT version()")
        assert "MariaDB" in (await cursor.fetchone())[0]


def test_the_mail_sink_keeps_what_it_is_given(smtp_sink: SmtpSink) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "login@example.com", "user@example.com", "重置密码"
    mail.set_content("一个链接\n")
    with smtplib.SMTP("127.0.0.1", smtp_sink.port) as client:
        client.send_message(mail)
    (kept,) = smtp_sink.wait_for(1)
    assert kept["Subject"] == "重置密码"
    assert kept.get_content().splitlines() == ["一个链接"]
    assert smtp_sink.recipients == [["user@example.com"]]


@pytest.mark.browser
async def test_chromium_renders_a_page(chromium: Browser) -> None:
    page = await chromium.new_page()
    await page.set_content("<title>there</title><script>document.title += ' and alive'</script>")
    assert await page.title() == "there and alive"
    await page.close()


class Run:
    """What pytest has collected: a test on one of the databases."""

    def __init__(self, name: str, kind: str, *, room: str = "users") -> None:
        self.nodeid = f"tests/{room}/test_it.py::{name}[{kind}]"
        self.path = Path(databases.__file__).parent / room / "test_it.py"
        self.callspec = SimpleNamespace(id=kind, params={"database_url": kind})
        self.marks: list[str] = []

    def add_marker(self, mark: pytest.MarkDecorator) -> None:
        self.marks.append(mark.name)


def test_of_two_servers_a_quick_test_meets_one_and_sqlite() -> None:
    runs = [Run(f"test_{number}", kind) for number in range(40) for kind in databases.KINDS]
    databases.leave_one_server_each(cast("list[pytest.Item]", runs))
    left = [run.callspec.id for run in runs if run.marks == ["slow"]]
    assert len(left) == 40 and set(left) == set(databases.SERVERS)
    quick = Counter(run.nodeid.partition("[")[0] for run in runs if not run.marks)
    assert set(quick.values()) == {2} and len(quick) == 40


def test_what_is_about_databases_or_names_its_own_meets_all() -> None:
    runs = [Run("test_it", kind, room="database") for kind in databases.KINDS]
    runs += [Run(f"test_{kind}_{number}", kind) for number in range(9) for kind in databases.SERVERS]
    databases.leave_one_server_each(cast("list[pytest.Item]", runs))
    assert not any(run.marks for run in runs)
