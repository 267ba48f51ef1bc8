"""All that lies in a store and a database, as a thief of either would have it: every byte, and every value."""

import base64
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import redis
from sqlalchemy import select

from bridge.database.database import Database
from bridge.database.tables import metadata


def of_files(*files: Path) -> bytes:
    """SQLite's files, what was deleted and not yet overwritten too."""
    found = [Path(f"{file}{more}") for file in files for more in ("", "-wal")]
    return b"\n".join(file.read_bytes() for file in found if file.exists())


async def of_database(database: Database) -> bytes:
    """Every column of every row, which a file's pages may cut in two."""
    out: list[bytes] = []
    async with database.read() as tx:
        for table in metadata.sorted_tables:
            out += [_bytes(value) for row in await tx.execute(select(table)) for value in row]
    return b"\n".join(out)


def of_redis(url: str, prefix: str) -> bytes:
    """Every key of that prefix, with its name and whatever is in it; of indexes too."""
    out: list[bytes] = []
    with closing(redis.Redis.from_url(url)) as found:
        client: Any = found
        for key in client.scan_iter(match="*", count=1_000):
            if prefix.encode() not in key:
                continue
            out.append(key)
            match client.type(key):
                case b"string":
                    out.append(client.get(key))
                case b"zset":
                    out += client.zrange(key, 0, -1)
                case b"hash":
                    out += [part for pair in client.hgetall(key).items() for part in pair]
                case kind:
                    raise AssertionError(f"what is {kind!r}?")
    return b"\n".join(out)


def spellings(secret: str | bytes) -> Iterator[bytes]:
    """As it is, and as somebody might write it down."""
    raw = secret.encode() if isinstance(secret, str) else secret
    yield raw
    yield raw.hex().encode()
    yield _base64(raw)
    if len(raw) == 68 and raw[:2] == b"lb":  # the random part of a token, without kind and locator
        yield raw[26:]


def found_in(dump: bytes, secrets: Iterable[tuple[str, str | bytes]]) -> list[str]:
    """The names of those that are there, however they are spelt."""
    return [name for name, secret in secrets if any(spelt in dump for spelt in spellings(secret))]


def _base64(raw: bytes) -> bytes:
    """Without its end, which depends on what follows."""
    return base64.b64encode(raw)[: len(raw) // 3 * 4]


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
