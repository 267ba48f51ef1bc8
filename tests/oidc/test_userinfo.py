"""Userinfo: the token in the header or in a form, the claims by scope, and the challenges — Core §5.3, RFC 6750."""

import json

import pytest

from bridge.accounts.account import Account, Profile
from bridge.accounts.permissions import EVERY_PERMISSION, parse_permissions
from bridge.events.audit import AuditLog
from bridge.events.ledger import Ledger
from bridge.events.options import EventsOptions
from bridge.oidc.claims import claims_of
from bridge.sessions.stamp import draw_stamp
from bridge.stores.store import Drop
from bridge.types import AccountId, SlotTag, Stamp, Subject, UserId, Visit
from bridge.users.user import User
from tests.oidc.world import CLIENTS, World


def user(**what: object) -> User:
    known: dict[str, object] = {
        "id": UserId(1),
        "sub": Subject("s"),
        "tag": SlotTag("t"),
        "email": "bob@example.com",
        "email_key": "bob@example.com",
        "stamp": Stamp("n"),
    }
    return User(**{**known, **what})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("scopes", "members"),
    [
        (("openid",), {"sub"}),
        (("openid", "email"), {"sub", "email", "email_verified"}),
        (("openid", "profile"), {"sub", "name", "given_name", "family_name", "locale", "updated_at"}),
        (("openid", "address", "phone"), {"sub"}),
        (
            ("phone", "email", "openid", "profile", "address"),
            {"sub", "email", "email_verified", "name", "given_name", "family_name", "locale", "updated_at"},
        ),
    ],
)
def test_each_scope_gives_its_claims(scopes: tuple[str, ...], members: set[str]) -> None:
    """§12 no. 75."""
    bob = user(first_name="Bob", last_name="Ross", language="en", updated_at=7)
    assert set(claims_of(bob, Subject("s"), scopes)) == members


def test_claims_have_their_types_and_no_empty_ones() -> None:
    claims = claims_of(user(updated_at=7), Subject("s"), ("openid", "profile", "email"))
    assert claims == {"sub": "s", "updated_at": 7, "email": "bob@example.com", "email_verified": False}
    assert claims["email_verified"] is False


def test_the_name_never_gives_the_address_away() -> None:
    """Who has no name is shown by his address elsewhere; here the scope `email` guards it."""
    assert "bob@example.com" not in str(claims_of(user(), Subject("s"), ("openid", "profile")))


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "bEaReR"])
async def test_the_header_in_any_case(world: World, scheme: str) -> None:
    """§12 no. 68."""
    token = (await world.signed_up())["access_token"]
    for method in ("GET", "POST"):
        reply = await world.http.request(method, "/oauth/userinfo", headers={"authorization": f"{scheme} {token}"})
        assert reply.status_code == 200 and reply.json()["sub"] == world.bob.sub
        assert reply.headers["content-type"] == "application/json" and reply.headers["cache-control"] == "no-store"


async def test_a_form_in_the_body(world: World) -> None:
    """§12 no. 69."""
    token = (await world.signed_up())["access_token"]
    assert (await world.http.post("/oauth/userinfo", data={"access_token": token})).status_code == 200


async def test_no_token_is_told_how_and_nothing_else(world: World) -> None:
    """RFC 6750 §3.1."""
    token = (await world.signed_up())["access_token"]
    shows_none: list[tuple[str, str, dict[str, str]]] = [
        ("GET", "", {}),
        ("POST", "", {}),
        ("GET", f"?access_token={token}", {}),
        ("GET", "", {"authorization": f"Basic {token}"}),
    ]
    for method, query, headers in shows_none:
        reply = await world.http.request(method, f"/oauth/userinfo{query}", headers=headers)
        assert reply.status_code == 401 and reply.headers["www-authenticate"] == "Bearer"
    reply = await world.http.post("/oauth/userinfo", json={"access_token": token})
    assert reply.status_code == 401


async def test_two_places_are_one_too_many(world: World) -> None:
    token = (await world.signed_up())["access_token"]
    reply = await world.http.post(
        "/oauth/userinfo", data={"access_token": token}, headers={"authorization": f"Bearer {token}"}
    )
    assert reply.status_code == 400 and reply.json()["error"] == "invalid_request"


@pytest.mark.parametrize("text", ["x", "lba_" + "A" * 64, "lba_é", "lbr_" + "A" * 64, "A" * 5000])
async def test_what_is_no_token_is_invalid(world: World, text: str) -> None:
    reply = await world.http.get("/oauth/userinfo", headers={b"authorization": f"Bearer {text}".encode()})
    assert reply.status_code == 401 and reply.json()["error"] == "invalid_token"
    assert reply.headers["www-authenticate"].startswith('Bearer error="invalid_token"')


async def test_scopes_that_do_not_suffice_are_forbidden(world: World) -> None:
    """§12 no. 82."""
    token = (await world.signed_up("shop", "email"))["access_token"]
    reply = await world.userinfo(token)
    assert (reply.status_code, reply.json()["error"]) == (403, "insufficient_scope")
    assert 'scope="openid"' in reply.headers["www-authenticate"]


async def test_a_token_is_over_after_its_hour(world: World) -> None:
    token = (await world.signed_up())["access_token"]
    world.clock.move(3599)
    assert (await world.userinfo(token)).status_code == 200
    world.clock.move(1)
    assert (await world.userinfo(token)).status_code == 401


async def test_a_changed_profile_is_seen(world: World) -> None:
    """§20: within the bound of the caches."""
    token = (await world.signed_up())["access_token"]
    await world.userinfo(token)
    await world.users.change_profile(world.bob.id, first_name="Robert")
    await world.versions.poll()
    assert (await world.userinfo(token)).json()["given_name"] == "Robert"


async def test_the_scope_clients_tells_the_accounts_and_what_he_may_do_there(world: World) -> None:
    """whmcs-api §4.3: owner and permissions, fresh within the bound of the caches."""
    token = (await world.signed_up("panel", "openid", "clients"))["access_token"]
    assert (await world.userinfo(token)).json() == {"sub": world.bob.sub, "clients": []}
    audit = AuditLog(world.db, world.clock, EventsOptions())
    ledger = Ledger(db=world.db, audit=audit, events=world.events, versions=world.versions)
    accounts = world.accounts
    frank = await world.users.create(email="frank@example.com")
    visit = Visit("legacy", caller="portal")
    for owner in (world.bob, frank):
        made = await ledger.do(visit, lambda deed, owner=owner: accounts.create(deed, Profile(), owner=owner.id))  # type: ignore[misc]
        assert isinstance(made, Account)
    some = parse_permissions("invoices,tickets")
    await ledger.do(visit, lambda deed: world.members.add(deed, world.bob.id, AccountId(2), some))
    await world.versions.poll()
    assert (await world.userinfo(token)).json()["clients"] == [
        {"id": 1, "owner": True, "permissions": list(EVERY_PERMISSION)},
        {"id": 2, "owner": False, "permissions": ["invoices", "tickets"]},
    ]


async def test_a_client_that_did_not_register_the_scope_clients_is_not_told_of_accounts(world: World) -> None:
    tokens = await world.signed_up("shop", "openid", "profile", "clients")
    assert tokens["scope"] == "openid profile"
    assert "clients" not in (await world.userinfo(tokens["access_token"])).json()


async def test_a_client_is_not_told_what_it_may_not_ask_for_any_more(world: World) -> None:
    """Its tokens of before are as good as ever, for less."""
    token = (await world.signed_up("panel", "openid", "clients"))["access_token"]
    assert "clients" in (await world.userinfo(token)).json()
    await world.clients._change("panel", metadata=json.dumps(CLIENTS["panel"] | {"scope": "openid"}))
    assert (await world.userinfo(token)).json() == {"sub": world.bob.sub}


async def test_a_token_dies_with_the_sign_in_it_stands_on(world: World) -> None:
    token = (await world.signed_up())["access_token"]
    await world.sessions.end_all(world.bob.id, world.bob.tag, "user")
    assert (await world.userinfo(token)).status_code == 401


async def test_nothing_is_told_to_a_client_that_was_disabled(world: World) -> None:
    """§20: within the bound of the caches."""
    token = (await world.signed_up())["access_token"]
    await world.clients.disable("shop")
    await world.versions.poll()
    assert (await world.userinfo(token)).status_code == 401
    await world.clients.remove("shop")
    await world.versions.poll()
    assert (await world.userinfo(token)).status_code == 401


async def test_a_stamp_that_the_store_lost_is_asked_of_sql(world: World) -> None:
    """Store §2: absent means ask SQL, never no."""
    tokens = await world.signed_up()
    await world.store.commit(Drop(world.names.stamp(world.bob.tag)))
    assert (await world.userinfo(tokens["access_token"])).status_code == 200
    await world.store.commit(Drop(world.names.stamp(world.bob.tag)))
    assert (await world.refresh(tokens["refresh_token"])).status_code == 200
    await world.endings.restamp(world.bob.id, draw_stamp("admin"))
    await world.store.commit(Drop(world.names.stamp(world.bob.tag)))
    assert (await world.userinfo(tokens["access_token"])).status_code == 401


@pytest.mark.parametrize("method", ["PUT", "DELETE", "HEAD"])
async def test_other_methods_are_none_of_it(world: World, method: str) -> None:
    reply = await world.http.request(method, "/oauth/userinfo")
    assert reply.status_code == 405 and reply.headers["allow"] == "GET, POST, OPTIONS"
