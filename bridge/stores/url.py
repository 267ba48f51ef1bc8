"""Which store a URL means, and which login guard goes with it — sessions-and-accounts.md §5.9."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from bridge.clock import Clock
from bridge.errors import ConfigError
from bridge.stores.guard import FallbackGuard, Guard, MemoryGuard
from bridge.stores.memory import MemoryStore
from bridge.stores.store import Store


def open_store(url: str, *, clock: Clock, reader: bool = False) -> Store:
    """The store at `url`, not yet connected: `await store.open()` does that.  Raises `ConfigError`.

    `memory://`, `sqlite:///relative/path` or `sqlite:////absolute/path`, `redis://`, `rediss://`, `unix://`,
    `redis+sentinel://`, `rediss+sentinel://` (see `bridge.stores.address`).  `clock`: of the first two; Redis has its
    own.  `reader`: the user in the URL may only read values (security.md §11).
    """
    match urlsplit(url).scheme:
        case "memory":
            return MemoryStore(clock)
        case "sqlite":
            from bridge.stores.sqlite import SqliteStore  # noqa: PLC0415  a driver comes only where it is used

            return SqliteStore(_path(url), clock)
        case "redis" | "rediss" | "unix" | "redis+sentinel" | "rediss+sentinel":
            from bridge.stores.address import Address  # noqa: PLC0415
            from bridge.stores.lines import Lines  # noqa: PLC0415
            from bridge.stores.redis import RedisStore  # noqa: PLC0415

            return RedisStore(Lines(Address(url), reader=reader))
        case scheme:
            raise ConfigError(f"store.url: {scheme or 'no scheme'}; known are memory, sqlite, redis, rediss, unix")


def guard_on(store: Store, *, clock: Clock, workers: int = 1) -> Guard:
    """The login guard whose counters lie where the store's data lie (the store itself, not its gate).

    While the store cannot be reached, each of the `workers` counts for itself, at its share of the limits.
    """
    if isinstance(store, MemoryStore):
        return MemoryGuard(clock)
    return FallbackGuard(_shared_guard(store), clock, workers=workers)


def _shared_guard(store: Store) -> Guard:
    from bridge.stores.sqlite import SqliteStore  # noqa: PLC0415

    if isinstance(store, SqliteStore):
        from bridge.stores.sqlite_guard import SqliteGuard  # noqa: PLC0415

        return SqliteGuard(store)
    from bridge.stores.redis import RedisStore  # noqa: PLC0415
    from bridge.stores.redis_guard import RedisGuard  # noqa: PLC0415

    if isinstance(store, RedisStore):
        return RedisGuard(store)
    raise ConfigError(f"no login guard counts in a {type(store).__name__}")


def _path(url: str) -> Path:
    parts = urlsplit(url)
    path = unquote(parts.path).removeprefix("/")
    if parts.netloc or parts.query or not path:
        raise ConfigError("store.url: sqlite:///relative/path or sqlite:////absolute/path")
    return Path(path)
