"""The rooms and who may import whom: the contracts of pyproject.toml hold, and each one bites — spec/style.md §3.2."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.project import PACKAGE, ROOT

# Where to plant, what, and what must be said of it.
PLANTED = [
    ("login/planted.py", "from bridge.oidc import planted", "bridge.login is not allowed to import bridge.oidc"),
    ("pages/planted.py", "from bridge.legacy import planted", "bridge.pages is not allowed to import bridge.legacy"),
    ("grants/planted.py", "from bridge.resets import planted", "bridge.grants is not allowed to import bridge.resets"),
    ("tokens.py", "from bridge import mint", "bridge.tokens is not allowed to import bridge.mint"),
    ("ring.py", "from bridge import tokens", "bridge.ring is not allowed to import bridge.tokens"),
    ("secret.py", "from bridge import clock", "bridge.secret is not allowed to import bridge.clock"),
    ("stores/planted.py", "from bridge.users import planted", "bridge.stores is not allowed to import bridge.users"),
    (
        "sessions/planted.py",
        "from bridge.users import planted",
        "bridge.sessions is not allowed to import bridge.users",
    ),
    ("users/planted.py", "from bridge.clients import planted", "bridge.users is not allowed to import bridge.clients"),
    ("clients/planted.py", "from bridge.keys import planted", "bridge.clients is not allowed to import bridge.keys"),
    ("keys/planted.py", "from bridge.sessions import planted", "bridge.keys is not allowed to import bridge.sessions"),
    ("outbox/planted.py", "from bridge.users import planted", "bridge.outbox is not allowed to import bridge.users"),
    (
        "events/planted.py",
        "from bridge.sessions import planted",
        "bridge.events is not allowed to import bridge.sessions",
    ),
    ("database/planted.py", "from bridge.keys import planted", "bridge.database is not allowed to import bridge.keys"),
    (
        "users/planted.py",
        "from bridge.accounts import planted",
        "bridge.users is not allowed to import bridge.accounts",
    ),
    (
        "accounts/planted.py",
        "from bridge.clients import planted",
        "bridge.accounts is not allowed to import bridge.clients",
    ),
    (
        "accounts/planted.py",
        "from bridge.sessions import planted",
        "bridge.accounts is not allowed to import bridge.sessions",
    ),
    ("accounts/planted.py", "from bridge.keys import planted", "bridge.accounts is not allowed to import bridge.keys"),
    (
        "database/planted.py",
        "from bridge.accounts import planted",
        "bridge.database is not allowed to import bridge.accounts",
    ),
    ("users/planted.py", "import redis", "bridge.users.planted -> redis"),
    ("resets/planted.py", "import itsdangerous", "bridge.resets.planted -> itsdangerous"),
    ("users/planted.py", "import passlib.hash", "bridge.users.planted -> passlib"),
    ("oidc/planted.py", "from joserfc import jwt", "bridge.oidc.planted -> joserfc"),
    ("oidc/planted.py", "import h11", "bridge.oidc.planted -> h11"),
    ("fetch/planted.py", "from bridge.stores import planted", "bridge.fetch is not allowed to import bridge.stores"),
    ("grants/planted.py", "import sqlalchemy", "bridge.grants.planted -> sqlalchemy"),
    ("sessions/planted.py", "from starlette.requests import Request", "bridge.sessions.planted -> starlette"),
    ("helpers.py", "'''A module that was given no place.'''", "- bridge.helpers"),
]


def test_every_room_keeps_the_import_order() -> None:
    said = _lint(ROOT)
    assert said.returncode == 0, said.stdout + said.stderr


@pytest.mark.parametrize(("where", "line", "complaint"), PLANTED, ids=[complaint for _, _, complaint in PLANTED])
def test_a_forbidden_import_is_found(found: str, where: str, line: str, complaint: str) -> None:
    assert complaint in found


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the check says of a copy in which every import above was planted."""
    folder = tmp_path_factory.mktemp("planted")
    shutil.copytree(PACKAGE, folder / "bridge", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    for where, line, _ in PLANTED:
        with (folder / "bridge" / where).open("a") as file:
            file.write(f"\n{line}\n")
    said = _lint(folder)
    assert said.returncode == 1, said.stdout + said.stderr
    return said.stdout


def _lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Import-linter takes the package and the contracts of the folder it stands in."""
    program = str(Path(sys.executable).with_name("lint-imports"))
    return subprocess.run([program, "--no-cache", "--no-logo"], cwd=folder, capture_output=True, text=True, check=False)
