"""The code in docs/user-backends.md, run as it stands there."""

import re
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bridge.users.email import email_key
from bridge.users.sql import SqlUsers

DOCUMENT = Path(__file__).parents[2] / "docs" / "user-backends.md"


class Directory:
    """The client that the document leaves to its reader."""

    def __init__(self, people: Mapping[str, str]) -> None:
        self.down = False
        self._people = {email_key(email): (email, password) for email, password in people.items()}

    async def check(self, key: str, password: bytes) -> SimpleNamespace | None:
        if self.down:
            raise ConnectionRefusedError
        mail, right = self._people.get(key, ("", ""))
        return SimpleNamespace(mail=mail) if mail and right.encode() == password else None


def _run(*blocks: str) -> dict[str, Any]:
    names: dict[str, Any] = {"Directory": Directory, "__name__": __name__}
    for block in blocks:
        exec(compile(block, str(DOCUMENT), "exec"), names)
    return names


_BLOCKS = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
TestAsDocumented = _run(*_BLOCKS)["TestDirectoryUsers"]


@pytest.fixture
def rows(users: SqlUsers) -> SqlUsers:
    return users


def test_the_example_has_thirty_lines() -> None:
    example = _BLOCKS[0].strip().splitlines()
    assert len(example) <= 36  # with its imports
