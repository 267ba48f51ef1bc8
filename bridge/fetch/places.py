"""Which addresses may be called: the public ones, and what the operator opened — security §16.

A name is judged by every address that it has.  An address that carries another inside is judged by that one.
"""

import ipaddress
import re
from collections.abc import Iterable
from typing import Final, Literal, NamedTuple, Self
from urllib.parse import urlsplit

from bridge.errors import ConfigError
from bridge.types import IPAddress, IPNetwork

Scheme = Literal["https", "http"]
PORTS: Final[dict[Scheme, int]] = {"https": 443, "http": 80}
LONGEST_URL: Final = 2_000

_URL: Final = re.compile(r"(https|http)://[!-~]+", re.ASCII)
_NAME: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*", re.ASCII)

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
"""All that was ever given to anybody.  What lies outside is somebody's own, or an older way to write IPv4."""
_NOBODYS: Final[tuple[IPNetwork, ...]] = (
    ipaddress.IPv4Network("192.0.0.0/24"),  # of protocols; older Pythons call parts of it global
    ipaddress.IPv4Network("192.88.99.0/24"),  # relays of 6to4, given back (RFC 7526)
    ipaddress.IPv6Network("2001::/23"),  # Teredo and its like; `is_global` knows exceptions that we do not need
    ipaddress.IPv6Network("3fff::/20"),  # examples (RFC 9637)
)


class Target(NamedTuple):
    """An address to call, taken apart.  What cannot be told apart surely is none."""

    scheme: Scheme
    host: str
    """In small letters; an IPv6 address without brackets."""
    port: int
    path: str
    """With the query; begins with a slash."""

    @classmethod
    def parse(cls, url: str) -> Self | None:
        """None: it is no absolute http or https URL, or names a user or a fragment."""
        if len(url) > LONGEST_URL or not _URL.fullmatch(url) or any(mark in url for mark in '\\"<>^`{|}#'):
            return None
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            return None
        if not host or "@" in parts.netloc or port == 0 or not _is_host(host):
            return None
        scheme: Scheme = "https" if parts.scheme == "https" else "http"
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(scheme, host, port or PORTS[scheme], path)

    @property
    def authority(self) -> str:
        """As the header `Host` names it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"


class Opened(NamedTuple):
    """One thing that the operator allows."""

    scheme: Scheme
    whom: str | IPNetwork | None
    """A host by its name, addresses, or None: every public one."""
    port: int

    @classmethod
    def parse(cls, entry: str) -> Self:
        """`[http://]name|network|*[:port]`; IPv6 with a port in brackets.  Raises ConfigError."""
        text = entry.strip().lower()
        scheme: Scheme = "http" if text.startswith("http://") else "https"
        text, port = _and_port(text.removeprefix("http://").removeprefix("https://"), PORTS[scheme])
        whom = _whom(text)
        if whom == "" or not 0 < port < 65_536:
            raise ConfigError(f"fetch.allow: {entry!r} is no host, network or *, with a port or without")
        if scheme == "http" and not isinstance(whom, str):
            raise ConfigError(f"fetch.allow: {entry!r}: plain http is opened to one host only")
        return cls(scheme, whom, port)

    def opens(self, target: Target, address: IPAddress) -> bool:
        """Whether the target may be called where it has that address."""
        if (self.scheme, self.port) != (target.scheme, target.port):
            return False
        match self.whom:
            case None:
                return is_public(address)
            case str() as host:
                return host == target.host
            case network:
                return carried(address) in network


def may_call(target: Target, addresses: Iterable[IPAddress], opened: Iterable[Opened]) -> bool:
    """Whether it may be called at each of those addresses: one that may not spoils them all."""
    plain = (target.scheme, target.port) == ("https", 443)
    return all(
        (plain and is_public(address)) or any(one.opens(target, address) for one in opened) for address in addresses
    )


def is_public(address: IPAddress) -> bool:
    """Whether anybody may reach it from anywhere: not this machine, not this network, not many at once."""
    inner = carried(address)
    if isinstance(inner, ipaddress.IPv6Address) and inner not in _UNICAST:
        return False
    return inner.is_global and not inner.is_multicast and not any(inner in network for network in _NOBODYS)


def carried(address: IPAddress) -> IPAddress:
    """The IPv4 address inside an IPv6 one that leads there; else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _and_port(text: str, usual: int) -> tuple[str, int]:
    """0: what stands there is no port."""
    before, colon, port = text.rpartition(":")
    if not colon or text.endswith("]") or (":" in before and not before.endswith("]")):
        return text.removeprefix("[").removesuffix("]"), usual
    return before.removeprefix("[").removesuffix("]"), int(port) if re.fullmatch("[0-9]{1,5}", port) else 0


def _whom(text: str) -> str | IPNetwork | None:
    """An empty text: nothing that is known."""
    if text == "*":
        return None
    if "/" in text:
        try:
            return ipaddress.ip_network(text)
        except ValueError:
            return ""
    return text if _is_host(text) else ""


def _is_host(text: str) -> bool:
    if _NAME.fullmatch(text):
        return True
    try:
        return "%" not in text and bool(ipaddress.ip_address(text))
    except ValueError:
        return False
