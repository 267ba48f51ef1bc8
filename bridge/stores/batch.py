"""What leaves for Redis in one write, and what its answers mean, lost ones too — spec/store.md §4."""

import asyncio
from collections.abc import Sequence
from typing import Any

from redis.exceptions import NoScriptError

from bridge.errors import Unavailable
from bridge.stores.scripts import Script, Word, packed, packed_sha, packed_text
from bridge.stores.store import Add, Change, Drop, Put, Swap, Take

Waiter = asyncio.Future[Any]


class Reading:
    """The reads of one tick as one MGET.  A reading may always be sent again."""

    __slots__ = ("_place", "_waiting", "again", "command")

    def __init__(self, waiting: Sequence[tuple[Sequence[str], Waiter]]) -> None:
        self._waiting = waiting
        self._place = {key: i for i, key in enumerate(dict.fromkeys(key for keys, _ in waiting for key in keys))}
        self.again: bool = True
        self.command: bytes = packed("MGET", *self._place)

    def leaves(self) -> None:
        """A copy is being sent."""

    def take(self, answer: Any) -> bool:
        """True: that was the answer."""
        if isinstance(answer, Exception):
            self.fail(_refused(answer))
            return True
        for keys, waiter in self._waiting:
            if not waiter.done():
                waiter.set_result([answer[self._place[key]] for key in keys])
        return True

    def fail(self, error: Exception) -> None:
        for _, waiter in self._waiting:
            if not waiter.done():
                waiter.set_exception(error)


class Call:
    """One call of a script.  `again`: it does no harm if it is executed twice; `changes`: those of a commit.

    Of a commit that was sent twice and then refused it is `doubtful` who was first: perhaps our own first copy.
    """

    __slots__ = ("_arguments", "_copies", "_keys", "_script", "_waiter", "again", "changes", "command", "doubtful")

    def __init__(
        self,
        script: Script,
        keys: Sequence[str],
        arguments: Sequence[Word],
        waiter: Waiter,
        *,
        again: bool,
        changes: Sequence[Change] = (),
    ) -> None:
        self._script = script
        self._keys = keys
        self._arguments = arguments
        self._waiter = waiter
        self._copies = 0
        self.again: bool = again
        self.changes: Sequence[Change] = changes
        self.doubtful: bool = False
        self.command: bytes = packed_sha(script, keys, arguments)

    @property
    def wanted(self) -> bool:
        """Is somebody still waiting?"""
        return not self._waiter.done()

    def leaves(self) -> None:
        """A copy is being sent."""
        self._copies += 1

    def take(self, answer: Any) -> bool:
        """True: that was the answer.  False: the server did not know the script, and shall get its text."""
        match answer:
            case NoScriptError():
                self._copies -= 1
                self.command = packed_text(self._script, self._keys, self._arguments)
                return False
            case Exception():
                self.fail(_refused(answer))
            case 0 if self.changes and self._copies > 1:
                self.doubtful = True
            case _:
                self.settle(answer)
        return True

    def settle(self, result: Any) -> None:
        if not self._waiter.done():
            self._waiter.set_result(result)

    def fail(self, error: Exception) -> None:
        if not self._waiter.done():
            self._waiter.set_exception(error)


Item = Reading | Call


def witness(changes: Sequence[Change]) -> tuple[str, bytes] | None:
    """The key that shows whether a commit happened, and our value there: the first `Add` or `Swap`.

    Not one that changes nothing, nor one that the same commit writes over: they would show it always, or never.
    """
    for place, change in enumerate(changes):
        match change:
            case Add(key, value) if not _written_later(key, changes[place + 1 :]):
                return key, value
            case Swap(key, seen, value) if value != seen and not _written_later(key, changes[place + 1 :]):
                return key, value
            case _:
                pass
    return None


def _written_later(key: str, changes: Sequence[Change]) -> bool:
    return any(isinstance(change, Add | Swap | Put | Take | Drop) and change.key == key for change in changes)


def _refused(error: Exception) -> Unavailable:
    return Unavailable(f"the store refused: {error}")
