"""`config/bridge.toml` is the options classes, written out; `config/dev.toml` is the dev profile — DESIGN §10."""

import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from bridge.config import Config
from bridge.config.config import sections
from bridge.config.reference import documented, reference
from tests.house.project import ROOT

FOLDER = ROOT / "config"
_SETTING = re.compile(r"^# (?=[a-z0-9_]+ = )", re.MULTILINE)


def test_the_file_is_what_the_classes_say() -> None:
    written = (FOLDER / "bridge.toml").read_text("utf-8")
    assert written == reference(), "write it anew: python -m bridge.config.reference > config/bridge.toml"


def test_every_setting_of_every_section_is_in_it() -> None:
    found = tomllib.loads(_uncommented())
    for name, options in sections().items():
        known = {each.name for each in fields(options)}
        assert {key if key in known else key.removesuffix("_file") for key in found[name]} == known
    assert {"preset", "profile"} <= set(found)


def test_every_setting_says_what_it_is() -> None:
    silent = [
        f"{name}.{each.name}"
        for name, options in sections().items()
        for each in fields(options)
        if not documented(options).get(each.name)
    ]
    assert silent == []


def test_as_it_stands_it_sets_nothing() -> None:
    given: dict[tuple[str, ...], str] = {("profile",): "dev"}
    assert Config.load(FOLDER / "bridge.toml", given=given).shown() == Config.load(given=given).shown()


def test_with_every_line_uncommented_it_loads_and_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "all.toml"
    file.write_text(_uncommented().replace('profile = "production"', 'profile = "dev"'), "utf-8")
    config = Config.load(file)
    assert config.origins["sessions.idle"] == "all.toml"
    for name in sections():
        if name not in {"events", "mail"}:  # of which the dev profile has its own opinion
            assert getattr(config, name) == getattr(Config(), name)


def test_the_dev_file_is_the_dev_profile() -> None:
    config = Config.load(FOLDER / "dev.toml")
    assert (config.profile, config.preset) == ("dev", "whmcs")
    assert config.base_url == "http://127.0.0.1:8000"


@pytest.mark.parametrize("name", ["bridge.toml", "dev.toml"])
def test_no_line_is_wider_than_a_terminal_likes(name: str) -> None:
    for line in (FOLDER / name).read_text("utf-8").splitlines():
        assert len(line) <= 120 or " = " in line


def _uncommented() -> str:
    return _SETTING.sub("", reference())
