"""What every store promises about indexes and about time, as tests to inherit — spec/store.md §1, §8."""

import asyncio
import time
from collections.abc import Iterator

import pytest

from bridge.stores.store import Add, Change, Drop, Expect, Put, Store, Swap, Tag, Take, Untag

LONG = 100.0
SHORT = 0.3
LATER = 0.4
"""The suite waits this long for what lives `SHORT`.  Seconds; real ones where the store has a server."""

A, B = "lb:a:{t}", "lb:b:{t}"
INDEX = "lb:i:{t}"


class StoreTimes:
    """Needs the fixture `store`, empty and open, and `wait` where its time is not the real one."""

    pytestmark: pytest.MarkDecorator = pytest.mark.anyio

    async def wait(self, seconds: float) -> None:
        """Let that many seconds pass for the store."""
        await asyncio.sleep(seconds)

    # ── indexes ──

    async def test_an_unknown_index_has_no_members(self, store: Store) -> None:
        assert await store.members(INDEX) == []

    async def test_members_are_listed_once_and_sorted(self, store: Store) -> None:
        assert await store.commit(Tag(INDEX, "b", LONG), Tag(INDEX, "a", LONG), Tag(INDEX, "b", LONG)) is True
        assert await store.members(INDEX) == ["a", "b"]

    async def test_untag_removes_one_member_and_does_not_mind_absence(self, store: Store) -> None:
        await store.commit(Tag(INDEX, "a", LONG), Tag(INDEX, "b", LONG))
        assert await store.commit(Untag(INDEX, "a"), Untag(INDEX, "never"), Untag("lb:other:{t}", "a")) is True
        assert await store.members(INDEX) == ["b"]

    async def test_changes_to_an_index_happen_in_order(self, store: Store) -> None:
        changes: list[Change] = [Tag(INDEX, "a", LONG), Untag(INDEX, "a"), Untag(INDEX, "b"), Tag(INDEX, "b", LONG)]
        assert await store.commit(*changes) is True
        assert await store.members(INDEX) == ["b"]

    async def test_one_name_is_a_key_and_an_index(self, store: Store) -> None:
        assert await store.commit(Put(A, b"value", LONG), Tag(A, "member", LONG)) is True
        assert await store.commit(Tag(B, "member", LONG)) is True
        assert await store.commit(Add(B, b"value", LONG), Expect(A, b"value")) is True
        assert (list(await store.read(A, B)), await store.members(A)) == ([b"value", b"value"], ["member"])
        assert await store.commit(Drop(A)) is True
        assert (list(await store.read(A)), await store.members(A)) == ([None], ["member"])
        assert await store.commit(Untag(B, "member")) is True
        assert (list(await store.read(B)), await store.members(B)) == ([b"value"], [])

    async def test_indexes_do_not_share_members(self, store: Store) -> None:
        await store.commit(Tag(INDEX, "m", LONG), Tag(INDEX + "2", "n", LONG))
        assert await store.members(INDEX) == ["m"]

    # ── time ──

    async def test_every_write_lasts_as_long_as_it_says(self, store: Store) -> None:
        swapped = "lb:s:{t}"
        for begun in _tries():
            await store.commit(Put(swapped, b"old", LONG), Drop(A))
            await store.commit(Add(A, b"v", SHORT), Put(B, b"v", SHORT), Swap(swapped, b"old", b"v", SHORT))
            held = list(await store.read(A, B, swapped))
            if _in_time(begun):
                assert held == [b"v"] * 3
                break
        await self.wait(LATER)
        assert list(await store.read(A, B, swapped)) == [None] * 3

    async def test_writing_again_gives_a_new_life(self, store: Store) -> None:
        for begun in _tries():
            await store.commit(Put(A, b"v", SHORT), Put(B, b"v", SHORT))
            done = await store.commit(Put(A, b"v", LONG), Swap(B, b"v", b"v", LONG))
            if done or _in_time(begun):
                break
        await self.wait(LATER)
        assert list(await store.read(A, B)) == [b"v", b"v"]

    async def test_expired_is_absent_to_every_guard(self, store: Store) -> None:
        await store.commit(Put(A, b"v", SHORT))
        await self.wait(LATER)
        assert await store.commit(Take(A, b"v")) is False
        assert await store.commit(Swap(A, b"v", b"w", LONG)) is False
        assert await store.commit(Expect(A, b"v")) is False
        assert await store.commit(Expect(A, None)) is True
        assert await store.commit(Add(A, b"new", LONG)) is True

    async def test_a_member_leaves_when_its_time_is_over(self, store: Store) -> None:
        for begun in _tries():
            await store.commit(Tag(INDEX, "short", SHORT), Tag(INDEX, "long", LONG))
            members = await store.members(INDEX)
            if _in_time(begun):
                assert members == ["long", "short"]
                break
        await self.wait(LATER)
        assert await store.members(INDEX) == ["long"]

    async def test_a_shorter_tag_shortens_neither_index_nor_member(self, store: Store) -> None:
        await store.commit(Tag(INDEX, "long", LONG), Tag(INDEX, "again", LONG))
        await store.commit(Tag(INDEX, "short", SHORT), Tag(INDEX, "again", SHORT))
        await self.wait(LATER)
        assert await store.members(INDEX) == ["again", "long"]

    async def test_a_longer_tag_lengthens_index_and_member(self, store: Store) -> None:
        await store.commit(Tag(INDEX, "m", SHORT))
        await store.commit(Tag(INDEX, "m", LONG))
        await self.wait(LATER)
        assert await store.members(INDEX) == ["m"]

    async def test_an_index_ends_with_its_last_member(self, store: Store) -> None:
        await store.commit(Tag(INDEX, "m", SHORT))
        await self.wait(LATER)
        assert await store.members(INDEX) == []
        await store.commit(Tag(INDEX, "new", LONG))
        assert await store.members(INDEX) == ["new"]

    async def test_a_member_tagged_anew_after_untag_has_the_new_life(self, store: Store) -> None:
        await store.commit(Tag(INDEX, "m", LONG), Tag(INDEX, "other", LONG))
        await store.commit(Untag(INDEX, "m"), Tag(INDEX, "m", SHORT))
        await self.wait(LATER)
        assert await store.members(INDEX) == ["other"]


def _tries() -> Iterator[float]:
    """When each began.  On a busy machine we may stand still until what lives `SHORT` is rightly gone: then again."""
    for _ in range(20):
        yield time.monotonic()
    raise AssertionError("the machine is too busy to tell what lives for a moment")


def _in_time(begun: float) -> bool:
    """Whether what was written since then must still be there."""
    return time.monotonic() - begun < SHORT
