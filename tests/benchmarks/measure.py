"""One measurement: wrk on one core, the server on the other, and what the server's CPU seconds bought.

A figure counts only while the server, not the client, is the bottleneck: for 95 % of the time it must have been at
work, or in line for its core behind whatever else ran there.
"""

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
SERVER_CORE, CLIENT_CORE = 0, 1
BUSY = 0.95
_TICKS = os.sysconf("SC_CLK_TCK")
_CALLERS = {"single.lua": (4, 64), "flow.lua": (32, 32), "rotation.lua": (32, 32)}
"""Threads and connections.  A flow and a rotation have one connection for each thread, which knows what comes next."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of wrk did to one server."""

    completions: int
    failures: int
    cpu: float
    """CPU seconds of the server, user and system."""
    occupied: float
    """Seconds in which it had something to do."""
    wall: float
    """Seconds."""
    median: float
    """Milliseconds from a request to its answer, in the middle of all."""
    p99: float
    """Milliseconds within which 99 of 100 were answered."""

    @property
    def rate(self) -> float:
        """Completions per CPU second of the server."""
        return self.completions / self.cpu

    @property
    def busy(self) -> float:
        """The share of the time in which the server did not wait for anybody."""
        return min(1.0, self.occupied / self.wall)


def load(
    pid: int,
    url: str,
    script: str,
    *,
    seconds: float,
    env: Mapping[str, str],
    callers: tuple[int, int] | None = None,
) -> Run:
    """Run `script` against `url`, from so many threads and connections; None: as many as keep a server busy."""
    threads, connections = callers or _CALLERS[script]
    before, occupied_before = cpu_seconds(pid), occupied_seconds(pid)
    command = ["taskset", "-c", str(CLIENT_CORE), "wrk", f"-t{threads}", f"-c{connections}"]
    command += [f"-d{max(1, round(seconds))}s", "--timeout", "10s", "-s", str(HERE / script), url]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **env}, check=True, timeout=120)
    used, occupied = cpu_seconds(pid) - before, occupied_seconds(pid) - occupied_before
    found = re.search(r"completions=(\d+) failures=(\d+) microseconds=(\d+) median=(\d+) p99=(\d+)", done.stdout)
    if found is None:
        raise RuntimeError(f"wrk said: {done.stdout}{done.stderr}")
    completions, failures, wall, median, p99 = map(int, found.groups())
    return Run(completions, failures, used, occupied, wall / 1e6, median / 1e3, p99 / 1e3)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its threads so far."""
    members = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(members[11]) + int(members[12])) / _TICKS


def occupied_seconds(pid: int) -> float:
    """For how long its first thread, in which the event loop runs, ran so far or could have run: a server that is not
    asleep is not kept waiting by its clients, even where its core has others to serve."""
    ran, queued, _ = Path(f"/proc/{pid}/schedstat").read_text().split()
    return (int(ran) + int(queued)) / 1e9


def resident_megabytes(pid: int) -> float:
    """Memory of a process that is in RAM."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def pinned(command: Sequence[str]) -> list[str]:
    """The command on the server's core alone."""
    return ["taskset", "-c", str(SERVER_CORE), *command]
