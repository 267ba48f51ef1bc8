"""Where the database is: a URL as operators write it, made into what the driver understands — DESIGN §5."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from bridge.errors import ConfigError

Kind = Literal["sqlite", "postgresql", "mysql"]

# MariaDB and MySQL are one kind: which of the two it is, the driver asks the server.
_KINDS: Final[dict[str, Kind]] = {
    "sqlite": "sqlite",
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "mysql": "mysql",
    "mariadb": "mysql",
}
_DRIVERS: Final[dict[Kind, str]] = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "mysql": "mysql+asyncmy",
}
_CHECKED: Final = {"verify-ca", "verify-full"}
_UNCHECKED: Final = {"require"}
_OPEN: Final = {"disable", "prefer", "allow"}


@dataclass(frozen=True, slots=True)
class Address:
    """A database's URL with the driver we chose, and how TLS is spoken with it."""

    kind: Kind
    url: URL
    tls: ssl.SSLContext | None = None

    @property
    def file(self) -> Path | None:
        """SQLite's file; None on the other databases."""
        return Path(self.url.database or "") if self.kind == "sqlite" else None

    @property
    def shown(self) -> str:
        """The URL without its password, for logs."""
        return self.url.render_as_string(hide_password=True)


def parse_address(text: str) -> Address:
    """Read `sqlite:///path`, `postgresql://…`, `mysql://…` or `mariadb://…`; a driver named in it is ignored.

    `sslmode` (disable, prefer, require, verify-ca, verify-full) and `sslrootcert` mean what libpq means by them, for
    MariaDB too.  Raises ConfigError, whose text holds no password.
    """
    try:
        url = make_url(text)
    except ArgumentError:
        raise ConfigError("database.url is no URL") from None
    kind = _KINDS.get(url.get_backend_name())
    if kind is None:
        raise ConfigError(f"database.url: {url.get_backend_name()!r} is none of sqlite, postgresql, mysql, mariadb")
    if kind == "sqlite":
        return _sqlite(url)
    tls = _tls(url.query)
    url = url.difference_update_query(["sslmode", "sslrootcert"]).set(drivername=_DRIVERS[kind])
    if kind == "mysql":
        url = url.update_query_dict({"charset": "utf8mb4"})
    return Address(kind, url, tls)


def _sqlite(url: URL) -> Address:
    if not url.database or url.database == ":memory:":
        # Every connection of the pool, and the migration, would have a database of its own.
        raise ConfigError("database.url: sqlite needs a file, as in sqlite:///var/bridge.db")
    return Address("sqlite", url.set(drivername=_DRIVERS["sqlite"]))


def _tls(query: Mapping[str, str | tuple[str, ...]]) -> ssl.SSLContext | None:
    mode, root = _one(query, "sslmode") or "prefer", _one(query, "sslrootcert")
    if mode in _OPEN:
        return None
    if mode not in _CHECKED | _UNCHECKED:
        raise ConfigError(f"database.url: sslmode={mode!r} is unknown")
    try:
        context = ssl.create_default_context(cafile=root)
    except OSError as error:
        raise ConfigError(f"database.url: sslrootcert cannot be read: {error}") from None
    context.check_hostname = mode == "verify-full"
    if mode in _UNCHECKED and root is None:  # libpq: with a root, "require" checks the chain
        context.verify_mode = ssl.CERT_NONE
    return context


def _one(query: Mapping[str, str | tuple[str, ...]], name: str) -> str | None:
    value = query.get(name)
    if isinstance(value, tuple):
        raise ConfigError(f"database.url: {name} stands in it twice")
    return value
