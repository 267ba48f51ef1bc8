"""Lost answers: never two winners, and one wherever it can be known — tests to inherit; spec/store.md §4, §8."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence

import pytest

from bridge.errors import Unavailable
from bridge.stores.store import Add, Change, Drop, Expect, Put, Store, Swap, Tag, Take
from bridge.testing.lossy import Loss, LossyProxy

LONG = 100.0
LOSSES: list[Loss] = ["cut", "hang", "cut before"]
QUICK_LOSSES: list[Loss] = ["cut", "cut before"]
ROUNDS = 50
RACERS = 8

A, B, C = "lb:a:{t}", "lb:b:{t}", "lb:c:{t}"


class StoreLossSuite:
    """Needs the fixture `server` (host and port; nothing in it) and `connect`."""

    pytestmark: pytest.MarkDecorator = pytest.mark.anyio

    async def connect(self, host: str, port: int) -> Store:
        """An open store on the server at this address."""
        raise TypeError(f"connect() is missing: it opens a store at {host}:{port}")

    @pytest.fixture
    async def proxy(self, server: tuple[str, int]) -> AsyncIterator[LossyProxy]:
        async with LossyProxy(*server) as proxy:
            yield proxy

    @pytest.fixture
    async def store(self, proxy: LossyProxy) -> AsyncIterator[Store]:
        """Its answers can be lost."""
        store = await self.connect("127.0.0.1", proxy.port)
        yield store
        await store.close()

    @pytest.fixture
    async def direct(self, server: tuple[str, int]) -> AsyncIterator[Store]:
        """Its answers arrive."""
        store = await self.connect(*server)
        yield store
        await store.close()

    async def test_each_try_leaves_once(self, store: Store, proxy: LossyProxy) -> None:
        """No library may send again on its own: it would be told that somebody else had won (§3, 3)."""
        await store.commit(Put(B, b"warm", LONG))
        before = len(proxy.seen)
        assert await store.commit(Add(A, b"mine", LONG)) is True
        assert await store.commit(Add(A, b"other", LONG)) is False
        assert list(await store.read(A)) == [b"mine"]
        assert len(proxy.seen) - before == 3

    @pytest.mark.parametrize("loss", LOSSES)
    @pytest.mark.parametrize(
        "changes",
        [
            [Add(A, b"mine", LONG)],
            [Swap(B, b"held", b"mine", LONG)],
            [Add(A, b"mine", LONG), Take(B, b"held"), Expect(C, None), Tag("lb:i:{t}", "m", LONG)],
            [Expect(B, b"held"), Swap(B, b"held", b"mine", LONG), Put(A, b"written", LONG)],
            [Put(A, b"mine", LONG), Drop(B)],
            [Expect(B, b"held"), Put(A, b"mine", LONG)],
        ],
        ids=str,
    )
    async def test_the_winner_learns_it_although_the_answer_was_lost(
        self, store: Store, direct: Store, proxy: LossyProxy, changes: list[Change], loss: Loss
    ) -> None:
        await direct.commit(Put(B, b"held", LONG), Drop(A), Drop(C))
        await store.read(A)
        proxy.seen.clear()
        proxy.lose(loss)
        assert await store.commit(*changes) is True
        assert proxy.losses_left == 0
        for change in changes:
            if isinstance(change, Add | Swap):
                assert list(await direct.read(change.key)) == [change.value]

    @pytest.mark.parametrize("loss", LOSSES)
    async def test_the_loser_learns_it_although_the_answer_was_lost(
        self, store: Store, direct: Store, proxy: LossyProxy, loss: Loss
    ) -> None:
        await direct.commit(Put(A, b"theirs", LONG), Put(B, b"held", LONG))
        await store.read(A)
        for changes in (
            [Add(A, b"mine", LONG)],
            [Swap(A, b"seen", b"mine", LONG)],
            [Add(C, b"mine", LONG), Swap(A, b"seen", b"mine", LONG)],
        ):
            proxy.lose(loss)
            assert await store.commit(*changes) is False
        assert list(await direct.read(A, C)) == [b"theirs", None]

    async def test_a_swap_that_changes_nothing_is_no_witness(
        self, store: Store, direct: Store, proxy: LossyProxy
    ) -> None:
        """It would say "we won" to whoever asks."""
        await direct.commit(Put(A, b"same", LONG), Put(B, b"theirs", LONG))
        await store.read(A)
        proxy.lose("cut")
        with pytest.raises(Unavailable):
            await store.commit(Swap(A, b"same", b"same", LONG), Expect(B, b"ours"))

    @pytest.mark.parametrize("loss", ["cut", "hang"])
    async def test_without_a_witness_it_is_not_known(
        self, store: Store, direct: Store, proxy: LossyProxy, loss: Loss
    ) -> None:
        await direct.commit(Put(A, b"held", LONG))
        await store.read(A)
        proxy.lose(loss)
        with pytest.raises(Unavailable):
            await store.commit(Take(A, b"held"))
        assert list(await direct.read(A)) == [None]

    @pytest.mark.parametrize("loss", LOSSES)
    async def test_after_a_second_loss_it_is_not_known_and_the_caller_has_not_waited_long(
        self, store: Store, proxy: LossyProxy, loss: Loss
    ) -> None:
        await store.read(A)
        proxy.seen.clear()
        proxy.lose(loss, loss, loss)
        begun = time.monotonic()
        with pytest.raises(Unavailable):
            await store.commit(Add(A, b"mine", LONG))
        assert time.monotonic() - begun < 3
        assert (len(proxy.seen), proxy.losses_left) == (2, 1)

    @pytest.mark.parametrize("loss", LOSSES)
    async def test_a_lost_reading_is_read_again(
        self, store: Store, direct: Store, proxy: LossyProxy, loss: Loss
    ) -> None:
        await direct.commit(Put(A, b"held", LONG), Tag("lb:i:{t}", "m", LONG))
        await store.read(A)
        proxy.lose(loss)
        assert list(await store.read(A)) == [b"held"]
        proxy.lose(loss)
        assert await store.members("lb:i:{t}") == ["m"]

    @pytest.mark.parametrize("loss", LOSSES)
    async def test_everybody_in_a_lost_batch_gets_his_own_answer(
        self, store: Store, direct: Store, proxy: LossyProxy, loss: Loss
    ) -> None:
        await direct.commit(Put(A, b"theirs", LONG), Drop(B), Drop(C))
        await store.read(A)
        proxy.lose(loss)
        commits = [store.commit(Add(key, b"mine", LONG)) for key in (A, B, C)]
        outcomes, values = await asyncio.gather(asyncio.gather(*commits), store.read(A))
        assert (outcomes, list(values)) == ([False, True, True], [b"theirs"])

    @pytest.mark.parametrize("losses", [1, 3])
    async def test_lossy_races_have_one_winner(self, proxy: LossyProxy, direct: Store, losses: int) -> None:
        """Not two, which would be a code used twice; and not none, which would be a login that nobody has."""
        chance = random.Random(7)  # noqa: S311  the same losses every time
        rivals = [await self.connect("127.0.0.1", proxy.port) for _ in range(RACERS)]
        for turn in range(ROUNDS):
            how: list[Loss] = [chance.choice(QUICK_LOSSES) for _ in range(losses)]
            winners, unknown = await _lossy_round(rivals, direct, proxy, how, turn)
            # One rival may lose both his copies; then, and only then, nobody may know that he won.
            assert winners == 1 or (winners == 0 and unknown and losses > 1)
        proxy.lose()
        for rival in rivals:
            await rival.close()


async def _lossy_round(
    rivals: Sequence[Store], direct: Store, proxy: LossyProxy, losses: Sequence[Loss], turn: int
) -> tuple[int, int]:
    """How many were told that they had won, and how many that nobody knows."""
    proxy.lose()
    held = b"held %d" % turn
    await direct.commit(Put(A, held, LONG))
    await asyncio.gather(*(rival.read(A) for rival in rivals))
    proxy.lose(*losses)
    outcomes = await asyncio.gather(
        *(
            rival.commit(Add(f"lb:new:{{t}}:{turn}:{i}", b"%d" % i, LONG), Swap(A, held, b"%d by %d" % (turn, i), LONG))
            for i, rival in enumerate(rivals)
        ),
        return_exceptions=True,
    )
    winners = [i for i, outcome in enumerate(outcomes) if outcome is True]
    unknown = [i for i, outcome in enumerate(outcomes) if isinstance(outcome, Unavailable)]
    (now,) = await direct.read(A)
    assert now in [b"%d by %d" % (turn, i) for i in winners or unknown], outcomes
    return len(winners), len(unknown)
