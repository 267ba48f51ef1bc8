"""Read, decide, commit; a lost race is decided again on fresh state — spec/store.md §1."""

from collections.abc import Sequence
from functools import partial

import pytest

from bridge.errors import Unavailable
from bridge.stores.decide import Decision, More, decide_on
from bridge.stores.memory import MemoryStore
from bridge.stores.store import Add, Change, Put, Swap
from bridge.testing.hands import Hands

KEY, OTHER, THIRD = "lb:a:{t}", "lb:b:{t}", "lb:c:{t}"


class Contended(MemoryStore):
    """Somebody else writes `KEY` right before each of the first commits."""

    def __init__(self, *, times: int) -> None:
        super().__init__(Hands())
        self.times = times
        self.reads: list[Sequence[str]] = []

    async def read(self, *keys: str) -> Sequence[bytes | None]:
        self.reads.append(keys)
        return await super().read(*keys)

    async def commit(self, *changes: Change) -> bool:
        if self.times:
            self.times -= 1
            await super().commit(Put(KEY, b"theirs %d" % self.times, 100))
        return await super().commit(*changes)


def use(mine: bytes, seen: bytes | None) -> Decision[str]:
    """Write mine where nothing is; else say what was found."""
    if seen is None:
        return Decision([Add(KEY, mine, 100)], "first")
    return Decision([], f"found {seen.decode()}")


def replace(mine: bytes, seen: bytes | None) -> Decision[bytes | None]:
    return Decision([Add(KEY, mine, 100) if seen is None else Swap(KEY, seen, mine, 100)], seen)


async def test_the_reply_comes_after_the_commit() -> None:
    store = Contended(times=0)
    assert await decide_on(store, [KEY], partial(use, b"mine")) == "first"
    assert list(await store.read(KEY)) == [b"mine"]


async def test_no_change_is_no_commit() -> None:
    store = Contended(times=1)
    await store.commit(Put(OTHER, b"v", 100))
    assert await decide_on(store, [KEY], partial(use, b"mine")) == "found theirs 0"
    assert store.times == 0


async def test_a_lost_race_is_decided_on_what_the_winner_left() -> None:
    store = Contended(times=1)
    assert await decide_on(store, [KEY], partial(use, b"mine")) == "found theirs 0"
    assert store.reads == [(KEY,), (KEY,)]


async def test_three_lost_races_are_contended() -> None:
    store = Contended(times=3)
    with pytest.raises(Unavailable, match="contended"):
        await decide_on(store, [KEY], partial(replace, b"mine"))
    assert store.times == 0


async def test_the_third_try_may_still_win() -> None:
    store = Contended(times=2)
    assert await decide_on(store, [KEY], partial(replace, b"mine")) == b"theirs 0"


async def test_more_is_read_and_everything_decided_together() -> None:
    store = Contended(times=1)
    await MemoryStore.commit(store, Put(OTHER, b"other", 100), Put(THIRD, b"third", 100))

    def decide(seen: bytes | None, *more: bytes | None) -> Decision[tuple[bytes | None, ...]] | More:
        return Decision([Put(KEY, b"mine", 100)], (seen, *more)) if more else More(OTHER, THIRD)

    assert await decide_on(store, [KEY], decide) == (None, b"other", b"third")
    assert store.reads == [(KEY,), (OTHER, THIRD)]


async def test_more_may_be_asked_again_in_the_next_try() -> None:
    store = Contended(times=1)

    def decide(seen: bytes | None, *more: bytes | None) -> Decision[bytes | None] | More:
        return replace(b"mine", seen) if more else More(OTHER)

    assert await decide_on(store, [KEY], decide) == b"theirs 0"
    assert store.reads == [(KEY,), (OTHER,), (KEY,), (OTHER,)]


async def test_more_after_more_is_a_mistake_of_the_program() -> None:
    with pytest.raises(TypeError, match="once"):
        await decide_on(Contended(times=0), [KEY], lambda *_: More(OTHER))


def test_more_is_a_value() -> None:
    assert More(KEY, OTHER) == More(KEY, OTHER) != More(OTHER)


async def test_what_is_not_ready_is_not_committed() -> None:
    store, seen = Contended(times=1), list[str]()

    async def ready(reply: str) -> None:
        seen.append(reply)
        if reply == "first":
            raise Unavailable("not now")

    with pytest.raises(Unavailable, match="not now"):
        await decide_on(store, [KEY], partial(use, b"mine"), ready=ready)
    assert list(await store.read(KEY)) == [None]
    await store.commit(Put(OTHER, b"v", 100))
    assert await decide_on(store, [KEY], partial(use, b"mine"), ready=ready) == "found theirs 0"
    assert seen == ["first", "found theirs 0"]
