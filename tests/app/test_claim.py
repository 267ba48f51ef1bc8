"""Two bridges on one store: nothing crosses, and nobody takes another's place — security §6, §19."""

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest

from bridge.app.claim import claim
from bridge.clock import SystemClock
from bridge.errors import ConfigError, Unavailable
from bridge.ring import Ring
from bridge.secret import Secret
from bridge.sessions.judge import Alive
from bridge.stores.memory import MemoryStore
from bridge.stores.store import Put, Store
from bridge.stores.url import open_store
from bridge.testing.hands import Hands
from bridge.tokens import LoginToken, Names, Slots
from tests.app.conftest import Make
from tests.app.scene import request
from tests.running import ADA, PASSWORD
from tests.servers import Server
from tests.stores.servers import patient

OURS, THEIRS = Names("https://login.example.com"), Names("https://login.example.net")
KEY, OTHER = Slots(Secret(b"k" * 32)), Slots(Secret(b"o" * 32))


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    url = "memory://" if request.param == "memory" else request.getfixturevalue("valkey_server").url
    store = patient(open_store(url, clock=SystemClock()))
    await store.open()
    yield store
    await store.close()


async def test_each_issuer_has_its_own_part_and_the_first_slot_key_stays(store: Store) -> None:
    await asyncio.gather(*(claim(store, OURS, KEY) for _ in range(10)))
    await claim(store, THEIRS, OTHER)
    for names, slots in ((OURS, OTHER), (THEIRS, KEY)):
        with pytest.raises(ConfigError, match="slot key"):
            await claim(store, names, slots)
    await claim(store, OURS, KEY)


async def test_a_claim_is_renewed_at_each_start() -> None:
    clock = Hands(1_000.0)
    store = MemoryStore(clock)
    await claim(store, OURS, KEY)
    clock.move(399 * 86_400)
    await claim(store, OURS, KEY)
    clock.move(2 * 86_400)
    with pytest.raises(ConfigError):
        await claim(store, OURS, OTHER)


async def test_a_store_that_takes_no_writes_stops_only_who_has_no_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore(SystemClock())
    await claim(store, OURS, KEY)

    async def full(*_: object) -> bool:
        raise Unavailable("OOM command not allowed")

    monkeypatch.setattr(store, "commit", full)
    await claim(store, OURS, KEY)
    with pytest.raises(Unavailable):
        await claim(store, THEIRS, KEY)


async def test_a_store_that_never_keeps_a_claim_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore(SystemClock())

    async def taken(*_: object) -> bool:
        return False

    monkeypatch.setattr(store, "commit", taken)
    with pytest.raises(Unavailable):
        await claim(store, OURS, KEY)


def on(server: Server) -> dict[tuple[str, ...], str]:
    """An issuer that was never on this Redis."""
    return {("store", "url"): server.url, ("server", "base_url"): f"https://{uuid.uuid4().hex}.example.com"}


async def test_under_another_slot_key_it_does_not_start(make: Make, valkey_server: Server) -> None:
    url = on(valkey_server)
    async with make(url).running():
        pass
    other = make({**url, ("secrets", "slot"): Ring.new_line("slot").partition(":")[2]})
    assert other.rooms.slots.fingerprint != make(url).rooms.slots.fingerprint
    with pytest.raises(ConfigError, match=r"store\.url.*slot key"):
        await other.open()


@pytest.mark.parametrize("rings", ["one", "two"])
async def test_two_issuers_on_one_redis_share_nothing(make: Make, valkey_server: Server, rings: str) -> None:
    """Security §6: prefix, issuer in the record and MAC keys; the last also where the secrets are the same."""
    ring = {("secrets", "master"): Ring.new_line("k1")} if rings == "two" else {}
    ours, theirs = make(on(valkey_server)), make({**on(valkey_server), **ring})
    async with ours.running(), theirs.running():
        said = await ours.local_api("ValidateLogin", {"email": ADA, "password2": PASSWORD})
        token = LoginToken.parse(str(said["passwordhash"]))
        assert token is not None
        headers = {"cookie": f"__Host-login_auth_tk={token.text.reveal()}"}
        assert (await ours.who(request("/", headers=headers))).alive is not None
        assert (await theirs.who(request("/", headers=headers))).alive is None
        # Even where somebody copies the record and the stamp to the other's names.
        raw, raw_stamp = await ours.rooms.store.read(*ours.rooms.sessions.keys_of(token))
        key, stamp = theirs.rooms.sessions.keys_of(token)
        assert raw is not None and raw_stamp is not None
        await theirs.rooms.store.commit(Put(key, raw, 60), Put(stamp, raw_stamp, 60))
        assert not isinstance(await theirs.rooms.sessions.resolve(token, "middleware", None), Alive)
        keys = [ours.rooms.names.prefix, theirs.rooms.names.prefix]
        assert keys[0] != keys[1] and all(prefix.startswith("lb:") and len(prefix) == 12 for prefix in keys)
