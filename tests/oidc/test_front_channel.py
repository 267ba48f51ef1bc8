"""What the browser itself carries to the client — Core §3.2, §3.3; Multiple Response Types; RFC 9700 §2.1.2."""

import hashlib
from collections.abc import Mapping
from typing import Any

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from bridge.clients.client import Client
from bridge.oidc.errors import OAuthError
from bridge.oidc.id_token import half_hash
from bridge.oidc.options import OidcOptions
from bridge.oidc.params import gathered
from bridge.oidc.redirect import RedirectTarget
from bridge.oidc.request import AuthorizationRequest, read_request, return_path
from bridge.oidc.response_modes import Offer, offer_of
from bridge.tokens import b64url
from bridge.types import ClientId, Subject
from tests.oidc.world import CHALLENGE, ISSUER, World, answer, carried, form_fields, page, shown

IMPLICIT = ("id_token", "id_token token")
HYBRID = ("code id_token", "code token", "code id_token token")
FRONT = (*IMPLICIT, *HYBRID)
WITH_CODE = ("code", *HYBRID)
WITH_TOKEN = [each for each in FRONT if "token" in each.split()]
WITH_ID_TOKEN = [each for each in FRONT if "id_token" in each.split()]
EVERYTHING = offer_of(OidcOptions(implicit=True, hybrid=True))
URI = "https://front.example/cb"


def client(**what: Any) -> Client:
    known = {
        "client_id": ClientId("front"),
        "redirect_uris": (URI,),
        "grant_types": ("authorization_code", "implicit", "refresh_token"),
        "response_types": ("code", *FRONT),
    }
    return Client(**{**known, **what})


def read(who: Client | None = None, offer: Offer = EVERYTHING, /, **values: str) -> AuthorizationRequest:
    """The request; raises OAuthError."""
    who, usual = who or client(), {"scope": "openid", "nonce": "n", "code_challenge": CHALLENGE}
    parameters = gathered({**usual, "code_challenge_method": "S256", **values}.items())
    back = return_path(parameters, who, RedirectTarget(URI, (URI,), False), offer)
    return read_request(parameters, who, back, offer=offer, sub_of=Subject)


def way(**values: str) -> str:
    """By which mode errors travel, too."""
    parameters = gathered(values.items())
    return return_path(parameters, client(), RedirectTarget(URI, (URI,), False), EVERYTHING).mode


def refusal(who: Client | None = None, offer: Offer = EVERYTHING, /, **values: str) -> tuple[str, str]:
    with pytest.raises(OAuthError) as refused:
        read(who, offer, **values)
    return refused.value.code, refused.value.description


@pytest.mark.parametrize(
    ("implicit", "hybrid", "types", "modes"),
    [
        (False, False, {"code"}, ("query", "form_post")),
        (True, False, {"code", *IMPLICIT}, ("query", "fragment", "form_post")),
        (False, True, {"code", *HYBRID}, ("query", "fragment", "form_post")),
        (True, True, {"code", *FRONT}, ("query", "fragment", "form_post")),
    ],
)
def test_each_flow_is_offered_by_its_own_setting(
    implicit: bool, hybrid: bool, types: set[str], modes: tuple[str, ...]
) -> None:
    """§12 no. 28: off by default."""
    offer = offer_of(OidcOptions(implicit=implicit, hybrid=hybrid))
    assert (set(offer.types), offer.modes) == (types, modes)
    for each in FRONT:
        if each not in types:
            assert refusal(None, offer, response_type=each)[0] == "unsupported_response_type"
    assert offer_of(OidcOptions()) == offer_of(OidcOptions(implicit=False, hybrid=False, form_post=True))


@pytest.mark.parametrize("given", FRONT)
def test_the_order_of_the_words_means_nothing(given: str) -> None:
    turned = " ".join(reversed(given.split()))
    assert read(response_type=given).response == read(response_type=turned).response
    carries = read(response_type=given).response
    words = {name for name in ("code", "id_token", "token") if getattr(carries, name)}
    assert words == set(given.split())


@pytest.mark.parametrize(
    "given", ["token", "code code", "id_token id_token", "none", "code none", "CODE", "id_token\ttoken x"]
)
def test_what_is_no_response_type_is_refused(given: str) -> None:
    assert refusal(response_type=given)[0] == "unsupported_response_type"


@pytest.mark.parametrize(
    ("response_type", "asked", "mode", "fine"),
    [
        ("code", None, "query", True),
        ("code", "query", "query", True),
        ("code", "fragment", "fragment", True),
        ("code", "form_post", "form_post", True),
        ("code", "bogus", "query", False),
        *((each, None, "fragment", True) for each in FRONT),
        *((each, "fragment", "fragment", True) for each in FRONT),
        *((each, "form_post", "form_post", True) for each in FRONT),
        *((each, "query", "fragment", False) for each in FRONT),
        *((each, "query.jwt", "fragment", False) for each in FRONT),
        ("token", "query", "fragment", False),
        ("bogus", None, "query", False),
        ("code\ttoken", None, "query", False),  # one word, and unknown
    ],
)
def test_a_token_never_stands_in_a_query_nor_does_an_error_in_its_place(
    response_type: str, asked: str | None, mode: str, fine: bool
) -> None:
    """Multiple Response Types §2.1, §3, §5: response_mode × response_type."""
    values = {"response_type": response_type} | ({"response_mode": asked} if asked else {})
    assert way(**values) == mode
    if fine:
        assert read(**values).back.mode == mode
    else:
        assert refusal(**values)[0] in ("invalid_request", "unsupported_response_type")


@pytest.mark.parametrize("response_type", ["code", *FRONT])
def test_nonce_is_required_where_the_browser_carries_an_id_token(response_type: str) -> None:
    """§12 no. 71; Core §3.2.2.1, §3.3.2.11; the suite's ensure-request-without-nonce modules."""
    if "id_token" in response_type.split():
        code, text = refusal(response_type=response_type, nonce="")  # an empty value counts as omitted
        assert (code, "nonce" in text) == ("invalid_request", True)
    else:
        assert read(response_type=response_type, nonce="").response.code


@pytest.mark.parametrize("response_type", WITH_ID_TOKEN)
def test_no_id_token_without_the_scope_openid(response_type: str) -> None:
    """§12 no. 85."""
    assert refusal(response_type=response_type, scope="email")[0] == "invalid_scope"
    assert read(response_type="code token", scope="email").scopes == ("email",)


@pytest.mark.parametrize("response_type", ["code", *FRONT])
def test_a_client_needs_the_response_type_registered(response_type: str) -> None:
    """Registration 1.0 §2; RFC 6749 §4.1.2.1."""
    others = tuple(each for each in ("code", *FRONT) if each != response_type)
    assert refusal(client(response_types=others), response_type=response_type)[0] == "unauthorized_client"
    without = {"authorization_code"} if "code" in response_type.split() else {"implicit"}
    without |= {"implicit"} if response_type in HYBRID else set()
    for one in without:
        grants = tuple({"authorization_code", "implicit"} - {one})
        assert refusal(client(grant_types=grants), response_type=response_type)[0] == "unauthorized_client"


@pytest.mark.parametrize("response_type", ["code", *FRONT])
def test_a_challenge_is_demanded_where_there_is_a_code_for_it(response_type: str) -> None:
    """RFC 7636 §4.4; security §21."""
    asked = {"response_type": response_type, "code_challenge": "", "code_challenge_method": ""}
    for who in (client(), client(auth_method="none", require_pkce=False)):
        if response_type in WITH_CODE:
            assert refusal(who, **asked)[0] == "invalid_request"
        else:
            assert read(who, **asked).challenge is None


@pytest.mark.parametrize("response_type", ["code", *FRONT])
def test_offline_access_is_ignored_for_flows_without_a_code(response_type: str) -> None:
    """§12 no. 61; Core §11."""
    request = read(response_type=response_type, scope="openid offline_access", prompt="consent")
    assert ("offline_access" in request.scopes) is (response_type in WITH_CODE)


# Core A.3, A.4, A.6 hold the first two; the rest is what §3.1.3.6 says in words
@pytest.mark.parametrize(
    ("text", "alg", "expected"),
    [
        ("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y", "RS256", "77QmUPtjPfzWtF2AnpK9RQ"),
        ("Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk", "RS256", "LDktKdoQak3Pk0cnXxCltA"),
    ],
)
def test_half_hashes_are_those_of_the_specification(text: str, alg: str, expected: str) -> None:
    assert half_hash(text, alg) == expected


@pytest.mark.parametrize(
    ("alg", "name"),
    [
        *((f"{family}{size}", f"sha{size}") for family in ("RS", "PS", "ES", "HS") for size in (256, 384, 512)),
        ("ES256K", "sha256"),
        ("EdDSA", "sha512"),
        ("Ed25519", "sha512"),
    ],
)
def test_half_hashes_follow_the_hash_of_the_algorithm(alg: str, name: str) -> None:
    """§12 no. 72."""
    whole = hashlib.new(name, b"lba_x").digest()
    assert half_hash("lba_x", alg) == b64url(whole[: len(whole) // 2]).decode()


@pytest.mark.parametrize("alg", ["none", "RS1", ""])
def test_no_half_hash_is_left_out_in_silence(alg: str) -> None:
    with pytest.raises(KeyError):
        half_hash("x", alg)


@pytest.mark.parametrize("response_type", FRONT)
async def test_each_flow_gives_what_its_name_says(open_world: World, response_type: str) -> None:
    """Core §3.2.2.5, §3.3.2.5, §3.3.2.11; §12 no. 30, 70–72: hashes, nonce, iss, and all about one person."""
    world, words = open_world, set(response_type.split())
    await world.allow("front", "openid", "email")
    browser = await world.sign_in()
    back = carried(await browser.authorize("front", response_type=response_type, scope="openid email"))
    members = {"state", "iss"} | ({"code"} & words) | ({"id_token"} & words)
    members |= {"access_token", "token_type", "expires_in", "scope"} if "token" in words else set()
    assert set(back) == members and (back["state"], back["iss"]) == ("st", ISSUER)
    if "token" in words:
        assert (back["token_type"], back["expires_in"], back["scope"]) == ("Bearer", "3600", "openid email")
        told = (await world.userinfo(back["access_token"])).json()
        assert (told["sub"], told["email"]) == (world.bob.sub, "bob@example.com")
    claims: Mapping[str, Any] = {}
    if "id_token" in words:
        claims = await _claims(world, back["id_token"])
        assert (claims["aud"], claims["nonce"], claims["sub"]) == ("front", "no", world.bob.sub)
        assert claims.get("at_hash") == (half_hash(back["access_token"], "RS256") if "token" in words else None)
        assert claims.get("c_hash") == (half_hash(back["code"], "RS256") if "code" in words else None)
        assert ("email" in claims) is (words == {"id_token"}), "§5.4: where no access token can be asked with"
    if "code" in words:
        tokens = (await world.redeem(back["code"], "front")).json()
        behind = await _claims(world, tokens["id_token"])
        assert (behind["sub"], behind["nonce"]) == (world.bob.sub, "no")
        assert behind["at_hash"] == half_hash(tokens["access_token"], "RS256") and "c_hash" not in behind
        assert (await world.userinfo(tokens["access_token"])).status_code == 200
        if "id_token" in words:
            assert {name: claims[name] for name in ("sid", "auth_time", "amr")} == {
                name: behind[name] for name in ("sid", "auth_time", "amr")
            }


async def test_another_algorithm_has_its_own_hashes(open_world: World) -> None:
    world = open_world
    await world.allow("page", "openid")
    reply = await (await world.sign_in()).authorize("page", response_type="token id_token", code_challenge=None)
    back = carried(reply)
    claims = await _claims(world, back["id_token"], "ES256")
    assert claims["at_hash"] == half_hash(back["access_token"], "ES256")
    assert reply.headers["location"].startswith("https://page.example/cb?x=1#")
    assert reply.headers["referrer-policy"] == "no-referrer" and reply.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("response_type", FRONT)
async def test_a_form_carries_it_too(open_world: World, response_type: str) -> None:
    """§12 no. 84; Form Post §2; the suite's form post plans."""
    world = open_world
    await world.allow("front", "openid")
    browser = await world.sign_in()
    state = '"><script>alert(1)</script>&amp;'
    asked = {"response_type": response_type, "response_mode": "form_post", "state": state}
    reply = await browser.authorize("front", **asked)
    assert reply.status_code == 200 and "<script>" not in reply.text and "location" not in reply.headers
    fields = form_fields(reply.text)
    assert (fields["state"], fields["iss"]) == (state, ISSUER)
    assert ("code" in fields, "access_token" in fields, "id_token" in fields) == tuple(
        word in response_type.split() for word in ("code", "token", "id_token")
    )
    assert form_fields((await browser.authorize("front", **asked, nonce="n", prompt="bogus")).text)["error"]


@pytest.mark.parametrize("response_type", FRONT)
async def test_errors_go_the_same_way_as_success_would(open_world: World, response_type: str) -> None:
    """Multiple Response Types §5: mistakes, prompt=none, and the person who turns back."""
    world = open_world
    browser = await world.sign_in()
    mistake = carried(await browser.authorize("front", response_type=response_type, prompt="bogus"))
    asleep = carried(await browser.authorize("front", response_type=response_type, prompt="none"))
    asked = await browser.authorize("front", response_type=response_type)
    turned_back = carried(await browser.consent(asked, allow=False))
    for back, error in ((mistake, "invalid_request"), (asleep, "consent_required"), (turned_back, "access_denied")):
        assert (back["error"], back["state"], back["iss"]) == (error, "st", ISSUER)
        assert set(back) == {"error", "error_description", "state", "iss"}


@pytest.mark.parametrize("response_type", FRONT)
async def test_what_a_visit_asked_for_is_what_comes_of_it(open_world: World, response_type: str) -> None:
    """From nobody signed in, by the pages, to the answer: parsed again at each return."""
    world = open_world
    browser = await world.sign_in()
    reply = await browser.login(await browser.authorize("front", response_type=response_type, prompt="login"))
    assert {"code", "id_token", "access_token"} & set(carried(await browser.consent(reply)))


async def test_neither_address_nor_client_makes_it_a_fragment(open_world: World) -> None:
    """§12 no. 1, 13: without a checked address nobody is sent anywhere."""
    browser = await open_world.sign_in()
    for more in ({"redirect_uri": "https://evil.example/cb"}, {"redirect_uri": None}):
        assert shown(await browser.authorize("front", response_type="id_token token", **more)).startswith(
            "redirect_uri"
        )


async def test_where_it_is_off_it_is_refused_whatever_is_registered(world: World) -> None:
    browser = await world.sign_in()
    for response_type in FRONT:
        back = answer(await browser.authorize("front", response_type=response_type))
        assert back["error"] == "unsupported_response_type"


@pytest.mark.parametrize("response_type", ["code token", "code id_token token"])
async def test_replay_of_a_code_ends_the_browsers_access_token_as_well(open_world: World, response_type: str) -> None:
    """§12 no. 21; security §4: they are of one family."""
    world = open_world
    await world.allow("front", "openid")
    back = carried(await (await world.sign_in()).authorize("front", response_type=response_type))
    tokens = (await world.redeem(back["code"], "front")).json()
    assert (await world.userinfo(back["access_token"])).status_code == 200
    assert (await world.redeem(back["code"], "front")).json()["error"] == "invalid_grant"
    for dead in (back["access_token"], tokens["access_token"]):
        assert (await world.userinfo(dead)).status_code == 401
    assert (await world.refresh(tokens["refresh_token"], "front")).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("response_type", WITH_TOKEN)
async def test_the_browsers_access_token_lives_as_long_as_it_says(open_world: World, response_type: str) -> None:
    """Also where nobody ever redeems the code beside it."""
    world = open_world
    await world.allow("front", "openid")
    back = carried(await (await world.sign_in()).authorize("front", response_type=response_type))
    for seconds, status in ((1_800, 200), (1_799, 200), (1, 401)):
        world.clock.move(seconds)
        assert (await world.userinfo(back["access_token"])).status_code == status


async def _end_session(world: World, session: str) -> None:
    await world.sessions.end(world.bob.id, world.bob.tag, session, "you")


async def _end_all(world: World, session: str) -> None:
    await world.sessions.end_all(world.bob.id, world.bob.tag, "admin")


async def _withdraw(world: World, session: str) -> None:
    await world.consents.withdraw(world.bob.id, world.bob.tag, ClientId("front"))


@pytest.mark.parametrize("ending", [_end_session, _end_all, _withdraw])
@pytest.mark.parametrize("response_type", ["id_token token", "code token"])
async def test_the_browsers_access_token_dies_with_what_it_stands_on(
    open_world: World, response_type: str, ending: Any
) -> None:
    """Security §15; store §2: family and stamp, exactly like any other."""
    world = open_world
    await world.allow("front", "openid")
    browser = await world.sign_in()
    back = carried(await browser.authorize("front", response_type=response_type))
    await ending(world, browser.session)
    assert (await world.userinfo(back["access_token"])).status_code == 401


async def test_it_has_no_refresh_token_and_outlives_no_session(open_world: World) -> None:
    world = open_world
    await world.allow("front", "openid", "offline_access")
    browser = await world.sign_in()
    reply = await browser.authorize(
        "front", response_type="id_token token", scope="openid offline_access", prompt="consent"
    )
    back = carried(await browser.consent(reply))
    assert back["scope"] == "openid" and "refresh_token" not in back
    await _end_session(world, browser.session)
    assert (await world.userinfo(back["access_token"])).status_code == 401


async def test_another_client_can_neither_use_nor_end_it(open_world: World) -> None:
    """§12 no. 20, 98."""
    world = open_world
    await world.allow("front", "openid")
    back = carried(await (await world.sign_in()).authorize("front", response_type="code token"))
    assert (await world.redeem(back["code"], "es")).json()["error"] == "invalid_grant"
    assert (await world.userinfo(back["access_token"])).status_code == 200
    assert (await world.redeem(back["code"], "front")).status_code == 200


async def test_an_id_token_alone_leaves_no_key_behind_but_the_session_knows_its_client(open_world: World) -> None:
    world = open_world
    await world.allow("front", "openid")
    browser = await world.sign_in()
    back = carried(await browser.authorize("front", response_type="id_token"))
    families = world.names.families_of(world.bob.tag, ClientId("front"))
    assert await world.store.members(families) == []
    sid = (await _claims(world, back["id_token"]))["sid"]
    again = carried(await browser.authorize("front", response_type="id_token"))
    assert (await _claims(world, again["id_token"]))["sid"] == sid


async def test_a_hint_is_as_good_from_the_browser(open_world: World) -> None:
    """The suite's id-token-hint module in the implicit plan."""
    world = open_world
    await world.allow("front", "openid")
    browser = await world.sign_in()
    hint = carried(await browser.authorize("front", response_type="id_token"))["id_token"]
    back = carried(await browser.authorize("front", response_type="id_token", prompt="none", id_token_hint=hint))
    assert "id_token" in back
    eve = await world.sign_in(await world.user("eve@example.com"))
    assert page(await eve.authorize("front", response_type="id_token", id_token_hint=hint), "/login")


async def test_what_is_lost_to_another_is_decided_again(open_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Store §1, no. 2: nothing of the lost try is handed out."""
    world = open_world
    await world.allow("front", "openid")
    browser, commit = await world.sign_in(), world.store.commit
    lost: list[object] = []

    async def first_loses(*changes: Any) -> bool:
        if not lost:
            lost.append(changes)
            return False
        return await commit(*changes)

    monkeypatch.setattr(world.store, "commit", first_loses)
    back = carried(await browser.authorize("front", response_type="code id_token token"))
    assert (await world.userinfo(back["access_token"])).status_code == 200
    told = [event.kind for event in world.told.events if event.kind in ("code.issued", "token.issued")]
    assert told == ["code.issued", "token.issued"]


async def test_discovery_says_exactly_what_is_on(open_world: World, world: World) -> None:
    """§12 no. 88."""
    on, off = open_world.provider.metadata, world.provider.metadata
    assert set(on["response_types_supported"]) == {"code", *FRONT}
    assert on["response_modes_supported"] == ["query", "fragment", "form_post"]
    assert set(on["grant_types_supported"]) == {*off["grant_types_supported"], "implicit"}
    assert off["response_types_supported"] == ["code"] and off["response_modes_supported"] == ["query", "form_post"]
    browser = await open_world.sign_in()
    await open_world.allow("front", "openid")
    for response_type in on["response_types_supported"]:
        reply = await browser.authorize("front", response_type=response_type, prompt="none")
        assert "error" not in reply.headers["location"], response_type
    for mode in on["response_modes_supported"]:
        reply = await browser.authorize("front", response_mode=mode)
        assert reply.status_code == (200 if mode == "form_post" else 303) and "error" not in reply.text


async def _claims(world: World, token: str, alg: str = "RS256") -> Mapping[str, Any]:
    keys: httpx2.Response = await world.http.get("/oauth/jwks")
    claims = jwt.decode(token, KeySet.import_key_set(keys.json()), algorithms=[alg]).claims
    assert (claims["iss"], claims["exp"] - claims["iat"]) == (ISSUER, 3_600)
    return claims
