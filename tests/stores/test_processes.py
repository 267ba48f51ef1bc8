"""Two processes on the same data: each thing is won once, no addition is lost — spec/store.md §6, §8."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from bridge.clock import SystemClock
from bridge.stores.url import open_store
from tests.servers import Server
from tests.stores.servers import emptied, patient

PROCESSES = 2
ROUNDS = 60


async def test_two_processes_on_one_file(tmp_path: Path) -> None:
    await _race(f"sqlite:///{tmp_path}/store.db")


async def test_two_processes_on_one_valkey(valkey_server: Server) -> None:
    await _race(emptied(valkey_server).url)


@pytest.mark.slow
async def test_two_processes_on_one_redis(redis_server: Server) -> None:
    await _race(emptied(redis_server).url)


async def _race(url: str) -> None:
    """The racers wait for one another in each round; who wins is the scheduler's choice, and may always be the same."""
    racer = [sys.executable, "-m", "tests.stores.racer", url, str(PROCESSES), str(ROUNDS)]
    pipe = asyncio.subprocess.PIPE
    racers = [await asyncio.create_subprocess_exec(*racer, stdout=pipe, stderr=pipe) for _ in range(PROCESSES)]
    store = patient(open_store(url, clock=SystemClock()))
    await store.open()
    try:
        ended = [await process.communicate() for process in racers]
        assert [process.returncode for process in racers] == [0] * PROCESSES, ended
        results = [json.loads(out) for out, _ in ended]
        (total,) = await store.read("lb:total:{t}")
    finally:
        await store.close()
    assert sorted(number for result in results for number in result["won"]) == list(range(ROUNDS))
    assert total == b"%d" % sum(result["added"] for result in results)
    assert sum(result["admitted"] for result in results) == ROUNDS
