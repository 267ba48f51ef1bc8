"""Threads that the event loop hands long work to: a queue in, one call into the loop back.

A pool of the library wraps each call in two futures and a condition, and takes twenty times as long for it as this.
"""

import asyncio
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeAlias, TypeVar

Result = TypeVar("Result")
_Job: TypeAlias = "tuple[asyncio.Future[Any], Callable[[], Any]]"


class Threads:
    """So many threads, begun with the first work and ended with this object."""

    def __init__(self, number: int, *, name: str) -> None:
        self._number = number
        self._name = name
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._begun = False

    async def run(self, work: Callable[[], Result]) -> Result:
        """What `work` returns or raises, once a thread was free.  Who is cancelled does not wait for its end."""
        if not self._begun:
            self._begin()
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._jobs.put((answer, work))
        return await answer

    def _begin(self) -> None:
        self._begun = True
        for number in range(self._number):
            # Daemons: a process that was told to end does not wait for a hash that nobody wants any more.
            threading.Thread(target=_work, args=(self._jobs,), name=f"{self._name}-{number}", daemon=True).start()
        weakref.finalize(self, _end, self._jobs, self._number)


def _work(jobs: "SimpleQueue[_Job | None]") -> None:
    while (job := jobs.get()) is not None:
        answer, work = job
        if answer.cancelled():
            continue
        result, error = None, None
        try:
            result = work()
        except BaseException as raised:  # noqa: BLE001  it is whoever waits that it is raised for
            error = raised
        with suppress(RuntimeError):  # his event loop has ended meanwhile
            answer.get_loop().call_soon_threadsafe(_settle, answer, result, error)


def _settle(answer: "asyncio.Future[Any]", result: Any, error: BaseException | None) -> None:
    if answer.cancelled():
        return
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(result)


def _end(jobs: "SimpleQueue[_Job | None]", number: int) -> None:
    for _ in range(number):
        jobs.put(None)
