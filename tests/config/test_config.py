"""The configuration: every mistake at once, the nearest key, where each value came from — DESIGN §10."""

import base64
from pathlib import Path
from typing import Any

import pytest

from bridge.config import Config
from bridge.config.read import to_environment
from bridge.errors import ConfigError
from bridge.ring import Ring

MASTER = Ring.new_line("1", bytes)
SLOT = base64.urlsafe_b64encode(bytes(32)).decode().rstrip("=")
SOUND = {
    "BRIDGE__SERVER__BASE_URL": "https://login.example.com",
    "BRIDGE__SECRETS__MASTER": MASTER,
    "BRIDGE__SECRETS__SLOT": SLOT,
}


def test_the_least_that_production_needs() -> None:
    config = Config.load(environment=SOUND)
    assert config.base_url == "https://login.example.com"
    assert (config.preset, config.profile, config.dev) == ("app", "production", False)


def test_five_mistakes_in_one_file_are_told_at_once(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        'preset = "provder"\n'
        '[server]\nport = "eighty"\ntrusted_proxies = ["10.0.0.0/33"]\n'
        "[sessions]\nidel = 60\nidle = 100000\n"
        '[store]\nurl = "radis://127.0.0.1"\n',
    )
    said = mistakes(file, SOUND)
    assert said == [
        "sessions.idel: unknown setting; did you mean sessions.idle? (bridge.toml)",
        "preset: must be one of app, provider, whmcs (bridge.toml)",
        "server.port: must be a whole number, got 'eighty' (bridge.toml)",
        "server.trusted_proxies: must be an address or a network such as 10.0.0.0/8, got '10.0.0.0/33' (bridge.toml)",
        "sessions.idle: must be between 60 and sessions.absolute",
        "store.url: radis; known are memory, sqlite, redis, rediss, unix (bridge.toml)",
    ]


def test_settings_that_are_each_right_and_together_wrong() -> None:
    (said,) = mistakes(None, {**SOUND, "BRIDGE__SERVER__WORKERS": "2", "BRIDGE__STORE__URL": "memory://"})
    assert said == (
        "server.workers: must be at most 1 with the store at memory://; Redis takes more (BRIDGE__SERVER__WORKERS)"
    )
    (said,) = mistakes(None, {**SOUND, "BRIDGE__SERVER__WORKERS": "3"})
    assert said.startswith("server.workers: must be at most 2 with the store at sqlite:///var/store.db;")
    (said,) = mistakes(None, {**SOUND, "BRIDGE__SERVER__TLS_CERT": "cert.pem"})
    assert said == "server.tls_cert: and server.tls_key go together (BRIDGE__SERVER__TLS_CERT)"


def test_production_needs_its_address_and_its_secrets() -> None:
    assert mistakes(None, {}) == [
        "server.base_url: is needed in production: the public https address (default)",
        "secrets.master: is needed in production; `login-bridge init` makes secrets.master_file (default)",
        "secrets.slot: is needed in production; `login-bridge init` makes secrets.slot_file (default)",
    ]


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://login.example.com", "must be https in production"),
        ("login.example.com", "must be an absolute URL"),
        ("ftp://login.example.com", "must be an absolute URL"),
        ("https://login.example.com/", "must have no query, fragment, user or slash at the end"),
        ("https://login.example.com/?a=b", "must have no query, fragment, user or slash at the end"),
        ("https://me@login.example.com", "must have no query, fragment, user or slash at the end"),
    ],
)
def test_the_public_address_is_one_that_can_be_an_issuer(url: str, why: str) -> None:
    said = mistakes(None, {**SOUND, "BRIDGE__SERVER__BASE_URL": url})
    assert said == [f"server.base_url: {why} (BRIDGE__SERVER__BASE_URL)"]


def test_the_issuer_may_have_a_path() -> None:
    url = "https://example.com/sso"
    assert Config.load(environment={**SOUND, "BRIDGE__SERVER__BASE_URL": url}).base_url == url


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("BRIDGE__SERVER__PROT", "server.port"),
        ("BRIDGE__SESIONS__IDLE", "sessions.idle"),
        ("BRIDGE__SERVER__COOKIE_NAME", "sessions.cookie_name"),  # the key exists, elsewhere
        ("BRIDGE__PROFIL", "profile"),
        ("BRIDGE__SECRETS__MASTERFILE", "secrets.master_file"),
    ],
)
def test_an_unknown_setting_names_the_nearest(name: str, nearest: str) -> None:
    (said,) = mistakes(None, {**SOUND, name: "1"})
    assert said.endswith(f": unknown setting; did you mean {nearest}? ({name})")


def test_what_is_near_nothing_is_just_unknown() -> None:
    assert mistakes(None, {**SOUND, "BRIDGE__QQQ__ZZZ": "1"}) == ["qqq.zzz: unknown setting (BRIDGE__QQQ__ZZZ)"]


def test_a_mistake_hides_no_other_section_and_makes_up_none() -> None:
    said = mistakes(None, {"BRIDGE__SERVER__BASE_URL": "x", "BRIDGE__SESSIONS__IDLE": "never"})
    assert [line.partition(":")[0] for line in said] == [
        "sessions.idle",
        "server.base_url",
        "secrets.master",
        "secrets.slot",
    ]


def test_the_environment_goes_over_the_file_and_the_command_line_over_both(tmp_path: Path) -> None:
    file = written(tmp_path, '[server]\nhost = "10.0.0.1"\nport = 1\nworkers = 1\n')
    config = Config.load(
        file, {**SOUND, "BRIDGE__SERVER__PORT": "2", "BRIDGE__SERVER__WORKERS": "9"}, {("server", "workers"): 2}
    )
    assert (config.server.host, config.server.port, config.server.workers) == ("10.0.0.1", 2, 2)
    assert {key: origin for key, (_, origin) in config.shown().items() if origin != "default"} == {
        "server.host": "bridge.toml",
        "server.port": "BRIDGE__SERVER__PORT",
        "server.workers": "command line",
        "server.base_url": "BRIDGE__SERVER__BASE_URL",
        "secrets.master": "BRIDGE__SECRETS__MASTER",
        "secrets.slot": "BRIDGE__SECRETS__SLOT",
        "oidc.enabled": "preset app",
        "legacy.enabled": "preset app",
    }


def test_plain_urls_are_taken_beneath_our_own_names() -> None:
    plain = {**SOUND, "REDIS_URL": "redis://a", "DATABASE_URL": "postgresql://b/c"}
    config = Config.load(environment=plain)
    assert (config.store.url, config.database.url) == ("redis://a", "postgresql://b/c")
    assert config.shown()["store.url"] == ("redis://a", "REDIS_URL")
    assert Config.load(environment={**plain, "BRIDGE__STORE__URL": "redis://ours"}).store.url == "redis://ours"


def test_lists_come_with_commas_or_as_json() -> None:
    for text in ("10.0.0.0/8, ::1", '["10.0.0.0/8", "::1"]'):
        config = Config.load(environment={**SOUND, "BRIDGE__SERVER__TRUSTED_PROXIES": text})
        assert [str(network) for network in config.server.trusted_proxies] == ["10.0.0.0/8", "::1/128"]
    (said,) = mistakes(None, {**SOUND, "BRIDGE__SERVER__TRUSTED_PROXIES": "[10.0.0.0/8"})
    assert said == "server.trusted_proxies: is no list (BRIDGE__SERVER__TRUSTED_PROXIES)"


def test_another_process_is_told_the_same_lists_too() -> None:
    given: dict[tuple[str, ...], Any] = {
        ("server", "port"): 8123,
        ("server", "trusted_proxies"): ["10.0.0.0/8", "::1"],
        ("sessions", "ticket_origins"): ("https://shop.example.net",),
    }
    told = Config.load(environment={**SOUND, **to_environment(given)})
    assert told.server == Config.load(environment=SOUND, given=given).server
    assert told.sessions.ticket_origins == ("https://shop.example.net",)


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "ring").write_text(f"# two\n{MASTER}\n{Ring.new_line('0', bytes)}\n")
    (tmp_path / "db").write_text("postgresql://me:hush@db/bridge\n")
    environment = {
        **SOUND,
        "BRIDGE__SECRETS__MASTER_FILE": str(tmp_path / "ring"),
        "BRIDGE__DATABASE__URL_FILE": str(tmp_path / "db"),
    }
    del environment["BRIDGE__SECRETS__MASTER"]
    config = Config.load(environment=environment)
    assert config.secrets.master is not None
    assert [key.id for key in Ring.parse(config.secrets.master.reveal())] == ["1", "0"]
    assert config.database.url == "postgresql://me:hush@db/bridge"
    assert config.shown()["secrets.master"] == ("(set)", "BRIDGE__SECRETS__MASTER_FILE")


def test_only_secrets_stand_in_files(tmp_path: Path) -> None:
    (tmp_path / "port").write_text("1")
    (said,) = mistakes(None, {**SOUND, "BRIDGE__SERVER__PORT_FILE": str(tmp_path / "port")})
    assert said.startswith("server.port_file: unknown setting")


def test_a_secret_given_twice_is_a_mistake_and_over_the_file_it_is_not(tmp_path: Path) -> None:
    (said,) = mistakes(None, {**SOUND, "BRIDGE__SECRETS__SLOT_FILE": "slot"})
    assert said == "secrets.slot: is given twice, here and as slot_file (BRIDGE__SECRETS__SLOT)"
    file = written(tmp_path, '[secrets]\nslot_file = "/nowhere"\n')
    assert Config.load(file, SOUND).shown()["secrets.slot"][1] == "BRIDGE__SECRETS__SLOT"


@pytest.mark.parametrize("bytes_", [b"", b"\xff\xfe"])
def test_a_secret_file_that_is_none_is_named(tmp_path: Path, bytes_: bytes) -> None:
    path = tmp_path / "slot"
    if bytes_:
        path.write_bytes(bytes_)
    environment = {**SOUND, "BRIDGE__SECRETS__SLOT_FILE": str(path)}
    del environment["BRIDGE__SECRETS__SLOT"]
    (said,) = mistakes(None, environment)
    what = "not UTF-8 text" if bytes_ else "No such file or directory"
    assert said == f"secrets.slot: {path}: {what} (BRIDGE__SECRETS__SLOT_FILE)"


@pytest.mark.parametrize(
    "wrong",
    [
        {"BRIDGE__SECRETS__MASTER": "1:PLANTED"},
        {"BRIDGE__SECRETS__SLOT": "PLANTED"},
        {"BRIDGE__STORE__URL": "radis://me:PLANTED@host"},
        {"BRIDGE__STORE__URL": "redis://me:PLANTED@host/zero"},
        {"BRIDGE__DATABASE__URL": "oracle://me:PLANTED@host/name"},
        {"BRIDGE__DATABASE__URL": "postgresql://me:PLANTED@host:port/name"},
        {"BRIDGE__LEGACY__ACCESS_KEY": "PLANTED ÄÖÜ"},
        {"BRIDGE__SERVER__PORT": "redis://me:PLANTED@host"},
        {"BRIDGE__SERVER__BASE_URL": "https://me:PLANTED@host"},
    ],
)
def test_no_mistake_shows_a_secret(wrong: dict[str, str]) -> None:
    said = mistakes(None, {**SOUND, **wrong})
    assert len(said) == 1
    assert "PLANTED" not in said[0]


def test_what_is_shown_holds_no_secret() -> None:
    environment = {
        **SOUND,
        "DATABASE_URL": "postgresql://me:PLANTED@host/name",
        "REDIS_URL": "redis://:PLANTED@host",
        "BRIDGE__MAIL__URL": "smtp://me:PLANTED@host",
        "BRIDGE__LEGACY__ACCESS_KEY": "PLANTED-PLANTED",
    }
    config = Config.load(environment=environment)
    shown = config.shown()
    assert shown["database.url"][0] == "postgresql://…@host/name"
    assert shown["mail.url"][0] == "smtp://…@host"
    assert shown["legacy.access_key"][0] == "(set)"
    for text in (repr(shown), repr(config.secrets)):
        assert "PLANTED" not in text
        assert MASTER not in text


def test_a_file_that_is_missing_or_broken_is_named(tmp_path: Path) -> None:
    assert mistakes(tmp_path / "none.toml", SOUND) == [f"{tmp_path / 'none.toml'}: no such file"]
    (said,) = mistakes(written(tmp_path, "[server\n"), SOUND)
    assert said.startswith(f"{tmp_path / 'bridge.toml'}: ")
    assert "line 1" in said


@pytest.mark.parametrize(
    ("preset", "oidc", "legacy"), [("app", False, False), ("provider", True, False), ("whmcs", True, True)]
)
def test_a_preset_opens_its_doors_and_the_operator_has_the_last_word(preset: Any, oidc: bool, legacy: bool) -> None:
    environment = {**SOUND, "BRIDGE__PRESET": preset}
    config = Config.load(environment=environment)
    assert (config.oidc.enabled, config.legacy.enabled) == (oidc, legacy)
    assert config.shown()["preset"] == (preset, "BRIDGE__PRESET")
    assert config.shown()["legacy.enabled"] == (legacy, f"preset {preset}")
    turned = Config.load(environment={**environment, "BRIDGE__LEGACY__ENABLED": str(not legacy)})
    assert turned.legacy.enabled is not legacy


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8123"),
        ("localhost", "http://localhost:8123"),
        ("::1", "http://[::1]:8123"),
        ("0.0.0.0", "http://127.0.0.1:8123"),
        ("::", "http://[::1]:8123"),
    ],
)
def test_the_dev_profile_needs_nothing_and_follows_host_and_port(host: str, url: str) -> None:
    config = Config.load(given={("profile",): "dev", ("server", "host"): host, ("server", "port"): 8123})
    assert config.dev
    assert config.base_url == url


def written(folder: Path, text: str) -> Path:
    """A configuration file."""
    path = folder / "bridge.toml"
    path.write_text(text, "utf-8")
    return path


def mistakes(file: Path | None, environment: dict[str, str]) -> list[str]:
    """The lines of what is wrong."""
    with pytest.raises(ConfigError) as raised:
        Config.load(file, environment)
    return str(raised.value).splitlines()
