"""What is said of a Redis that drops sessions when it is full — store §1."""

import socket
from collections.abc import Iterator

import pytest

from tests import servers
from tests.app.conftest import Make
from tests.app.test_claim import on
from tests.servers import LOOPBACK, Server


@pytest.fixture
def store() -> Iterator[Server]:
    """A Redis that is this test's alone: it is told otherwise."""
    with servers.redis(servers.redis_binary()) as server:
        yield server


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("CONFIG SET maxmemory-policy allkeys-lru", ["store: maxmemory-policy is allkeys-lru, which drops sessions"]),
        ("CONFIG SET maxmemory-policy noeviction", []),
    ],
)
async def test_a_start_says_so_and_goes_on(
    make: Make, store: Server, caplog: pytest.LogCaptureFixture, told: str, said: list[str]
) -> None:
    with socket.create_connection((LOOPBACK, store.port), timeout=5) as connection:
        connection.sendall(f"{told}\r\n".encode())
        assert connection.recv(64).startswith(b"+OK")
    async with make(on(store)).running():
        pass
    assert [line.partition(";")[0] for line in caplog.messages if line.startswith("store: ")] == said
