"""What the tests of the stores do to real servers."""

import asyncio
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from bridge.stores.address import Address
from bridge.stores.lines import Lines
from bridge.stores.redis import RedisStore
from bridge.stores.store import Store
from tests.servers import LOOPBACK, Server, need, running

PATIENT = 5.0
"""Seconds for an answer where a test is not about its lateness: the machine may be busy."""


def say(port: int, *words: str, before: Sequence[Sequence[str]] = ()) -> bytes:
    """One command to the server at `port`, past every client library; its answer as it came.

    `before`: what else is said first, on the same connection.
    """
    with socket.create_connection((LOOPBACK, port), timeout=5) as connection:
        for said in before:
            connection.sendall(_command(said))
            assert not connection.recv(65536).startswith(b"-")
        connection.sendall(_command(words))
        return connection.recv(65536)


def _command(words: Sequence[str]) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w.encode()), w.encode()) for w in words)


def emptied(server: Server) -> Server:
    """The same server with nothing in it."""
    assert say(server.port, "FLUSHALL") == b"+OK\r\n"
    return server


@contextmanager
def started(binary: str, port: int, folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A server on a port and in a folder that the test keeps, so that it can be ended and started again."""
    command = [binary, "--port", str(port), "--bind", LOOPBACK, "--dir", str(folder), *arguments]
    with running(command, folder=folder, ready=lambda: answers(port)) as process:
        yield process


def patient(store: Store) -> Store:
    """The same store, not yet open; if it has a server, that one is given time to answer.

    A guard asks only once: where an answer is late, it counts for itself.
    """
    if isinstance(store, RedisStore):
        address = store._lines._server
        assert isinstance(address, Address)
        address.seconds = PATIENT
        address._arguments |= address._timing()
    return store


async def early_in_a_slot(seconds: float) -> None:
    """Wait past the end of a guard's window of that length, if it is near: across it, five may become six."""
    left = seconds - time.time() % seconds
    if left < 10:
        await asyncio.sleep(left)


@asynccontextmanager
async def opened(
    url: str, *, monotonic: Callable[[], float] = time.monotonic, seconds: float = PATIENT
) -> AsyncIterator[RedisStore]:
    """A store on that server, closed at the end of the block whatever happens in it."""
    store = RedisStore(Lines(Address(url, seconds=seconds)), monotonic=monotonic)
    try:
        yield store
    finally:
        await store.close()


def answers(port: int) -> bool:
    """Does somebody say PONG there?"""
    try:
        return say(port, "PING") == b"+PONG\r\n"
    except OSError:
        return False


def certificates(folder: Path) -> None:
    """An authority, `ca.pem`, and the certificate of 127.0.0.1 that it signed: `server.pem`, `server.key`."""
    openssl = need("openssl", "apt install openssl")
    authority = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    request = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=store"]
    (folder / "san").write_text(f"subjectAltName=IP:{LOOPBACK}\n")
    signing = ["x509", "-req", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2"]
    for command in (
        [*authority, "-subj", "/CN=test authority", "-keyout", "ca.key", "-out", "ca.pem"],
        [*request, "-keyout", "server.key", "-out", "server.csr"],
        [*signing, "-in", "server.csr", "-extfile", "san", "-out", "server.pem"],
    ):
        subprocess.run([openssl, *command], cwd=folder, check=True, capture_output=True)
