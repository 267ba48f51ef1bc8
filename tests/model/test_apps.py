"""The apps' flows of store §2 in thousands of orders — security §4, §15, §20."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from bridge.stores.store import Drop
from tests.model.apps import SHOP, Apps
from tests.model.judge import at_once as sessions_at_once
from tests.model.judge_apps import alive, all_settled, at_once
from tests.model.scenarios import Flows
from tests.model.store import Adversary
from tests.model.test_sessions import ADVERSARIES
from tests.model.world import ANN, World

Scenario = Callable[[Apps], Awaitable[Flows]]
SCENARIOS: dict[str, Scenario] = {}


def scenario(make: Scenario) -> Scenario:
    """Register it by its name."""
    SCENARIOS[make.__name__] = make
    return make


async def _ready(apps: Apps, *steps: Coroutine[Any, Any, object], fill: bool = True) -> None:
    """Ann is signed in and allowed the shop."""
    world = apps.world
    world.sql.add(ANN)
    await world.sessions.publish_stamp(ANN, world.sql.slots.of_user(ANN))
    await world.sign_in()
    await apps.allow()
    if not fill:
        world.store.written(Drop(world.names.consent(world.sql.slots.of_user(ANN), SHOP.client_id)))
    for step in steps:
        await step
    await world.prepare()


async def _code(apps: Apps, *, offline: bool = False, hybrid: bool = False) -> None:
    await apps.authorize(apps.world.first().token, offline=offline, hybrid=hybrid)


async def _refresh_token(apps: Apps, *, offline: bool = False) -> None:
    await _code(apps, offline=offline)
    await apps.redeem(_the_code(apps))


def _the_code(apps: Apps) -> Any:
    return next(iter(apps.authorized.values())).code


def _the_refresh(apps: Apps) -> str:
    return next(each.token.text.reveal() for each in apps.given if each.token.kind == "refresh")


@scenario
async def end_meets_authorize(apps: Apps) -> Flows:
    await _ready(apps)
    mine = apps.world.first()
    return {"end": apps.world.sign_out(mine.session), "app": apps.whole_flow(mine.token)}


@scenario
async def end_meets_rotation_and_authorize(apps: Apps) -> Flows:
    await _ready(apps)
    world, mine = apps.world, apps.world.first()

    async def on() -> None:
        await world.sign_in(over=mine.token)
        await apps.whole_flow(world.handed[-2].token)

    return {"end": world.sign_out(mine.session), "on": on()}


@scenario
async def end_all_meets_authorize(apps: Apps) -> Flows:
    await _ready(apps)
    mine = apps.world.first()
    return {"all": apps.world.end_all(), "app": apps.whole_flow(mine.token, offline=True)}


@scenario
async def disable_meets_refresh(apps: Apps) -> Flows:
    await _ready(apps, _refresh_token(apps, offline=True))
    return {
        "disable": apps.world.end_all("disabled", password=None),
        "app": _drop(apps.refresh(_the_refresh(apps), 3)),
        "tick": apps.world.reconcile(),
    }


@scenario
async def others_meet_authorize(apps: Apps) -> Flows:
    await _ready(apps, apps.world.sign_in())
    world = apps.world
    return {
        "others": world.end_others(world.first().token),
        "app": apps.whole_flow(world.handed[2].token, offline=True),
    }


@scenario
async def a_code_is_shown_twice(apps: Apps) -> Flows:
    await _ready(apps, _code(apps))
    code = _the_code(apps)
    return {"one": _redeem_and_refresh(apps, code), "two": _drop(apps.redeem(code))}


@scenario
async def a_code_is_shown_again_among_refreshes(apps: Apps) -> Flows:
    await _ready(apps, _refresh_token(apps))
    return {"again": _drop(apps.redeem(_the_code(apps))), "app": _drop(apps.refresh(_the_refresh(apps), 3))}


@scenario
async def owner_and_thief_refresh(apps: Apps) -> Flows:
    await _ready(apps, _refresh_token(apps, offline=True))
    text = _the_refresh(apps)
    return {
        "owner": _drop(apps.refresh(text, 2)),
        "thief": _drop(apps.refresh(text, 2)),
        "late": _drop(apps.refresh(text)),
    }


@scenario
async def withdrawal_meets_authorize(apps: Apps) -> Flows:
    await _ready(apps)
    mine = apps.world.first().token
    return {
        "withdraw": apps.withdraw(),
        "app": apps.whole_flow(mine, offline=True),
        "other": _drop(apps.authorize(mine)),
    }


@scenario
async def withdrawal_meets_filling(apps: Apps) -> Flows:
    await _ready(apps, fill=False)
    mine = apps.world.first().token
    return {"withdraw": apps.withdraw(), "fill": apps.fill(), "app": apps.whole_flow(mine, offline=True)}


@scenario
async def withdrawal_meets_refresh_and_a_new_grant(apps: Apps) -> Flows:
    await _ready(apps, _refresh_token(apps, offline=True))
    return {
        "withdraw": apps.withdraw(),
        "app": _drop(apps.refresh(_the_refresh(apps), 2)),
        "allow": apps.allow(),
        "again": apps.whole_flow(apps.world.first().token, offline=True),
    }


@scenario
async def end_meets_the_hybrid_flow(apps: Apps) -> Flows:
    await _ready(apps)
    mine = apps.world.first()
    return {"end": apps.world.sign_out(mine.session), "app": apps.whole_flow(mine.token, hybrid=True)}


@scenario
async def withdrawal_meets_the_hybrid_flow(apps: Apps) -> Flows:
    await _ready(apps)
    mine = apps.world.first().token
    return {
        "withdraw": apps.withdraw(),
        "app": apps.whole_flow(mine, offline=True, hybrid=True),
        "all": apps.world.end_all(),
    }


@scenario
async def a_hybrid_code_is_shown_twice(apps: Apps) -> Flows:
    await _ready(apps, _code(apps, hybrid=True))
    code = _the_code(apps)
    return {"one": _redeem_and_refresh(apps, code), "two": _drop(apps.redeem(code))}


@scenario
async def everything_at_once(apps: Apps) -> Flows:
    await _ready(apps, _refresh_token(apps))
    world, mine = apps.world, apps.world.first()
    return {
        "end": world.sign_out(mine.session),
        "rotate": world.sign_in(over=mine.token),
        "withdraw": apps.withdraw(),
        "app": _drop(apps.refresh(_the_refresh(apps), 2)),
        "again": apps.whole_flow(mine.token, offline=True),
        "all": world.end_all(),
        "tick": world.reconcile(),
    }


async def _redeem_and_refresh(apps: Apps, code: Any) -> None:
    await apps.refresh(await apps.redeem(code))


async def _drop(step: Awaitable[object]) -> None:
    await step


async def play(make: Scenario, adversary: Adversary, seed: object) -> tuple[Apps, list[str]]:
    """One schedule, and what is wrong with the world afterwards."""
    chosen = Adversary(adversary.losses, adversary.late, adversary.crashes, adversary.rollbacks)
    apps = Apps(World(seed, chosen))
    world = apps.world
    world.looks.append(sessions_at_once)
    flows = dict(await make(apps))
    if chosen.rollbacks and "tick" not in flows:
        flows["tick"] = world.reconcile()
    await world.turns.play(flows, world.between)
    world.arrive()
    early = at_once(apps)
    await world.settle()
    wrong = all_settled(apps)
    await apps.try_again()
    return apps, [*early, *wrong, *all_settled(apps)]


async def schedules(make: Scenario, adversary: str, count: int) -> None:
    """That many schedules, each of which must leave nothing wrong."""
    for number in range(count):
        seed = f"{make.__name__} {adversary} {number}"
        apps, wrong = await play(make, ADVERSARIES[adversary], seed)
        assert not wrong, "\n".join([*wrong, seed, *apps.world.turns.log])


async def test_undisturbed_an_app_gets_its_tokens() -> None:
    apps = Apps(World("undisturbed", Adversary()))
    await _ready(apps)
    apps.world.turns.serial = True
    await apps.whole_flow(apps.world.first().token, offline=True, refreshes=2)
    assert [each.token.kind for each in alive(apps)] == ["access", "access", "access", "refresh"]
    await apps.withdraw()
    assert alive(apps) == []
    assert await apps.authorize(apps.world.first().token) is None


@pytest.mark.parametrize("adversary", ADVERSARIES)
@pytest.mark.parametrize("name", SCENARIOS)
async def test_15_in_whatever_order(name: str, adversary: str) -> None:
    await schedules(SCENARIOS[name], adversary, 5)


@pytest.mark.slow
@pytest.mark.parametrize("adversary", ADVERSARIES)
@pytest.mark.parametrize("name", SCENARIOS)
async def test_15_in_many_orders(name: str, adversary: str) -> None:
    await schedules(SCENARIOS[name], adversary, 150)
