"""A client that has proved who it is need not be looked at anew, until anything changes — security §20, §22."""

import gc
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import update

from bridge.clients.hashes import SecretHashes
from bridge.database.tables import oauth_clients
from bridge.database.versions import bump
from bridge.oidc import client_auth
from bridge.secret import Secret
from tests.oidc.world import RING, World, basic, secret_of


async def _ask(world: World, headers: dict[str, str] | None = None, **form: str) -> int:
    """Who am I?  200: you are a client."""
    shown = _header() if headers is None else headers
    return (await world.http.post("/oauth/introspect", data={"token": "x", **form}, headers=shown)).status_code


def _header() -> dict[str, str]:
    return basic("robot", secret_of("robot"))


async def _disabled(world: World) -> None:
    await world.clients.disable("robot")


async def _removed(world: World) -> None:
    await world.clients.remove("robot")


async def _another_secret(world: World) -> None:
    await _changed(world, secret_hash=SecretHashes(RING, "client-secret").make("robot", Secret("another")))


async def _another_method(world: World) -> None:
    await _changed(world, auth_method="client_secret_post")


async def _changed(world: World, **values: object) -> None:
    async with world.db.begin() as tx:
        await tx.execute(update(oauth_clients).where(oauth_clients.c.client_id == "robot").values(**values))
        await bump(tx, "clients")
    await world.versions.publish("clients")


@pytest.mark.parametrize("change", [_disabled, _removed, _another_secret, _another_method])
async def test_20_a_client_that_was_proved_is_refused_as_soon_as_it_changed(
    world: World, change: Callable[[World], Awaitable[None]]
) -> None:
    assert [await _ask(world) for _ in range(3)] == [200, 200, 200]
    await change(world)
    assert [await _ask(world) for _ in range(2)] == [401, 401]


async def test_20_a_secret_that_was_renewed_is_over_when_its_time_is(world: World) -> None:
    """However often it was shown until then: no version says that a time has come."""
    assert await _ask(world) == 200
    renewed = await world.clients.renew_secret("robot", overlap=60)
    assert renewed is not None and renewed.secret is not None
    new = basic("robot", renewed.secret.reveal())
    for _ in range(3):
        assert (await _ask(world), await _ask(world, new)) == (200, 200)
    world.clock.move(59)
    assert (await _ask(world), await _ask(world, new)) == (200, 200)
    world.clock.move(1)
    assert [(await _ask(world), await _ask(world, new)) for _ in range(2)] == [(401, 200)] * 2


async def test_who_has_two_secrets_is_hashed_once_for_each_and_once_when_the_older_is_over(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    renewed = await world.clients.renew_secret("robot", overlap=60)
    assert renewed is not None and renewed.secret is not None
    old, new, hashed = _header(), basic("robot", renewed.secret.reveal()), list[str]()
    check = SecretHashes.check

    def counted(self: SecretHashes, kept: str, owner: str, secret: Secret) -> bool:
        hashed.append(owner)
        return check(self, kept, owner, secret)

    assert (await _ask(world, old), await _ask(world, new)) == (200, 200)
    monkeypatch.setattr(SecretHashes, "check", counted)
    assert {await _ask(world, header) for header in (old, new) for _ in range(3)} == {200}
    assert hashed == []
    world.clock.move(60)
    assert [await _ask(world, new) for _ in range(3)] == [200] * 3
    assert hashed == ["robot"]


async def test_20_a_proof_counts_for_nothing_while_the_versions_are_not_known(world: World) -> None:
    """Then the row is asked for, as by who never came before."""
    assert await _ask(world) == 200
    async with world.db.begin() as tx:
        await tx.execute(update(oauth_clients).where(oauth_clients.c.client_id == "robot").values(disabled_at=1))
    assert await _ask(world) == 200  # nobody was told: the version says that nothing has changed
    world.versions._asked = float("-inf")
    assert await _ask(world) == 401


async def test_a_proof_is_of_one_header_and_in_one_way(world: World) -> None:
    assert await _ask(world) == 200
    wrong = _header()["authorization"][:-4] + "AAA="
    assert await _ask(world, {"authorization": wrong}) == 401
    assert await _ask(world, {}) == 401
    assert await _ask(world, client_id="robot") == 200
    assert await _ask(world, client_id="shop") == 401
    assert await _ask(world, client_secret=secret_of("robot")) == 400
    assert await _ask(world, client_assertion="x") == 400
    assert await _ask(world, basic("shop", secret_of("robot"))) == 401


async def test_one_who_lacked_a_proof_may_still_bring_it(world: World) -> None:
    """Nobody is remembered for having been wrong."""
    headers = basic("late", "s" * 32)
    assert await _ask(world, headers) == 401
    document = {"client_id": "late", "client_secret": "s" * 32, "client_name": "Late", "response_types": []}
    await world.clients.import_({**document, "grant_types": ["client_credentials"]})
    assert await _ask(world, headers) == 200


async def test_5_no_secret_and_no_header_is_kept_and_their_number_is_bounded(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_auth, "MOST_PROVED", 5)
    value = _header()["authorization"]
    for spaces in range(1, 20):  # one proof, in many spellings
        assert await _ask(world, {"authorization": value.replace(" ", " " * spaces)}) == 200
    proved = [found for found in gc.get_objects() if isinstance(found, client_auth._Proved) and found._by_mac]
    assert proved
    for each in proved:
        assert 0 < len(each._by_mac) <= 5
        assert all(len(name) == 32 for name in each._by_mac)
        assert secret_of("robot") not in repr(each._by_mac) and value not in repr(each._by_mac)
