"""Addresses that are almost registered: what a comparison lets in that is not one of the very text — RFC 9700 §4.1."""

from collections.abc import Iterator
from urllib.parse import urlsplit


def near_misses(uri: str) -> Iterator[str]:
    """Each is wrong where that address alone is registered (for a native app on the loopback: but the other ports)."""
    yield from _longer(uri)
    yield from _shorter(uri)
    yield from (uri.upper(), uri.swapcase(), uri[:-1] + uri[-1].swapcase())
    parts = urlsplit(uri)
    if parts.netloc:
        host, rest = parts.netloc, uri.partition(parts.netloc)[2]
        yield from (f"{parts.scheme}://{each}{rest}" for each in _hosts(host))
        yield from (f"{parts.scheme}://{host}{path}" for path in _paths(rest))
        yield f"{'http' if parts.scheme == 'https' else 'https'}://{host}{rest}"
        yield f"//{host}{rest}"


def _longer(uri: str) -> Iterator[str]:
    yield from (uri + end for end in ("/", "x", "/x", "/../x", "/%2e%2e/x", "%2e", "%00", " ", "\\", "#", "#x", ";x"))
    yield uri + ("&" if "?" in uri else "?") + "x=1"
    yield from (
        f"https://evil.example/{uri}",
        f"https://evil.example/?{uri}",
        f"https://evil.example/#{uri}",
        f" {uri}",
    )


def _shorter(uri: str) -> Iterator[str]:
    yield from (uri[:-1], uri.rpartition("/")[0], uri.partition(":")[2], uri[1:])


def _hosts(host: str) -> Iterator[str]:
    yield from (host.upper(), f"{host}.", f"evil{host}", f"evil.{host}", f"{host}.evil.example")
    yield from (f"{host}@evil.example", f"user@{host}", f"evil.example\\@{host}", f"{host}:@evil.example")
    yield from (f"{host}:443", f"{host}:80", f"{host}:8443", f"{host}:")


def _paths(path: str) -> Iterator[str]:
    yield from (f"/.{path}", f"/x/..{path}", f"/%2e{path}", f"/x/%2e%2e{path}", f"/{path}")
    yield path[:1] + "".join(f"%{ord(sign):02x}" for sign in path[1:2]) + path[2:]
