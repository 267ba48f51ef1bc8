"""`login-bridge init`, `migrate` and `config show` — DESIGN §10."""

import json
import stat
from pathlib import Path

import pytest

from bridge.app.rooms import Rooms
from bridge.config import Config
from bridge.config.reference import reference
from tests.cli.conftest import Command, within


def test_it_makes_settings_secrets_tables_and_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    monkeypatch.chdir(tmp_path)
    said = command("init", "--base-url", "https://login.example.com", "--preset", "provider", "--json").json
    assert said == {
        "config": "bridge.toml",
        "made": ["bridge.toml", "var/master.key", "var/slot.key"],
        "kept": [],
        "revision": "0007",
    }
    config = Config.discover()
    assert (config.preset, config.base_url, config.oidc.enabled) == ("provider", "https://login.example.com", True)
    for name in ("bridge.toml", "var/master.key", "var/slot.key", "var/bridge.db"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600, name
    assert within(_algorithms) == ["ES256", "EdDSA", "RS256"]


def test_its_settings_are_the_reference_with_five_lines_filled_in(place: Path) -> None:
    theirs, ours = reference().splitlines(), (place / "bridge.toml").read_text().splitlines()
    assert [line for line in ours if line not in theirs] == [
        'preset = "whmcs"',
        'base_url = "https://login.example.com"',
        'trusted_proxies = ["127.0.0.1", "::1"]',
        'master_file = "var/master.key"',
        'slot_file = "var/slot.key"',
    ]
    assert len(theirs) == len(ours)


def test_a_second_time_it_changes_nothing(place: Path, command: Command) -> None:
    before = {path: path.read_bytes() for path in (place / "bridge.toml", *(place / "var").glob("*.key"))}
    said = command("init", "--json").json
    assert said["made"] == []
    assert said["kept"] == ["bridge.toml", "var/master.key", "var/slot.key"]
    assert {path: path.read_bytes() for path in before} == before
    assert len(within(_algorithms)) == 3


def test_it_makes_a_secret_where_the_settings_expect_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(
        '[server]\nbase_url = "https://login.example.com"\n[secrets]\nmaster_file = "keys/m"\nslot_file = "keys/s"\n'
    )
    said = command("init", "--config", "mine.toml")
    assert (said.status, said.err) == (0, "")
    assert "made  keys/m\nmade  keys/s\nkept  mine.toml\n" in said.out
    assert "login-bridge check --config mine.toml && login-bridge serve --config mine.toml" in said.out


def test_without_an_address_it_makes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    monkeypatch.chdir(tmp_path)
    said = command("init")
    assert said.status == 1
    assert said.err.startswith("login-bridge: --base-url is needed")
    assert list(tmp_path.iterdir()) == []


def test_an_address_for_settings_that_are_there_is_refused(place: Path, command: Command) -> None:
    said = command("init", "--base-url", "https://other.example.com")
    assert (said.status, said.err) == (
        1,
        "login-bridge: server.base_url is https://login.example.com already, in bridge.toml\n",
    )
    assert command("init", "--base-url", "https://login.example.com").status == 0


def test_where_all_comes_from_the_environment_it_writes_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "SERVER__BASE_URL": "https://login.example.com",
        "SERVER__TRUSTED_PROXIES": "127.0.0.1",
        "SECRETS__MASTER_FILE": "keys/master",
        "SECRETS__SLOT_FILE": "keys/slot",
        "DATABASE__URL": "sqlite:///data/bridge.db",
        "STORE__URL": "sqlite:///data/store.db",
    }.items():
        monkeypatch.setenv(f"BRIDGE__{name}", value)
    assert command("init", "--json").json == {
        "config": None,
        "made": ["keys/master", "keys/slot"],
        "kept": [],
        "revision": "0007",
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "keys"]
    assert command("check").status == 0


def test_migrate_brings_the_tables_and_may_come_again(place: Path, command: Command) -> None:
    (place / "var/bridge.db").unlink()
    refused = command("user", "list")
    assert refused.status == 1
    assert refused.err.endswith("login-bridge migrate\n")
    assert command("migrate", "--json").json == {"revision": "0007"}
    assert command("migrate").out == "the database is at revision 0007\n"
    assert command("user", "list", "--json").json == []


def test_config_show_tells_each_value_with_its_origin(
    place: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRIDGE__SESSIONS__IDLE", "900")
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:PLANTED@db/name")
    shown = {row["name"]: (row["value"], row["origin"]) for row in command("config", "show", "--json").json}
    assert shown["sessions.idle"] == (900, "BRIDGE__SESSIONS__IDLE")
    assert shown["server.base_url"] == ("https://login.example.com", "bridge.toml")
    assert shown["secrets.slot"] == ("(set)", "bridge.toml")
    assert shown["database.url"] == ("postgresql://…@db/name", "DATABASE_URL")
    assert shown["legacy.enabled"] == (True, "preset whmcs")
    assert shown["legacy.allowed_ips"] == (["127.0.0.0/8", "::1/128"], "default")
    text = command("config", "show").out
    assert "sessions.idle" in text
    assert "BRIDGE__SESSIONS__IDLE" in text
    for secret in ("PLANTED", (place / "var/slot.key").read_text().strip()):
        assert secret not in text
        assert secret not in json.dumps(shown)


def test_another_file_is_named_by_option_or_variable(
    place: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (place / "bridge.toml").read_text()
    (place / "one.toml").write_text(text.replace("login.example.com", "one.example.com"))
    (place / "two.toml").write_text(text.replace("login.example.com", "two.example.com"))
    monkeypatch.setenv("BRIDGE_CONFIG", "one.toml")
    assert _base_url(command("config", "show", "--json").json) == "https://one.example.com"
    assert _base_url(command("config", "show", "--json", "--config", "two.toml").json) == "https://two.example.com"


def _base_url(rows: list[dict[str, str]]) -> str:
    (value,) = [row["value"] for row in rows if row["name"] == "server.base_url"]
    return value


async def _algorithms(rooms: Rooms) -> list[str]:
    await rooms.keyring.refresh()
    return sorted(key.alg for key in rooms.keyring.published())
