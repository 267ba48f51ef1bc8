"""The docstring of `bridge/oidc/__init__.py` says which file holds which specification, and it is true — style §4."""

import ast
import re
from pathlib import Path

import pytest

from tests.house.project import PACKAGE, first_line

PROVIDER = PACKAGE / "oidc"
_FILE = re.compile(r"[\w/*]+\.py")
_NUMBER = re.compile(r"\b\d{4}\b")  # of an RFC
_NAMES_A_SPEC = re.compile(r"RFC \d{4}|\b(?:Core|Discovery|Registration) (?:§|\d)|Logout 1\.0")


def rows(docstring: str) -> dict[str, str]:
    """File → specification, from every line that names one file."""
    found = {}
    for line in docstring.splitlines():
        files = _FILE.findall(line)
        if len(files) == 1:
            found[files[0]] = " ".join(_FILE.sub(" ", line).replace("`", " ").replace("|", " ").split())
    return found


def untrue(table: dict[str, str], folder: Path) -> list[str]:
    """Each row whose file is not there or does not name the row's specification in its first line."""
    wrong = []
    for name, spec in table.items():
        files = sorted(path for path in folder.glob(name) if path.name != "__init__.py")
        if not files:
            wrong.append(f"{name}: no such file")
        elif "*" in name:
            wrong += [
                f"{path.name}: names no specification" for path in files if not _NAMES_A_SPEC.search(first_line(path))
            ]
        elif absent := [word for word in _words(spec) if word.lower() not in first_line(files[0]).lower()]:
            wrong.append(f"{name}: its first line does not name {', '.join(absent)}")
    return wrong


def test_every_row_of_the_table_is_true() -> None:
    assert not untrue(rows(_docstring()), PROVIDER)


def test_every_file_that_holds_a_specification_has_its_row() -> None:
    table = rows(_docstring())
    holders = [path.relative_to(PROVIDER) for path in PROVIDER.rglob("*.py") if _NAMES_A_SPEC.search(first_line(path))]
    assert not [str(path) for path in holders if not any(path.match(name) for name in table)]


@pytest.mark.parametrize(
    ("row", "first", "complaint"),
    [
        ("pkce.py    RFC 7636", '"""Proof Key for Code Exchange — RFC 7636, S256 only."""', None),
        ("pkce.py    RFC 7636", '"""Proof Key for Code Exchange."""', "pkce.py: its first line does not name 7636"),
        ("pkce.py    RFC 6750, 9068", '"""Tokens — RFC 6750."""', "pkce.py: its first line does not name 9068"),
        ("pkce.py    Core §5.3", '"""Who it is."""', "pkce.py: its first line does not name Core §5.3"),
        ("pkce.py    Core §5.3", '"""Who it is — Core §5.3."""', None),
        ("pck.py     RFC 7636", '"""Proof Key — RFC 7636."""', "pck.py: no such file"),
        ("*.py       RFC 6749", '"""A grant."""', "pkce.py: names no specification"),
    ],
)
def test_an_untrue_row_is_found(tmp_path: Path, row: str, first: str, complaint: str | None) -> None:
    (tmp_path / "pkce.py").write_text(first, "utf-8")
    assert untrue(rows(row), tmp_path) == ([complaint] if complaint else [])


def _words(spec: str) -> list[str]:
    """What the first line must contain: the RFCs' numbers, or else the title of what has no number."""
    return _NUMBER.findall(spec) or [re.split(r"[;,(]", spec)[0].strip()]


def _docstring() -> str:
    return ast.get_docstring(ast.parse((PROVIDER / "__init__.py").read_text("utf-8"))) or ""
