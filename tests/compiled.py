"""What takes longer to compile than most tests take, compiled once for all bridges of a test process."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from functools import partial
from gettext import GNUTranslations
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
from jinja2 import BytecodeCache, Environment
from jinja2.bccache import Bucket
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from bridge import i18n
from bridge.database import engine
from bridge.outbox import letter
from bridge.pages import render


@contextmanager
def once() -> Iterator[None]:
    """Within this block every template, catalog and statement for SQLite is compiled at its first use, and kept."""
    statements = Statements()

    def created(url: str, **settings: Any) -> AsyncEngine:
        if make_url(url).get_backend_name() == "sqlite":
            settings["execution_options"] = {"compiled_cache": statements}
        return create_async_engine(url, **settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "create_async_engine", created)
        for room in (render, letter):
            patch.setattr(room, "Environment", partial(Environment, bytecode_cache=Templates()))
        patch.setattr(i18n, "_read", Catalogs(i18n._read))
        yield


class Templates(BytecodeCache):
    """Templates as code, by name, file and what stands in it."""

    def __init__(self) -> None:
        self._code: dict[tuple[str, str], CodeType | None] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._code.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._code[bucket.key, bucket.checksum] = bucket.code


class Catalogs:
    """Translations as they were read from a folder, as long as its files are the same."""

    def __init__(self, read: Callable[[Path], GNUTranslations]) -> None:
        self._read = read
        self._known: dict[tuple[Path, tuple[tuple[str, int], ...]], GNUTranslations] = {}

    def __call__(self, folder: Path) -> GNUTranslations:
        files = tuple((file.name, file.stat().st_mtime_ns) for file in sorted(folder.iterdir()))
        if (folder, files) not in self._known:
            self._known[folder, files] = self._read(folder)
        return copy(self._known[folder, files])  # who has it may give it a fallback


class Statements(dict[Any, Any]):
    """Statements as SQL.  A key begins with the dialect, of which each engine has one; SQLite's are all alike."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(key[1:], default)

    def __setitem__(self, key: Any, compiled: Any) -> None:
        super().__setitem__(key[1:], compiled)
