"""The image and the composition, as far as no engine is needed: checked, and their very commands run — DESIGN §2."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests import servers
from tests.house.project import ROOT

DOCKER = ROOT / "docker"
GIVEN = {"BASE_URL": "https://login.example.com", "POSTGRES_PASSWORD": "hush"}


def instructions() -> list[tuple[str, str]]:
    """Every instruction of the Dockerfile with its arguments, lines joined."""
    lines = [line for line in (DOCKER / "Dockerfile").read_text().splitlines() if line and not line.startswith("#")]
    joined = re.sub(r"\s*\\\n\s*", " ", "\n".join(lines))
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines())]


def last_stage() -> list[tuple[str, str]]:
    """What the image itself is made by."""
    found = instructions()
    begin = max(number for number, (word, _) in enumerate(found) if word == "FROM")
    return found[begin:]


def environment() -> dict[str, str]:
    """What ENV sets."""
    return dict(pair.split("=", 1) for word, rest in last_stage() if word == "ENV" for pair in shlex.split(rest))


def health_check() -> list[str]:
    """The command that HEALTHCHECK runs."""
    (check,) = [rest for word, rest in last_stage() if word == "HEALTHCHECK"]
    command: list[str] = json.loads(check.partition(" CMD ")[2])
    return command


def test_the_image_is_built_in_one_stage_and_runs_in_another_as_nobody() -> None:
    found = instructions()
    assert [word for word, _ in found].count("FROM") == 2
    assert ("USER", "10001:10001") in last_stage()
    assert not any("pip" in rest for word, rest in last_stage() if word == "RUN")
    assert ("VOLUME", '["/keys", "/data"]') in last_stage()


def test_what_is_copied_is_there_and_not_ignored() -> None:
    ignored = (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()
    assert ignored[0] == "*"
    for word, rest in instructions():
        if word == "COPY" and not rest.startswith("--from="):
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists(), source
                assert f"!{source}" in ignored


def test_its_constraints_are_the_versions_of_the_lock(tmp_path: Path) -> None:
    constraints = _constraints(tmp_path).read_text().splitlines()
    names = [line.partition("==")[0] for line in constraints]
    assert {"sqlalchemy", "uvicorn", "asyncpg", "asyncmy", "redis"} <= set(names)
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line) for line in constraints)


def test_the_composition_is_sound() -> None:
    compose = servers.need("docker-compose", "apt install docker-compose")
    shown = _compose(compose, GIVEN)
    assert shown.returncode == 0, shown.stderr
    for service in ("bridge", "store", "database", "mail"):
        assert f"\n  {service}:\n" in shown.stdout
    assert shown.stdout.count("read_only: true") == 4
    assert shown.stdout.count("no-new-privileges:true") == 4
    assert "--maxmemory-policy\n    - noeviction" in shown.stdout
    for port in re.findall(r"\n    - ([\d.:/a-z]+)/tcp", shown.stdout):
        assert port.startswith("127.0.0.1:")


@pytest.mark.parametrize("name", GIVEN)
def test_the_composition_asks_for_what_it_cannot_know(name: str) -> None:
    compose = servers.need("docker-compose", "apt install docker-compose")
    said = _compose(compose, {key: value for key, value in GIVEN.items() if key != name})
    assert said.returncode != 0
    assert name in said.stderr


def test_every_setting_in_them_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bridge.config import Config
    from bridge.errors import ConfigError

    text = (DOCKER / "compose.yaml").read_text()
    composed = dict(re.findall(r"^      (BRIDGE__\w+): (.*)$", text, re.MULTILINE))
    filled = {
        name: re.sub(r"\$\{(\w+):[-?]([^}]*)\}", lambda m: GIVEN.get(m[1], m[2]), composed[name]) for name in composed
    }
    settings = {name: value for name, value in environment().items() if name.startswith("BRIDGE__")}
    with pytest.raises(ConfigError) as raised:
        Config.load(environment=settings | filled)
    assert str(raised.value).splitlines() == [  # the volume is not here
        "secrets.master: /keys/master.key: No such file or directory (BRIDGE__SECRETS__MASTER_FILE)",
        "secrets.slot: /keys/slot.key: No such file or directory (BRIDGE__SECRETS__SLOT_FILE)",
    ]


@pytest.mark.slow
def test_the_images_commands_make_a_server_in_a_clean_environment(tmp_path: Path) -> None:
    """Its RUN lines, its entry point with its ENV, its health check; twice, and asked to stop."""
    place = _built(tmp_path)
    port = servers.free_port()
    below = re.compile(r"(^|sqlite:///)/(keys|data)/")
    settings = {name: below.sub(rf"\1{tmp_path}/\2/", value) for name, value in environment().items()}
    settings |= {
        "PATH": f"{place / 'bin'}:{os.environ['PATH']}",
        "BRIDGE__SERVER__PORT": str(port),
        "BRIDGE__SERVER__BASE_URL": "https://login.example.com",
        "HOME": "/nonexistent",
    }
    (tmp_path / "data").mkdir()
    command = ["env", "-i", *(f"{name}={value}" for name, value in settings.items())]
    command += ["sh", str(DOCKER / "entrypoint.sh"), "serve"]
    for _ in range(2):
        with servers.running(command, folder=tmp_path / "data", ready=lambda: _answers(port)) as process:
            check = subprocess.run(health_check(), env=settings, capture_output=True, check=False)
            assert check.returncode == 0, check.stderr
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
    unhealthy = subprocess.run(health_check(), env=settings, capture_output=True, check=False)
    assert unhealthy.returncode != 0
    shown = subprocess.run(
        ["sh", DOCKER / "entrypoint.sh", "user", "list", "--json"],
        env=settings,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(shown.stdout) == []
    assert sorted(path.name for path in (tmp_path / "keys").iterdir()) == ["master.key", "slot.key"]


def _built(folder: Path) -> Path:
    """The environment that the first stage makes, below `folder` instead of `/opt`."""
    source, place = folder / "src", folder / "opt/login-bridge"
    for word, rest in instructions():
        if word == "COPY" and not rest.startswith("--from=") and "entrypoint" not in rest:
            *names, target = rest.split()
            for name in names:
                to = source / (target if target != "./" else name)
                to.parent.mkdir(parents=True, exist_ok=True)
                copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
                copy(ROOT / name, to)
    for word, rest in instructions():
        if word == "RUN" and ("/opt/login-bridge" in rest or "constraints" in rest):
            line = rest.replace("/opt/login-bridge", str(place)).replace("python -m", f"{sys.executable} -m")
            done = subprocess.run(["sh", "-c", line], cwd=source, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr[-2000:]
    return place


def _constraints(folder: Path) -> Path:
    (line,) = [rest for word, rest in instructions() if word == "RUN" and rest.startswith("sed")]
    (folder / "tests").mkdir()
    shutil.copy(ROOT / "tests/requirements.txt", folder / "tests")
    subprocess.run(["sh", "-c", line], cwd=folder, check=True)
    return folder / "constraints.txt"


def _compose(program: str, given: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [program, "--file", str(DOCKER / "compose.yaml"), "config"]
    around = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    return subprocess.run(command, env=around | given, capture_output=True, text=True, check=False)


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{servers.LOOPBACK}:{port}/healthz", timeout=2) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False
