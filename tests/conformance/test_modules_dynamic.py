"""The modules of the dynamic and the third-party-initiated login plan, by clients that register themselves —
openid-provider §3, §4."""

from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.conformance.configuration import UNSENT
from tests.conformance.party import CALLBACK, SUITE, Party

Of = Callable[..., Party]


async def registered(client: Party, **metadata: Any) -> Party:
    """It was taken."""
    reply = await client.register(**metadata)
    assert reply.status_code == 201, reply.text
    return client


async def test_discovery_names_what_a_dynamic_provider_must_have(party: Of) -> None:
    document = (await party().http.get("/.well-known/openid-configuration")).json()
    assert {"code", "id_token", "id_token token"} <= set(document["response_types_supported"])
    assert {"authorization_code", "implicit"} <= set(document["grant_types_supported"])
    assert "RS256" in document["id_token_signing_alg_values_supported"]
    assert all(value.startswith("https:") for name, value in document.items() if name.endswith("_endpoint"))


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"id_token_signed_response_alg": "RS256"},
        {"response_types": ["code id_token"], "grant_types": ["authorization_code", "implicit"]},
    ],
    ids=["server", "idtoken-rs256", "hybrid"],
)
async def test_whoever_registers_signs_people_in(party: Of, asked: dict[str, Any]) -> None:
    client = await registered(party("oidcc-server"), **asked)
    answer = await client.authorize(response_type=asked.get("response_types", ["code"])[0])
    assert client.walker.done == ["Sign in", "Consent", "Back at the client"]
    tokens = (await client.redeem(answer["code"])).json()
    assert (await client.checked(tokens["id_token"]))["sub"]


async def test_a_client_that_signs_is_taken_by_the_issuer_as_audience(party: Of) -> None:
    key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
    public = {"keys": [key.as_dict(private=False)]}
    client = await registered(party(), token_endpoint_auth_method="private_key_jwt", jwks=public)
    name, now = client.credentials[0], int(client.site.bridge.rooms.clock.now())
    code = (await client.authorize())["code"]
    claims = {"iss": name, "sub": name, "aud": client.site.url, "jti": code, "iat": now, "exp": now + 60}
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": CALLBACK,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": jwt.encode({"alg": "RS256", "kid": "one"}, claims, key),
    }
    assert (await client.http.post("/oauth/token", data=form)).status_code == 200


async def test_redirect_uri_query_ok_and_neither_added_nor_changed(party: Of) -> None:
    given = f"{CALLBACK}?foo=bar"
    client = await registered(party("oidcc-redirect-uri-query-OK"), redirect_uris=[given])
    await client.authorize(redirect_uri=given)
    assert client.walker.where.startswith(f"{given}&code=")
    for module, other in (("added", f"{CALLBACK}?foo=bar&x=y"), ("mismatch", f"{CALLBACK}?foo=baz")):
        client = await registered(party(f"oidcc-redirect-uri-query-{module}"), redirect_uris=[given])
        await client.authorize(redirect_uri=other)
        assert "redirect_uri" in client.walker.pictures[0]


async def test_ensure_redirect_uri_in_authorization_request(party: Of) -> None:
    two = [CALLBACK, f"{CALLBACK}?second"]
    client = await registered(party("oidcc-ensure-redirect-uri-in-authorization-request"), redirect_uris=two)
    await client.authorize(redirect_uri=None)
    assert "redirect_uri" in client.walker.pictures[0]


@pytest.mark.parametrize("module", UNSENT)
async def test_who_registers_is_sent_no_error_before_somebody_has_signed_in(party: Of, module: str) -> None:
    types = {"response_types": ["code", "id_token"], "grant_types": ["authorization_code", "implicit"]}
    client = await registered(party(module), **types)
    await client.authorize(response_type=None if UNSENT[module] == "response_type" else "id_token", nonce=None)
    assert client.walker.done == ["Say what is wrong"] and UNSENT[module] in client.walker.pictures[0]


async def test_redirect_uri_with_a_fragment_is_not_registered(party: Of) -> None:
    reply = await party("oidcc-redirect-uri-regfrag").register(redirect_uris=[f"{CALLBACK}#fragment"])
    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_redirect_uri")


@pytest.mark.parametrize("member", ["logo_uri", "policy_uri", "tos_uri"])
async def test_the_login_page_shows_what_was_registered(party: Of, member: str) -> None:
    address = f"{SUITE}/{member}"
    module = f"oidcc-registration-{member.replace('_', '-')}"
    client = await registered(party(module), **{member: address})
    await client.authorize()
    page = client.walker.browser.page
    shown = [each.get("src") or each.get("href") for each in page.all("img", "a")]
    assert client.walker.pictures and address in shown


async def test_after_a_rotation_there_is_a_new_key_and_still_the_old_one(party: Of) -> None:
    client = party("oidcc-server-rotate-keys")
    before = {key["kid"] for key in (await client.http.get("/oauth/jwks")).json()["keys"]}
    await client.site.bridge.rooms.keyring.rotate(actor="test")
    after = {key["kid"] for key in (await client.http.get("/oauth/jwks")).json()["keys"]}
    assert before < after


async def test_third_party_init_login_is_echoed_and_can_be_read_again(party: Of) -> None:
    address = f"{SUITE}/test/a/login-bridge/initiate"
    client = await registered(party("oidcc-3rd_party-init-login"), initiate_login_uri=address)
    assert client.registered is not None and client.registered["initiate_login_uri"] == address
    read: httpx2.Response = await client.http.get(
        client.registered["registration_client_uri"],
        headers={"authorization": f"Bearer {client.registered['registration_access_token']}"},
    )
    assert read.json()["initiate_login_uri"] == address


async def test_third_party_init_login_without_https_is_refused(party: Of) -> None:
    reply = await party().register(initiate_login_uri="http://suite.example.net/initiate")
    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_client_metadata")
