"""What the provider does not offer is neither advertised nor honoured — §12 nos. 37, 63, 64, 67, 94, 99, 100."""

import pytest

from tests.oidc.world import World, answer, authorize_path, basic, secret_of, shown

PUSHED = "urn:ietf:params:oauth:request_uri:6esc_11ACC5bwc014ltc14eY22c"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
MEMBERS = (
    "pushed_authorization_request_endpoint",
    "require_pushed_authorization_requests",
    "dpop_signing_alg_values_supported",
    "device_authorization_endpoint",
    "client_id_metadata_document_supported",
    "introspection_signing_alg_values_supported",
    "authorization_signing_alg_values_supported",
    "backchannel_authentication_endpoint",
    "tls_client_certificate_bound_access_tokens",
)


async def test_the_metadata_is_silent_about_it(world: World) -> None:
    document = world.provider.metadata
    assert [name for name in MEMBERS if name in document] == []
    assert DEVICE not in document["grant_types_supported"] and "password" not in document["grant_types_supported"]
    assert not any(mode.endswith("jwt") for mode in document["response_modes_supported"])


@pytest.mark.parametrize("path", ["/oauth/par", "/oauth/device", "/oauth/device_authorization", "/oauth/bc-authorize"])
async def test_no_endpoint_answers_for_it(world: World, path: str) -> None:
    assert (await world.http.post(path, data={"client_id": "shop"})).status_code == 404


async def test_37_a_pushed_request_is_no_request(world: World) -> None:
    browser = await world.sign_in()
    said = answer(await browser.authorize(request_uri=PUSHED))
    assert said["error"] == "request_uri_not_supported" and "code" not in said


async def test_63_a_resource_narrows_nothing_and_widens_nothing(world: World) -> None:
    """RFC 8707 is not offered: an unknown parameter is ignored (no. 9), here and at the token endpoint."""
    browser = await world.sign_in()
    await world.allow("shop", "openid")
    code = answer(await browser.authorize(resource="https://api.example/"))["code"]
    tokens = (await world.redeem(code, resource="https://other.example/")).json()
    assert tokens["scope"] == "openid" and (await world.userinfo(tokens["access_token"])).status_code == 200


async def test_64_an_access_token_is_no_jwt_and_an_id_token_opens_nothing(world: World) -> None:
    tokens = await world.signed_up()
    assert "." not in tokens["access_token"] and tokens["id_token"].count(".") == 2
    assert (await world.userinfo(tokens["id_token"])).status_code == 401


async def test_67_a_dpop_proof_binds_nothing_and_opens_nothing(world: World) -> None:
    """RFC 9449: a token is `Bearer`, and no other scheme is taken for it."""
    tokens = await world.signed_up()
    assert tokens["token_type"] == "Bearer"
    for headers in ({"authorization": f"DPoP {tokens['access_token']}"}, {"dpop": "x.y.z"}):
        assert (await world.http.get("/oauth/userinfo", headers=headers)).status_code == 401


async def test_94_an_address_is_no_client(world: World) -> None:
    """Nothing is fetched for a client id that looks like the place of a document."""
    browser = await world.sign_in()
    reply = await browser.get(authorize_path("https://app.example/client.json", redirect_uri="https://app.example/cb"))
    assert "client_id" in shown(reply) and world.web.asked == []


async def test_99_an_answer_about_a_token_is_json_whatever_is_wished(world: World) -> None:
    """RFC 9701."""
    token = (await world.signed_up())["access_token"]
    headers = {"accept": "application/token-introspection+jwt"}
    reply = await world.http.post(
        "/oauth/introspect", data={"token": token}, headers={**headers, **basic("shop", secret_of("shop"))}
    )
    assert reply.headers["content-type"] == "application/json" and reply.json()["active"] is True


async def test_100_a_device_code_is_no_grant(world: World) -> None:
    reply = await world.token(grant_type=DEVICE, device_code="x")
    assert reply.json()["error"] == "unsupported_grant_type"
