"""The changelog is of this version, and of the form of Keep a Changelog 1.1."""

import re

import bridge
from tests.house.project import ROOT

CHANGELOG = (ROOT / "CHANGELOG.md").read_text("utf-8")
_HEADING = re.compile(r"^## \[(?P<version>[^\]]+)\](?: - (?P<date>\d{4}-\d\d-\d\d|unreleased))?$", re.MULTILINE)
_KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_its_newest_version_is_the_packages() -> None:
    versions = [match["version"] for match in _HEADING.finditer(CHANGELOG) if match["version"] != "Unreleased"]
    assert versions[0] == bridge.__version__


def test_every_heading_has_the_form() -> None:
    headings = re.findall(r"^## .*$", CHANGELOG, re.MULTILINE)
    assert headings
    assert not [heading for heading in headings if not _HEADING.fullmatch(heading)]


def test_every_change_is_of_a_known_kind() -> None:
    kinds = re.findall(r"^### (.*)$", CHANGELOG, re.MULTILINE)
    assert kinds
    assert set(kinds) <= _KINDS
