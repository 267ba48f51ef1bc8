"""`login-bridge serve` as a process, from its first answer to the end of a block."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from tests import servers


@dataclass(slots=True)
class Demo:
    """A running server: what it printed before it began, and where."""

    url: str
    folder: Path
    process: subprocess.Popen[bytes]
    tls: bool = False

    @property
    def printed(self) -> str:
        return (self.folder / "log").read_text()

    def value(self, name: str) -> str:
        """What stands behind a word in what was printed."""
        lines = [line.strip() for line in self.printed.splitlines()]
        return next(line for line in lines if line.startswith(f"{name} ")).removeprefix(f"{name} ").strip()

    def log(self) -> str:
        return self.printed

    def stop(self) -> int:
        """Ask it to stop, and wait."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


@contextmanager
def serving(
    folder: Path, *options: str, port: int, environment: dict[str, str] | None = None, tls: bool = False
) -> Iterator[Demo]:
    """`login-bridge serve` in that folder, from its first answer to the end of the block."""
    url = f"http{'s' if tls else ''}://{servers.LOOPBACK}:{port}"
    given = clean_environment() | (environment or {})
    command = ["env", "-i", *(f"{name}={value}" for name, value in given.items())]
    command += serve_command(*options, "--port", str(port))
    (folder / "log").unlink(missing_ok=True)
    with servers.running(command, folder=folder, ready=lambda: answers(url)) as process:
        yield Demo(url, folder, process, tls)


def serve_command(*options: str) -> list[str]:
    return [sys.executable, "-m", "bridge", "serve", *options]


def clean_environment() -> dict[str, str]:
    """The environment without settings of ours."""
    ours = ("BRIDGE_", "REDIS_URL", "DATABASE_URL")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def answers(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/healthz", verify=False, timeout=2).status_code == 200
    except httpx2.HTTPError:
        return False
