"""The servers of a benchmark: each a process of its own on the server's core, Redis on the client's."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks.measure import CLIENT_CORE, HERE, pinned
from tests.servers import free_port, need

UVICORN = ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]


@contextmanager
def redis_on(folder: Path) -> Iterator[int]:
    """An unpersisted Redis; gives its port."""
    port = free_port()
    binary = need("redis-server", "apt install redis-server")
    command = ["taskset", "-c", str(CLIENT_CORE), binary, "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    with _running([*command, "--dir", str(folder), "--loglevel", "warning"], {}):
        _wait_for_redis(port)
        yield port


@contextmanager
def bridge(environment: Mapping[str, str], port: int) -> Iterator[int]:
    """`login-bridge serve`'s own worker; gives its process id."""
    with _running(pinned([sys.executable, "-m", "bridge.cli.worker"]), environment) as process:
        _wait_for(f"http://127.0.0.1:{port}/readyz")
        yield process.pid


@contextmanager
def app(name: str, environment: Mapping[str, str], port: int) -> Iterator[int]:
    """One of `tests.benchmarks.apps`."""
    command = [sys.executable, "-m", "uvicorn", "--factory", f"tests.benchmarks.apps:{name}", "--port", str(port)]
    with _running(pinned([*command, *UVICORN]), environment) as process:
        _wait_for(f"http://127.0.0.1:{port}/")
        yield process.pid


@contextmanager
def peer(redis_port: int, port: int) -> Iterator[int]:
    """npm oidc-provider on its Redis adapter."""
    folder = HERE / "peer"
    node = need("node", "apt install nodejs")
    if not (folder / "node_modules").is_dir():
        subprocess.run([need("npm", "apt install npm"), "ci"], cwd=folder, check=True, capture_output=True)
    command = [node, str(folder / "server.mjs"), str(port), str(redis_port)]
    with _running(pinned(command), {"NODE_ENV": "production"}) as process:
        _wait_for(f"http://127.0.0.1:{port}/.well-known/openid-configuration")
        yield process.pid


@contextmanager
def _running(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


def _wait_for(url: str, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(url, timeout=2).close()
        except urllib.error.HTTPError as error:
            if error.code < 500:
                return  # it answers
        except OSError:
            pass
        else:
            return
        if time.monotonic() > end:
            raise TimeoutError(url)
        time.sleep(0.1)


def _wait_for_redis(port: int) -> None:
    from redis import Redis  # only here

    end = time.monotonic() + 10
    with Redis(port=port) as client:
        while True:
            try:
                client.ping()
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
            else:
                return
