"""From a URL to connections of redis-py: plain, TLS, unix socket, Sentinel — spec/store.md §3."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from redis.asyncio.client import Redis
from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff

from bridge.errors import ConfigError

SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel")

ANSWER_SECONDS = 0.5
"""Two tries and a look at the witness end inside a door's 3 s (spec/store.md §4)."""

_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")


class Address:
    """A server, or the Sentinels that know it.  Making one reads the URL; raises `ConfigError`, without its password.

    `redis://[user:password@]host[:6379][/db]`; `rediss://` for TLS, with `?ssl_ca_certs=FILE` (`ssl_certfile`,
    `ssl_keyfile`); `unix:///path?db=0`; `redis+sentinel://[user:password@]host[:26379],host…/name` (`rediss+…`), whose
    own login is `?sentinel_username=…&sentinel_password=…`.  `seconds`: for a connection, and again for its answers.
    """

    def __init__(self, url: str, *, seconds: float = ANSWER_SECONDS) -> None:
        parts = _parts(url)
        self.seconds = seconds
        self._kind: type[AbstractConnection] = Connection
        self._sentinel: Sentinel | None = None
        self._pool: SentinelConnectionPool | None = None
        self._contexts: list[Any] = []
        self._arguments: dict[str, Any] = self._timing() | _login(parts) | _options(parts)
        if parts.scheme.endswith("+sentinel"):
            self._ask_sentinel(parts)
        elif parts.scheme == "unix":
            self._kind = UnixDomainSocketConnection
            self._arguments |= {"path": unquote(parts.path)}
        else:
            self._kind = SSLConnection if parts.scheme == "rediss" else Connection
            host, port = _host(parts.netloc.rpartition("@")[2], 6379)
            self._arguments |= {"host": host, "port": port}

    def connection(self) -> AbstractConnection:
        """One more, not yet connected."""
        made = self._made()
        if isinstance(made, SSLConnection):
            # Each would read every certificate authority again: milliseconds of the loop.
            self._contexts = self._contexts or [made.ssl_context]
            made.ssl_context = self._contexts[0]
        return made

    @property
    def sentinels(self) -> Sequence[Redis]:
        """The clients that ask where the primary is."""
        return [] if self._sentinel is None else self._sentinel.sentinels

    async def close(self) -> None:
        """Let go of the Sentinels."""
        if self._sentinel is not None:
            await self._sentinel.aclose()

    def _made(self) -> AbstractConnection:
        if self._pool is None:
            return self._kind(**self._arguments)
        made: AbstractConnection = self._pool.make_connection()  # type: ignore[no-untyped-call]
        return made

    def _ask_sentinel(self, parts: SplitResult) -> None:
        hosts = [_host(text, 26379) for text in parts.netloc.rpartition("@")[2].split(",")]
        tls = {"ssl": True} if parts.scheme == "rediss+sentinel" else {}
        files = {name: value for name, value in self._arguments.items() if name in _FILES} if tls else {}
        theirs = self._timing() | tls | files | _sentinel_login(parts)
        self._sentinel = Sentinel(hosts, sentinel_kwargs=theirs)  # type: ignore[no-untyped-call]
        service, _, database = unquote(parts.path).strip("/").partition("/")
        more = {"db": int(database)} if database.isdecimal() else {}
        ours = self._arguments | tls | more
        self._pool = SentinelConnectionPool(service, self._sentinel, **ours)  # type: ignore[no-untyped-call]

    def _timing(self) -> dict[str, Any]:
        """Of every constructor: the library tries once and gives up soon (§3, 3).  Its default is ten more tries."""
        return {
            "retry": Retry(NoBackoff(), 0),
            "socket_timeout": self.seconds,
            "socket_connect_timeout": self.seconds,
            "protocol": 2,
            "driver_info": None,
        }


def _parts(url: str) -> SplitResult:
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        raise ConfigError(f"store.url: {parts.scheme or 'no scheme'}; known are {', '.join(SCHEMES)}")
    if parts.scheme.endswith("+sentinel") and not parts.path.strip("/"):
        raise ConfigError("store.url: the name of the service at the Sentinels is missing")
    return parts


def _login(parts: SplitResult) -> dict[str, str]:
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    return {name: unquote(text) for name, text in (("username", user), ("password", password)) if text}


def _options(parts: SplitResult) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name in _FILES:
            options[name] = value
        elif name == "db" and value.isdecimal():
            options["db"] = int(value)
        elif not (name in ("sentinel_username", "sentinel_password") and parts.scheme.endswith("+sentinel")):
            raise ConfigError(f"store.url: {name} is not understood here")
    database = parts.path.strip("/") if parts.scheme in ("redis", "rediss") else ""
    if database:
        if not database.isdecimal():
            raise ConfigError("store.url: the path names a database by its number")
        options["db"] = int(database)
    return options


def _sentinel_login(parts: SplitResult) -> dict[str, str]:
    query = dict(parse_qsl(parts.query))
    return {name: query[f"sentinel_{name}"] for name in ("username", "password") if f"sentinel_{name}" in query}


def _host(text: str, port: int) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    try:
        return parts.hostname or "localhost", parts.port or port
    except ValueError as error:
        raise ConfigError(f"store.url: {text} is not a host and a port") from error
