"""One of several processes that race for the same things; arguments: a URL, how many they are, how often."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from bridge.clock import SystemClock
from bridge.errors import Unavailable
from bridge.stores.address import Address
from bridge.stores.guard import Guard, Window
from bridge.stores.lines import Lines
from bridge.stores.redis import RedisStore
from bridge.stores.redis_guard import RedisGuard
from bridge.stores.sqlite import SqliteStore
from bridge.stores.sqlite_guard import SqliteGuard
from bridge.stores.store import Add, Store, Swap, Tag

Result = TypeVar("Result")


async def main(url: str, rivals: int, rounds: int) -> None:
    """Print which rounds were won, how often something was added, and how many attempts were admitted."""
    store, guard = _opened(url)
    await store.open()
    guesses = [Window("lb:rl:{guesses}", rounds, 36_000)]
    won, added, admitted = [], 0, 0
    for number in range(rounds):
        await _meet(store, number, rivals)
        if await _patiently(partial(store.commit, Add(f"lb:mark:{{t}}:{number}", b"%d" % os.getpid(), 100))):
            won.append(number)
        added += await _patiently(partial(_add_one, store))
        admitted += await _patiently(partial(guard.admit, guesses)) == 0
    await store.close()
    print(json.dumps({"won": won, "added": added, "admitted": admitted}))


def _opened(url: str) -> tuple[Store, Guard]:
    """With the shared counters alone: no process counts for itself here."""
    if url.startswith("sqlite:///"):
        file = SqliteStore(Path(url.removeprefix("sqlite:///")), SystemClock())
        return file, SqliteGuard(file)
    server = RedisStore(Lines(Address(url, seconds=10)))
    return server, RedisGuard(server)


async def _meet(store: Store, number: int, rivals: int) -> None:
    """Wait until everybody has come to this round."""
    await _patiently(partial(store.commit, Tag(f"lb:round:{{t}}:{number}", str(os.getpid()), 100)))
    late = time.monotonic() + 30
    while len(await store.members(f"lb:round:{{t}}:{number}")) < rivals:
        if time.monotonic() > late:
            raise TimeoutError("the others did not come")
        await asyncio.sleep(0)


async def _add_one(store: Store) -> bool:
    """One to the common total, by compare-and-swap, once."""
    (seen,) = await store.read("lb:total:{t}")
    if seen is None:
        return await store.commit(Add("lb:total:{t}", b"1", 100))
    return await store.commit(Swap("lb:total:{t}", seen, b"%d" % (int(seen) + 1), 100))


async def _patiently(attempt: Callable[[], Awaitable[Result]]) -> Result:
    """On a busy machine the other process may sleep with the file in its hands; then nothing happened."""
    for _ in range(50):
        try:
            return await attempt()
        except Unavailable:
            await asyncio.sleep(0.01)
    raise TimeoutError("the store stayed away")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
