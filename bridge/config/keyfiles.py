"""The files of the two secrets, readable by their owner alone — security §5, §27.

Production names them in its settings; the dev profile keeps them in `var/`, and makes them when they are not there.
"""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bridge.clock import Chance, chance
from bridge.config.config import Config
from bridge.errors import ConfigError
from bridge.ring import Ring, slot_key
from bridge.secret import Secret

DEV_FOLDER: Final = Path("var")
MASTER_FILE: Final = "master.key"
SLOT_FILE: Final = "slot.key"

_MASTER_HEAD: Final = """\
# The master key ring of login-bridge: every other key is derived from it.  Newest first, `id:base64url of 32 bytes`.
# Whoever has it can forge sessions and tokens and open what is encrypted in the database.
"""


@dataclass(frozen=True, slots=True)
class Keys:
    """The two secrets of an instance."""

    ring: Ring
    slot: Secret


def keys_of(config: Config, folder: Path = DEV_FOLDER) -> Keys:
    """The instance's secrets; in the dev profile those not set are kept in `folder`, and made there at first.

    Raises ConfigError for one that is missing or cannot be used.
    """
    if config.dev and (config.secrets.master is None or config.secrets.slot is None):
        make_keys(folder)
    master = _given_or_kept(config, config.secrets.master, folder / MASTER_FILE)
    slot = _given_or_kept(config, config.secrets.slot, folder / SLOT_FILE)
    return Keys(Ring.parse(master.reveal()), slot_key(slot.reveal()))


def make_keys(folder: Path) -> list[Path]:
    """Make what is not there of the two files; returns the new ones.  A file that is there is never changed."""
    made = {folder / MASTER_FILE: make_master(folder / MASTER_FILE), folder / SLOT_FILE: make_slot(folder / SLOT_FILE)}
    return [path for path, new in made.items() if new]


def make_master(path: Path, draw: Chance = chance) -> bool:
    """A ring of one new key; as `make_private`."""
    return make_private(path, _MASTER_HEAD + Ring.new_line("1", draw) + "\n")


def make_slot(path: Path, draw: Chance = chance) -> bool:
    """A new slot key; as `make_private`."""
    return make_private(path, Ring.new_line("slot", draw).partition(":")[2] + "\n")


def make_private(path: Path, text: str) -> bool:
    """Write a file of mode 0600, whole or not at all; False: one was there, and stays.

    Of two processes that do so at once one writes, and both then read the same.  Raises ConfigError.
    """
    half = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.exists():
            return False
        with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(half, path)  # unlike a rename, it never replaces
        except FileExistsError:
            return False
        finally:
            half.unlink()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    return True


def read_private(path: Path) -> str:
    """The text of such a file.  Raises ConfigError."""
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text") from None


def others_may_read(path: Path) -> bool:
    """Whether group or world may read a file, which a secret's must not allow."""
    try:
        return bool(path.stat().st_mode & 0o077)
    except OSError:
        return False


def _given_or_kept(config: Config, given: Secret | None, path: Path) -> Secret:
    if given is not None:
        return given
    if not config.dev:
        raise ConfigError(f"secrets.{path.stem} is needed in production; `login-bridge init` makes its file")
    return Secret(read_private(path))
