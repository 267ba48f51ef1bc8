"""Which settings a process runs with: a file, the environment, the command line — DESIGN §10."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from bridge.config import Config

FILE_VARIABLE: Final = "BRIDGE_CONFIG"
DEFAULT_FILE: Final = Path("bridge.toml")


def settings_file(named: Path | None, environment: Mapping[str, str] = os.environ) -> Path | None:
    """The file to read: the one that was named, BRIDGE_CONFIG, `bridge.toml` if it is here, or none."""
    if named is not None:
        return named
    if environment.get(FILE_VARIABLE):
        return Path(environment[FILE_VARIABLE])
    return DEFAULT_FILE if DEFAULT_FILE.is_file() else None


def load(
    named: Path | None = None,
    given: Mapping[tuple[str, ...], Any] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Config:
    """The settings.  Raises ConfigError, which names every mistake."""
    return Config.load(settings_file(named, environment), environment, given)
