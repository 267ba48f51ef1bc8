"""The signing keys: one of each algorithm, sealed in SQL, public parts only outside — DESIGN §4, security §5."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from joserfc import jws, jwt
from joserfc.jwk import KeySet
from sqlalchemy import select

from bridge.clock import SystemClock
from bridge.database.database import Database
from bridge.database.tables import signing_keys
from bridge.database.versions import VersionTable
from bridge.errors import ConfigError
from bridge.events.event import Event, Events
from bridge.keys.keyring import Keyring
from bridge.keys.registry import Registry
from bridge.ring import Ring
from bridge.tokens import b64url
from tests.databases import opened

RING = Ring.parse(Ring.new_line("r1"))
CLAIMS = {"iss": "https://op.test", "sub": "user-1", "aud": "app", "iat": 1, "exp": 2}


class Told:
    """Listens to the keyring's events."""

    def __init__(self) -> None:
        self.kids: list[str] = []

    def hear(self, event: Event) -> None:
        assert (event.kind, event.actor, event.reason) == ("key.changed", "start", "made")
        self.kids.append(event.details["kid"])


def keyring(db: Database, told: Told | None = None, ring: Ring = RING) -> Keyring:
    return Keyring(db=db, ring=ring, clock=SystemClock(), events=Events(SystemClock(), told or Told()))


@pytest.fixture
async def keys(sqlite_url: str) -> AsyncIterator[Keyring]:
    async with opened(sqlite_url) as db:
        made = keyring(db)
        await made.ensure()
        yield made


async def test_of_workers_that_start_at_once_exactly_one_makes_the_keys(database_url: str) -> None:
    async with opened(database_url) as one, opened(database_url) as two:
        told = Told()
        rings = [keyring(db, told) for db in (one, two, one, two)]
        await asyncio.gather(*(each.ensure() for each in rings))
        assert len(told.kids) == 3
        assert len({json.dumps(each.public_jwks(), sort_keys=True) for each in rings}) == 1


async def test_there_is_one_key_for_each_algorithm(keys: Keyring) -> None:
    assert sorted(key["alg"] for key in keys.public_jwks()["keys"]) == ["ES256", "EdDSA", "RS256"]


async def test_the_published_keys_have_distinct_kids_and_no_private_part(keys: Keyring) -> None:
    published = keys.public_jwks()["keys"]
    assert len({key["kid"] for key in published}) == len(published)
    assert all(key["use"] == "sig" for key in published)
    assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & {name for key in published for name in key}


@pytest.mark.parametrize("alg", ["RS256", "ES256", "EdDSA"])
async def test_another_library_verifies_what_was_signed(keys: Keyring, alg: str) -> None:
    token = keys.sign(alg, CLAIMS)  # type: ignore[arg-type]
    published = KeySet.import_key_set(keys.public_jwks())  # type: ignore[arg-type]
    decoded = jwt.decode(token, published, registry=Registry(algorithms=[alg]))
    assert decoded.claims == CLAIMS
    assert decoded.header["typ"] == "JWT"


@pytest.mark.parametrize("alg", ["RS256", "ES256", "EdDSA"])
async def test_our_own_token_verifies_also_when_its_time_is_over(keys: Keyring, alg: str) -> None:
    assert keys.verify(keys.sign(alg, CLAIMS)) == CLAIMS  # type: ignore[arg-type]


async def test_a_token_of_another_typ_is_refused(keys: Keyring) -> None:
    logout = keys.sign("ES256", CLAIMS, "logout+jwt")
    assert keys.verify(logout) is None
    assert keys.verify(logout, typ=("logout+jwt",)) == CLAIMS


async def test_one_changed_byte_anywhere_is_refused(keys: Keyring) -> None:
    token = keys.sign("ES256", CLAIMS)
    for at in range(0, len(token), 7):
        other = "A" if token[at] != "A" else "B"
        assert keys.verify(token[:at] + other + token[at + 1 :]) is None, at


async def test_alg_none_and_foreign_keys_and_junk_are_refused(keys: Keyring) -> None:
    head = json.loads(base64.urlsafe_b64decode(keys.sign("ES256", CLAIMS).split(".")[0] + "=="))
    body = b64url(json.dumps(CLAIMS).encode()).decode()
    unsigned = b64url(json.dumps({**head, "alg": "none"}).encode()).decode()
    foreign = KeySet.generate_key_set("EC", "P-256", {"kid": head["kid"]}, count=1).keys[0]
    forged = jws.serialize_compact({**head}, json.dumps(CLAIMS), foreign)
    symmetric = b64url(json.dumps({**head, "alg": "HS256"}).encode()).decode()
    for token in (f"{unsigned}.{body}.", forged, f"{symmetric}.{body}.AAAA", "", "a.b", "a.b.c.d", "é.é.é", "." * 9000):
        assert keys.verify(token) is None, token[:40]


async def test_an_overlong_token_is_refused_before_it_is_parsed(keys: Keyring) -> None:
    assert keys.verify(keys.sign("ES256", {**CLAIMS, "x": "y" * 9_000})) is None


async def test_a_worker_that_finds_the_keys_writes_nothing(sqlite_url: str) -> None:
    async with opened(sqlite_url) as db:
        await keyring(db).ensure()
        before = await VersionTable(db).current()
        another = keyring(db)
        await another.ensure()
        assert len(another.published()) == 3
        assert await VersionTable(db).current() == before


async def test_a_dump_of_the_database_holds_no_private_key(sqlite_url: str) -> None:
    async with opened(sqlite_url) as db:
        await keyring(db).ensure()
        async with db.read() as tx:
            sealed = (await tx.execute(select(signing_keys.c.private_enc))).scalars().all()
        dump = b"".join(file.read_bytes() for file in Path(sqlite_url.removeprefix("sqlite:///")).parent.iterdir())
    assert len(sealed) == 3
    assert b"PRIVATE KEY" not in dump
    assert b'"d":' not in dump


async def test_a_sealed_key_moved_to_another_row_does_not_open(sqlite_url: str) -> None:
    async with opened(sqlite_url) as db:
        await keyring(db).ensure()
        async with db.begin() as tx:
            rows = (await tx.execute(select(signing_keys.c.kid, signing_keys.c.private_enc))).all()
            moved = (
                signing_keys.update().where(signing_keys.c.kid == rows[0].kid).values(private_enc=rows[1].private_enc)
            )
            await tx.execute(moved)
        with pytest.raises(ConfigError, match=r"no key of secrets\.master opens it"):
            await keyring(db).refresh()


async def test_a_ring_without_the_key_says_so(sqlite_url: str) -> None:
    async with opened(sqlite_url) as db:
        await keyring(db).ensure()
        with pytest.raises(ConfigError, match=r"secrets\.master"):
            await keyring(db, ring=Ring.parse(Ring.new_line("r2"))).refresh()


async def test_keys_are_opened_once_and_not_at_every_refresh(keys: Keyring, monkeypatch: pytest.MonkeyPatch) -> None:
    signers = [key.sign for key in keys.published()]
    monkeypatch.setattr(Ring, "open", lambda *_, **__: pytest.fail("opened again"))
    await keys.refresh()
    assert [key.sign for key in keys.published()] == signers
