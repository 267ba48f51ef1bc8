"""Discovery, the keys, and what scripts of other origins may read — Discovery 1.0 §3, RFC 8414, security §28."""

import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oidc.discovery import OpenIDProviderMetadata

from tests.oidc.world import ISSUER, Browser, World, answer, authorize_path, credentials, shown

WELL_KNOWN = ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server")


@pytest.mark.parametrize("path", WELL_KNOWN)
async def test_the_document_is_complete_and_valid(world: World, path: str) -> None:
    """The suite's discovery module; both models of Authlib."""
    reply = await world.http.get(path)
    assert reply.status_code == 200 and reply.headers["content-type"] == "application/json"
    members = reply.json()
    OpenIDProviderMetadata(members).validate()
    AuthorizationServerMetadata(members).validate()
    assert members["issuer"] == ISSUER
    assert "RS256" in members["id_token_signing_alg_values_supported"] and "openid" in members["scopes_supported"]
    assert members["code_challenge_methods_supported"] == ["S256"]
    assert members["authorization_response_iss_parameter_supported"] is True
    assert members["request_uri_parameter_supported"] is False


async def test_every_endpoint_that_is_named_is_there(world: World) -> None:
    """§12 no. 88, one half."""
    members = world.provider.metadata
    for name, url in members.items():
        if name.endswith("_endpoint") or name == "jwks_uri":
            assert url.startswith(ISSUER + "/oauth/") and url.removeprefix(ISSUER) in world.endpoints, name


async def test_what_is_advertised_works(world: World) -> None:
    """§12 no. 88: every prompt, scope, response mode and grant."""
    members = world.provider.metadata
    await world.allow("shop", *members["scopes_supported"])
    browser = await world.sign_in()
    for prompt in members["prompt_values_supported"]:
        assert "error" not in (await browser.authorize(prompt=prompt)).headers["location"], prompt
    for scope in members["scopes_supported"]:
        assert "code" in answer(await browser.authorize(scope=f"openid {scope}")), scope
    for mode in members["response_modes_supported"]:
        assert (await browser.authorize(response_mode=mode)).status_code == {"query": 303, "form_post": 200}[mode]
    for grant in members["grant_types_supported"]:
        assert (await world.token("shop", grant_type=grant)).json().get("error") != "unsupported_grant_type"


async def test_host_and_forwarding_headers_change_nothing(world: World) -> None:
    """B9, §12 no. 89: the issuer comes from the configuration."""
    evil = {"host": "evil.example", "x-forwarded-host": "evil.example", "x-forwarded-proto": "http", "forwarded": "x"}
    await world.allow("shop", "openid")
    browser = await world.sign_in()
    for path in (*WELL_KNOWN, "/oauth/jwks"):
        assert (await world.http.get(path, headers=evil)).content == (await world.http.get(path)).content
    assert answer(await browser.get(authorize_path(), evil))["iss"] == ISSUER
    location = (await Browser(world).get(authorize_path(), evil)).headers["location"]
    assert location.startswith("/login?interaction=")
    assert "evil" not in shown(await browser.get("/oauth/authorize", evil))


async def test_the_keys_are_public_and_distinct(world: World) -> None:
    """§12 no. 86."""
    reply = await world.http.get("/oauth/jwks")
    keys = reply.json()["keys"]
    assert {key["alg"] for key in keys} == {"RS256", "ES256", "EdDSA"} and all(key["use"] == "sig" for key in keys)
    assert len({key["kid"] for key in keys}) == len(keys)
    assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & {member for key in keys for member in key}
    assert reply.headers["cache-control"] == "public, max-age=300"


@pytest.mark.parametrize("path", [*WELL_KNOWN, "/oauth/jwks"])
async def test_documents_are_only_read(world: World, path: str) -> None:
    assert (await world.http.head(path)).content == b""
    for method in ("POST", "PUT", "DELETE"):
        reply = await world.http.request(method, path)
        assert reply.status_code == 405 and reply.headers["allow"] == "GET, HEAD, OPTIONS"


ALIASES = [f"/oauth/{name}.php" for name in ("openid-configuration", "certs", "token", "userinfo")]
OPEN = [*WELL_KNOWN, "/oauth/jwks", "/oauth/token", "/oauth/userinfo", "/oauth/revoke", *ALIASES]


@pytest.mark.parametrize("path", OPEN)
async def test_scripts_of_any_origin_may_read_it_without_credentials(world: World, path: str) -> None:
    """§28."""
    asked = {"origin": "https://spa.example", "access-control-request-method": "POST"}
    preflight = await world.http.request("OPTIONS", path, headers=asked)
    assert preflight.status_code == 204 and preflight.headers["access-control-allow-origin"] == "*"
    assert "authorization" in preflight.headers["access-control-allow-headers"]
    for method in ("GET", "POST"):  # also what is an error
        reply = await world.http.request(method, path, headers=asked)
        assert reply.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in reply.headers
        assert reply.headers["access-control-expose-headers"] == "www-authenticate, retry-after"


@pytest.mark.parametrize("path", ["/oauth/authorize", "/oauth/logout", "/oauth/authorize.php"])
async def test_scripts_may_not_read_what_knows_the_person(world: World, path: str) -> None:
    for method in ("GET", "POST", "OPTIONS"):
        reply = await world.http.request(method, path, headers={"origin": "https://spa.example"})
        assert "access-control-allow-origin" not in reply.headers


async def test_a_session_cookie_changes_no_reply_of_those(world: World) -> None:
    """§28: none of them reads a cookie."""
    tokens = await world.signed_up()
    browser = await world.sign_in()
    headers, form = credentials("shop")
    bearer = {"authorization": f"Bearer {tokens['access_token']}"}
    requests = [
        *(("GET", path, {}, {}) for path in (*WELL_KNOWN, "/oauth/jwks", "/oauth/userinfo")),
        ("GET", "/oauth/userinfo", {}, bearer),
        ("POST", "/oauth/token", {**form, "grant_type": "authorization_code", "code": "x"}, headers),
        ("POST", "/oauth/revoke", {**form, "token": "x"}, headers),
    ]
    cookie = "; ".join(f"{name}={value}" for name, value in browser.jar.items())
    for method, path, data, more in requests:
        without = await world.http.request(method, path, data=data or None, headers=more)
        with_it = await world.http.request(method, path, data=data or None, headers={**more, "cookie": cookie})
        assert (without.status_code, without.content, without.headers) == (
            with_it.status_code,
            with_it.content,
            with_it.headers,
        )
        assert "set-cookie" not in with_it.headers
