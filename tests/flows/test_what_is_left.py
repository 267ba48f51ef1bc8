"""What somebody who is signed in leaves behind in the store by asking again and again — security §23; decision 0261."""

from urllib.parse import urlencode

from bridge.grants.options import MEMORY
from bridge.stores.memory import MemoryStore
from bridge.testing.hands import Hands
from tests.flows.oauth import CHALLENGE
from tests.flows.raw import BACK, Heard, Party, ask
from tests.running import Furnished, Site, in_process


def _held(site: Site) -> tuple[int, int]:
    """Values, and members of indexes, that are not over."""
    store = site.bridge.rooms.raw_store
    assert isinstance(store, MemoryStore)
    store._swept = float("-inf")
    store._sweep(site.bridge.rooms.clock.now())
    return len(store._values), sum(len(ends) for ends in store._indexes.values())


async def _silently(party: Party) -> Heard:
    asked = {
        "client_id": "counted",
        "redirect_uri": BACK,
        "response_type": "code",
        "scope": "openid profile email",
        "prompt": "none",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return await ask(party.app, "GET", f"/oauth/authorize?{urlencode(asked)}", party.cookie)


async def test_codes_that_nobody_comes_for_are_gone_from_every_place_minutes_later(site: Site, clock: Hands) -> None:
    party = await Party.at(site)
    await _silently(party)
    before = _held(site)
    for _ in range(50):
        assert b"code=" in (await _silently(party)).headers[b"location"]
    assert min(_held(site)) > 100
    clock.move(site.bridge.rooms.config.grants.code + MEMORY + 1)
    assert all(now <= then for now, then in zip(_held(site), before, strict=True))


async def test_nobody_is_given_more_codes_than_so_many_that_nobody_comes_for(database: Furnished, clock: Hands) -> None:
    async with in_process(database, more={("grants", "codes_per_user"): 100}, clock=clock) as site:
        party = await Party.at(site)
        for _ in range(150):  # who redeems what he asks for is never held up
            await party.signed_in()
        for _ in range(100):
            assert b"code=" in (await _silently(party)).headers[b"location"]
        before = _held(site)
        for _ in range(5):
            assert b"error=temporarily_unavailable" in (await _silently(party)).headers[b"location"]
        assert _held(site) == before
        clock.move(site.bridge.rooms.config.grants.code + MEMORY)
        await party.signed_in()
