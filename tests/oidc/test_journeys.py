"""Whole journeys over HTTP: from the first click to the last token, on each kind of store — issue 2, clause 11."""

from tests.oidc.world import VERIFIER, Browser, World, answer, page


async def test_a_stranger_signs_in_consents_and_is_known_to_the_app(any_world: World) -> None:
    world, browser = any_world, Browser(any_world)
    first = await browser.authorize(scope="openid email profile", state="a b+c")
    assert page(first, "/login")
    second = await browser.login(first)
    assert page(second, "/consent")
    back = answer(await browser.consent(second))
    assert back["state"] == "a b+c" and back["iss"] == "https://login.example"
    reply = await world.redeem(back["code"])
    tokens = reply.json()
    assert reply.status_code == 200 and tokens["token_type"] == "Bearer" and tokens["scope"] == "openid email profile"
    person = (await world.userinfo(tokens["access_token"])).json()
    assert person == {
        "sub": world.bob.sub,
        "name": "Bob Ross",
        "given_name": "Bob",
        "family_name": "Ross",
        "locale": "en",
        "updated_at": world.bob.updated_at,
        "email": "bob@example.com",
        "email_verified": True,
    }


async def test_the_second_time_nothing_is_asked(any_world: World) -> None:
    browser = Browser(any_world)
    await browser.consent(await browser.login(await browser.authorize()))
    assert "code" in answer(await browser.authorize())
    assert "code" in answer(await browser.authorize(prompt="none"))


async def test_refresh_twice_then_replay_and_everything_is_over(any_world: World) -> None:
    world = any_world
    await world.allow("ours", "openid")
    browser = await world.sign_in()
    code = await browser.code("ours", scope="openid offline_access")
    tokens = (await world.redeem(code, "ours")).json()
    second = (await world.refresh(tokens["refresh_token"], "ours")).json()
    third = (await world.refresh(second["refresh_token"], "ours")).json()
    assert (await world.userinfo(third["access_token"])).status_code == 200
    replay = await world.refresh(tokens["refresh_token"], "ours")
    assert (replay.status_code, replay.json()["error"]) == (400, "invalid_grant")
    for dead in (tokens, second, third):
        assert (await world.userinfo(dead["access_token"])).status_code == 401
    assert (await world.refresh(third["refresh_token"], "ours")).status_code == 400
    assert "token.replay" in world.kinds()
    assert VERIFIER not in str(world.told.events)
