"""One of several processes that race for the same things; arguments: a URL, how many they are, how often."""

import asyncio
import json
import os
import sys

from bridge.clock import SystemClock
from bridge.stores.guard import Window
from bridge.stores.store import Add, Store, Swap, Tag
from bridge.stores.url import guard_on, open_store


async def main(url: str, rivals: int, rounds: int) -> None:
    """Print which rounds were won, how often something was added, and how many attempts were admitted."""
    store = open_store(url, clock=SystemClock())
    await store.open()
    guard, guesses = guard_on(store, clock=SystemClock()), [Window("lb:rl:{guesses}", rounds, 36_000)]
    won, added, admitted = [], 0, 0
    for number in range(rounds):
        await _meet(store, number, rivals)
        if await store.commit(Add(f"lb:mark:{{t}}:{number}", b"%d" % os.getpid(), 100)):
            won.append(number)
        added += await _add_one(store)
        admitted += await guard.admit(guesses) == 0
    await store.close()
    print(json.dumps({"won": won, "added": added, "admitted": admitted}))


async def _meet(store: Store, number: int, rivals: int) -> None:
    """Wait until everybody has come to this round."""
    await store.commit(Tag(f"lb:round:{{t}}:{number}", str(os.getpid()), 100))
    for _ in range(20_000):
        if len(await store.members(f"lb:round:{{t}}:{number}")) == rivals:
            return
        await asyncio.sleep(0)
    raise TimeoutError("the others did not come")


async def _add_one(store: Store) -> bool:
    """One to the common total, by compare-and-swap, once."""
    (seen,) = await store.read("lb:total:{t}")
    if seen is None:
        return await store.commit(Add("lb:total:{t}", b"1", 100))
    return await store.commit(Swap("lb:total:{t}", seen, b"%d" % (int(seen) + 1), 100))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
