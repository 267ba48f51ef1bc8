"""Real worker processes, `python -m bridge.cli.worker`, with settings from their environment as in production."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from bridge.config.read import to_environment
from tests.running import PRODUCTION, QUICK, SECRETS, Furnished
from tests.servers import LOOPBACK, free_port

ROOT = Path(__file__).parents[2]


@dataclass
class Worker:
    """One `worker`, or the parent of several."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def until_up(self, *, seconds: float = 60) -> None:
        """Until it answers."""
        end = time.monotonic() + seconds
        while not self._ready():
            assert self.process.poll() is None, f"it ended: {self.told()}"
            assert time.monotonic() < end, f"it did not start: {self.told()}"
            time.sleep(0.05)

    def stop(self, *, seconds: float = 30) -> int:
        """Ask it to end, as a supervisor does; its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def told(self) -> str:
        """Its log."""
        return self.log.read_text(errors="replace")

    def lines(self) -> list[dict[str, Any]]:
        """Its log, which must be JSON from the first line to the last."""
        return [json.loads(line) for line in self.told().splitlines()]

    def _ready(self) -> bool:
        with contextlib.suppress(httpx2.HTTPError):
            return httpx2.get(f"{self.url}/readyz", trust_env=False).status_code == 200
        return False


@contextlib.contextmanager
def worker(folder: Path, more: Mapping[tuple[str, ...], Any], *, port: int | None = None) -> Iterator[Worker]:
    """One that was begun, not yet up; killed at the end if it still runs."""
    port = port or free_port()
    given = {**SECRETS, **QUICK, **PRODUCTION, ("server", "port"): port, **more}
    log = folder / f"worker-{port}.log"
    environment = {**_clean(), **to_environment(given), "PYTHONPATH": str(ROOT)}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "bridge.cli.worker"],
            cwd=folder,
            env=environment,
            stdout=out,
            stderr=out,
            stdin=subprocess.DEVNULL,
        )
    try:
        yield Worker(process, port, log)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def on(database: Furnished, store: str) -> dict[tuple[str, ...], Any]:
    """The settings of an installation."""
    return {("database", "url"): f"sqlite:///{database.file}", ("store", "url"): store}


def _clean() -> dict[str, str]:
    unwanted = ("BRIDGE_", "REDIS_URL", "DATABASE_URL", "COVERAGE_")
    return {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
