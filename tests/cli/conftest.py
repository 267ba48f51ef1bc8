"""A place where `login-bridge init` has been, and the command itself, within this process."""

import asyncio
import io
import json
import shutil
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pytest
import typer.main

from bridge.app.rooms import Rooms
from bridge.cli.main import run
from bridge.cli.rooms import opened
from bridge.config import Config

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Done:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, which must be one document and nothing else."""
        assert self.status == 0, self.err
        assert self.err == ""
        return json.loads(self.out)


Command = Callable[..., Done]


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REDIS_URL", "DATABASE_URL", "BRIDGE_CONFIG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _no_server_in_the_place_of_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    def become(*_: object) -> None:
        raise AssertionError("`serve` was to refuse, and became a server")

    monkeypatch.setattr("os.execve", become)


@pytest.fixture(scope="session", autouse=True)
def _commands_built_once() -> Iterator[None]:
    """A process runs one command; here many do, and to build them all takes longer than to run one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.main, "get_command", cache(typer.main.get_command))
        yield


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `login-bridge` with these arguments, in the current folder."""

    def done(*arguments: str, stdin: str = "") -> Done:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        capsys.readouterr()
        status = run(arguments)
        out, err = capsys.readouterr()
        return Done(status, out, err)

    return done


@pytest.fixture(scope="session")
def initialised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder after `init`; to be copied."""
    folder = tmp_path_factory.mktemp("initialised")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("REDIS_URL", raising=False)
        patch.delenv("DATABASE_URL", raising=False)
        assert run(["init", "--base-url", "https://login.example.com", "--preset", "whmcs"]) == 0
    return folder


@pytest.fixture
def place(initialised: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: settings, secrets and an empty database."""
    folder = tmp_path / "place"
    shutil.copytree(initialised, folder)
    monkeypatch.chdir(folder)
    return folder


def within(work: Callable[[Rooms], Awaitable[Result]]) -> Result:
    """Do something in the rooms of the current folder."""

    async def done() -> Result:
        async with opened(Config.discover()) as rooms:
            return await work(rooms)

    return asyncio.run(done())  # anyio's own `run` refuses where a fixture of the session has a loop
