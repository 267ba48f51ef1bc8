"""What a connection may cost before the app sees it — RFC 9112 §3, §5."""

import socket
import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest

from bridge.cli.protocol import BODY_SECONDS, HEAD_SECONDS, MOST_HEAD
from tests import servers
from tests.cli.serving import Demo, serving

HEAD = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
CHUNKED = b"POST /includes/api.php HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
CLOSING = HEAD + b"Connection: close\r\n\r\n"
LONG = b"POST /includes/api.php HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 16\r\n\r\n"
SHORTLY = 5.0
"""Seconds: far less than any deadline."""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with serving(tmp_path_factory.mktemp("demo"), "--demo", port=servers.free_port()) as running:
        yield running


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (HEAD + b"X-A: ", b"a"),
        (HEAD, b"X-A: a\r\n"),
        (b"GET /login?a=", b"a"),
        (b"", b"\r\n"),
        (CHUNKED + b"1\r\na\r\n0\r\nX-A: ", b"a"),
        (CHUNKED + b"1;a=", b"a"),
    ],
    ids=["value", "headers", "target", "empty lines", "trailer", "chunk extension"],
)
def test_what_is_no_body_and_has_no_end_is_cut_off(demo: Demo, begin: bytes, more: bytes) -> None:
    with _connected(demo) as client:
        try:
            client.sendall(begin)
            for _ in range(4):
                time.sleep(0.05)  # it may read, and need not take all of it for one packet
                client.sendall(more * (MOST_HEAD // len(more)))
        except ConnectionError:
            return
        assert not _reply(client).startswith(b"HTTP/1.1 200")


def test_a_head_that_is_too_large_is_refused_though_it_comes_at_once(demo: Demo) -> None:
    with _connected(demo) as client:
        client.sendall(HEAD + b"X-A: " + b"a" * MOST_HEAD + b"\r\nConnection: close\r\n\r\n")
        assert not _reply(client).startswith(b"HTTP/1.1 200")


def test_a_large_head_is_answered_again_and_again(demo: Demo) -> None:
    with closing(HTTPConnection(servers.LOOPBACK, _port(demo), timeout=SHORTLY)) as client:
        for _ in range(3):
            client.request("GET", "/healthz", headers={"X-A": "a" * (MOST_HEAD - 300)})
            with client.getresponse() as reply:
                assert (reply.status, reply.read()) == (200, b'{"status":"ok"}')


def test_one_connection_too_many_is_told_so_until_another_ends(tmp_path: Path) -> None:
    given = {"BRIDGE__SERVER__MOST_CONNECTIONS": "2"}
    with (
        serving(tmp_path, "--demo", port=servers.free_port(), environment=given) as demo,
        _connected(demo) as first,
        _connected(demo),
        _connected(demo) as third,
    ):
        third.sendall(CLOSING)
        assert _reply(third).startswith(b"HTTP/1.1 503")
        first.sendall(CLOSING)
        assert _reply(first).startswith(b"HTTP/1.1 200")


@pytest.mark.slow
def test_who_sends_too_slowly_is_cut_off_and_who_goes_on_is_not(demo: Demo) -> None:
    begun = time.monotonic()
    silent, drop, head, body, going = (_connected(demo) for _ in range(5))
    drop.sendall(b"\r\n")
    body.sendall(LONG)
    going.sendall(LONG)
    for byte in HEAD[:2]:
        head.sendall(bytes([byte]))
        time.sleep(HEAD_SECONDS / 3)
    for client in (silent, drop, head):
        assert _closed_after(client, begun) == pytest.approx(HEAD_SECONDS, abs=4)
    for _ in range(3):
        going.sendall(b"aaaa")
        time.sleep(BODY_SECONDS / 3)
    assert _closed_after(body, begun) < HEAD_SECONDS + BODY_SECONDS + SHORTLY
    going.sendall(b"aaaa")
    assert going.recv(65_536).startswith(b"HTTP/1.1 ")
    going.close()


def _connected(demo: Demo) -> socket.socket:
    return socket.create_connection((servers.LOOPBACK, _port(demo)), timeout=SHORTLY)


def _port(demo: Demo) -> int:
    return int(demo.url.rpartition(":")[2])


def _reply(client: socket.socket) -> bytes:
    """All until it is closed.  Raises TimeoutError where nobody closes it."""
    parts: list[bytes] = []
    try:
        while part := client.recv(65_536):
            parts.append(part)
    except ConnectionError:  # it was closed with bytes of ours still unread
        pass
    return b"".join(parts)


def _closed_after(client: socket.socket, begun: float) -> float:
    """Seconds from then on."""
    with closing(client):
        client.settimeout(BODY_SECONDS)
        _reply(client)
    return time.monotonic() - begun
