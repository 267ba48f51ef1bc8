"""What every door needs of ASGI: bodies with a limit, parameters read once, addresses we may believe, plain replies.

Raw ASGI, because a hot endpoint spends more in request objects than in deciding (engine §7).
"""

import ipaddress
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote_to_bytes, urlsplit

from msgspec import Struct

from bridge.types import IPAddress, IPNetwork

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

MOST_BODY: Final = 64 * 1024
MOST_PARAMETERS: Final = 100
LONGEST_PARAMETER: Final = 8 * 1024

Headers = Sequence[tuple[bytes, bytes]]
_ORIGIN: Final = re.compile(r"https?://([a-z0-9-]+(\.[a-z0-9-]+)*|\[[0-9a-f:.]+\])(:[1-9]\d{0,4})?", re.ASCII)
_FORWARDED: Final = (b"forwarded", b"x-forwarded-for", b"x-real-ip")
_PORTS: Final = {"http": 80, "https": 443}
NO_STORE: Final[Headers] = ((b"cache-control", b"no-store"), (b"pragma", b"no-cache"))
NO_REFERRER: Final[Headers] = ((b"referrer-policy", b"no-referrer"),)


class BadRequest(Exception):
    """The request cannot be read.  `status` is the HTTP status (400, 405, 413, 415), the text is for the caller."""

    def __init__(self, why: str, status: int = 400, headers: "Headers" = ()) -> None:
        super().__init__(why)
        self.status = status
        self.headers = headers


class Reply(Struct, frozen=True):
    """One whole answer."""

    status: int = 200
    body: bytes = b""
    content_type: bytes | None = None
    headers: Headers = ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  # ASGI's shape
        """Send it; a HEAD gets everything but the body."""
        headers = [(b"content-length", b"%d" % len(self.body)), *self.headers]
        if self.content_type is not None:
            headers.insert(0, (b"content-type", self.content_type))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        body = b"" if scope["method"] == "HEAD" else self.body
        await send({"type": "http.response.body", "body": body})


def json_reply(content: object, status: int = 200, headers: Headers = NO_STORE) -> Reply:
    """`application/json`, not to be stored unless `headers` say otherwise."""
    return Reply(status, json.dumps(content, separators=(",", ":")).encode(), b"application/json", headers)


def see_other(location: str, headers: Headers = ()) -> Reply:
    """303: the browser goes there with GET, never repeating a POST (RFC 9700 §4.12)."""
    return Reply(303, headers=((b"location", location.encode("ascii")), *NO_STORE, *headers))


def header(scope: Scope, name: bytes) -> str | None:
    """The one value of that header (lower-case name); several lines of it are joined by ", " (RFC 9110 §5.3)."""
    found: bytes | None = None
    for key, value in scope["headers"]:
        if key == name:
            found = value if found is None else b", ".join((found, value))
    return None if found is None else found.decode("latin-1")


async def read_body(scope: Scope, receive: Receive, limit: int = MOST_BODY) -> bytes:
    """The whole body.  Raises BadRequest (413) beyond `limit` bytes, before having read it all."""
    declared = header(scope, b"content-length")
    if declared is not None and declared.isdecimal() and int(declared) > limit:
        raise BadRequest("The request body is too large.", 413)
    chunks: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadRequest("The client went away.")
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise BadRequest("The request body is too large.", 413)
        more = message.get("more_body", False)
        if not more and not chunks:
            return chunk  # as most come: at once
        chunks.append(chunk)
    return b"".join(chunks)


def content_type(scope: Scope) -> str:
    """The media type without its parameters, lower-case; "" when absent."""
    return (header(scope, b"content-type") or "").partition(";")[0].strip().lower()


def parse_pairs(raw: bytes) -> list[tuple[str, str]]:
    """Form-urlencoded pairs in their order.  Raises BadRequest: too many, too long, or not UTF-8."""
    if not raw:
        return []
    pairs: list[tuple[str, str]] = []
    try:
        fields = raw.decode("ascii").replace("+", " ").split("&")
        if len(fields) > MOST_PARAMETERS:
            raise BadRequest("There are too many parameters.")
        if len(raw) > LONGEST_PARAMETER and max(map(len, fields)) > LONGEST_PARAMETER:
            raise BadRequest("A parameter is too long.")
        for field in filter(None, fields):
            name, _, value = field.partition("=")
            if "%" in field:  # most are plain, and the detour costs more than the rest of parsing
                name, value = _unescaped(name), _unescaped(value)
            pairs.append((name, value))
    except UnicodeDecodeError:
        raise BadRequest("A parameter is not UTF-8.") from None
    return pairs


def _unescaped(text: str) -> str:
    return unquote_to_bytes(text).decode() if "%" in text else text


def once(pairs: Iterable[tuple[str, str]], *, but: str | None = None) -> dict[str, str]:
    """Each name to its value.  Raises BadRequest for a name that comes twice (RFC 6749 §3.1), unless it is `but`."""
    out: dict[str, str] = {}
    for name, value in pairs:
        if name in out and name != but:
            raise BadRequest(f"{named(name)} must not be repeated")
        out[name] = value
    return out


def named(parameter: str) -> str:
    """The parameter as an error may name it: what could not be one of ours is not said back (RFC 6749 §5.2)."""
    fits = parameter.isascii() and parameter.isidentifier() and len(parameter) <= 40
    return parameter if fits else "a parameter"


async def read_form(scope: Scope, receive: Receive) -> dict[str, str]:
    """The parameters of a form-urlencoded body, each once.  Raises BadRequest (415 for another media type)."""
    if content_type(scope) != "application/x-www-form-urlencoded":
        raise BadRequest("The body must be application/x-www-form-urlencoded.", 415)
    return once(parse_pairs(await read_body(scope, receive)))


def query(scope: Scope) -> dict[str, str]:
    """The parameters of the query, each once.  Raises BadRequest."""
    return once(parse_pairs(scope.get("query_string", b"")))


def path_of(scope: Scope) -> str:
    """The path below the mount point.  Decides on `scope["path"]`, never on a URL built from Host (engine §6)."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    if root and path.startswith(root) and path[len(root) : len(root) + 1] in ("", "/"):
        return path[len(root) :]
    return path


def local_path(text: str | None) -> str | None:
    """A path on this host, as a target after login (W3): `/…`, but nothing a browser could read as another host."""
    if not text or not text.isascii() or not text.isprintable() or len(text) > 2_048:
        return None
    return text if text.startswith("/") and not text.startswith("//") and "\\" not in text and " " not in text else None


def looks_ahead(scope: Scope) -> bool:
    """Nobody has gone there yet: a HEAD, or a browser that fetches what may be wanted next."""
    return scope["method"] == "HEAD" or "prefetch" in (header(scope, b"sec-purpose") or "")


def is_navigation(scope: Scope) -> bool:
    """Whether a person goes there, as far as the browser says: no picture, frame or script."""
    mode, dest = header(scope, b"sec-fetch-mode"), header(scope, b"sec-fetch-dest")
    return mode in (None, "navigate") and dest in (None, "document")


def is_origin(text: str) -> bool:
    """Whether that is the origin of a web page as we write it: scheme and host in lower case, perhaps a port."""
    return _ORIGIN.fullmatch(text) is not None


def origin_of(url: str) -> str:
    """The origin of an address as browsers write it: lower-case, without the port that its scheme implies."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = "" if parts.port in (None, _PORTS.get(parts.scheme)) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


class Proxies:
    """Tells the caller's address, believing `X-Forwarded-For` only from trusted hops, right to left.

    Never the leftmost value: anybody can write that (sessions-and-accounts §8.3).
    """

    def __init__(self, trusted: Iterable[IPNetwork] = ()) -> None:
        self._trusted = tuple(trusted)
        self._peer = lru_cache(maxsize=1_024)(self._hop)  # a connection sends many requests

    def client(self, scope: Scope) -> IPAddress | None:
        """The nearest address that is not a trusted proxy; None: none is known (a unix socket, say)."""
        peer, trusted = self._peer((scope.get("client") or ("",))[0])
        if not trusted:
            return peer
        hops = (header(scope, b"x-forwarded-for") or "").split(",")
        for hop in reversed(hops):
            address, trusted = self._hop(hop.strip())
            if address is None:
                break  # what stands left of a hop that is no address was not written by somebody we trust
            peer = address
            if not trusted:
                break
        return peer

    def _hop(self, text: str) -> tuple[IPAddress | None, bool]:
        """The address, and whether it is a trusted proxy's."""
        address = parse_ip(text)
        return address, address is not None and any(address in network for network in self._trusted)


def passed_on(scope: Scope, address: IPAddress) -> bool:
    """Whether `address`, as `Proxies.client` told it, is only the hop that handed the request on: a proxy that is not
    trusted by name looks like a neighbour, but what it passes on is not from here."""
    return any(name in _FORWARDED for name, _ in scope["headers"]) and address == parse_ip(scope["client"][0])


def parse_ip(text: str) -> IPAddress | None:
    """The address in its plain form: brackets and zone stripped, IPv4-mapped IPv6 as IPv4.  None: no address."""
    try:
        address = ipaddress.ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


Endpoints = Mapping[str, ASGIApp]
"""What a door gives to `bridge.app`: exact path below the mount point → ASGI app."""
