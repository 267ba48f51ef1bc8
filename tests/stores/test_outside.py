"""What others see of the store: invalidation messages, and what an import brings — spec/store.md §5, DESIGN §2."""

import socket
import subprocess
import sys
from collections import Counter

import pytest

from bridge.stores.store import Add, Drop, Expect, Put, Swap, Tag, Take
from tests.patience import PATIENCE
from tests.servers import LOOPBACK, Server
from tests.stores.servers import emptied, opened, say

S, V, LAST = "lb:i:s:{t}:1", "lb:i:v:{t}", "lb:i:s:{t}:last"


async def test_every_write_is_told_to_who_tracks_and_no_conflict(valkey_server: Server) -> None:
    """The cache of hot sessions stands on this."""
    with _tracking(emptied(valkey_server), "lb:i:s:", "lb:i:v:") as feed:
        async with opened(valkey_server.url) as store:
            for changes in (
                [Add(S, b"1", 100)],
                [Swap(S, b"1", b"2", 100)],
                [Put(V, b"1", 100), Put(S, b"3", 100)],
                [Take(S, b"3")],
                [Drop(V)],
            ):
                assert await store.commit(*changes) is True
                _told(feed, *{change.key for change in changes})
            assert await store.commit(Add(S, b"4", 0.05)) is True
            _told(feed, S, S)  # and it expired
            await store.commit(Put(S, b"5", 100))
            _told(feed, S)
            assert await store.commit(Add(S, b"6", 100)) is False
            assert await store.commit(Swap(S, b"other", b"6", 100), Put(V, b"2", 100)) is False
            assert await store.commit(Expect(S, b"5"), Put("lb:i:c:{t}", b"1", 100), Tag("lb:i:us:{t}", "m", 9)) is True
            await store.commit(Put(LAST, b"1", 100))
            assert _told(feed, LAST).count(b"lb:i:") == 1, "of what came before nothing was told"
            say(valkey_server.port, "FLUSHALL")
            _told(feed, "invalidate\r\n_\r\n")


@pytest.mark.parametrize(
    ("imported", "absent"),
    [
        ("bridge.stores.url", ["redis", "hiredis", "sqlite3", "sqlalchemy", "cryptography"]),
        (
            "bridge.stores.redis, bridge.stores.address, bridge.stores.gate",
            ["sqlalchemy", "cryptography.hazmat", "jinja2"],
        ),
    ],
)
def test_an_import_brings_no_more_than_is_used(imported: str, absent: list[str]) -> None:
    program = f"import sys, {imported}; print([name for name in {absent!r} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout == b"[]\n"


def _tracking(server: Server, *prefixes: str) -> socket.socket:
    feed = socket.create_connection((LOOPBACK, server.port), timeout=PATIENCE)
    words = ["CLIENT TRACKING ON BCAST", *(f"PREFIX {prefix}" for prefix in prefixes)]
    for line in ("HELLO 3", " ".join(words)):
        feed.sendall(line.encode() + b"\r\n")
        assert not feed.recv(65536).startswith(b"-")
    return feed


def _told(feed: socket.socket, *keys: str) -> bytes:
    """Messages until they have named these keys, each as often as here."""
    heard = b""
    while any(heard.count(key.encode()) < times for key, times in Counter(keys).items()):
        heard += feed.recv(65536)
    assert b"invalidate" in heard
    return heard
