"""Where the project lies, and what git says belongs to it."""

import ast
import subprocess
from functools import cache
from pathlib import Path

from tests.servers import need

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "bridge"


@cache
def tracked() -> tuple[Path, ...]:
    """Every file under version control, relative to the root."""
    git = need("git", "apt install git, and test a checkout")
    listed = subprocess.run([git, "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return tuple(Path(name) for name in listed.stdout.split("\0") if name and (ROOT / name).is_file())


def modules() -> list[Path]:
    """Every Python file of the package."""
    return sorted(PACKAGE.rglob("*.py"))


def first_line(path: Path) -> str:
    """The first line of a module's docstring, or nothing."""
    return first_paragraph(path).partition("\n")[0]


def first_paragraph(path: Path) -> str:
    """The first paragraph of a module's docstring, or nothing."""
    return (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").partition("\n\n")[0]
