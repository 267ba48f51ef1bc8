"""Where the project lies, and what git says belongs to it."""

import ast
import subprocess
from functools import cache
from pathlib import Path

from tests.servers import need

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "bridge"


@cache
def files() -> tuple[Path, ...]:
    """Every file of the project, relative to the root: under version control, or about to be."""
    git = need("git", "apt install git, and test a checkout")
    command = [git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return tuple(Path(name) for name in listed if name and (ROOT / name).is_file())


def modules() -> list[Path]:
    """Every Python file of the package."""
    return sorted(PACKAGE.rglob("*.py"))


def first_line(path: Path) -> str:
    """The first line of a module's docstring, or nothing."""
    return (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").partition("\n")[0]
