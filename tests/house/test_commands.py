"""The commands a newcomer types: the Makefile lists itself, and says what is wrong with the Python it was given."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.house.project import ROOT
from tests.servers import need

MAKEFILE = (ROOT / "Makefile").read_text("utf-8")


def test_help_lists_every_target() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert phony
    listed = re.findall(r"^make (\S+)", _make("help", folder=ROOT).stdout, re.MULTILINE)
    assert listed == phony[1].split()
    assert {"serve", "test", "test-slow", "check", "bench", "lock", "clean"} <= set(listed)


def test_an_old_python_is_named_before_anything_is_made(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    old = tmp_path / "python3.9"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2" || exit 1\n')
    old.chmod(0o755)
    said = _make("serve", f"PYTHON={old}", folder=tmp_path)
    assert said.returncode != 0
    assert f"needs Python 3.11 or newer; {old} is Python 3.9.2" in said.stdout
    assert not (tmp_path / ".venv").exists()


def test_a_python_that_is_not_there_is_named(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    said = _make("test", "PYTHON=python3-of-nowhere", folder=tmp_path)
    assert said.returncode != 0
    assert "There is no python3-of-nowhere here" in said.stdout


@pytest.mark.parametrize("locked", [("LOCKED=1", "make"), ("make", "LOCKED=1")], ids=" ".join)
@pytest.mark.parametrize("target", ["serve", "test"])
def test_what_is_locked_is_installed_by_hash_wherever_the_word_stands(
    tmp_path: Path, locked: tuple[str, str], target: str
) -> None:
    need("make", "apt install make")
    for name in ("Makefile", "pyproject.toml", "tests/requirements.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    command = ["env", *locked, "--dry-run", target]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    installs = [line for line in said.splitlines() if "pip --disable-pip-version-check install" in line]
    assert len(installs) == 2
    assert "--require-hashes" in installs[0]
    assert "--no-deps" in installs[1]


def test_continuous_integration_runs_the_commands_of_a_developer() -> None:
    script = (ROOT / ".ci/run").read_text("utf-8")
    assert subprocess.run(["bash", "-n", ROOT / ".ci/run"], check=False).returncode == 0
    assert "set -euo pipefail" in script
    assert [line for line in script.splitlines() if line.startswith("make ")] == [
        "make LOCKED=1 check",
        "make LOCKED=1 test-slow",
    ]


def _make(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    make = need("make", "apt install make")
    return subprocess.run([make, *arguments], cwd=folder, capture_output=True, text=True, check=False)
