"""What every file of the project owes its reader."""

import doctest
import importlib
import re

from tests.house.project import PACKAGE, ROOT, files, first_line, modules

# Paths of somebody's machine, and marks of something left for later.
_ELSEWHERE = re.compile(r"(?<![\w.])/(?:work|root|home|Users)/\w|/tmp/[a-z]")
_UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX|HACK|NotImplementedError)\b")
_NO_PROSE = {"requirements.txt", "package-lock.json", "test_files.py"}


def test_every_module_opens_with_a_sentence() -> None:
    silent = [str(path.relative_to(ROOT)) for path in modules() if len(first_line(path).split()) < 2]
    assert not silent


def test_every_folder_with_modules_is_a_package() -> None:
    """Else import-linter, and whoever installs the wheel, sees less than there is."""
    folders = {path.parent for path in modules()}
    assert not [str(folder) for folder in folders if not (folder / "__init__.py").exists()]


def test_no_room_is_a_drawer_for_everything() -> None:
    drawers = {"utils", "helpers", "common", "base", "misc", "manager", "service", "handler"}
    assert not [str(path) for path in PACKAGE.rglob("*") if path.stem.lower() in drawers]


def test_no_file_names_a_path_of_one_machine() -> None:
    assert not _lines_with(_ELSEWHERE)


def test_nothing_is_marked_as_unfinished() -> None:
    assert not _lines_with(_UNFINISHED)


def test_the_examples_in_docstrings_are_true() -> None:
    for path in modules():
        if ">>>" in path.read_text("utf-8"):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            assert doctest.testmod(importlib.import_module(name)).failed == 0, name


def _lines_with(pattern: re.Pattern[str]) -> list[str]:
    hits: list[str] = []
    for path in files():
        if path.name in _NO_PROSE:
            continue
        try:
            lines = (ROOT / path).read_text("utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        hits += [f"{path}:{number}: {line.strip()}" for number, line in enumerate(lines, 1) if pattern.search(line)]
    return hits
