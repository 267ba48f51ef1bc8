"""Servers of our own that a test stops, freezes, kills and brings back from an old snapshot, on the same port."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import redis

from tests.servers import LOOPBACK, a_folder, free_port, valkey_binary


class RedisMachine:
    """A Valkey that writes snapshots when it is told, and can be brought back from one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"redis://{LOOPBACK}:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, snapshot: Path | None = None) -> None:
        """Begin, with that snapshot's data or none."""
        file = self.folder / "dump.rdb"
        file.unlink(missing_ok=True)
        if snapshot is not None:
            shutil.copy(snapshot, file)
        command = [valkey_binary(), "--port", str(self.port), "--bind", LOOPBACK, "--dir", str(self.folder)]
        command += ["--save", "", "--appendonly", "no", "--logfile", "", "--enable-debug-command", "yes"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        end = time.monotonic() + 30
        while not self._answers():
            assert time.monotonic() < end and self._process.poll() is None, "it did not start"
            time.sleep(0.01)

    def snapshot(self) -> Path:
        """What lies in it now, as a file to come back to."""
        with contextlib.closing(self.client()) as client:
            client.save()
        kept = self.folder / f"{time.monotonic_ns()}.rdb"
        shutil.copy(self.folder / "dump.rdb", kept)
        return kept

    def kill(self) -> None:
        """Gone, between two instructions."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """It takes connections (the kernel does) and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def client(self) -> "redis.Redis":
        return redis.Redis(host=LOOPBACK, port=self.port)

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()

    def _answers(self) -> bool:
        with contextlib.closing(self.client()) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False


@contextlib.contextmanager
def redis_machine() -> Iterator[RedisMachine]:
    """One that runs, and is ended whatever happens."""
    with a_folder() as folder:
        machine = RedisMachine(folder)
        machine.start()
        try:
            yield machine
        finally:
            machine.end()


def family_of(pid: int) -> list[int]:
    """The process and all that it began: PostgreSQL has one for each connection."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for member in found:
        found += [child for child, parent in parents.items() if parent == member]
    return found


def signal_all(pids: list[int], number: signal.Signals) -> None:
    """The same to each of them that is still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
