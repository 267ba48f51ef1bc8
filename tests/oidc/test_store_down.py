"""Store or database down: a clear answer to whoever asks, and nothing lost — DESIGN §6, store §1."""

from collections.abc import Sequence

import pytest

from bridge.errors import Unavailable
from bridge.stores.store import Change
from tests.oidc.world import World, credentials


class _Down:
    """A store that does not answer, neither to reads nor, if `writes`, to anything but reads."""

    async def read(self, *keys: str) -> Sequence[bytes | None]:
        raise Unavailable("refused")

    async def commit(self, *changes: Change) -> bool:
        raise Unavailable("refused")


async def test_programs_are_told_to_come_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = await world.signed_up()
    headers, form = credentials("shop")
    monkeypatch.setattr(world.store, "read", _Down().read)
    monkeypatch.setattr(world.store, "commit", _Down().commit)
    for reply in (
        await world.userinfo(tokens["access_token"]),
        await world.refresh(tokens["refresh_token"]),
        await world.token("robot", grant_type="client_credentials"),
        await world.http.post("/oauth/revoke", data={**form, "token": tokens["access_token"]}, headers=headers),
    ):
        assert reply.status_code == 503 and int(reply.headers["retry-after"]) > 0
        assert reply.json()["error"] == "temporarily_unavailable"
        assert reply.headers["access-control-allow-origin"] == "*"
    asked = await world.http.post("/oauth/introspect", data={**form, "token": tokens["access_token"]}, headers=headers)
    assert asked.status_code == 503 and int(asked.headers["retry-after"]) > 0
    monkeypatch.undo()
    assert (await world.refresh(tokens["refresh_token"])).status_code == 200  # nothing was used up


async def test_a_made_up_token_costs_no_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """DESIGN §5: its MAC is looked at first, so it can neither probe nor end anything."""
    monkeypatch.setattr(world.store, "read", _Down().read)
    assert (await world.userinfo("lba_" + "A" * 64)).status_code == 401
    assert (await world.refresh("lbr_" + "A" * 64)).status_code == 400
    assert (await world.redeem("lbc_" + "A" * 64)).status_code == 400


async def test_what_a_request_costs_in_trips_to_the_store(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Store §7: one read and at most one commit each, on the way that is gone most often."""
    await world.allow("shop", "openid")
    browser = await world.sign_in()
    await browser.code()
    trips: list[str] = []
    read, commit = world.store.read, world.store.commit

    async def reading(*keys: str) -> Sequence[bytes | None]:
        trips.append("read")
        return await read(*keys)

    async def committing(*changes: Change) -> bool:
        trips.append("commit")
        return await commit(*changes)

    async def cost(request: object) -> list[str]:
        del trips[:]
        await request  # type: ignore[misc]
        return list(trips)

    code, spent = await browser.code(), await browser.code()
    tokens = (await world.redeem(spent)).json()
    monkeypatch.setattr(world.store, "read", reading)
    monkeypatch.setattr(world.store, "commit", committing)
    assert await cost(browser.authorize()) == ["read", "commit"]
    assert await cost(world.redeem(code)) == ["read", "commit"]
    assert await cost(world.userinfo(tokens["access_token"])) == ["read"]
    assert await cost(world.refresh(tokens["refresh_token"])) == ["read", "commit"]
    assert await cost(world.token("robot", grant_type="client_credentials")) == ["commit"]
