"""A store whose every access is a turn, with the project's own way of meeting a lost reply — store §1, §4.

The adversary loses replies before or after the commit happened, lets copies arrive late, and sets the store back to an
earlier state as a restart from a snapshot does.
"""

import random
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from bridge.errors import Unavailable
from bridge.stores.batch import witness
from bridge.stores.memory import MemoryStore
from bridge.stores.store import Change, check
from bridge.testing.hands import Hands
from tests.model.turns import Turns

Result = TypeVar("Result")


@dataclass
class Adversary:
    """What may go wrong, and how often at most in one schedule."""

    losses: int = 0
    late: int = 0
    crashes: int = 0
    rollbacks: int = 0


@dataclass
class ModelStore:
    """What everybody reads and writes."""

    turns: Turns
    clock: Hands
    adversary: Adversary
    chance: random.Random
    in_flight: list[tuple[Change, ...]] = field(default_factory=list)
    run: int = 1
    believed: int = 1
    noticed: bool = False
    rolled_back: bool = False

    def __post_init__(self) -> None:
        self.inner = MemoryStore(self.clock)
        self._snapshot: Any = None

    @property
    def lost(self) -> bool:
        return self.noticed

    def regained(self, identity: str | None = None) -> None:
        if identity is None or identity == f"run {self.run}":
            self.believed, self.noticed = self.run, False

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def identity(self) -> str:
        await self.turns.take("identity")
        self.noticed = self.noticed or self.run != self.believed
        return f"run {self.run}"

    async def read(self, *keys: str) -> Sequence[bytes | None]:
        await self.turns.take("read " + " ".join(map(_short, keys)))
        return self.seen(*keys)

    async def members(self, index: str) -> list[str]:
        await self.turns.take(f"members {_short(index)}")
        return at_once(self.inner.members(index))

    async def commit(self, *changes: Change) -> bool:
        check(changes)
        for copy in (1, 2):
            await self.turns.take(f"commit {copy} " + " ".join(_shown(change) for change in changes))
            match self._fate():
                case "done":
                    done = self.written(*changes)
                    return done if done or copy == 1 else await self._was_first(changes)
                case "reply lost":
                    self.written(*changes)
                case "late":
                    self.in_flight.append(changes)
                case _:
                    pass
        raise Unavailable("two losses")

    def seen(self, *keys: str) -> Sequence[bytes | None]:
        """A look without a turn: the judge's."""
        return at_once(self.inner.read(*keys))

    def written(self, *changes: Change) -> bool:
        """A commit without a turn: one that was on its way."""
        return at_once(self.inner.commit(*changes))

    def stir(self) -> None:
        """Between two turns: a late copy arrives, a snapshot is taken, the store goes back to it."""
        if self.in_flight and self.chance.random() < 0.15:
            self.deliver_one()
        if self.adversary.rollbacks and self._snapshot is None and self.chance.random() < 0.08:
            self._snapshot = dict(self.inner._values), {name: dict(ends) for name, ends in self.inner._indexes.items()}
        elif self.adversary.rollbacks and self._snapshot is not None and self.chance.random() < 0.08:
            self.adversary.rollbacks -= 1
            self.inner._values, self.inner._indexes = self._snapshot
            self._snapshot = None
            self.run += 1
            self.rolled_back = True
            self.noticed = self.chance.random() < 0.5  # else only when somebody asks who it is
            self.turns.log.append(f"{self.turns.step} the store went back in time")

    def deliver_one(self) -> None:
        """The oldest copy that is on its way arrives."""
        changes = self.in_flight.pop(0)
        self.turns.log.append(f"{self.turns.step} late: " + " ".join(_shown(change) for change in changes))
        self.written(*changes)

    async def _was_first(self, changes: Sequence[Change]) -> bool:
        found = witness(changes)
        if found is None:
            raise Unavailable("nothing shows whether it happened")
        key, value = found
        return (await self.read(key))[0] == value

    def _fate(self) -> str:
        if self.turns.serial or not self.adversary.losses or self.chance.random() < 0.6:
            return "done"
        self.adversary.losses -= 1
        if self.adversary.late and self.chance.random() < 0.4:
            self.adversary.late -= 1
            return "late"
        return self.chance.choice(["reply lost", "never arrived"])


def at_once(step: Coroutine[Any, Any, Result]) -> Result:
    """What the store in memory answers; it never waits."""
    try:
        step.send(None)
    except StopIteration as done:
        result: Result = done.value
        return result
    raise AssertionError("it waited")


def _short(name: str) -> str:
    kind, _, rest = name.split(":", 2)[2].partition(":")
    return f"{kind}:{rest[-6:]}"


def _shown(change: Change) -> str:
    name = str(getattr(change, "key", None) or getattr(change, "index", ""))
    return f"{type(change).__name__}({_short(name)})"
