"""Who moves next: every await of the store and of SQL is a turn, and chance decides whose it is.

Flows run as ordinary tasks.  At each access they wait for their turn; when all of them wait, one is let go, does its
access as one atomic step, and runs on to its next.  The same seed gives the same schedule.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from bridge.errors import Unavailable

FLOW: ContextVar[str] = ContextVar("flow", default="-")
Between = Callable[[Sequence[str]], str | None]
PATIENCE = 6
MOST_STEPS = 600


@dataclass
class Turns:
    """The turn of everybody, one at a time."""

    chance: random.Random
    serial: bool = False
    """While something is prepared nobody waits."""
    step: int = 0
    log: list[str] = field(default_factory=list)
    """What happened, for whoever has to understand a failure."""
    broken: set[str] = field(default_factory=set)
    """Flows that crashed, or were told that nobody knows whether it happened."""
    waiting: list[tuple[str, str, asyncio.Future[None]]] = field(default_factory=list)

    async def take(self, what: str) -> None:
        """Wait for the next turn."""
        self.step += 1
        if self.serial:
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append((FLOW.get(), what, turn))
        await turn
        self.log.append(f"{self.step} {FLOW.get()}: {what}")

    async def play(self, flows: Mapping[str, Coroutine[Any, Any, None]], between: Between) -> None:
        """Run all flows to their ends, in an order that chance decides.  `between` is called before each turn, and
        returns the name of a flow that shall crash, or None."""
        tasks = {name: asyncio.create_task(self._run(name, flow)) for name, flow in flows.items()}
        for _ in range(MOST_STEPS):
            await self._until_all_wait(tasks)
            if not self.waiting:
                break
            crashed = between([name for name, _, _ in self.waiting])
            if crashed is not None:
                await self._crash(crashed, tasks[crashed])
                continue
            at = self.chance.randrange(len(self.waiting))
            _, _, turn = self.waiting.pop(at)
            turn.set_result(None)
        else:
            raise AssertionError("the flows do not end")
        for task in tasks.values():
            with suppress(asyncio.CancelledError):
                await task

    async def _until_all_wait(self, tasks: Mapping[str, asyncio.Task[None]]) -> None:
        """Let everybody run on to his next turn, or his end."""
        quiet, before = 0, (-1, -1)
        while quiet < PATIENCE:
            await asyncio.sleep(0)
            now = len(self.waiting), sum(task.done() for task in tasks.values())
            quiet, before = (quiet + 1, before) if now == before else (0, now)

    async def _crash(self, name: str, task: asyncio.Task[None]) -> None:
        self.log.append(f"{self.step} {name}: crashed")
        self.broken.add(name)
        for entry in [entry for entry in self.waiting if entry[0] == name]:
            self.waiting.remove(entry)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def _run(self, name: str, flow: Coroutine[Any, Any, None]) -> None:
        FLOW.set(name)
        try:
            await flow
        except Unavailable as error:  # the door answers 503, and that is an answer
            self.log.append(f"{self.step} {name}: unavailable, {error}")
            self.broken.add(name)
