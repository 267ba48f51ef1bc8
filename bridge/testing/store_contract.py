"""What every store promises about reads and commits, as tests to inherit — spec/store.md §1, §8."""

import asyncio
from math import inf, nan

import pytest

from bridge.stores.store import Add, Change, Drop, Expect, Put, Store, Swap, Tag, Take, Untag

LONG = 100.0

A, B, C = "lb:a:{t}", "lb:b:{t}", "lb:c:{t}"
INDEX = "lb:i:{t}"

FAILING_GUARDS: list[Change] = [
    Expect(A, b"other"),
    Expect(A, None),
    Expect(B, b"anything"),
    Expect(B, b""),
    Add(A, b"new", LONG),
    Take(A, b"other"),
    Take(A, b""),
    Take(B, b"anything"),
    Swap(A, b"other", b"new", LONG),
    Swap(B, b"anything", b"new", LONG),
    Swap(B, b"", b"new", LONG),
]
"""Against a store where A holds b"held" and B is absent."""


def _living(ttl: float) -> list[Change]:
    return [Add(C, b"v", ttl), Put(C, b"v", ttl), Swap(A, b"held", b"v", ttl), Tag(INDEX, "m", ttl)]


WRONG: list[list[Change]] = [
    *([change] for ttl in (0, -1, 0.0004, inf, -inf, nan, 401 * 86_400) for change in _living(ttl)),
    [Put("lb:c:{another}", b"v", LONG)],
    [Drop("lb:c:{another}")],
    [Expect("lb:c:{another}", None)],
    [Tag("lb:i:{another}", "m", LONG)],
    [Untag("lb:i:{another}", "m")],
    [Put("no slot in it", b"v", LONG)],
    [Put(C + "\ud800", b"v", LONG)],
    [Tag(INDEX, "\ud800", LONG)],
    [Put(C, "text", LONG)],  # type: ignore[arg-type]
    [Take(A, None)],  # type: ignore[arg-type]
    [Put("x:" + C, b"v", LONG)],
    [Drop(C)] * 500,
]
"""What may not even be sent; each stands beside one good change."""


class StoreContract:
    """Needs the fixture `store`: empty and open."""

    pytestmark: pytest.MarkDecorator = pytest.mark.anyio

    # ── reading ──

    async def test_an_absent_key_is_none_not_an_error(self, store: Store) -> None:
        assert list(await store.read(A)) == [None]

    async def test_values_come_in_the_order_of_the_keys(self, store: Store) -> None:
        assert await store.commit(Put(A, b"1", LONG), Put(B, b"2", LONG))
        assert list(await store.read(B, C, A, B)) == [b"2", None, b"1", b"2"]

    async def test_keys_of_many_slots_may_be_read_together(self, store: Store) -> None:
        for key in ("lb:a:{one}", "lb:a:{two}"):
            assert await store.commit(Put(key, key.encode(), LONG))
        assert list(await store.read("lb:a:{two}", "lb:a:{one}")) == [b"lb:a:{two}", b"lb:a:{one}"]

    async def test_reading_nothing_is_nothing(self, store: Store) -> None:
        assert list(await store.read()) == []

    @pytest.mark.parametrize("value", [b"", b"\0", bytes(range(256)), b"\r\n$-1\r\n", "é漢".encode(), b"x" * 100_000])
    async def test_any_bytes_come_back(self, store: Store, value: bytes) -> None:
        assert await store.commit(Add(A, value, LONG), Put(B, value, LONG))
        assert list(await store.read(A, B)) == [value, value]
        assert await store.commit(Expect(A, value), Take(A, value), Swap(B, value, value + b"+", LONG))
        assert list(await store.read(A, B)) == [None, value + b"+"]

    async def test_names_may_be_any_text(self, store: Store) -> None:
        assert await store.commit(Add("lb:ключ é:{t}", b"v", LONG), Tag("lb:é x:{t}", "漢 字", LONG))
        assert list(await store.read("lb:ключ é:{t}")) == [b"v"]
        assert await store.members("lb:é x:{t}") == ["漢 字"]

    async def test_concurrent_reads_each_get_their_own(self, store: Store) -> None:
        keys = [f"lb:{i}:{{t}}" for i in range(20)]
        assert await store.commit(*(Put(key, key.encode(), LONG) for key in keys))
        answers = await asyncio.gather(*(store.read(key, A, keys[0]) for key in keys))
        assert [list(answer) for answer in answers] == [[key.encode(), None, keys[0].encode()] for key in keys]

    # ── one change ──

    async def test_a_commit_of_nothing_is_done(self, store: Store) -> None:
        assert await store.commit() is True

    async def test_add_writes_once_and_keeps_the_first(self, store: Store) -> None:
        assert await store.commit(Add(A, b"first", LONG)) is True
        assert await store.commit(Add(A, b"second", LONG)) is False
        assert list(await store.read(A)) == [b"first"]

    async def test_of_two_equal_adds_the_second_is_refused(self, store: Store) -> None:
        """A mark with a constant value: the store must not take the first one's for its own (§3, 4)."""
        assert await store.commit(Add(A, b"1", LONG)) is True
        assert await store.commit(Add(A, b"1", LONG)) is False

    async def test_of_two_equal_swaps_the_second_is_refused(self, store: Store) -> None:
        await store.commit(Put(A, b"1", LONG))
        assert await store.commit(Swap(A, b"1", b"2", LONG)) is True
        assert await store.commit(Swap(A, b"1", b"2", LONG)) is False

    async def test_take_removes_what_was_seen(self, store: Store) -> None:
        await store.commit(Put(A, b"held", LONG))
        assert await store.commit(Take(A, b"held")) is True
        assert await store.commit(Take(A, b"held")) is False
        assert list(await store.read(A)) == [None]

    async def test_a_tombstone_does_not_satisfy_the_next_take(self, store: Store) -> None:
        await store.commit(Put(A, b"held", LONG))
        assert await store.commit(Take(A, b"held"), Put(A, b"tombstone", LONG)) is True
        assert await store.commit(Take(A, b"held"), Put(A, b"mine", LONG)) is False
        assert list(await store.read(A)) == [b"tombstone"]

    async def test_swap_replaces_what_was_seen(self, store: Store) -> None:
        await store.commit(Put(A, b"old", LONG))
        assert await store.commit(Swap(A, b"old", b"new", LONG)) is True
        assert list(await store.read(A)) == [b"new"]

    async def test_the_last_put_wins(self, store: Store) -> None:
        assert await store.commit(Put(A, b"1", LONG)) is True
        assert await store.commit(Put(A, b"2", LONG)) is True
        assert list(await store.read(A)) == [b"2"]

    async def test_drop_removes_and_does_not_mind_absence(self, store: Store) -> None:
        await store.commit(Put(A, b"held", LONG))
        assert await store.commit(Drop(A), Drop(B)) is True
        assert list(await store.read(A)) == [None]

    async def test_expect_holds_on_equal_and_on_absent(self, store: Store) -> None:
        await store.commit(Put(A, b"held", LONG))
        assert await store.commit(Expect(A, b"held"), Expect(B, None)) is True
        assert list(await store.read(A, B)) == [b"held", None]

    # ── many changes ──

    @pytest.mark.parametrize("position", [0, 1, 2])
    @pytest.mark.parametrize("guard", FAILING_GUARDS, ids=str)
    async def test_one_failing_guard_anywhere_writes_nothing(self, store: Store, guard: Change, position: int) -> None:
        await store.commit(Put(A, b"held", LONG), Tag(INDEX, "kept", LONG))
        changes: list[Change] = [Put(C, b"written", LONG), Tag(INDEX, "m", LONG), Untag(INDEX, "kept"), Drop(A)]
        changes.insert(position, guard)
        assert await store.commit(*changes) is False
        assert list(await store.read(A, B, C)) == [b"held", None, None]
        assert await store.members(INDEX) == ["kept"]

    @pytest.mark.parametrize(
        "changes",
        [
            [Put(A, b"new", LONG), Expect(A, b"held")],
            [Drop(A), Expect(A, b"held")],
            [Take(A, b"held"), Expect(A, b"held")],
            [Take(A, b"held"), Take(A, b"held")],
            [Swap(A, b"held", b"new", LONG), Take(A, b"held")],
            [Swap(A, b"held", b"1", LONG), Swap(A, b"held", b"2", LONG)],
            [Add(B, b"1", LONG), Expect(B, None)],
            [Add(B, b"1", LONG), Add(B, b"2", LONG)],
        ],
        ids=str,
    )
    async def test_guards_see_the_state_before_and_hold(self, store: Store, changes: list[Change]) -> None:
        await store.commit(Put(A, b"held", LONG))
        assert await store.commit(*changes) is True

    @pytest.mark.parametrize(
        "changes",
        [
            [Put(A, b"new", LONG), Expect(A, b"new")],
            [Put(B, b"new", LONG), Take(B, b"new")],
            [Add(B, b"new", LONG), Swap(B, b"new", b"newer", LONG)],
            [Drop(A), Add(A, b"new", LONG)],
            [Take(A, b"held"), Add(A, b"new", LONG)],
            [Drop(A), Expect(A, None)],
        ],
        ids=str,
    )
    async def test_guards_see_the_state_before_and_fail(self, store: Store, changes: list[Change]) -> None:
        await store.commit(Put(A, b"held", LONG))
        assert await store.commit(*changes) is False
        assert list(await store.read(A, B)) == [b"held", None]

    async def test_of_two_writes_to_one_key_the_last_wins(self, store: Store) -> None:
        await store.commit(Put(C, b"held", LONG))
        changes: list[Change] = [Put(A, b"1", LONG), Drop(A), Put(B, b"1", LONG), Put(B, b"2", LONG)]
        assert await store.commit(*changes, Take(C, b"held"), Put(C, b"tombstone", LONG)) is True
        assert list(await store.read(A, B, C)) == [None, b"2", b"tombstone"]

    @pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: str(wrong)[:60])
    async def test_what_may_not_be_sent_writes_nothing(self, store: Store, wrong: list[Change]) -> None:
        await store.commit(Put(A, b"held", LONG))
        for changes in ([Put(B, b"good", LONG), *wrong], [*wrong, Put(B, b"good", LONG)]):
            with pytest.raises(ValueError, match=r"."):
                await store.commit(*changes)
        assert list(await store.read(A, B, C)) == [b"held", None, None]
        assert await store.members(INDEX) == []

    async def test_five_hundred_changes_are_one_commit(self, store: Store) -> None:
        keys = [f"lb:{i}:{{t}}" for i in range(500)]
        assert await store.commit(*(Add(key, b"v", LONG) for key in keys)) is True
        assert await store.commit(*(Drop(key) for key in keys[1:]), Take(keys[0], b"other")) is False
        assert list(await store.read(*keys)) == [b"v"] * 500

    @pytest.mark.parametrize("ttl", [0.001, 1, 400 * 86_400, 400 * 86_400.0])
    async def test_the_shortest_and_the_longest_life_are_allowed(self, store: Store, ttl: float) -> None:
        assert await store.commit(Put(A, b"v", ttl), Tag(INDEX, "m", ttl)) is True

    async def test_one_cancelled_commit_does_not_fail_the_others(self, store: Store) -> None:
        tasks = [asyncio.ensure_future(store.commit(Add(f"lb:{i}:{{t}}", b"v", LONG))) for i in range(10)]
        reading = asyncio.ensure_future(store.read(A))
        read_too = asyncio.ensure_future(store.read(A))
        await asyncio.sleep(0)
        tasks[3].cancel()
        reading.cancel()
        others = await asyncio.gather(*tasks[:3], *tasks[4:], return_exceptions=True)
        assert others == [True] * 9
        assert list(await read_too) == [None]
        assert await store.commit(Add(A, b"v", LONG)) is True

    async def test_one_refused_commit_does_not_fail_its_neighbours(self, store: Store) -> None:
        good, wrong, also_good = await asyncio.gather(
            store.commit(Add(A, b"v", LONG)),
            store.commit(Add(C, b"v", 0)),
            store.commit(Add(B, b"v", LONG)),
            return_exceptions=True,
        )
        assert (good, type(wrong), also_good) == (True, ValueError, True)

    # ── identity ──

    async def test_the_identity_stays_and_nothing_is_lost(self, store: Store) -> None:
        first = await store.identity()
        assert (await store.identity(), store.lost) == (first, False)
        store.regained(first)
        assert store.lost is False
