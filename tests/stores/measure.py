"""What the stores cost in client CPU, beside the figures of spec/store.md §5, §6: `python -m tests.stores.measure`."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop

from bridge.clock import SystemClock
from bridge.stores.store import Add, Expect, Put, Store, Swap
from bridge.stores.url import open_store
from tests import servers

ROUNDS = 200
RECORD = b"x" * 340

SPECIFIED = {
    ("redis", "read of 3 keys", 50): "5.4",
    ("redis", "read of 3 keys", 1): "54",
    ("redis", "add", 50): "14-21",
    ("redis", "add", 1): "52",
    ("redis", "redemption", 50): "28-30",
    ("redis", "redemption", 1): "65",
    ("sqlite", "read of 3 keys", 1): "8",
    ("sqlite", "add", 1): "33",
    ("sqlite", "add", 50): "22",
    ("sqlite", "redemption", 1): "84",
    ("sqlite", "redemption", 50): "49",
}

_number = count()


async def main() -> None:
    """Print one line per store, operation and concurrency: µs of CPU of this process, and the specified ones."""
    with TemporaryDirectory() as folder, servers.redis(servers.valkey_binary()) as valkey:
        for name, url in (("sqlite", f"sqlite:///{Path(folder) / 'store.db'}"), ("redis", valkey.url)):
            store = open_store(url, clock=SystemClock())
            await store.open()
            await _measure(name, store)
            await store.close()


async def _measure(name: str, store: Store) -> None:
    await store.commit(Put("lb:f:{t}", RECORD, 1000), Put("lb:v:{t}", b"stamp", 1000))
    operations = {"read of 3 keys": _read, "add": _add, "redemption": _redeem}
    for operation, run in operations.items():
        for concurrency in (1, 50):
            cost = min([await _cost(store, run, concurrency) for _ in range(3)])
            print(f"{name:7}{operation:16}{concurrency:3}  {cost:6.1f} µs", end="")
            print(f"   specified {SPECIFIED.get((name, operation, concurrency), '-')}")


async def _cost(store: Store, run: Callable[[Store, int], Awaitable[float]], concurrency: int) -> float:
    rounds = ROUNDS if concurrency > 1 else ROUNDS * 5
    spent = 0.0
    for _ in range(rounds):
        numbers = [next(_number) for _ in range(concurrency)]
        await _prepare(store, numbers, run)
        begun = time.process_time()
        await asyncio.gather(*(run(store, number) for number in numbers))
        spent += time.process_time() - begun
    return spent / rounds / concurrency * 1e6


async def _prepare(store: Store, numbers: list[int], run: object) -> None:
    if run is _redeem:
        await store.commit(*(Put(f"lb:c:{{t}}:{number}", RECORD, 60) for number in numbers))


async def _read(store: Store, number: int) -> float:
    await store.read(f"lb:a:{{t}}:{number}", "lb:f:{t}", "lb:v:{t}")
    return 0


async def _add(store: Store, number: int) -> float:
    assert await store.commit(Add(f"lb:a:{{t}}:{number}", RECORD, 60))
    return 0


async def _redeem(store: Store, number: int) -> float:
    assert await store.commit(
        Add(f"lb:ra:{{t}}:{number}", RECORD, 60),
        Add(f"lb:rr:{{t}}:{number}", RECORD, 60),
        Swap(f"lb:c:{{t}}:{number}", RECORD, b"used", 600),
        Expect("lb:f:{t}", RECORD),
        Expect("lb:v:{t}", b"stamp"),
    )
    return 0


if __name__ == "__main__":
    uvloop.run(main())
