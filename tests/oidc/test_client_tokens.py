"""ID tokens and userinfo, signed and encrypted as the client registered — Core §5.3.2, §10.1, §10.2."""

import json
from functools import cache
from typing import Any

import httpx2
import pytest
from joserfc import jwe, jws
from joserfc.jwe import JWERegistry
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey

from bridge.clients.metadata import ENCRYPTION_ALGS, ENCRYPTION_ENCS, InvalidMetadata
from bridge.errors import Unavailable
from bridge.keys.algorithms import ALGORITHMS
from bridge.keys.encryption import encrypt
from bridge.keys.foreign import PublicKeys
from bridge.keys.registry import Registry
from bridge.users.cached import CachedUsers
from tests.oidc.signing import public
from tests.oidc.world import CALLBACK, CHALLENGE, ISSUER, VERIFIER, World, answer, basic, carried, page

JWKS_URI = "https://rp.example/jwks"


@cache
def _key(kind: str) -> Any:
    match kind:
        case "RSA":
            return RSAKey.generate_key(2048, {"kid": "rsa"})
        case "X25519":
            return OKPKey.generate_key("X25519", {"kid": "x"})
        case curve:
            return ECKey.generate_key(curve, {"kid": "ec"})


def _opened(text: str, key: Any, alg: str, enc: str) -> tuple[dict[str, Any], bytes]:
    """By the client's own library and private key."""
    found = jwe.decrypt_compact(text, key, registry=JWERegistry(algorithms=[alg, enc]))
    assert found.plaintext is not None
    return found.headers(), found.plaintext


def _verified(world: World, text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    keys: Any = world.keyring.public_jwks()
    found = jws.deserialize_compact(text, KeySet.import_key_set(keys), registry=Registry(algorithms=ALGORITHMS))
    return found.headers(), json.loads(found.payload or b"")


# -- one key, one answer (pure) ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("enc", ENCRYPTION_ENCS)
@pytest.mark.parametrize("alg", ENCRYPTION_ALGS)
def test_everything_that_is_named_is_opened_by_its_receiver(alg: str, enc: str) -> None:
    for kind in ("RSA",) if alg.startswith("RSA") else ("P-256", "X25519"):
        keys = PublicKeys.parse(json.dumps(public(_key("RSA"), _key(kind)) if kind != "RSA" else public(_key(kind))))
        text = encrypt("a.b.c", keys, alg=alg, enc=enc, cty="JWT")
        assert text is not None and len(text.split(".")) == 5
        header, plain = _opened(text, _key(kind), alg, enc)
        assert plain == b"a.b.c"
        assert header.items() >= {"alg": alg, "enc": enc, "kid": _key(kind).kid, "cty": "JWT"}.items()
        assert "zip" not in header and text != encrypt("a.b.c", keys, alg=alg, enc=enc, cty="JWT")


@pytest.mark.parametrize(("alg", "enc"), [("RSA1_5", "A128GCM"), ("dir", "A128GCM"), ("RSA-OAEP", "A192GCM")])
def test_nothing_else_is_used(alg: str, enc: str) -> None:
    assert encrypt("x", PublicKeys.parse(json.dumps(public(_key("RSA")))), alg=alg, enc=enc, cty=None) is None


@pytest.mark.parametrize(
    ("more", "alg", "taken"),
    [
        ({"use": "enc"}, "ECDH-ES", True),
        ({"use": "enc", "alg": "ECDH-ES"}, "ECDH-ES", True),
        ({"use": "sig"}, "ECDH-ES", False),
        ({"alg": "ES256"}, "ECDH-ES", False),
        ({"alg": "ECDH-ES+A128KW"}, "ECDH-ES", False),
        ({}, "RSA-OAEP", False),
    ],
)
def test_a_key_is_used_for_what_it_is_for(more: dict[str, str], alg: str, taken: bool) -> None:
    key = _key("P-256")
    keys = PublicKeys.parse(json.dumps({"keys": [{**key.as_dict(private=False), "kid": "ec", **more}]}))
    assert (encrypt("x", keys, alg=alg, enc="A128GCM", cty=None) is not None) is taken


def test_nothing_is_encrypted_to_a_key_that_only_signs() -> None:
    signing = PublicKeys.parse(json.dumps(public(OKPKey.generate_key("Ed25519", {"kid": "ed"}))))
    assert encrypt("x", signing, alg="ECDH-ES", enc="A128GCM", cty=None) is None
    both = public(OKPKey.generate_key("Ed25519", {"kid": "ed"}), _key("X25519"))
    text = encrypt("x", PublicKeys.parse(json.dumps(both)), alg="ECDH-ES", enc="A128GCM", cty=None)
    assert text is not None and _opened(text, _key("X25519"), "ECDH-ES", "A128GCM")[1] == b"x"


# -- the whole way -----------------------------------------------------------------------------------------------------


async def _signed_up(world: World, **metadata: Any) -> dict[str, Any]:
    """The token response of a new client, and what its userinfo says."""
    base = {
        "redirect_uris": [CALLBACK],
        "scope": "openid email",
        "grant_types": ["authorization_code", "refresh_token"],
    }
    made = await world.clients.create({**base, **metadata})
    client = made.client.client_id
    assert made.secret is not None
    await world.versions.poll()
    await world.allow(client, "openid", "email")
    browser = await world.sign_in()
    query = {"client_id": client, "redirect_uri": CALLBACK, "response_type": "code", "scope": "openid email"}
    query |= {"code_challenge": CHALLENGE, "code_challenge_method": "S256", "nonce": "no"}
    code = answer(await browser.get(f"/oauth/authorize?{httpx2.QueryParams(query)}"))["code"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    headers = basic(client, made.secret.reveal())
    reply = await world.http.post("/oauth/token", data=form, headers=headers)
    said: dict[str, Any] = {**reply.json(), "status": reply.status_code, "client": client, "headers": headers}
    return said


@pytest.mark.parametrize("alg", ALGORITHMS)
async def test_userinfo_is_signed_as_the_client_registered(world: World, alg: str) -> None:
    """The suite's `userinfo-rs256`."""
    tokens = await _signed_up(world, userinfo_signed_response_alg=alg)
    reply = await world.userinfo(tokens["access_token"])
    assert reply.status_code == 200 and reply.headers["content-type"] == "application/jwt"
    assert reply.headers["cache-control"] == "no-store"
    header, claims = _verified(world, reply.text)
    assert header["alg"] == alg
    assert claims["iss"] == ISSUER and claims["aud"] == tokens["client"] and claims["sub"] == world.bob.sub
    assert claims["email"] == "bob@example.com"


async def test_what_userinfo_says_is_no_hint(world: World) -> None:
    """Security §1: it is signed by us and names a person, and is no ID token."""
    tokens = await _signed_up(world, userinfo_signed_response_alg="RS256")
    text = (await world.userinfo(tokens["access_token"])).text
    browser = await world.sign_in()
    assert answer(await browser.authorize(id_token_hint=text))["error"] == "invalid_request"


@pytest.mark.parametrize("alg", ALGORITHMS)
async def test_the_id_token_is_signed_as_the_client_registered(world: World, alg: str) -> None:
    tokens = await _signed_up(world, id_token_signed_response_alg=alg)
    header, claims = _verified(world, tokens["id_token"])
    assert header["alg"] == alg and claims["sub"] == world.bob.sub


@pytest.mark.parametrize(("alg", "kind"), [("RSA-OAEP-256", "RSA"), ("ECDH-ES+A128KW", "P-256")])
async def test_the_id_token_is_encrypted_to_the_client(world: World, alg: str, kind: str) -> None:
    """At the refresh too; inside is the signed one, which serves as a hint."""
    jwks = public(_key(kind))
    tokens = await _signed_up(world, id_token_encrypted_response_alg=alg, jwks=jwks)
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    again = (await world.http.post("/oauth/token", data=form, headers=tokens["headers"])).json()
    for text in (tokens["id_token"], again["id_token"]):
        header, inner = _opened(text, _key(kind), alg, "A128CBC-HS256")
        assert header["cty"] == "JWT"
        _, claims = _verified(world, inner.decode())
        assert claims["aud"] == tokens["client"] and claims["sub"] == world.bob.sub
        assert inner not in text.encode()
    await world.allow("shop", "openid")
    browser = await world.sign_in()
    assert "code" in answer(await browser.authorize(id_token_hint=inner.decode()))


@pytest.mark.parametrize("signed", [None, "ES256"])
async def test_userinfo_is_encrypted_to_the_client(world: World, signed: str | None) -> None:
    world.web.pages[JWKS_URI] = json.dumps(public(_key("P-256"))).encode()
    how = {"userinfo_encrypted_response_alg": "ECDH-ES", "userinfo_encrypted_response_enc": "A256GCM"}
    tokens = await _signed_up(world, **how, jwks_uri=JWKS_URI, userinfo_signed_response_alg=signed)
    reply = await world.userinfo(tokens["access_token"])
    assert reply.status_code == 200 and reply.headers["content-type"] == "application/jwt"
    header, inner = _opened(reply.text, _key("P-256"), "ECDH-ES", "A256GCM")
    assert header.get("cty") == ("JWT" if signed else None)
    claims = _verified(world, inner.decode())[1] if signed else json.loads(inner)
    assert claims["sub"] == world.bob.sub and claims["email"] == "bob@example.com"
    assert ("iss" in claims) is bool(signed)


@pytest.mark.parametrize("what", ["id_token", "userinfo"])
async def test_what_should_be_encrypted_never_leaves_in_the_clear(world: World, what: str) -> None:
    """Nothing lies at its address, or no key that would do."""
    how = {f"{what}_encrypted_response_alg": "RSA-OAEP", "jwks_uri": JWKS_URI}
    for jwks in (None, public(_key("P-256"))):
        world.web.pages = {} if jwks is None else {JWKS_URI: json.dumps(jwks).encode()}
        world.clock.move(60)
        await world.versions.poll()
        tokens = await _signed_up(world, **how)
        if what == "userinfo":
            reply = await world.userinfo(tokens["access_token"])
            assert (reply.status_code, reply.json()["error"]) == (400, "invalid_request")
            assert "bob" not in reply.text
        else:
            assert (tokens["status"], tokens["error"]) == (400, "invalid_request") and "id_token" not in tokens


async def _lies(world: World, kind: str) -> None:
    """At the client's address is that key, and what lay there before is not believed any longer."""
    world.web.pages = {JWKS_URI: json.dumps(public(_key(kind))).encode()}
    world.clock.move(700)
    await world.versions.poll()


async def test_nothing_is_used_up_for_an_answer_that_cannot_be_made(open_world: World) -> None:
    """A code, a refresh token and a visit are as good as before, once the client has a key again."""
    world = open_world
    await _lies(world, "P-256")
    made = await world.clients.create(
        {
            "redirect_uris": [CALLBACK],
            "grant_types": ["authorization_code", "refresh_token", "implicit"],
            "response_types": ["code", "code id_token"],
            "id_token_encrypted_response_alg": "RSA-OAEP",
            "jwks_uri": JWKS_URI,
        }
    )
    client, who = made.client.client_id, basic(made.client.client_id, made.secret.reveal() if made.secret else "")
    await world.versions.poll()
    browser = await world.sign_in()
    query = {"client_id": client, "redirect_uri": CALLBACK, "scope": "openid", "nonce": "no", "state": "s"}
    query |= {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}
    asked = await browser.get(f"/oauth/authorize?{httpx2.QueryParams({**query, 'response_type': 'code id_token'})}")
    visit = page(asked, "/consent")
    refused = carried(await browser.consent(asked))
    assert refused["error"] == "invalid_request" and "code" not in refused
    await _lies(world, "RSA")
    assert {"code", "id_token"} <= carried(await browser.get(f"/oauth/authorize?interaction={visit}")).keys()

    code = answer(await browser.get(f"/oauth/authorize?{httpx2.QueryParams({**query, 'response_type': 'code'})}"))
    form = {"grant_type": "authorization_code", "code": code["code"], "redirect_uri": CALLBACK}
    form["code_verifier"] = VERIFIER
    world.web.pages = {}
    held, world.client_keys._held = world.client_keys._held, type(world.client_keys._held)()
    assert (await world.http.post("/oauth/token", data=form, headers=who)).json()["error"] == "invalid_request"
    world.client_keys._held = held
    tokens = (await world.http.post("/oauth/token", data=form, headers=who)).json()
    assert "id_token" in tokens

    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    await _lies(world, "P-256")
    for _ in range(2):
        assert (await world.http.post("/oauth/token", data=form, headers=who)).json()["error"] == "invalid_request"
        world.clock.move(60)  # long after the grace in which a used one is answered again
    await _lies(world, "RSA")
    assert "id_token" in (await world.http.post("/oauth/token", data=form, headers=who)).json()


async def test_a_code_outlives_a_database_that_is_asked_for_claims_and_does_not_answer(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = await world.sign_in()
    asked = await browser.authorize(scope="openid", claims='{"id_token":{"email":null}}')
    code = answer(await browser.consent(asked))["code"]

    async def gone(*_: object, **__: object) -> None:
        raise Unavailable("the database does not answer")

    with monkeypatch.context() as broken:
        broken.setattr(CachedUsers, "by_id", gone)
        assert (await world.redeem(code)).status_code == 503
    reply = await world.redeem(code)
    assert _verified(world, reply.json()["id_token"])[1]["email"] == "bob@example.com"


async def test_a_client_that_registered_nothing_is_told_plain_json(world: World) -> None:
    tokens = await world.signed_up("shop")
    reply = await world.userinfo(tokens["access_token"])
    assert reply.headers["content-type"] == "application/json" and reply.json()["sub"] == world.bob.sub
    assert world.web.asked == []


@pytest.mark.parametrize(
    ("metadata", "field"),
    [
        ({"userinfo_signed_response_alg": "none"}, "userinfo_signed_response_alg"),
        ({"userinfo_signed_response_alg": "HS256"}, "userinfo_signed_response_alg"),
        ({"id_token_encrypted_response_alg": "RSA1_5"}, "id_token_encrypted_response_alg"),
        ({"id_token_encrypted_response_alg": "RSA-OAEP", "jwks": None}, "id_token_encrypted_response_alg"),
        ({"userinfo_encrypted_response_alg": "dir"}, "userinfo_encrypted_response_alg"),
        ({"userinfo_encrypted_response_enc": "A128GCM"}, "userinfo_encrypted_response_enc"),
        (
            {"id_token_encrypted_response_alg": "ECDH-ES", "id_token_encrypted_response_enc": "A192GCM"},
            "id_token_encrypted_response_enc",
        ),
    ],
)
async def test_metadata_that_could_never_work_is_refused(world: World, metadata: dict[str, Any], field: str) -> None:
    base = {"redirect_uris": [CALLBACK], "jwks": public(_key("P-256"))}
    with pytest.raises(InvalidMetadata) as refused:
        await world.clients.create({**base, **metadata})
    assert refused.value.field == field


async def test_the_document_says_what_is_offered(world: World) -> None:
    members = world.provider.metadata
    for name in ("id_token", "userinfo"):
        assert members[f"{name}_signing_alg_values_supported"] == list(ALGORITHMS)
        assert members[f"{name}_encryption_alg_values_supported"] == list(ENCRYPTION_ALGS)
        assert members[f"{name}_encryption_enc_values_supported"] == list(ENCRYPTION_ENCS)
