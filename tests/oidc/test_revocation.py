"""Giving a token back — RFC 7009; security §3."""

import pytest

from bridge.stores.memory import MemoryStore
from tests.oidc.world import World, credentials


async def _revoke(world: World, client: str = "shop", **form: str) -> tuple[int, bytes, str | None]:
    headers, extra = credentials(client)
    reply = await world.http.post("/oauth/revoke", data={**extra, **form}, headers=headers)
    return reply.status_code, reply.content, reply.headers.get("content-type")


DONE = (200, b"", None)


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
@pytest.mark.parametrize("hint", [None, "access_token", "refresh_token", "bogus"])
async def test_any_token_given_back_ends_all_of_its_family(world: World, which: str, hint: str | None) -> None:
    """§12 no. 98: a wrong hint works; the answer is empty and claims to be nothing."""
    tokens = await world.signed_up()
    form = {"token": tokens[which], **({"token_type_hint": hint} if hint else {})}
    assert await _revoke(world, **form) == DONE
    assert (await world.userinfo(tokens["access_token"])).status_code == 401
    assert (await world.refresh(tokens["refresh_token"])).status_code == 400
    assert "token.revoked" in world.kinds()
    assert len((await world.endings.recent(None)).families) == 1  # SQL knows, so it outlives the store


async def test_it_is_200_whatever_the_token_is(world: World) -> None:
    tokens = await world.signed_up()
    await _revoke(world, token=tokens["refresh_token"])
    for token in (tokens["refresh_token"], "x", "lba_" + "A" * 64, tokens["id_token"]):
        assert await _revoke(world, token=token) == DONE


async def test_another_clients_token_stays(world: World) -> None:
    """§12 no. 98."""
    tokens = await world.signed_up()
    for token in (tokens["access_token"], tokens["refresh_token"]):
        assert await _revoke(world, "es", token=token) == DONE
    assert (await world.userinfo(tokens["access_token"])).status_code == 200


async def test_a_clients_own_token_can_be_given_back(world: World) -> None:
    token = (await world.token("robot", grant_type="client_credentials")).json()["access_token"]
    assert await _revoke(world, "robot", token=token) == DONE
    assert (await world.userinfo(token)).status_code == 401


async def test_a_public_client_may_give_its_own_back(world: World) -> None:
    tokens = await world.signed_up("spa")
    assert await _revoke(world, "spa", token=tokens["access_token"]) == DONE
    assert (await world.userinfo(tokens["access_token"])).status_code == 401


async def test_who_does_not_authenticate_revokes_nothing(world: World) -> None:
    tokens = await world.signed_up()
    reply = await world.http.post("/oauth/revoke", data={"token": tokens["refresh_token"], "client_id": "shop"})
    assert (reply.status_code, reply.json()["error"]) == (401, "invalid_client")
    assert (await world.userinfo(tokens["access_token"])).status_code == 200


async def test_a_token_must_be_named(world: World) -> None:
    assert (await _revoke(world, token=""))[0] == 400


async def test_what_was_given_back_stays_dead_when_the_store_goes_back(world: World) -> None:
    """§3: the family is alive again in the store, and SQL ends it again."""
    tokens = await world.signed_up()
    assert isinstance(world.store, MemoryStore)
    before = dict(world.store._values)
    await _revoke(world, token=tokens["access_token"])
    world.store._values = before
    assert (await world.userinfo(tokens["access_token"])).status_code == 200  # the store lies
    await world.families.reconcile(await world.endings.recent(None))
    assert (await world.userinfo(tokens["access_token"])).status_code == 401
