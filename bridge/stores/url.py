"""Which store a URL means — sessions-and-accounts.md §5.9."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from bridge.clock import Clock
from bridge.errors import ConfigError
from bridge.stores.store import Store


def open_store(url: str, *, clock: Clock, reader: bool = False) -> Store:
    """The store at `url`, not yet connected: `await store.open()` does that.  Raises `ConfigError`.

    `memory://`, `sqlite:///relative/path` or `sqlite:////absolute/path`, `redis://`, `rediss://`, `unix://`,
    `redis+sentinel://`, `rediss+sentinel://` (see `bridge.stores.address`).  `clock`: of the first two; Redis has its
    own.  `reader`: the user in the URL may only read values (security.md §11).
    """
    match urlsplit(url).scheme:
        case "memory":
            from bridge.stores.memory import MemoryStore  # noqa: PLC0415  each brings a driver only if it is used

            return MemoryStore(clock)
        case "sqlite":
            from bridge.stores.sqlite import SqliteStore  # noqa: PLC0415

            return SqliteStore(_path(url), clock)
        case "redis" | "rediss" | "unix" | "redis+sentinel" | "rediss+sentinel":
            from bridge.stores.address import Address  # noqa: PLC0415
            from bridge.stores.lines import Lines  # noqa: PLC0415
            from bridge.stores.redis import RedisStore  # noqa: PLC0415

            return RedisStore(Lines(Address(url), reader=reader))
        case scheme:
            raise ConfigError(f"store.url: {scheme or 'no scheme'}; known are memory, sqlite, redis, rediss, unix")


def _path(url: str) -> Path:
    parts = urlsplit(url)
    path = unquote(parts.path).removeprefix("/")
    if parts.netloc or parts.query or not path:
        raise ConfigError("store.url: sqlite:///relative/path or sqlite:////absolute/path")
    return Path(path)
