"""Who meets whom: each scenario prepares a world and says which flows run into one another."""

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from bridge.stores.store import Drop
from tests.model.world import ANN, World

Flows = Mapping[str, Coroutine[Any, Any, None]]
Scenario = Callable[[World], Awaitable[Flows]]
SESSIONS: dict[str, Scenario] = {}


def scenario(make: Scenario) -> Scenario:
    """Register it by its name."""
    SESSIONS[make.__name__] = make
    return make


async def _signed_in(world: World, times: int = 1, *, totp: bool = False) -> None:
    world.sql.add(ANN, second_factor="totp" if totp else "none")
    await world.prepare(_published(world), *(world.sign_in() for _ in range(times)))


async def _staying(world: World) -> None:
    """Who is signed in has asked to stay so."""
    world.sql.add(ANN)
    await world.prepare(_published(world), world.sign_in(keep=True))


async def _with_a_ticket(world: World) -> None:
    """Who is signed in at the issuer has been given a ticket that is not used yet."""
    world.sql.add(ANN)
    await world.prepare(_published(world), world.sign_in(), then(lambda: world.take_ticket(world.first().token)))


async def _with_a_link(world: World, *, totp: bool = False) -> None:
    """A caller has been given a link for somebody who is not signed in."""
    world.sql.add(ANN, second_factor="totp" if totp else "none")
    await world.prepare(_published(world), world.make_link())


async def _with_a_response(world: World) -> None:
    """An authenticator has answered the login page, and nobody has shown that yet."""
    world.enrol_passkey()
    world.sign_a_challenge()
    await world.prepare(_published(world))


async def then(*steps: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """One after the other, each begun when it is its turn."""
    for step in steps:
        await step()


@scenario
async def login_meets_end_all(world: World) -> Flows:
    await _signed_in(world, 0)
    return {"login": world.sign_in(), "all": world.end_all()}


@scenario
async def login_and_validate_login_meet_disable(world: World) -> Flows:
    await _signed_in(world, 0)
    return {
        "login": world.sign_in(),
        "legacy": world.sign_in(legacy=True),
        "disable": world.end_all("disabled", password=None),
    }


@scenario
async def second_factor_meets_end_all(world: World) -> Flows:
    await _signed_in(world, 0, totp=True)
    return {"login": then(world.sign_in, world.give_code), "all": world.end_all()}


@scenario
async def one_code_is_given_twice(world: World) -> Flows:
    await _signed_in(world, 1, totp=True)
    return {"one": world.give_code(), "two": world.give_code(), "tick": world.reconcile()}


@scenario
async def one_totp_step_for_two_logins(world: World) -> Flows:
    await _signed_in(world, 2, totp=True)
    return {"one": world.give_code(0), "two": world.give_code(1)}


@scenario
async def one_recovery_code_for_two_logins(world: World) -> Flows:
    await _signed_in(world, 2, totp=True)
    return {"one": world.recover(0), "two": world.recover(1), "tick": world.reconcile()}


@scenario
async def a_recovery_code_meets_the_end_of_all(world: World) -> Flows:
    await _signed_in(world, 1, totp=True)
    return {"one": world.recover(), "two": world.recover(), "all": world.end_all()}


@scenario
async def end_meets_rotation(world: World) -> Flows:
    await _signed_in(world)
    mine = world.first()
    return {
        "end": world.sign_out(mine.session),
        "rotate": world.sign_in(over=mine.token),
        "use": world.use(mine.token),
    }


@scenario
async def end_meets_birth_of_a_child(world: World) -> Flows:
    await _signed_in(world)
    mine = world.first()
    return {
        "end": world.sign_out(mine.session),
        "child": world.go_elsewhere(mine.token),
        "use": world.use(mine.token),
    }


@scenario
async def end_meets_rotation_and_child(world: World) -> Flows:
    await _signed_in(world)
    mine = world.first()
    return {
        "end": world.sign_out(mine.session),
        "rotate": world.sign_in(over=mine.token),
        "child": world.go_elsewhere(mine.token),
        "tick": world.reconcile(),
    }


@scenario
async def end_meets_a_ticket(world: World) -> Flows:
    await _signed_in(world)
    mine = world.first()
    return {
        "end": world.sign_out(mine.session),
        "ticket": then(lambda: world.take_ticket(mine.token), world.bring_ticket),
        "use": world.use(mine.token),
    }


@scenario
async def end_all_meets_a_ticket(world: World) -> Flows:
    await _with_a_ticket(world)
    return {
        "all": world.end_all(),
        "bring": world.bring_ticket(),
        "another": then(lambda: world.take_ticket(world.first().token), lambda: world.bring_ticket(1)),
    }


@scenario
async def rotation_and_end_meet_a_ticket(world: World) -> Flows:
    await _with_a_ticket(world)
    mine = world.first()
    return {
        "rotate": world.sign_in(over=mine.token),
        "end": world.sign_out(mine.session),
        "bring": world.bring_ticket(),
        "tick": world.reconcile(),
    }


@scenario
async def one_ticket_is_brought_twice(world: World) -> Flows:
    await _with_a_ticket(world)
    return {"one": world.bring_ticket(), "two": world.bring_ticket(), "tick": world.reconcile()}


@scenario
async def one_link_is_followed_twice(world: World) -> Flows:
    await _with_a_link(world)
    return {"one": world.follow(), "two": world.follow(), "tick": world.reconcile()}


@scenario
async def end_all_meets_a_link(world: World) -> Flows:
    await _with_a_link(world)
    return {
        "all": world.end_all(),
        "follow": world.follow(),
        "another": then(world.make_link, lambda: world.follow(1)),
    }


@scenario
async def a_link_and_the_code_it_owes_meet_the_end_of_all(world: World) -> Flows:
    await _with_a_link(world, totp=True)
    return {
        "one": then(world.follow, world.give_code),
        "two": world.follow(),
        "all": world.end_all(),
        "tick": world.reconcile(),
    }


@scenario
async def one_passkeys_response_is_shown_twice(world: World) -> Flows:
    await _with_a_response(world)
    return {"one": _shown(world), "two": _shown(world), "tick": world.reconcile()}


@scenario
async def end_all_meets_a_passkeys_response(world: World) -> Flows:
    await _with_a_response(world)
    return {"all": world.end_all(), "show": _shown(world), "tick": world.reconcile()}


@scenario
async def end_meets_a_device_that_comes_back(world: World) -> Flows:
    await _staying(world)
    mine = world.first()
    return {"end": world.sign_out(mine.session), "back": world.come_back(), "tick": world.reconcile()}


@scenario
async def end_all_meets_a_device_that_comes_back(world: World) -> Flows:
    await _staying(world)
    return {"all": world.end_all(), "back": then(world.come_back, world.come_back), "tick": world.reconcile()}


@scenario
async def one_device_comes_back_twice(world: World) -> Flows:
    await _staying(world)
    mine = world.first()
    return {"one": world.come_back(), "two": world.come_back(), "rotate": world.sign_in(over=mine.token)}


@scenario
async def a_device_is_born_while_all_end(world: World) -> Flows:
    await _signed_in(world, 0)
    return {"login": then(lambda: world.sign_in(keep=True), world.come_back), "all": world.end_all()}


@scenario
async def two_rotations(world: World) -> Flows:
    await _signed_in(world)
    mine = world.first()
    return {"one": world.sign_in(over=mine.token), "two": world.sign_in(over=mine.token), "use": world.use(mine.token)}


@scenario
async def rotation_meets_end_all(world: World) -> Flows:
    await _signed_in(world)
    mine = world.first()
    return {"rotate": world.sign_in(over=mine.token), "all": world.end_all(), "end": world.sign_out(mine.session)}


@scenario
async def others_meet_end_all(world: World) -> Flows:
    await _signed_in(world, 2)
    return {
        "others": world.end_others(world.handed[0].token),
        "all": world.end_all(),
        "use": world.use(world.first().token),
    }


@scenario
async def others_meet_others(world: World) -> Flows:
    await _signed_in(world, 2)
    return {"one": world.end_others(world.handed[0].token), "two": world.end_others(world.handed[2].token)}


@scenario
async def others_meet_the_reconciler(world: World) -> Flows:
    await _signed_in(world, 2)
    return {
        "others": world.end_others(world.handed[0].token),
        "tick": world.reconcile(),
        "use": world.use(world.first().token),
    }


@scenario
async def others_meet_a_login(world: World) -> Flows:
    await _signed_in(world)
    return {"others": world.end_others(world.handed[0].token), "login": world.sign_in(), "tick": world.reconcile()}


@scenario
async def others_meet_rotation(world: World) -> Flows:
    await _signed_in(world, 2)
    return {"others": world.end_others(world.handed[0].token), "rotate": world.sign_in(over=world.first().token)}


@scenario
async def others_meet_rotation_of_another(world: World) -> Flows:
    await _signed_in(world, 2)
    other = world.handed[2].token
    return {
        "others": world.end_others(world.handed[0].token),
        "rotate": world.sign_in(over=other),
        "child": world.go_elsewhere(other),
    }


@scenario
async def end_all_meets_end_all(world: World) -> Flows:
    await _signed_in(world)
    return {
        "one": world.end_all(password="p1"),
        "two": world.end_all(password="p2"),
        "tick": world.reconcile(),
        "login": world.sign_in(password="p1"),
    }


@scenario
async def a_publication_is_overtaken(world: World) -> Flows:
    await _signed_in(world)
    return {"publish": _published(world), "all": world.end_all(), "use": world.use(world.first().token)}


@scenario
async def an_absent_stamp(world: World) -> Flows:
    await _signed_in(world)
    tag = world.sql.slots.of_user(ANN)
    world.store.written(Drop(world.names.stamp(tag)))
    return {
        "publish": _published(world),
        "all": world.end_all(),
        "login": world.sign_in(),
        "others": world.end_others(world.handed[0].token),
    }


@scenario
async def login_then_end(world: World) -> Flows:
    await _signed_in(world, 0)

    async def out() -> None:
        if world.handed:
            await world.sign_out(world.first().session)

    return {"in and out": then(world.sign_in, out), "tick": world.reconcile()}


@scenario
async def everything_at_once(world: World) -> Flows:
    await _signed_in(world, 2)
    mine = world.first()
    return {
        "end": world.sign_out(mine.session),
        "rotate": world.sign_in(over=mine.token),
        "child": world.go_elsewhere(mine.token),
        "ticket": then(lambda: world.take_ticket(mine.token), world.bring_ticket),
        "others": world.end_others(world.handed[2].token),
        "all": world.end_all(),
        "tick": world.reconcile(),
    }


async def _published(world: World) -> None:
    await world.sessions.publish_stamp(ANN, world.sql.slots.of_user(ANN))


async def _shown(world: World) -> None:
    await world.show()
