"""Threads that long work is handed to — sessions-and-accounts §7.3."""

import asyncio
import gc
import threading

import pytest

from bridge.users.threads import Threads
from tests.patience import PATIENCE, until


def names() -> list[str]:
    return sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("ending-"))


async def test_work_is_done_elsewhere_and_its_result_comes_back() -> None:
    threads = Threads(1, name="work")
    assert await threads.run(threading.get_ident) != threading.get_ident()


async def test_what_it_raises_is_raised_where_it_is_waited_for_and_the_thread_goes_on() -> None:
    threads = Threads(1, name="work")
    for error in (ZeroDivisionError, SystemExit, asyncio.CancelledError):

        def fail(error: type[BaseException] = error) -> None:
            raise error

        with pytest.raises(error):
            await threads.run(fail)
    assert await threads.run(lambda: 7) == 7


async def test_no_more_works_at_once_than_there_are_threads_and_all_of_them_do() -> None:
    threads, working, most = Threads(3, name="work"), [0], [0]
    changing, together = threading.Lock(), threading.Barrier(3)

    def work() -> None:
        with changing:
            working[0] += 1
            most[0] = max(most[0], working[0])
        together.wait(PATIENCE)
        with changing:
            working[0] -= 1

    await asyncio.gather(*(threads.run(work) for _ in range(12)))
    assert most == [3]


async def test_the_loop_goes_on_meanwhile() -> None:
    threads, go = Threads(1, name="work"), threading.Event()
    waiting = asyncio.ensure_future(threads.run(go.wait))
    await asyncio.sleep(0.02)
    assert not waiting.done()
    go.set()
    assert await waiting


async def test_what_nobody_waits_for_any_more_is_not_begun() -> None:
    threads, go, done = Threads(1, name="work"), threading.Event(), list[str]()
    first = asyncio.ensure_future(threads.run(go.wait))
    second = asyncio.ensure_future(threads.run(lambda: done.append("second")))
    third = asyncio.ensure_future(threads.run(lambda: done.append("third")))
    await asyncio.sleep(0)
    first.cancel()
    second.cancel()
    await asyncio.sleep(0)
    go.set()
    await third
    assert done == ["third"]


def test_a_loop_that_has_ended_does_not_end_the_threads() -> None:
    threads, go = Threads(1, name="work"), threading.Event()

    async def leave() -> None:
        waiting = asyncio.ensure_future(threads.run(go.wait))
        await asyncio.sleep(0.02)
        waiting.cancel()

    asyncio.run(leave())
    go.set()
    assert asyncio.run(threads.run(lambda: 7)) == 7


async def test_threads_begin_with_the_first_work_and_end_with_their_owner() -> None:
    threads = Threads(2, name="ending")
    assert names() == []
    await threads.run(lambda: None)
    assert names() == ["ending-0", "ending-1"]
    del threads
    gc.collect()
    await until(lambda: not names())
