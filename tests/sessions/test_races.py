"""Fifty callers at once: nothing that has ended lives — S12, store §3."""

import asyncio

from bridge.sessions.birth import Birth, Born
from bridge.sessions.judge import Alive
from bridge.stores.store import Store
from tests.sessions.world import ANN, VISIT, World

ROUNDS = 5


async def test_s12_of_fifty_rotations_one_wins(store: Store) -> None:
    for _ in range(ROUNDS):
        world = World(store)
        born = await world.login()
        alive, standing = await world.alive(born.token), await world.standing()
        rotations = [world.sessions.rotate(alive, standing, VISIT, amr=["pwd"], child=born.child) for _ in range(50)]
        won = [each for each in await asyncio.gather(*rotations) if isinstance(each, Born)]
        assert len(won) == 1
        assert await world.why(won[0].token) == await world.why(won[0].child, "middleware") == "alive"
        assert await world.why(born.token) == "rotated"


async def test_s12_an_ending_beats_fifty_touches_and_rotations(store: Store) -> None:
    for _ in range(ROUNDS):
        world = World(store)
        born = await world.login()
        world.clock.move(200)
        ending = world.sessions.end(ANN, born.token.tag, born.record.id, "you")
        lively = [_live(world, await world.alive(born.token)) for _ in range(25)]
        _, lived = await asyncio.gather(ending, asyncio.gather(*lively))
        for each in (born, *(each for pair in lived for each in pair)):
            for token in filter(None, (each.token, each.child)):
                assert await world.why(token, "issuer" if each.record.kind == "op" else "middleware") != "alive"


async def test_s12_nobody_slips_in_while_all_are_ended(store: Store) -> None:
    for _ in range(ROUNDS):
        world = World(store)
        standing = await world.user()
        wish = Birth.browser(world.options)
        logins = [world.sessions.start(standing, wish, VISIT, amr=["pwd"]) for _ in range(25)]
        born = [*await asyncio.gather(world.sessions.end_all(ANN, standing.tag, "password"), *logins)]
        for each in born:
            if isinstance(each, Born):
                assert await world.why(each.token) != "alive"


async def test_s12_of_two_who_end_the_others_one_is_left(store: Store) -> None:
    for _ in range(ROUNDS):
        world = World(store)
        born = [await world.login() for _ in range(10)]
        alive = [await world.alive(each.token) for each in born]
        await asyncio.gather(*(world.sessions.end_others(each) for each in alive))
        told = [await world.why(each.token) for each in born]
        assert sorted(told) == ["alive"] + ["ended-by-you"] * 9


async def test_s12_touches_at_once_write_once(store: Store) -> None:
    world = World(store)
    born = await world.login()
    world.clock.move(200)
    alive = await world.alive(born.token)
    workers = [world.another_worker() for _ in range(50)]
    done = await asyncio.gather(*(worker.touch(alive) for worker in workers))
    assert done.count(True) >= 1
    assert (await world.alive(born.token)).record.last == born.record.last + 200


async def _live(world: World, alive: Alive) -> list[Born]:
    """Everything that a session can do at one time."""
    await world.sessions.touch(alive)
    rotated = await world.sessions.rotate(alive, await world.standing(), VISIT, amr=["pwd"])
    child = await world.sessions.child(alive, via="pages")
    return [each for each in (rotated, child) if isinstance(each, Born)]
