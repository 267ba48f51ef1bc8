"""What is said of a person: by scope and by name, at userinfo and in ID tokens — Core §5.1, §5.4, §5.5."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from bridge.accounts.account import Account, Profile
from bridge.clients.client import DEFAULT_SCOPES
from bridge.events.audit import AuditLog
from bridge.events.ledger import Ledger
from bridge.events.options import EventsOptions
from bridge.grants.records import Family, encode
from bridge.oidc.claims import SCOPE_OF, contact_claims
from bridge.oidc.claims_parameter import Wanted, read_claims
from bridge.oidc.errors import OAuthError
from bridge.types import ClientId, Subject, Visit
from tests.oidc.world import CLIENTS, Browser, World, answer, carried, page

HOME = Profile(
    address1="1 Mill Lane",
    address2="Rear building",
    city="Bonn",
    state="NRW",
    postcode="53111",
    country="DE",
    phone_number="+49 228 1234",
)


def read(claims: Any, scopes: tuple[str, ...] = DEFAULT_SCOPES) -> Wanted:
    return read_claims(claims if isinstance(claims, str) else json.dumps(claims), scopes)


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({}, Wanted()),
        ({"userinfo": None, "id_token": None}, Wanted()),
        ({"userinfo": {}}, Wanted()),
        ({"userinfo": {"name": None}}, Wanted(userinfo=("name",))),
        ({"userinfo": {"name": {"essential": True}}}, Wanted(userinfo=("name",))),
        ({"userinfo": {"name": {"essential": False, "value": "Bob"}}}, Wanted(userinfo=("name",))),
        ({"id_token": {"email": {"values": ["a@b", "c@d"]}, "name": None}}, Wanted(id_token=("name", "email"))),
        ({"userinfo": {"picture": None, "unheard-of": {"essential": True}}, "vc": {"x": 1}}, Wanted()),
        ({"userinfo": {"name": {"purpose": "to greet you"}}}, Wanted(userinfo=("name",))),
        ({"id_token": {"auth_time": {"essential": True}}}, Wanted()),
        ({"id_token": {"sub": {"value": "bob"}}}, Wanted(sub=Subject("bob"))),
        ({"userinfo": {"sub": {"value": "bob"}}}, Wanted(sub=Subject("bob"))),
        ({"id_token": {"sub": {"values": ["bob"]}}, "userinfo": {"sub": {"value": "bob"}}}, Wanted(sub=Subject("bob"))),
        ({"id_token": {"sub": None}}, Wanted()),
        ({"id_token": {"acr": None}}, Wanted(acr=("phr", "mfa", "pwd"))),
        ({"id_token": {"acr": {"essential": True}}}, Wanted(acr=("phr", "mfa", "pwd"), acr_essential=True)),
        ({"id_token": {"acr": {"value": "mfa"}}}, Wanted(acr=("mfa",))),
        (
            {"id_token": {"acr": {"essential": True, "values": ["phr", "mfa"]}}},
            Wanted(acr=("phr", "mfa"), acr_essential=True),
        ),
        ({"userinfo": {"acr": {"essential": True, "value": "mfa"}}}, Wanted()),
    ],
)
def test_each_member_is_read_as_the_specification_says(claims: Any, expected: Wanted) -> None:
    """§12 no. 76: essential, value, values, null; what is unknown is ignored, at each level."""
    assert read(claims) == expected


@pytest.mark.parametrize(
    "claims",
    [
        "",
        "{bad json",
        "[]",
        "null",
        '"name"',
        "[" * 2_500,
        '{"userinfo":' + '{"a":' * 2_000,
        '{"x":' + "[" * 6_000,
        {"id_token": 7},
        {"userinfo": ["name"]},
        {"userinfo": {"name": True}},
        {"userinfo": {"name": {"essential": "true"}}},
        {"userinfo": {"name": {"values": "Bob"}}},
        {"id_token": {"sub": {"value": 7}}},
        {"id_token": {"sub": {"value": None}}},
        {"id_token": {"sub": {"values": ["a", "b"]}}},
        {"id_token": {"sub": {"value": "a"}}, "userinfo": {"sub": {"value": "b"}}},
        {"id_token": {"acr": {"value": 2}}},
        {"id_token": {"acr": {"values": [None]}}},
    ],
)
def test_what_is_malformed_is_refused(claims: Any) -> None:
    """§12 no. 76."""
    with pytest.raises(OAuthError) as refused:
        read(claims)
    assert refused.value.code == "invalid_request" and "claims" in refused.value.description


def test_a_client_asks_by_name_for_no_more_than_it_may_by_scope() -> None:
    everything = {"userinfo": dict.fromkeys(SCOPE_OF), "id_token": dict.fromkeys(SCOPE_OF)}
    assert read(everything, ("openid", "email")) == Wanted(
        userinfo=("email", "email_verified"), id_token=("email", "email_verified")
    )
    assert "clients" not in read(everything).userinfo  # only whose registration names that scope


def test_the_owners_address_is_an_object_of_texts_and_nothing_in_it_is_empty() -> None:
    """§12 no. 75; Core §5.1, §5.1.1; the suite's scope-address and scope-phone modules."""
    assert contact_claims(HOME) == {
        "address": {
            "street_address": "1 Mill Lane\nRear building",
            "locality": "Bonn",
            "region": "NRW",
            "postal_code": "53111",
            "country": "DE",
        },
        "phone_number": "+49 228 1234",
        "phone_number_verified": False,
    }
    assert contact_claims(Profile(city="Bonn")) == {"address": {"locality": "Bonn"}}
    assert contact_claims(Profile()) == {}


def test_a_family_without_them_is_as_small_as_before() -> None:
    assert encode(Family(id=_ANY, client=ClientId("c"), until=1)) == b'{"id":"f","client":"c","until":1}'


async def test_address_and_phone_are_those_of_the_account_that_he_owns(world: World) -> None:
    """Nobody else's, and none of a closed one; fresh within the bound of the caches."""
    tokens = await world.signed_up("shop", "openid", "address", "phone")
    assert (await world.userinfo(tokens["access_token"])).json() == {"sub": world.bob.sub}
    eve = await world.user("eve@example.com")
    theirs = await _account(world, eve.id, Profile(city="Bath", phone_number="1"))
    await _do(world, lambda deed: world.members.add(deed, world.bob.id, theirs.id, ()))
    assert (await world.userinfo(tokens["access_token"])).json() == {"sub": world.bob.sub}
    mine = await _account(world, world.bob.id, HOME)
    told = (await world.userinfo(tokens["access_token"])).json()
    assert told == {"sub": world.bob.sub, **contact_claims(HOME)}
    assert told["phone_number_verified"] is False
    await _do(world, lambda deed: world.accounts.update(deed, mine.id, lambda _: Profile(phone_number="+1")))
    assert (await world.userinfo(tokens["access_token"])).json()["phone_number"] == "+1"
    await _do(world, lambda deed: world.accounts.close(deed, mine.id))
    assert (await world.userinfo(tokens["access_token"])).json() == {"sub": world.bob.sub}


@pytest.mark.parametrize(("scope", "member"), [("address", "address"), ("phone", "phone_number")])
async def test_each_of_both_scopes_gives_its_own(world: World, scope: str, member: str) -> None:
    await _account(world, world.bob.id, HOME)
    token = (await world.signed_up("shop", "openid", scope))["access_token"]
    told = (await world.userinfo(token)).json()
    assert {name for name in told if name != "sub"} == {name for name in SCOPE_OF if SCOPE_OF[name] == scope}
    assert member in told


async def test_claims_by_name_are_told_at_userinfo_after_he_has_allowed_them(world: World) -> None:
    """The suite's claims-essential module; carried by the code and by each refresh."""
    asked = _claims(userinfo={"given_name": {"essential": True}, "email": None, "unheard-of": None})
    browser = await world.sign_in()
    reply = await browser.consent(await browser.authorize(claims=asked))
    tokens = (await world.redeem(answer(reply)["code"])).json()
    for _ in range(3):
        told = (await world.userinfo(tokens["access_token"])).json()
        assert told == {"sub": world.bob.sub, "given_name": "Bob", "email": "bob@example.com"}
        assert not {"given_name", "email"} & set(await _id_token(world, tokens["id_token"]))
        tokens = (await world.refresh(tokens["refresh_token"])).json()
        assert tokens["scope"] == "openid"


async def test_claims_by_name_are_in_the_id_token_where_that_was_asked(world: World) -> None:
    """§12 no. 76: id_token is not userinfo."""
    asked = _claims(id_token={"email": None, "email_verified": {"essential": True}, "phone_number": None})
    browser = await world.sign_in()
    reply = await browser.consent(await browser.authorize(claims=asked))
    tokens = (await world.redeem(answer(reply)["code"])).json()
    for _ in range(2):
        claims = await _id_token(world, tokens["id_token"])
        assert (claims["email"], claims["email_verified"]) == ("bob@example.com", True)
        assert "phone_number" not in claims and claims["sub"] == world.bob.sub
        assert (await world.userinfo(tokens["access_token"])).json() == {"sub": world.bob.sub}
        tokens = (await world.refresh(tokens["refresh_token"])).json()


@pytest.mark.parametrize("response_type", ["id_token", "id_token token", "code id_token", "code id_token token"])
async def test_scope_claims_are_in_the_id_token_where_no_access_token_can_ask_for_them(
    open_world: World, response_type: str
) -> None:
    """§12 no. 75; Core §5.4; the suite's scope-email module."""
    world = open_world
    await world.allow("front", "openid", "email", "profile", "address")
    await _account(world, world.bob.id, HOME)
    asked = {"response_type": response_type, "scope": "openid email profile address"}
    back = carried(await (await world.sign_in()).authorize("front", **asked))
    claims = await _id_token(world, back["id_token"])
    there = {"email", "email_verified", "name", "given_name", "family_name", "updated_at", "locale", "address"}
    assert there & set(claims) == (there if response_type == "id_token" else set())
    if response_type == "id_token":
        assert claims["email_verified"] is True and isinstance(claims["updated_at"], int)
        assert claims["address"]["locality"] == "Bonn" and claims["sub"] == world.bob.sub


async def test_claims_by_name_are_in_the_browsers_id_token_too(open_world: World) -> None:
    world, asked = open_world, _claims(id_token={"name": None}, userinfo={"email": None})
    browser = await world.sign_in()
    reply = await browser.authorize("front", response_type="code id_token token", claims=asked)
    back = carried(await browser.consent(reply))
    tokens = (await world.redeem(back["code"], "front")).json()
    for id_token in (back["id_token"], tokens["id_token"]):
        claims = await _id_token(world, id_token)
        assert claims["name"] == "Bob Ross" and "email" not in claims
    for access in (back["access_token"], tokens["access_token"]):
        assert (await world.userinfo(access)).json() == {"sub": world.bob.sub, "email": "bob@example.com"}


async def test_new_claims_ask_again_and_are_named(world: World) -> None:
    """Consent is per user, client, scope and claims."""
    browser = await world.sign_in()
    first = await browser.authorize(claims=_claims(userinfo={"email": None}))
    assert await _listed(world, browser, first) == ("email",)
    await browser.consent(first)
    assert "code" in answer(await browser.authorize(claims=_claims(userinfo={"email": None})))
    assert "code" in answer(await browser.authorize(claims=_claims(id_token={"email": None})))
    assert "code" in answer(await browser.authorize())
    more = _claims(userinfo={"email": None}, id_token={"name": None})
    assert answer(await browser.authorize(claims=more, prompt="none"))["error"] == "consent_required"
    second = await browser.authorize(claims=more)
    assert await _listed(world, browser, second) == ("email", "name")
    await browser.consent(second)
    assert "code" in answer(await browser.authorize(claims=more, prompt="none"))


async def test_what_a_scope_gave_need_not_be_allowed_by_name_but_one_name_is_not_the_scope(world: World) -> None:
    await world.allow("shop", "openid", "email")
    browser = await world.sign_in()
    assert "code" in answer(await browser.authorize(claims=_claims(userinfo={"email": None}), prompt="none"))
    assert "code" in answer(
        await browser.authorize(scope="openid email", claims=_claims(id_token={"email": None}), prompt="none")
    )
    await browser.consent(await browser.authorize(claims=_claims(userinfo={"name": None})))
    assert page(await browser.authorize(scope="openid profile"), "/consent")
    assert page(await browser.authorize(claims=_claims(userinfo={"given_name": None})), "/consent")


async def test_what_a_scope_says_already_is_not_named_again(world: World) -> None:
    reply = await (browser := await world.sign_in()).authorize(
        scope="openid email", claims=_claims(id_token={"email": None, "name": None})
    )
    assert await _listed(world, browser, reply) == ("name",)


async def test_what_was_withdrawn_was_withdrawn_by_name_too(world: World) -> None:
    browser, asked = await world.sign_in(), _claims(userinfo={"email": None})
    tokens = (await world.redeem(answer(await browser.consent(await browser.authorize(claims=asked)))["code"])).json()
    await world.consents.withdraw(world.bob.id, world.bob.tag, ClientId("shop"))
    assert (await world.userinfo(tokens["access_token"])).status_code == 401
    await world.allow("shop", "openid")
    assert page(await browser.authorize(claims=asked), "/consent")


async def test_a_claim_goes_with_the_scope_that_the_client_may_have(world: World) -> None:
    """As with scopes: what it may not ask for any more it is not told either."""
    asked = _claims(userinfo={"email": None, "name": None}, id_token={"email": None, "name": None})
    browser = await world.sign_in()
    tokens = (await world.redeem(answer(await browser.consent(await browser.authorize(claims=asked)))["code"])).json()
    await world.clients._change("shop", metadata=json.dumps(CLIENTS["shop"] | {"scope": "openid profile"}))
    await world.versions.poll()
    assert (await world.userinfo(tokens["access_token"])).json() == {"sub": world.bob.sub, "name": "Bob Ross"}
    again = (await world.refresh(tokens["refresh_token"])).json()
    assert "email" not in await _id_token(world, again["id_token"])
    assert (await _id_token(world, again["id_token"]))["name"] == "Bob Ross"


async def test_who_may_not_ask_for_openid_any_more_is_not_told_who_signed_in(world: World) -> None:
    await world.allow("shop", "openid", "profile", "email")
    browser = await world.sign_in()
    tokens = (await world.redeem(await browser.code(scope="openid profile email"))).json()
    await world.clients._change("shop", metadata=json.dumps(CLIENTS["shop"] | {"scope": "profile email"}))
    await world.versions.poll()
    assert (await world.userinfo(tokens["access_token"])).status_code == 403
    again = (await world.refresh(tokens["refresh_token"])).json()
    assert again["scope"] == "profile email"
    assert "id_token" not in again


async def test_accounts_by_name_are_for_whom_they_are_by_scope(world: World) -> None:
    await _account(world, world.bob.id, HOME)
    asked = _claims(userinfo={"clients": None}, id_token={"clients": None})
    browser = await world.sign_in()
    for client, told in (("panel", True), ("shop", False)):
        await world.allow(client, "openid", "clients")
        tokens = (await world.redeem(await browser.code(client, claims=asked), client)).json()
        assert ("clients" in (await world.userinfo(tokens["access_token"])).json()) is told
        assert ("clients" in await _id_token(world, tokens["id_token"])) is told


async def test_claims_locales_are_heard_and_change_nothing(world: World) -> None:
    """§12 no. 81; Core §5.2: nothing here is in two languages."""
    await world.allow("shop", "openid")
    asked = _claims(userinfo={"family_name#ja": None})
    back = answer(await (await world.sign_in()).authorize(claims_locales="ja de", claims=asked, prompt="none"))
    assert "code" in back


async def test_discovery_says_that_claims_may_be_asked_by_name(world: World) -> None:
    members = world.provider.metadata
    assert members["claims_parameter_supported"] is True
    assert {"address", "phone_number", "phone_number_verified"} <= set(members["claims_supported"])


async def _account(world: World, owner: Any, profile: Profile) -> Account:
    made = await _do(world, lambda deed: world.accounts.create(deed, profile, owner=owner))
    assert isinstance(made, Account)
    return made


async def _do(world: World, deed: Any) -> Any:
    audit = AuditLog(world.db, world.clock, EventsOptions())
    ledger = Ledger(db=world.db, audit=audit, events=world.events, versions=world.versions)
    done = await ledger.do(Visit("legacy", caller="portal"), deed)
    await world.versions.poll()
    return done


async def _listed(world: World, browser: Browser, reply: Any) -> tuple[str, ...]:
    """What the consent page is told to name."""
    visit = await world.interactions.load(page(reply, "/consent"), browser.jar[world.cookies.name("pre")])
    assert visit is not None
    return visit.record.claims


async def _id_token(world: World, token: str) -> Mapping[str, Any]:
    keys = KeySet.import_key_set((await world.http.get("/oauth/jwks")).json())
    return jwt.decode(token, keys, algorithms=["RS256"]).claims


def _claims(**members: Mapping[str, Any]) -> str:
    return json.dumps(members)


_ANY: Any = "f"
