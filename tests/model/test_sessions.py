"""The flows of store §2 in thousands of orders, with everything that may go wrong — store §2, security §3, §15; S12."""

import pytest

from tests.model.judge import alive, at_once, settled
from tests.model.scenarios import SESSIONS, Scenario
from tests.model.store import Adversary
from tests.model.world import World

ADVERSARIES = {
    "plain": Adversary(),
    "loss": Adversary(losses=2),
    "late": Adversary(losses=2, late=2),
    "crash": Adversary(crashes=1),
    "rollback": Adversary(rollbacks=1),
    "all": Adversary(losses=2, late=1, crashes=1, rollbacks=1),
}


async def play(make: Scenario, adversary: Adversary, seed: object) -> tuple[World, list[str]]:
    """One schedule: the world afterwards, and what is wrong with it."""
    chosen = Adversary(adversary.losses, adversary.late, adversary.crashes, adversary.rollbacks)
    world = World(seed, chosen)
    world.looks.append(at_once)
    flows = dict(await make(world))
    if chosen.rollbacks and "tick" not in flows:
        flows["tick"] = world.reconcile()
    await world.turns.play(flows, world.between)
    world.arrive()
    for told in world.told:  # it stays so, without any reconciler
        at_once(world, told)
    await world.settle()
    return world, settled(world)


async def schedules(make: Scenario, adversary: str, count: int) -> None:
    """That many schedules, each of which must leave nothing wrong."""
    for number in range(count):
        seed = f"{make.__name__} {adversary} {number}"
        world, wrong = await play(make, ADVERSARIES[adversary], seed)
        assert not wrong, "\n".join([*wrong, seed, *world.turns.log])


async def test_undisturbed_a_ticket_gives_one_session() -> None:
    world, wrong = await play(SESSIONS["one_ticket_is_brought_twice"], Adversary(), "undisturbed")
    assert not wrong and [each.child for each in alive(world)] == [False, True, True]
    assert [len(gave) for gave in world.used.values()] == [1]


@pytest.mark.parametrize(
    "name", ["one_link_is_followed_twice", "one_passkeys_response_is_shown_twice", "end_all_meets_a_link"]
)
async def test_undisturbed_a_link_and_a_passkey_give_one_session(name: str) -> None:
    """A model in which nobody comes in would be right about everything."""
    gave = [(await play(SESSIONS[name], Adversary(), f"undisturbed {number}"))[0].used for number in range(8)]
    assert all(len(opened) == 1 for used in gave for opened in used.values()) and any(gave)


@pytest.mark.parametrize("adversary", ADVERSARIES)
@pytest.mark.parametrize("name", SESSIONS)
async def test_s12_in_whatever_order(name: str, adversary: str) -> None:
    await schedules(SESSIONS[name], adversary, 8)


@pytest.mark.slow
@pytest.mark.parametrize("adversary", ADVERSARIES)
@pytest.mark.parametrize("name", SESSIONS)
async def test_s12_in_many_orders(name: str, adversary: str) -> None:
    await schedules(SESSIONS[name], adversary, 150)
