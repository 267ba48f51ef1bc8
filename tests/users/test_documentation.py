"""The code in docs/user-backends.md, run as it stands there."""

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import pytest

from bridge.users.sql import SqlUsers

DOCUMENT = Path(__file__).parents[2] / "docs" / "user-backends.md"


def _run(block: str, name: str) -> Any:
    """Each block is a file of its own: it has what it imports, and nothing else."""
    module = ModuleType(name)
    exec(compile(block, str(DOCUMENT), "exec"), module.__dict__)
    return module


_BACKEND, _SUITE = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
with patch.dict(sys.modules, directory_users=_run(_BACKEND, "directory_users")):
    TestAsDocumented = _run(_SUITE, __name__).TestDirectoryUsers


@pytest.fixture
def rows(users: SqlUsers) -> SqlUsers:
    return users


def test_the_example_has_thirty_lines() -> None:
    example = _BACKEND.strip().splitlines()
    assert len(example) <= 36  # with its imports
