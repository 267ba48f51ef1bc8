"""Fifty at once: one success, no forks, on each kind of store — §12 no. 22, 58; B5."""

from collections import Counter

import anyio
import httpx2

from tests.oidc.world import Browser, World, answer


async def _fifty(world: World, grant: str, **form: str) -> list[httpx2.Response]:
    found: list[httpx2.Response] = []

    async def one() -> None:
        found.append(await (world.redeem(form["code"]) if grant == "code" else world.refresh(form["token"])))

    async with anyio.create_task_group() as group:
        for _ in range(50):
            group.start_soon(one)
    return found


async def test_of_fifty_redemptions_exactly_one_succeeds_and_its_tokens_die(any_world: World) -> None:
    """§4: the other forty-nine are replays, so the family ends."""
    world = any_world
    await world.allow("shop", "openid")
    code = await (await world.sign_in()).code()
    replies = await _fifty(world, "code", code=code)
    assert Counter(reply.status_code for reply in replies) == {200: 1, 400: 49}
    tokens = next(reply.json() for reply in replies if reply.status_code == 200)
    assert (await world.userinfo(tokens["access_token"])).status_code == 401
    assert (await world.refresh(tokens["refresh_token"])).status_code == 400


async def test_of_fifty_refreshes_there_is_one_successor_and_it_lives(any_world: World) -> None:
    world = any_world
    tokens = await world.signed_up("shop", "openid")
    replies = await _fifty(world, "refresh", token=tokens["refresh_token"])
    assert Counter(reply.status_code for reply in replies) == {200: 50}
    assert len({(r.json()["refresh_token"], r.json()["access_token"]) for r in replies}) == 1
    new = replies[0].json()
    assert (await world.userinfo(new["access_token"])).status_code == 200
    assert (await world.refresh(new["refresh_token"])).status_code == 200


async def test_the_predecessor_gets_the_same_successor_and_the_grand_parent_ends_all(any_world: World) -> None:
    """§12 no. 57; security §9: whichever store remembers them."""
    world = any_world
    first = await world.signed_up("shop", "openid")
    second = (await world.refresh(first["refresh_token"])).json()
    again = (await world.refresh(first["refresh_token"])).json()
    assert (again["refresh_token"], again["access_token"]) == (second["refresh_token"], second["access_token"])
    third = (await world.refresh(second["refresh_token"])).json()
    assert (await world.refresh(first["refresh_token"])).json()["error"] == "invalid_grant"
    for tokens in (first, second, third):
        assert (await world.userinfo(tokens["access_token"])).status_code == 401
    assert (await world.refresh(third["refresh_token"])).json()["error"] == "invalid_grant"


async def test_a_visit_that_is_answered_in_ten_windows_gives_one_code(any_world: World) -> None:
    world, browser = any_world, Browser(any_world)
    await world.allow("shop", "openid")
    reply = await browser.authorize(prompt="login")
    location = reply.headers["location"].replace("/login?", "/oauth/authorize?")
    first = answer(await browser.login(reply))
    assert "code" in first
    found: list[httpx2.Response] = []

    async def again() -> None:
        found.append(await browser.get(location))

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(again)
    assert [reply.status_code for reply in found] == [400] * 10


async def test_many_windows_of_one_session_all_get_their_code(any_world: World) -> None:
    """Each is new to the session, so each commit changes its record."""
    world = any_world
    browser, codes = await world.sign_in(), []
    clients = ["shop", "es", "post", "spa", "two", "imported"]
    for client in clients:
        await world.allow(client, "openid")

    async def one(client: str) -> None:
        codes.append(answer(await browser.authorize(client))["code"])

    async with anyio.create_task_group() as group:
        for client in clients[:4]:
            group.start_soon(one, client)
    assert len(set(codes)) == 4
