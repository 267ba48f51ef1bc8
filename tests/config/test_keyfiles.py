"""The files of the two secrets: private, made once, never changed — security §5, §27."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bridge.config import Config
from bridge.config.keyfiles import keys_of, make_keys, make_private, others_may_read
from bridge.errors import ConfigError
from bridge.ring import Ring, slot_key
from bridge.secret import Secret

DEV = Config.load(given={("profile",): "dev"})


def test_they_are_made_once_and_readable_by_their_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "var"
    made = make_keys(folder)
    assert made == [folder / "master.key", folder / "slot.key"]
    before = [path.read_bytes() for path in made]
    assert make_keys(folder) == []
    assert [path.read_bytes() for path in made] == before
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, *made)] == [0o700, 0o600, 0o600]
    assert sorted(path.name for path in folder.iterdir()) == ["master.key", "slot.key"]


def test_two_makings_differ(tmp_path: Path) -> None:
    one, other = keys_of(DEV, tmp_path / "one"), keys_of(DEV, tmp_path / "other")
    assert one.ring.newest.derive("csrf") != other.ring.newest.derive("csrf")
    assert not one.slot.matches(other.slot)


def test_nothing_is_made_where_both_are_set(tmp_path: Path) -> None:
    given = {("profile",): "dev", ("secrets", "master"): Ring.new_line("1"), ("secrets", "slot"): "A" * 43}
    keys_of(Config.load(given=given), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_dev_profile_keeps_what_it_made(tmp_path: Path) -> None:
    first, again = keys_of(DEV, tmp_path), keys_of(DEV, tmp_path)
    assert first.ring.newest.derive("csrf") == again.ring.newest.derive("csrf")
    assert first.slot.matches(again.slot)


def test_of_many_makers_one_wins_and_all_read_the_same(tmp_path: Path) -> None:
    path = tmp_path / "var" / "slot.key"
    with ThreadPoolExecutor(16) as pool:
        wrote = list(pool.map(lambda number: make_private(path, str(number)), range(64)))
    assert wrote.count(True) == 1
    assert path.read_text() == str(wrote.index(True))
    assert [each.name for each in path.parent.iterdir()] == ["slot.key"]


def test_who_comes_second_replaces_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "slot.key"
    path.write_text("first")
    monkeypatch.setattr(Path, "exists", lambda _: False)  # he looked before the first one wrote
    assert make_private(path, "second") is False
    assert path.read_text() == "first"


def test_given_secrets_are_taken_and_no_file_is_asked(tmp_path: Path) -> None:
    line, slot = Ring.new_line("7", lambda size: b"x" * size), "A" * 43
    given: dict[tuple[str, ...], str] = {
        ("server", "base_url"): "https://login.example.com",
        ("secrets", "master"): line,
        ("secrets", "slot"): slot,
    }
    keys = keys_of(Config.load(given=given), tmp_path / "var")
    assert [key.id for key in keys.ring] == ["7"]
    assert keys.slot.matches(slot_key(slot))
    assert not (tmp_path / "var").exists()


def test_production_never_makes_its_own_secrets(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"secrets\.master is needed in production"):
        keys_of(Config(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("a file")
    with pytest.raises(ConfigError, match=r"var/master\.key: "):
        make_keys(tmp_path / "var")


def test_a_file_that_others_may_read_is_seen(tmp_path: Path) -> None:
    (path,) = [each for each in make_keys(tmp_path) if each.name == "slot.key"]
    assert not others_may_read(path)
    path.chmod(0o640)
    assert others_may_read(path)
    assert not others_may_read(tmp_path / "none")


def test_keys_do_not_show(tmp_path: Path) -> None:
    keys = keys_of(DEV, tmp_path)
    shown = repr(keys)
    assert (tmp_path / "slot.key").read_text().strip() not in shown
    assert isinstance(keys.slot, Secret)
