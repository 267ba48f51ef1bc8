"""What the tests of the stores do to real servers."""

import socket

from tests.servers import LOOPBACK, Server


def say(port: int, *words: str) -> bytes:
    """One command to the server at `port`, past every client library; its answer as it came."""
    command = b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w.encode()), w.encode()) for w in words)
    with socket.create_connection((LOOPBACK, port), timeout=5) as connection:
        connection.sendall(command)
        return connection.recv(65536)


def emptied(server: Server) -> Server:
    """The same server with nothing in it."""
    assert say(server.port, "FLUSHALL") == b"+OK\r\n"
    return server
