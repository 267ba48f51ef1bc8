"""`login-bridge check`: every mistake at once, and what is allowed but should be known — DESIGN §10, security §21."""

import json
import os
from pathlib import Path

import pytest

from bridge.app.production import DEMO_IN_PRODUCTION
from bridge.cli import demo
from tests import servers
from tests.cli.conftest import Command

URI = "https://app.example.com/callback"


def test_a_sound_installation_passes_and_says_so(sound: Path, command: Command) -> None:
    said = command("check")
    assert (said.status, said.out, said.err) == (0, "everything is in order\n", "")
    assert command("check", "--json").json == {"ok": True, "findings": []}


def test_five_mistakes_in_one_file_are_told_at_once(place: Path, command: Command) -> None:
    (place / "bridge.toml").write_text(
        'preset = "everything"\n'
        '[server]\nbase_url = "http://login.example.com"\nport = "eighty"\n'
        "[sesions]\nidle = 60\n"
        '[secrets]\nmaster_file = "var/nowhere"\nslot_file = "var/slot.key"\n'
    )
    said = command("check", "--json")
    assert said.status == 1
    found = json.loads(said.out)
    assert found["ok"] is False
    assert [finding["what"] for finding in found["findings"]] == [
        "sesions.idle: unknown setting; did you mean sessions.idle? (bridge.toml)",
        "preset: must be one of app, provider, whmcs (bridge.toml)",
        "server.port: must be a whole number, got 'eighty' (bridge.toml)",
        "secrets.master: var/nowhere: No such file or directory (bridge.toml)",
        "server.base_url: must be https in production (bridge.toml)",
    ]
    assert {finding["level"] for finding in found["findings"]} == {"error"}
    assert command("check").out.splitlines()[-1] == "5 errors, 0 warnings"


@pytest.mark.parametrize(
    ("setting", "warning"),
    [
        ("SERVER__TRUSTED_PROXIES=0.0.0.0/0", "server.trusted_proxies believes the whole internet"),
        ("SESSIONS__SHARED_DOMAIN=example.com", "sessions.shared_domain: every host below it"),
        ("SESSIONS__LEGACY_AT_ISSUER=true", "sessions.legacy_at_issuer: a portal's session files"),
        ("LEGACY__ADMIN_MD5_LOGIN=true", "legacy.admin_md5_login: that md5 is a password"),
        ("LEGACY__ALLOW_GET=true", "legacy.allow_get: passwords in queries reach logs"),
        ("OIDC__IMPLICIT=true", "oidc.implicit: tokens lie in the browser's history"),
        ("OIDC__HYBRID=true", "oidc.hybrid: tokens lie in the browser's history"),
        ("MAIL__URL=console:", "mail.url is console: every reset link is in the log"),
    ],
)
def test_what_is_allowed_but_unusual_is_a_warning(
    sound: Path, command: Command, monkeypatch: pytest.MonkeyPatch, setting: str, warning: str
) -> None:
    name, _, value = setting.partition("=")
    monkeypatch.setenv(f"BRIDGE__{name}", value)
    (found,) = command("check", "--json").json["findings"]
    assert found["level"] == "warning"
    assert found["what"].startswith(warning)
    assert command("check").out.splitlines()[-1] == "0 errors, 1 warning"


@pytest.mark.parametrize(
    ("settings", "warned"),
    [
        ({"OIDC__REGISTRATION": "open", "FETCH__ALLOW": "app.internal:8443"}, True),
        ({"OIDC__REGISTRATION": "open", "FETCH__ALLOW": ""}, False),
        ({"OIDC__REGISTRATION": "token", "FETCH__ALLOW": "app.internal:8443"}, False),
        ({"OIDC__REGISTRATION": "off", "FETCH__ALLOW": "app.internal:8443"}, False),
    ],
)
def test_what_strangers_can_have_called_is_a_warning(
    sound: Path, command: Command, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], warned: bool
) -> None:
    """security §16: the list counts for every app, whoever registered it."""
    for name, value in settings.items():
        monkeypatch.setenv(f"BRIDGE__{name}", value)
    found = [finding["what"].partition(":")[0] for finding in command("check", "--json").json["findings"]]
    assert ("fetch.allow" in found) == warned


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_tls_proxy_that_is_not_named_is_an_error(
    sound: Path, command: Command, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("BRIDGE__SERVER__HOST", host)
    monkeypatch.setenv("BRIDGE__SERVER__TRUSTED_PROXIES", "")
    said = command("check")
    assert said.status == 1
    assert said.out.startswith("error: server.trusted_proxies is empty, but server.base_url is https")
    monkeypatch.setenv("BRIDGE__SERVER__TLS_CERT", "none.pem")
    monkeypatch.setenv("BRIDGE__SERVER__TLS_KEY", "none.key")
    assert "trusted_proxies" not in command("check").out


def test_an_action_that_there_is_not_is_an_error(
    sound: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRIDGE__LEGACY__ACTIONS", "ValidateLogin, ValidateLogn")
    (found,) = command("check").out.splitlines()[:-1]
    assert found == "error: legacy.actions: there is no action validatelogn"


def test_the_dev_profile_is_not_for_others(tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BRIDGE__PROFILE", "dev")
    monkeypatch.setenv("BRIDGE__SERVER__HOST", "0.0.0.0")
    command("migrate")
    assert [finding["what"] for finding in command("check", "--json").json["findings"]] == [
        "server.base_url http://127.0.0.1:8000 is not https",
        "server.host: the dev profile is for this machine only",
    ]


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_a_secret_that_others_can_read_is_named(sound: Path, command: Command) -> None:
    (sound / "var/slot.key").chmod(0o644)
    (found,) = command("check", "--json").json["findings"]
    assert found == {
        "level": "warning",
        "what": "var/slot.key (secrets.slot) can be read by others: chmod 600 var/slot.key",
    }


def test_every_client_without_pkce_is_listed(sound: Path, command: Command) -> None:
    imported = {"client_id": "old", "client_secret": "s", "client_name": "Old", "redirect_uris": [URI]}
    (sound / "c.json").write_text(json.dumps([imported, {**imported, "client_id": "gone"}]))
    command("client", "import", "c.json")
    command("client", "disable", "gone")
    command("client", "add", "--name", "New", "--redirect-uri", URI)
    assert [finding["what"] for finding in command("check", "--json").json["findings"]] == [
        "client old (Old) need not use PKCE",
        "client old (Old) may send tokens in queries",
    ]


def test_a_database_without_tables_is_an_error_with_its_remedy(sound: Path, command: Command) -> None:
    (sound / "var/bridge.db").unlink()
    said = command("check")
    assert said.status == 1
    assert said.out.startswith("error: database: ")
    assert "login-bridge migrate\n" in said.out


def test_a_database_that_does_not_answer_hides_no_other_mistake(
    sound: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRIDGE__DATABASE__URL", f"postgresql://me:PLANTED@127.0.0.1:{servers.free_port()}/x")
    monkeypatch.setenv("BRIDGE__STORE__URL", f"redis://:PLANTED@127.0.0.1:{servers.free_port()}")
    said = command("check")
    assert said.status == 1
    assert [line.partition(":")[2].partition(":")[0] for line in said.out.splitlines()[:2]] == [" database", " store"]
    assert "PLANTED" not in said.out


def test_a_redis_that_evicts_is_refused(
    sound: Path, command: Command, monkeypatch: pytest.MonkeyPatch, valkey_server: servers.Server
) -> None:
    monkeypatch.setenv("BRIDGE__STORE__URL", valkey_server.url)
    assert command("check").status == 0
    valkey_server.tell("CONFIG SET maxmemory-policy allkeys-lru")
    try:
        said = command("check")
    finally:
        valkey_server.tell("CONFIG SET maxmemory-policy noeviction")
    assert said.status == 1
    assert said.out.startswith("error: store: maxmemory-policy is allkeys-lru")


def test_a_store_that_takes_no_writes_is_an_error(
    sound: Path, command: Command, monkeypatch: pytest.MonkeyPatch, valkey_server: servers.Server
) -> None:
    monkeypatch.setenv("BRIDGE__STORE__URL", valkey_server.url)
    valkey_server.tell("CONFIG SET maxmemory 1")
    try:
        said = command("check")
    finally:
        valkey_server.tell("CONFIG SET maxmemory 0")
    assert said.status == 1 and said.out.startswith("error: store: ")
    assert command("check").status == 0


def test_a_database_that_is_older_than_the_store_is_an_error(
    sound: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRIDGE__STORE__URL", f"sqlite:///{sound / 'var/store.db'}")
    backup = (sound / "var/bridge.db").read_bytes()
    command("client", "add", "--name", "App", "--redirect-uri", URI)
    assert command("check").status == 0
    (sound / "var/bridge.db").write_bytes(backup)
    said = command("check")
    assert said.status == 1 and said.out.startswith("error: the database is older than the store (clients)")


def test_a_master_key_that_opens_no_signing_key_is_an_error(sound: Path, command: Command) -> None:
    (sound / "var/master.key").write_text("2:" + "A" * 43 + "\n")
    said = command("check")
    assert said.status == 1
    assert "no key of secrets.master opens it" in said.out


def test_another_slot_key_is_an_error(sound: Path, command: Command) -> None:
    command("user", "add", "jo@example.com")
    (sound / "var/slot.key").write_text("A" * 43)
    said = command("check")
    assert said.status == 1
    assert "secrets.slot is not the slot key under which this database was made" in said.out


def test_a_certificate_that_cannot_be_read_is_an_error(
    sound: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRIDGE__SERVER__TLS_CERT", "none.pem")
    monkeypatch.setenv("BRIDGE__SERVER__TLS_KEY", "none.key")
    said = command("check")
    assert said.status == 1
    assert "error: server.tls_cert, server.tls_key: No such file or directory" in said.out


def test_production_refuses_the_demos_accounts(sound: Path, command: Command) -> None:
    command("user", "add", demo.EMAIL)
    said = command("check")
    assert said.status == 1
    assert said.out.startswith(f"error: {DEMO_IN_PRODUCTION}\n")
    refused = command("serve", "--port", str(servers.free_port()))
    assert (refused.status, refused.err) == (1, f"login-bridge: {DEMO_IN_PRODUCTION}\n")
    command("user", "disable", demo.EMAIL)
    assert command("check").status == 0


@pytest.fixture
def sound(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation of which nothing is to be said."""
    monkeypatch.setenv("BRIDGE__MAIL__URL", "file:mail")
    monkeypatch.setenv("BRIDGE__LEGACY__ALLOW_GET", "false")
    monkeypatch.setenv("BRIDGE__SERVER__TRUSTED_PROXIES", "127.0.0.1")
    return place
