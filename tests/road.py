"""Commands that somebody reads and types: each as it is written, in their order, in a folder of his own."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from tests import servers

LONG_RUNNING = ("uvicorn ", "login-bridge serve")


@dataclass(slots=True)
class Road:
    """One road, walked in a folder of its own: each command as it is written, on a port that is free."""

    folder: Path
    port: int
    stack: ExitStack
    environment: dict[str, str]
    printed: str = ""

    @property
    def url(self) -> str:
        return f"http://{servers.LOOPBACK}:{self.port}"

    def walk(self, lines: list[str]) -> None:
        """Type them all."""
        for line in lines:
            if line.startswith("pip install"):
                continue
            if name := re.fullmatch(r"export (\w+)=(\S+)", line):
                self.environment[name[1]] = name[2]
            elif line.startswith(LONG_RUNNING):
                self._begin(line)
            else:
                self.run(line)

    def run(self, line: str) -> str:
        """Type one, with what an earlier one printed in the place of dots; returns what it prints."""
        line = line.replace("http://127.0.0.1:8000", self.url)
        for name in ("identifier", "secret"):
            if f"{name}=…" in line:
                (value,) = re.findall(rf"^{name}\s+(\S+)$", self.printed, re.MULTILINE)
                line = line.replace(f"{name}=…", f"{name}={value}")
        shell = ["bash", "-c", line]
        done = subprocess.run(shell, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        self.printed += done.stdout
        return done.stdout

    def _begin(self, line: str) -> None:
        given = [f"{name}={value}" for name, value in self.environment.items()]
        command = ["env", "-i", *given, "bash", "-c", f"exec {line}"]
        self.stack.enter_context(servers.running(command, folder=self.folder, ready=lambda: listens(self.url)))


@contextmanager
def a_road(folder: Path) -> Iterator[Road]:
    """An empty folder, and the commands on the path."""
    servers.need("bash", "apt install bash")
    port = servers.free_port()
    ours = ("BRIDGE_", "REDIS_URL", "DATABASE_URL")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    environment |= {
        "PATH": f"{Path(sys.executable).parent}:{environment['PATH']}",
        "UVICORN_PORT": str(port),
        "BRIDGE__SERVER__PORT": str(port),
    }
    with ExitStack() as stack:
        yield Road(folder, port, stack, environment)


def listens(url: str) -> bool:
    """Whether a bridge answers there."""
    try:
        return httpx2.get(f"{url}/healthz", timeout=2).status_code == 200
    except httpx2.HTTPError:
        return False
