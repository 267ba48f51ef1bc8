"""The lock of what the tests stand on: every dependency, by hash, from wherever the user's pip looks."""

import re
import tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.house.project import ROOT

LOCK = (ROOT / "tests/requirements.txt").read_text("utf-8")
PINS = {
    canonicalize_name(name): Version(version)
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", LOCK, flags=re.MULTILINE)
}


def test_every_dependency_is_pinned_within_its_bounds() -> None:
    """After a change of pyproject.toml: make lock."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [Requirement(text) for text in _all_of(project) if not text.startswith("login-bridge")]
    pinned = {requirement.name: PINS.get(canonicalize_name(requirement.name)) for requirement in wanted}
    assert not [name for name, pin in pinned.items() if pin is None]
    assert not [str(r) for r in wanted if (pin := pinned[r.name]) and not r.specifier.contains(pin)]


def test_every_pin_has_its_hashes() -> None:
    entries = re.split(r"^(?=[A-Za-z0-9])", LOCK, flags=re.MULTILINE)[1:]
    assert len(entries) == len(PINS) > 50
    assert not [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry]


def test_the_lock_names_no_index() -> None:
    assert not re.findall(r"--(?:extra-)?index-url|--find-links|--trusted-host|https?://|file:", LOCK)


def _all_of(project: dict[str, object]) -> list[str]:
    extras = project["optional-dependencies"]
    assert isinstance(extras, dict)
    return [*_texts(project["dependencies"]), *(text for extra in extras.values() for text in _texts(extra))]


def _texts(value: object) -> list[str]:
    assert isinstance(value, list)
    return [str(item) for item in value]
