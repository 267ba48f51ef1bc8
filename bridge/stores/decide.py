"""Read, decide, commit: the one step that every stateful request takes — spec/store.md §1, DESIGN §5."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from msgspec import Struct

from bridge.errors import Unavailable
from bridge.stores.store import Change, Store

Reply = TypeVar("Reply")
Reply_co = TypeVar("Reply_co", covariant=True)


class Decision(Struct, Generic[Reply_co], frozen=True):
    """What to change, in one commit (nothing: no commit), and what to answer once it has happened."""

    changes: Sequence[Change]
    reply: Reply_co


@dataclass(frozen=True, slots=True, init=False)
class More:
    """A record named what else must be seen: read these too, and decide again with all of it."""

    keys: tuple[str, ...]

    def __init__(self, *keys: str) -> None:
        object.__setattr__(self, "keys", keys)


async def decide_on(
    store: Store,
    keys: Sequence[str],
    decide: Callable[..., Decision[Reply] | More],
    tries: int = 3,
    *,
    ready: Callable[[Reply], Awaitable[object]] | None = None,
) -> Reply:
    """Read `keys`, decide, commit; a lost race is decided again, on what the winner left.

    `decide` is pure and gets one `bytes | None` for each key, then for each key of its `More`, which it may answer
    once per try.  `ready` sees each reply before its commit: what it raises leaves everything as it was.  Raises
    `Unavailable("contended")` when all `tries` were lost.
    """
    for _ in range(tries):
        values = await store.read(*keys)
        decision = decide(*values)
        if isinstance(decision, More):
            decision = _final(decide(*values, *await store.read(*decision.keys)))
        if ready is not None:
            await ready(decision.reply)
        if not decision.changes or await store.commit(*decision.changes):
            return decision.reply
    raise Unavailable("contended")


def _final(decision: Decision[Reply] | More) -> Decision[Reply]:
    if isinstance(decision, More):
        raise TypeError("decide may answer More once: two reads at most")
    return decision
