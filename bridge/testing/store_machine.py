"""Random histories on which a store must agree with the one in memory — spec/store.md §8."""

from collections.abc import Awaitable, Callable, Sequence

from hypothesis import strategies as st

from bridge.stores.memory import MemoryStore
from bridge.stores.store import Add, Change, Drop, Expect, Put, Store, Swap, Tag, Take, Untag
from bridge.testing.hands import Hands

LONG = 100.0
SHORT = 0.2
STEP = 0.3

KEYS = ["lb:a:{t}", "lb:b:{t}", "lb:both:{t}"]
INDEXES = ["lb:i:{t}", "lb:both:{t}"]
VALUES = [b"", b"1", b"2", b"\0\xff"]

Step = list[Change] | float
"""A commit, or that many seconds."""

_keys, _values, _ttls = st.sampled_from(KEYS), st.sampled_from(VALUES), st.sampled_from([SHORT, LONG])
_indexes, _members = st.sampled_from(INDEXES), st.sampled_from(["m", "n"])

changes: st.SearchStrategy[Change] = st.one_of(
    st.builds(Expect, _keys, st.none() | _values),
    st.builds(Add, _keys, _values, _ttls),
    st.builds(Take, _keys, _values),
    st.builds(Swap, _keys, _values, _values, _ttls),
    st.builds(Put, _keys, _values, _ttls),
    st.builds(Drop, _keys),
    st.builds(Tag, _indexes, _members, _ttls),
    st.builds(Untag, _indexes, _members),
)

histories: st.SearchStrategy[list[Step]] = st.lists(
    st.lists(changes, min_size=1, max_size=4) | st.just(STEP), min_size=1, max_size=25
)


async def agrees(store: Store, wait: Callable[[float], Awaitable[None]], history: Sequence[Step]) -> bool:
    """Play the history on `store` (empty, open) and in memory; raise AssertionError where they differ.

    `wait` lets time pass for the store under test.  Returns whether it had to.
    """
    hands = Hands()
    model = MemoryStore(hands)
    for step in history:
        if isinstance(step, list):
            assert await store.commit(*step) is await model.commit(*step), step
        else:
            await wait(step)
            hands.move(step)
        assert list(await store.read(*KEYS)) == list(await model.read(*KEYS)), step
        for index in INDEXES:
            assert await store.members(index) == await model.members(index), (step, index)
    return STEP in history
