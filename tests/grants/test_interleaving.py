"""Thief and owner at once: whatever the order of their steps, nothing of a replayed family lives — security §4."""

import random
from collections.abc import Sequence

import anyio
import anyio.lowlevel
import pytest

from bridge.grants.bearer import judge_bearer
from bridge.grants.redemption import keys_of
from bridge.grants.terms import Replay, Tokens
from bridge.stores.store import Change, Store
from tests.grants.scene import Scene


class Slow:
    """A store before and after whose every step others may run, as chance wills."""

    def __init__(self, inner: Store, seed: int) -> None:
        self._inner = inner
        self._chance = random.Random(seed)
        self.lost = False

    def regained(self, identity: str | None = None) -> None: ...

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def identity(self) -> str:
        return "slow"

    async def read(self, *keys: str) -> Sequence[bytes | None]:
        await self._wait()
        values = await self._inner.read(*keys)
        await self._wait()
        return values

    async def commit(self, *changes: Change) -> bool:
        await self._wait()
        done = await self._inner.commit(*changes)
        await self._wait()
        return done

    async def members(self, index: str) -> list[str]:
        await self._wait()
        return await self._inner.members(index)

    async def _wait(self) -> None:
        for _ in range(self._chance.randrange(4)):
            await anyio.lowlevel.checkpoint()


async def _rotate_on(scene: Scene, text: str, times: int, seen: list[Tokens]) -> None:
    """An owner, or a thief, who keeps refreshing until he is refused, and ends what he was told to end."""
    for _ in range(times):
        renewed = await scene.refresh(text)
        if isinstance(renewed, Replay):
            await scene.families.end(scene.tag, renewed.family, "replay")
            return
        if not isinstance(renewed, Tokens) or renewed.refresh is None:
            return
        seen.append(renewed)
        text = renewed.refresh.reveal()
        scene.clock.move(0.3)


async def _lives(scene: Scene, tokens: Tokens) -> bool:
    token = scene.mint.parse("access", tokens.access.reveal())
    assert token is not None
    values = await scene.store.read(*keys_of(token, scene.names))
    return judge_bearer(*values, token=token, now=scene.clock.now()) is not None


@pytest.mark.parametrize("seed", range(60))
async def test_a_replay_in_the_middle_of_fifty_rotations_leaves_nothing_alive(seed: int) -> None:
    scene = Scene()
    first = await scene.tokens()
    assert first.refresh is not None
    scene.store = Slow(scene.store, seed)
    seen = [first]
    thief, owner = random.Random(seed), first.refresh.reveal()
    async with anyio.create_task_group() as group:
        group.start_soon(_rotate_on, scene, owner, 50, seen)
        for _ in range(thief.randrange(200)):
            await anyio.lowlevel.checkpoint()
        group.start_soon(_rotate_on, scene, owner, 50, seen)
    # Both hold one token; whichever of them is second beyond the grace, or after its use, is the replay.
    assert scene.sql.families
    assert not [tokens for tokens in seen if await _lives(scene, tokens)]


@pytest.mark.parametrize("seed", range(30))
async def test_a_code_replayed_while_it_is_redeemed_leaves_nothing_alive(seed: int) -> None:
    scene = Scene()
    code = await scene.authorized()
    scene.store = Slow(scene.store, seed)
    seen: list[Tokens] = []

    async def present() -> None:
        match await scene.redeem(code):
            case Tokens() as tokens:
                assert tokens.refresh is not None
                seen.append(tokens)
                await _rotate_on(scene, tokens.refresh.reveal(), 10, seen)
            case Replay(family):
                await scene.families.end(scene.tag, family, "replay")
            case _:
                pass

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(present)
    assert seen and not [tokens for tokens in seen if await _lives(scene, tokens)]


async def test_the_reconciler_ends_again_what_the_store_forgot() -> None:
    """§3: after a rollback the family is there again, and SQL says that it ended."""
    scene = Scene()
    tokens = await scene.tokens()
    scene.sql.families.append((scene.tag, tokens.family.id))
    assert await _lives(scene, tokens)
    await scene.families.reconcile(scene.sql)
    assert not await _lives(scene, tokens)
    await scene.families.reconcile(scene.sql)
    assert not await _lives(scene, tokens)


async def test_of_many_families_the_reconciler_ends_each_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.grants.families.CHUNK", 2)
    scene = Scene()
    *ended, other = [await scene.tokens() for _ in range(6)]
    scene.sql.families += [(scene.tag, tokens.family.id) for tokens in ended]
    await scene.families.reconcile(scene.sql)
    assert [await _lives(scene, tokens) for tokens in ended] == [False] * 5
    assert await _lives(scene, other)
