"""The registered OAuth clients: made, imported, found, checked, ended — RFC 7591 §2, security §20–§22."""

import asyncio
import dataclasses
from typing import Any

import pytest
from sqlalchemy import insert, select

from bridge.clients.client import AuthMethod
from bridge.clients.clients import Clients, Registered
from bridge.clients.metadata import InvalidMetadata, Offered
from bridge.database.database import Database
from bridge.database.tables import consents, oauth_clients, users
from bridge.database.versions import VersionTable
from bridge.errors import Unavailable
from bridge.ring import Ring
from bridge.secret import Secret
from bridge.stores.memory import MemoryStore
from bridge.stores.versions import Versions
from bridge.testing.hands import Hands
from bridge.tokens import Names

CALLBACK = {"redirect_uris": ["https://rp.example/cb"]}
BYE = "https://rp.example/bye"
WHMCS: dict[str, Any] = {
    "client_id": "ACME-INC.SQxOYrZOUTQC8YTkLQuQ0w==",
    "client_secret": "8Y/TkL+QuQ0w==",
    "client_name": "Forum",
    "redirect_uris": ["https://forum.example/auth/"],
    "scope": "openid profile email",
    "x_note": "kept",
}


@pytest.fixture
def clients(db: Database, ring: Ring, versions: Versions, clock: Hands) -> Clients:
    return Clients(db=db, ring=ring, versions=versions, clock=clock)


async def test_a_new_client_is_found_with_what_it_registered(clients: Clients) -> None:
    made = await clients.create(CALLBACK | {"client_name": "Shop", "scope": "openid email"}, first_party=True)
    found = await clients.get(made.client.client_id)
    assert found is not None and found == made.client
    assert (found.name, found.scopes, found.redirect_uris) == ("Shop", ("openid", "email"), ("https://rp.example/cb",))
    assert (found.require_pkce, found.first_party, found.allow_query_token) == (True, True, False)


async def test_its_secret_opens_it_and_no_other_does(clients: Clients) -> None:
    made = await clients.create(CALLBACK)
    assert made.secret is not None
    assert await clients.check_secret(made.client, made.secret)
    assert not await clients.check_secret(made.client, Secret("x"))
    assert not await clients.check_secret(made.client, Secret(""))


async def test_a_secret_belongs_to_one_client(clients: Clients) -> None:
    """A hash that somebody moved to another row matches nothing."""
    one, other = await clients.create(CALLBACK), await clients.create(CALLBACK)
    assert one.secret is not None
    moved = dataclasses.replace(other.client, secret_hash=one.client.secret_hash)
    assert not await clients.check_secret(moved, one.secret)


async def test_a_public_client_has_no_secret(clients: Clients) -> None:
    made = await clients.create(CALLBACK | {"token_endpoint_auth_method": "none"})
    assert made.secret is None and made.client.public
    assert not await clients.check_secret(made.client, Secret(""))


async def test_the_database_holds_no_secret(clients: Clients, db: Database) -> None:
    made = await clients.create(CALLBACK)
    await clients.import_(WHMCS)
    assert made.secret is not None
    dump = await _dump(db)
    assert made.secret.reveal() not in dump
    assert WHMCS["client_secret"] not in dump


async def test_only_a_symmetric_client_has_a_recoverable_secret(
    db: Database, ring: Ring, versions: Versions, clock: Hands
) -> None:
    offered = Offered(id_token_algs=frozenset({"RS256", "HS256"}))
    clients = Clients(db=db, ring=ring, versions=versions, clock=clock, offered=offered)
    plain = await clients.create(CALLBACK)
    shared = await clients.create(CALLBACK | {"id_token_signed_response_alg": "HS256"})
    assert shared.secret is not None
    assert clients.symmetric_secret(plain.client) is None
    recovered = clients.symmetric_secret(shared.client)
    assert recovered is not None and recovered.matches(shared.secret)
    assert shared.secret.reveal() not in await _dump(db)


async def test_an_import_keeps_id_secret_and_addresses_as_they_are(clients: Clients) -> None:
    (imported,) = await clients.import_(WHMCS)
    client = await clients.get(imported.client_id)
    assert client is not None and imported.added
    assert client.client_id == WHMCS["client_id"]
    assert client.redirect_uris == ("https://forum.example/auth/",)
    assert await clients.check_secret(client, Secret(WHMCS["client_secret"]))
    assert client.metadata["x_note"] == "kept"
    assert (client.require_pkce, client.allow_query_token, client.first_party) == (False, True, False)


async def test_an_imported_client_that_named_no_method_uses_its_secret_either_way(clients: Clients) -> None:
    named = WHMCS | {"client_id": "named", "token_endpoint_auth_method": "client_secret_post"}
    await clients.import_([WHMCS, named])
    methods: tuple[AuthMethod, ...] = ("client_secret_basic", "client_secret_post", "none")
    assert await _methods(clients, WHMCS["client_id"], methods) == [True, True, False]
    assert await _methods(clients, "named", methods) == [False, True, False]


async def test_an_import_may_say_otherwise(clients: Clients) -> None:
    await clients.import_(WHMCS | {"require_pkce": True, "allow_query_token": False, "first_party": True})
    client = await clients.get(WHMCS["client_id"])
    assert client is not None
    assert (client.require_pkce, client.allow_query_token, client.first_party) == (True, False, True)
    assert "require_pkce" not in client.metadata


async def test_importing_again_leaves_what_is_there(clients: Clients) -> None:
    await clients.import_(WHMCS)
    await clients.disable(WHMCS["client_id"])
    again = await clients.import_([WHMCS | {"client_secret": "other"}, WHMCS | {"client_id": "second"}])
    assert [one.added for one in again] == [False, True]
    client = await clients.get(WHMCS["client_id"])
    assert client is not None and client.disabled
    assert not await clients.check_secret(client, Secret("other"))


@pytest.mark.parametrize(
    "mistake",
    [
        {"client_id": None},
        {"client_secret": None},
        {"redirect_uris": ["javascript:x"]},
        {"require_pkce": "yes"},
    ],
)
async def test_an_import_is_all_or_nothing_and_names_the_mistake(clients: Clients, mistake: dict[str, Any]) -> None:
    with pytest.raises(InvalidMetadata, match="client 2 of the import"):
        await clients.import_([WHMCS, WHMCS | {"client_id": "second"} | mistake])
    assert await clients.list() == []


async def test_an_id_is_given_once(clients: Clients) -> None:
    await clients.create(CALLBACK, client_id="shop")
    with pytest.raises(InvalidMetadata, match="taken"):
        await clients.create(CALLBACK, client_id="shop")


async def test_who_registers_himself_is_never_first_party(clients: Clients) -> None:
    with pytest.raises(InvalidMetadata, match="first-party"):
        await clients.create(CALLBACK, source="registration", first_party=True)


async def test_a_disabled_client_says_so_and_a_removed_one_is_gone(clients: Clients) -> None:
    made = await clients.create(CALLBACK)
    name = made.client.client_id
    assert await clients.disable(name)
    assert [client.disabled for client in await clients.list()] == [True]
    assert await clients.enable(name)
    assert [client.disabled for client in await clients.list()] == [False]
    assert await clients.remove(name)
    assert await clients.get(name) is None
    assert not await clients.remove(name) and not await clients.disable(name)


@pytest.mark.parametrize("name", ["", "\x00", "shop\x00", "sh\nop", "é", "\ud800", "x" * 256])
async def test_what_is_no_name_is_nobody_and_is_not_looked_up(clients: Clients, db: Database, name: str) -> None:
    """PostgreSQL takes no NUL in a text."""
    await db.close()
    assert await clients.get(name) is None
    with pytest.raises(Unavailable):
        await clients.get("x" * 255)


async def test_a_removed_clients_consents_are_withdrawn_with_it(clients: Clients, db: Database, clock: Hands) -> None:
    """Whoever is given its id later begins with nothing; that it changed is seen by the reconciler."""
    now = int(clock.now())
    zeros = {"stamp": "s", "stamp_changed_at": 0, "created_at": 0, "updated_at": 0}
    people = [
        {"id": n, "tag": f"{n}", "sub": f"{n}", "email": f"{n}@x.example", "email_key": f"{n}@x.example"}
        for n in (1, 2)
    ]
    given = {"version": 3, "granted": True, "scopes": "openid email", "claims": "", "changed_at": now}
    async with db.begin() as tx:
        await tx.execute(insert(users).values([{**zeros, **person} for person in people]))
        await tx.execute(
            insert(consents).values(
                [
                    {**given, "user_id": 1, "client_id": "shop"},
                    {**given, "user_id": 2, "client_id": "shop", "granted": False, "scopes": ""},
                    {**given, "user_id": 1, "client_id": "other"},
                ]
            )
        )
    await clients.create(CALLBACK, client_id="shop")
    clock.move(60)
    assert await clients.remove("shop")
    c = consents.c
    rows = select(c.user_id, c.client_id, c.version, c.granted, c.scopes, c.changed_at).order_by(c.client_id, c.user_id)
    async with db.read() as tx:
        assert [tuple(row) for row in await tx.execute(rows)] == [
            (1, "other", 3, True, "openid email", now),
            (1, "shop", 4, False, "", now + 60),
            (2, "shop", 3, False, "", now),
        ]


async def test_a_cache_elsewhere_is_at_most_two_seconds_behind(
    clients: Clients, db: Database, ring: Ring, store: MemoryStore, clock: Hands
) -> None:
    """Another worker believes its cache for a second after it asked for the versions, and then no more."""
    made, time = await clients.create(CALLBACK), Hands()
    theirs = Versions(store, Names("https://login.example.com"), VersionTable(db), monotonic=time.now)
    other = Clients(db=db, ring=ring, versions=theirs, clock=clock)
    await theirs.poll()
    await other.get(made.client.client_id)
    await clients.disable(made.client.client_id)
    cached = await other.get(made.client.client_id)
    assert cached is not None and not cached.disabled  # else this test would show nothing about a cache
    time.move(2)
    found = await other.get(made.client.client_id)
    assert found is not None and found.disabled


async def test_a_secret_outlives_the_key_it_was_hashed_with(db: Database, versions: Versions, clock: Hands) -> None:
    """A new master key comes before the old one: the first use moves the hash, and the old key may go."""
    old, new = Ring.new_line("old"), Ring.new_line("new")
    made = await Clients(db=db, ring=Ring.parse(old), versions=versions, clock=clock).create(CALLBACK)
    both = Clients(db=db, ring=Ring.parse(f"{new}\n{old}"), versions=versions, clock=clock)
    later = Clients(db=db, ring=Ring.parse(new), versions=versions, clock=clock)
    assert made.secret is not None
    assert not await later.check_secret(made.client, made.secret)
    assert await both.check_secret(made.client, made.secret)
    moved = await later.get(made.client.client_id)
    assert moved is not None and await later.check_secret(moved, made.secret)


async def test_a_renewed_secret_and_the_one_before_it_are_good_together_for_a_while(
    clients: Clients, clock: Hands
) -> None:
    """Openid-provider §12 no. 46: a second secret, with its time; a third is none."""
    made = await clients.create(CALLBACK)
    first, client_id = made.secret, made.client.client_id
    second, third = [await clients.renew_secret(client_id, overlap=60) for _ in range(2)]
    assert first and second and third and second.secret and third.secret
    for secret, good in ((first, False), (second.secret, True), (third.secret, True)):
        assert await clients.check_secret(third.client, secret) is good
    clock.move(60)
    assert [await clients.check_secret(third.client, one) for one in (second.secret, third.secret)] == [False, True]


async def test_without_an_overlap_the_old_secret_is_over_at_once(clients: Clients) -> None:
    made = await clients.create(CALLBACK)
    renewed = await clients.renew_secret(made.client.client_id)
    assert made.secret and renewed and renewed.secret
    found = await clients.get(made.client.client_id)
    assert found is not None and not await clients.check_secret(found, made.secret)
    assert await clients.check_secret(found, renewed.secret)


async def test_a_better_hash_of_a_renewed_secret_leaves_the_one_before_it(
    db: Database, versions: Versions, clock: Hands
) -> None:
    """A new master key: who still shows the older secret does not take the newer one's place."""
    old, new = Ring.new_line("k1"), Ring.new_line("k2")
    before = Clients(db=db, ring=Ring.parse(old), versions=versions, clock=clock)
    after = Clients(db=db, ring=Ring.parse(f"{new}\n{old}"), versions=versions, clock=clock)
    made = await before.create(CALLBACK)
    renewed = await before.renew_secret(made.client.client_id, overlap=60)
    assert made.secret and renewed and renewed.secret
    for secret in (made.secret, renewed.secret, made.secret, renewed.secret):
        found = await after.get(made.client.client_id)
        assert found is not None and await after.check_secret(found, secret)
    kept = (await after.list())[0].secret_hash
    assert kept is not None and kept.startswith("h1.k2.") and " h1.k1." in kept


@pytest.mark.parametrize(
    ("metadata", "overlap", "why"),
    [
        ({"token_endpoint_auth_method": "none"}, 0, "client_secret: is none of this client's"),
        ({"token_endpoint_auth_method": "client_secret_jwt"}, 60, "client_secret: is a key"),
    ],
)
async def test_what_is_no_secret_is_not_renewed_nor_a_key_doubled(
    clients: Clients, metadata: dict[str, Any], overlap: int, why: str
) -> None:
    made = await clients.create(CALLBACK | metadata)
    with pytest.raises(InvalidMetadata, match=why):
        await clients.renew_secret(made.client.client_id, overlap=overlap)
    assert (await clients.list())[0].secret_hash == made.client.secret_hash


async def test_a_renewed_key_is_the_one_that_signs(clients: Clients) -> None:
    made = await clients.create(CALLBACK | {"token_endpoint_auth_method": "client_secret_jwt"})
    renewed = await clients.renew_secret(made.client.client_id)
    assert made.secret and renewed and renewed.secret
    key = clients.symmetric_secret(renewed.client)
    assert key is not None and key.matches(renewed.secret) and not key.matches(made.secret)


async def test_a_change_says_what_changes_and_keeps_the_rest(clients: Clients) -> None:
    made = await clients.create(CALLBACK | {"client_name": "Shop", "x_note": "kept"}, first_party=True)
    changed = await clients.change(made.client.client_id, lambda now: {**now, "backchannel_logout_uri": BYE})
    assert changed is not None and changed.secret is None and made.secret is not None
    assert changed.client == await clients.get(made.client.client_id)
    assert (changed.client.backchannel_logout_uri, changed.client.name) == (BYE, "Shop")
    assert (changed.client.metadata["x_note"], changed.client.first_party) == ("kept", True)
    assert await clients.check_secret(changed.client, made.secret)


async def test_a_change_that_is_wrong_changes_nothing(clients: Clients) -> None:
    made = await clients.create(CALLBACK)
    mistakes: list[dict[str, Any]] = [{"redirect_uris": ["javascript:x"]}, {"grant_types": ["implicit"]}]
    for wrong in (*mistakes, {"redirect_uris": []}):
        with pytest.raises(InvalidMetadata, match=next(iter(wrong))):
            await clients.change(made.client.client_id, lambda now, wrong=wrong: {**now, **wrong})  # type: ignore[misc]
    assert await clients.list() == [made.client]
    assert await clients.change("nobody", dict) is None and await clients.renew_secret("nobody") is None


@pytest.mark.parametrize("member", ["logo_uri#de", "policy_uri#fr", "tos_uri#zh-Hant", "client_uri#en"])
@pytest.mark.parametrize("value", ["javascript:alert(1)", 5, {"a": 1}])
async def test_an_address_in_another_language_is_one_that_could_be_shown(
    clients: Clients, member: str, value: object
) -> None:
    """RFC 7591 §2.2: of what is checked in the member itself."""
    with pytest.raises(InvalidMetadata) as caught:
        await clients.create(CALLBACK | {member: value})
    assert caught.value.field == member
    made = await clients.create(CALLBACK | {member: "https://rp.example/x", "client_name#de": "Laden"})
    with pytest.raises(InvalidMetadata, match=member):
        await clients.change(made.client.client_id, lambda now: {**now, member: value})
    with pytest.raises(InvalidMetadata, match=member):
        await clients.import_(CALLBACK | {"client_id": "old", "client_secret": "s", member: value})


async def test_what_a_client_has_it_keeps_though_it_is_offered_no_more(
    db: Database, ring: Ring, versions: Versions, clock: Hands
) -> None:
    """A setting that was turned off since is no reason to keep a wrong address."""
    once = Offered(grant_types=frozenset({"implicit"}), response_types=frozenset({"id_token"}))
    clients = Clients(db=db, ring=ring, versions=versions, clock=clock, offered=once)
    browser = {"grant_types": ["implicit"], "response_types": ["id_token"]}
    made = await clients.create(CALLBACK | browser)
    now = Clients(db=db, ring=ring, versions=versions, clock=clock)
    assert await now.change(made.client.client_id, lambda document: {**document, "client_name": "New"}) is not None


async def test_who_becomes_public_loses_the_secret_and_gets_a_new_one_on_return(clients: Clients) -> None:
    made = await clients.create(CALLBACK)
    ways = ("none", "client_secret_post", "client_secret_jwt", "client_secret_basic")
    found = []
    for way in ways:
        changed = await clients.change(
            made.client.client_id,
            lambda now, way=way: {**now, "token_endpoint_auth_method": way},  # type: ignore[misc]
        )
        assert changed is not None
        found.append((changed.secret is not None, changed.client.secret_enc is not None))
    assert found == [(False, False), (True, False), (True, True), (False, False)]


async def test_a_better_hash_that_cannot_be_written_does_not_refuse(
    db: Database, versions: Versions, clock: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> None:
        raise Unavailable("away")

    old, new = Ring.new_line("old"), Ring.new_line("new")
    made = await Clients(db=db, ring=Ring.parse(old), versions=versions, clock=clock).create(CALLBACK)
    both = Clients(db=db, ring=Ring.parse(f"{new}\n{old}"), versions=versions, clock=clock)
    monkeypatch.setattr(db, "begin", away)
    assert made.secret is not None and await both.check_secret(made.client, made.secret)


async def test_two_who_take_one_id_at_once_leave_one_client(clients: Clients) -> None:
    """On a database with several writers both may see the id free; the index decides."""
    tried = await asyncio.gather(
        *(clients.create(CALLBACK, client_id="shop") for _ in range(5)), return_exceptions=True
    )
    assert sum(isinstance(one, Registered) for one in tried) == 1
    assert all(isinstance(one, Registered | InvalidMetadata) for one in tried)


async def test_a_new_secret_reaches_its_owner_though_the_store_is_away(
    clients: Clients, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*keys: str) -> list[bytes | None]:
        raise Unavailable("away")

    monkeypatch.setattr(store, "read", away)
    made = await clients.create(CALLBACK)
    assert made.secret is not None and await clients.check_secret(made.client, made.secret)


async def _methods(clients: Clients, client_id: str, methods: tuple[AuthMethod, ...]) -> list[bool]:
    client = await clients.get(client_id)
    assert client is not None
    return [client.may_authenticate_by(method) for method in methods]


async def _dump(db: Database) -> str:
    async with db.read() as tx:
        return repr([tuple(row) for row in await tx.execute(select(oauth_clients))])
