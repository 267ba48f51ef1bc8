"""What holds for every command: --json, help, and one clear line for whoever misuses it — DESIGN §10."""

import re
import subprocess
import sys
from ast import literal_eval
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from bridge.cli.main import app
from tests.cli.conftest import Command
from tests.house.project import ROOT

DESIGN = """
serve init migrate check
config show
user add, user list, user disable, user enable, user sessions, user logout
credential add, credential list
role add, role list, role remove
client add, client list, client remove, client import
session show, session why, session revoke
audit export
"""


def commands() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command with the words that call it."""

    def below(words: tuple[str, ...], group: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
        for name, each in group.commands.items():
            if hasattr(each, "commands"):
                yield from below((*words, name), each)
            else:
                yield (*words, name), each

    return below((), typer.main.get_command(app))


def test_the_commands_of_the_design_are_there() -> None:
    there = {" ".join(words) for words, _ in commands()}
    first, *others = (line for line in DESIGN.split("\n") if line)
    wanted = {*first.split(), *(name.strip() for line in others for name in line.split(","))}
    assert wanted <= there


@pytest.mark.parametrize(("page", "least"), [("incident.md", 20), ("operating.md", 8)])
def test_whoever_follows_what_is_to_be_done_finds_every_command(page: str, least: int) -> None:
    there = {words for words, _ in commands()}
    told = re.findall(r"login-bridge ([a-z-]+)(?: ([a-z-]+))?", (ROOT / "docs" / page).read_text("utf-8"))
    assert len(told) > least
    assert [words for words in told if words not in there and words[:1] not in there] == []


@pytest.mark.parametrize("words", [words for words, _ in commands()], ids=" ".join)
def test_every_command_has_json_help_and_says_what_it_does(words: tuple[str, ...], command: Command) -> None:
    (found,) = [each for name, each in commands() if name == words]
    assert "--json" in {option for parameter in found.params for option in parameter.opts}
    assert found.help
    said = command(*words, "--help")
    assert (said.status, said.err) == (0, "")


@pytest.mark.parametrize("words", [words for words, _ in commands() if words != ("init",)], ids=" ".join)
def test_settings_that_are_wrong_stop_every_command(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bridge.toml").write_text('[server]\nprot = 1\nbase_url = "https://login.example.com"\n')
    (tmp_path / "c.json").write_text("{}")
    said = command(*words, *_filled(words))
    assert said.status == 1
    lines = (said.err + said.out).replace("login-bridge: ", "").replace("error: ", "").splitlines()
    assert lines[:3] == [
        "server.prot: unknown setting; did you mean server.port? (bridge.toml)",
        "secrets.master: is needed in production; `login-bridge init` makes secrets.master_file (default)",
        "secrets.slot: is needed in production; `login-bridge init` makes secrets.slot_file (default)",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bridge.toml", "c.json"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["sevre"], "No such command 'sevre'."),
        (["user"], None),
        (["user", "add"], "Missing argument 'email'."),
        (["user", "list", "--jsn"], "No such option: --jsn"),
        (["serve", "--port", "http"], "Invalid value for '--port'"),
        (["serve", "--port", "0"], "Invalid value for '--port'"),
        (["init", "--preset", "all"], "Invalid value for '--preset'"),
    ],
)
def test_misuse_is_one_line_and_status_two(command: Command, arguments: list[str], why: str | None) -> None:
    said = command(*arguments)
    assert said.status == 2
    if why is None:
        assert said.err == ""
        assert "Usage" in said.out  # whoever names a group alone is shown what it has
    else:
        assert said.out == ""
        assert said.err.startswith(f"login-bridge: {why}")
        assert said.err.count("\n") == 1


def test_a_command_that_is_no_server_loads_no_door_and_looks_for_garbage_only_among_its_own() -> None:
    program = (
        "import gc, sys, bridge.__main__; sys.argv[1:] = ['config', '--none']; bridge.__main__.main(); "
        "print([name for name in sys.modules if name.startswith('bridge.')], gc.isenabled(), gc.get_freeze_count())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    names, enabled, frozen = done.stdout.strip().rsplit(maxsplit=2)
    assert enabled == "True" and int(frozen) > 10_000
    loaded = set(literal_eval(names))
    assert "bridge.app.rooms" in loaded
    assert not loaded & {"bridge.app.bridge", "bridge.app.doors", "bridge.oidc.provider", "bridge.pages.render"}


def test_a_file_that_is_not_there_is_named(command: Command) -> None:
    said = command("user", "list", "--config", "none.toml")
    assert (said.status, said.out) == (1, "")
    assert said.err.startswith("login-bridge: none.toml: no such file\n")


def test_an_interrupt_is_no_traceback(place: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_file: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bridge.cli.config.Config.discover", interrupt)
    said = command("config", "show")
    assert (said.status, said.out, said.err) == (130, "", "")


def _filled(words: tuple[str, ...]) -> list[str]:
    """Something for every argument that must be there."""
    (found,) = [each for name, each in commands() if name == words]
    given: list[str] = []
    for parameter in found.params:
        if parameter.required and parameter.param_type_name == "argument":
            given.append("c.json" if "FILE" in (parameter.metavar or "") else "x")
        elif parameter.required:
            given += [parameter.opts[0], "1h"]
    given += ["--all-actions"] if words in {("credential", "add"), ("role", "add"), ("role", "set")} else []
    either: dict[tuple[str, ...], list[str]] = {("session", "show"): ["u", "s"], ("user", "logout"): ["u"]}
    return given + either.get(words, [])  # or an option
