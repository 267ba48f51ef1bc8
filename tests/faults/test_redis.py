"""Redis refuses, hangs, is cut and comes back: every door says so clearly, and recovers by itself — S18; §5.7."""

import asyncio
import time
from collections.abc import Callable

import pytest

from tests.faults.doors import DOORS, UNTOUCHED, WELL, Callers, knock, knock_at_all, statuses, wrong_of
from tests.faults.machines import RedisMachine
from tests.flows.mailbox import Mailbox
from tests.running import ADA, Site
from tests.security.holdings import Visiting, gather, scope_with, validate_login

WORKS = {"forgot", "link", "ResetPassword", "WhmcsDetails"}
"""Without a store: what is in SQL, and the outbox."""
ONCE = {"redeem", "refresh", "code", "login", "revoke"}
"""A copy that was on its way may have been executed after its caller was told to come back (store §2, rule 11)."""

Break = Callable[[RedisMachine], None]


@pytest.fixture
async def callers(site: Site, visit: Visiting, mailbox: Mailbox) -> Callers:
    callers = Callers(await gather(site, visit, mailbox), visit)
    await callers.fill_in()
    return callers


async def until_ready(callers: Callers, *, seconds: float = 15) -> float:
    """How long it takes until it can serve."""
    start = time.monotonic()
    while (await knock(callers, "readyz")).reply.status_code != 200:
        assert time.monotonic() - start < seconds, "it did not recover"
        await asyncio.sleep(0.1)
    return time.monotonic() - start


async def test_every_door_opens_when_all_is_well(callers: Callers) -> None:
    """The control."""
    assert {door: (await knock(callers, door)).reply.status_code for door in DOORS} == WELL


@pytest.mark.slow
@pytest.mark.parametrize("how", ["refused", "hung"])
async def test_every_door_says_that_it_cannot_serve(callers: Callers, machine: RedisMachine, how: str) -> None:
    (machine.kill if how == "refused" else machine.freeze)()
    heard = {}
    for again in range(3):
        heard = await knock_at_all(callers, "logout")
        assert wrong_of(heard, UNTOUCHED | WORKS) == {}, again
        assert {door: each.seconds for door, each in heard.items() if each.seconds > 3.5} == {}
    assert heard["readyz"].reply.json() == {
        "status": "unavailable",
        "store": "unavailable",
        "database": "ok",
        "keys": "ok",
        "work": "ok",
    }
    left = (await knock(callers, "logout")).reply
    gone = [line.partition("=")[0] for line in left.headers.get_list("set-cookie") if line.endswith("Max-Age=0")]
    assert left.status_code == 200 and gone == ["__Host-lb_op", "__Host-login_auth_tk", "__Host-lb_dev"]
    assert (await knock(callers, "host, private, unknown")).reply.text == "nobody"


@pytest.mark.slow
async def test_after_a_freeze_everything_goes_on(callers: Callers, machine: RedisMachine) -> None:
    machine.freeze()
    await knock_at_all(callers, "logout", "revoke")
    machine.thaw()
    assert await until_ready(callers) < 5
    heard = {door: await knock(callers, door) for door in DOORS}
    assert max(each.seconds for each in heard.values()) < 3
    wrong = {door: status for door, status in statuses(heard).items() if status != WELL[door]}
    assert set(wrong) <= ONCE and all(status < 500 for status in wrong.values()), wrong


@pytest.mark.slow
async def test_after_a_restart_without_data_nobody_is_signed_in_and_all_can_be(
    callers: Callers, machine: RedisMachine, visit: Visiting
) -> None:
    site = callers.site
    machine.kill()
    await knock_at_all(callers)
    machine.start()
    assert await until_ready(callers) < 5
    heard = await knock_at_all(callers, "logout", "login", "code")
    found = statuses(heard)
    assert (found["account"], found["userinfo"], found["refresh"], found["redeem"]) == (303, 401, 400, 400)
    assert heard["account"].reply.headers["location"].startswith("/login")
    assert heard["authorize, prompt=none"].reply.headers["location"].count("error=login_required") == 1
    assert heard["host, private"].reply.text == "nobody" and heard["touch"].reply.json()["result"] == "dead"
    assert {"store.lost", "store.regained"} <= set(site.told.kinds())
    again = visit(site)
    await again.sign_in(ADA, path="/account")
    assert again.at == "/account"
    token = await validate_login(site)
    assert (await site.bridge.who(scope_with(cookies={"__Host-login_auth_tk": token}))).alive is not None


async def test_connections_that_were_cut_cost_nobody_anything(callers: Callers, machine: RedisMachine) -> None:
    """A failover of a proxy, a restart of a firewall: the second try is the store's own (store §4)."""
    for door in DOORS:
        machine.client().client_kill_filter(_type="normal", skipme=True)
        heard = await knock(callers, door)
        assert heard.reply.status_code == WELL[door], door


@pytest.mark.slow
async def test_it_comes_and_goes(callers: Callers, machine: RedisMachine, visit: Visiting) -> None:
    """Down and up again and again under a load of everything: no 500, no wrong word, and at the end all is well."""
    seen: dict[tuple[str, int], int] = {}

    async def load(doors: list[str]) -> None:
        while True:
            for door in doors:
                status = (await knock(callers, door)).reply.status_code
                seen[(door, status)] = seen.get((door, status), 0) + 1
                await asyncio.sleep(0.01)

    busy = [door for door in DOORS if door not in ("logout", "change password", "code", "forgot", "ResetPassword")]
    tasks = [asyncio.create_task(load(busy[at::4])) for at in range(4)]
    try:
        for _ in range(4):
            await asyncio.sleep(0.7)
            machine.freeze()
            await asyncio.sleep(0.7)
            machine.thaw()
        for _ in range(2):
            await asyncio.sleep(0.7)
            machine.kill()
            await asyncio.sleep(0.5)
            machine.start()
        await until_ready(callers)
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(end, asyncio.CancelledError) for end in ends), ends
    assert {status for _, status in seen} <= {200, 303, 400, 401, 503}, seen
    assert all(status in (WELL[door], 503) for door, status in seen if door in UNTOUCHED | {"WhmcsDetails"}), seen
    again = visit(callers.site)
    await again.sign_in(ADA, path="/account")
    assert again.at == "/account"
