"""Clients that sign who they are — RFC 7523 §3, Core §9, RFC 8725; §12 no. 41–51."""

import asyncio
import base64
import hmac
import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
from joserfc.jwk import OctKey

from bridge.clients.metadata import InvalidMetadata
from bridge.fetch.answers import Fetched
from bridge.keys.foreign import LONGEST_JWT, Unverified
from bridge.oidc import client_keys
from bridge.oidc.assertion import Signed, judge_claims
from bridge.types import ClientId
from tests.oidc.signing import ASSERTION, TOKEN_URL, claims_of, key, public, sign, unsigned
from tests.oidc.world import CALLBACK, ISSUER, World, credentials

NOW = 1_800_000_000.5
ALGS = ("RS256", "PS256", "ES256", "EdDSA")
JWKS_URI = "https://rp.example/jwks"
SECRET = "a-secret-that-is-a-key-and-long-enough"
GRANT = {"grant_type": "client_credentials"}


# -- what an assertion says (pure) -------------------------------------------------------------------------------------


def _judged(typ: str | None = "JWT", **other: Any) -> Signed | str:
    header = {"alg": "ES256", **({"typ": typ} if typ else {})}
    token = Unverified("", header, claims_of("app", NOW, **other))
    return judge_claims(token, ClientId("app"), (ISSUER, TOKEN_URL), NOW)


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"aud": TOKEN_URL},
        {"aud": [ISSUER]},
        {"aud": ["https://other.example", TOKEN_URL]},
        {"exp": NOW + 3_600},
        {"exp": NOW - 9},
        {"nbf": NOW + 8},
        {"iat": NOW + 10},
        {"iat": None},
        {"iat": 1},
        {"nbf": 1.5},
        {"jti": "j" * 255},
        {"typ": None},
        {"typ": "client-authentication+jwt"},
        {"typ": "application/client-authentication+jwt"},
        {"extra": {"a": [1]}},
    ],
)
def test_an_assertion_that_is_right_is_taken(other: dict[str, Any]) -> None:
    typ = {"typ": other.pop("typ")} if "typ" in other else {}
    assert isinstance(_judged(**typ, **other), Signed)


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"iss": None}, "iss and sub"),
        ({"iss": "other"}, "iss and sub"),
        ({"iss": ["app"]}, "iss and sub"),
        ({"sub": None}, "iss and sub"),
        ({"sub": "other"}, "iss and sub"),
        ({"aud": None}, "aud"),
        ({"aud": []}, "aud"),
        ({"aud": f"{ISSUER}/"}, "aud"),
        ({"aud": ISSUER.upper()}, "aud"),
        ({"aud": ISSUER.replace("https", "http")}, "aud"),
        ({"aud": f"{ISSUER}.evil.example"}, "aud"),
        ({"aud": f"{TOKEN_URL}/"}, "aud"),
        ({"aud": f"{TOKEN_URL}?x"}, "aud"),
        ({"aud": "app"}, "aud"),
        ({"aud": ["https://other.example"]}, "aud"),
        ({"aud": [ISSUER, 1]}, "aud"),
        ({"aud": {"a": ISSUER}}, "aud"),
        ({"exp": None}, "exp is missing"),
        ({"exp": NOW - 10}, "exp is over"),
        ({"exp": NOW - 300}, "exp is over"),
        ({"exp": NOW + 3_601}, "exp is more than"),
        ({"exp": NOW + 30 * 365 * 86_400}, "exp is more than"),
        ({"exp": str(int(NOW) + 60)}, "exp is no number"),
        ({"exp": True}, "exp is no number"),
        ({"exp": 10**400}, "exp is no number"),
        ({"nbf": NOW + 61}, "nbf is not yet"),
        ({"nbf": NOW + 11}, "nbf is not yet"),
        ({"nbf": "now"}, "nbf is no number"),
        ({"iat": NOW + 61}, "iat is not yet"),
        ({"iat": [1]}, "iat is no number"),
        ({"jti": None}, "jti"),
        ({"jti": ""}, "jti"),
        ({"jti": 5}, "jti"),
        ({"jti": "j" * 256}, "jti"),
        ({"typ": "logout+jwt"}, "another kind"),
        ({"typ": "at+jwt"}, "another kind"),
        ({"typ": "oauth-authz-req+jwt"}, "another kind"),
        ({"typ": "dpop+jwt"}, "another kind"),
    ],
)
def test_an_assertion_that_is_wrong_in_one_thing_is_refused(other: dict[str, Any], why: str) -> None:
    """No. 47, 51: the look-alikes of an audience are other servers."""
    verdict = _judged(**({"typ": other["typ"]} if "typ" in other else other))
    assert isinstance(verdict, str) and why in verdict


# -- the whole way -----------------------------------------------------------------------------------------------------


@pytest.fixture
async def signing(world: World) -> World:
    """With clients that sign: one for each algorithm, one that may use any, one by its secret, one by an address."""
    base = {"grant_types": ["client_credentials"], "response_types": [], "scope": "reports"}
    by_key = {**base, "token_endpoint_auth_method": "private_key_jwt"}
    for alg in ALGS:
        await world.clients.create(
            {**by_key, "token_endpoint_auth_signing_alg": alg, "jwks": public(*map(key, ALGS))}, client_id=alg
        )
    await world.clients.create({**by_key, "jwks": public(*(key(alg) for alg in ALGS[1:]))}, client_id="any")
    await world.clients.create({**by_key, "jwks_uri": JWKS_URI}, client_id="far")
    by_secret = {**base, "token_endpoint_auth_method": "client_secret_jwt", "client_secret": SECRET}
    await world.clients.import_({**by_secret, "client_id": "shared"})
    await world.versions.poll()
    return world


async def _post(world: World, assertion: str, path: str = "/oauth/token", **form: str) -> httpx2.Response:
    sent = {**GRANT, "client_assertion_type": ASSERTION, "client_assertion": assertion, **form}
    return await world.http.post(path, data={name: value for name, value in sent.items() if value})


def _by(world: World, client: str, alg: str = "ES256", by: Any = None, **other: Any) -> str:
    header = other.pop("header", {})
    return sign(claims_of(client, world.clock.now(), **other), by or key(alg), alg, **header)


async def _refused(world: World, assertion: str, **form: str) -> str:
    reply = await _post(world, assertion, **form)
    assert (reply.status_code, reply.json()["error"]) == (401, "invalid_client"), reply.text
    assert "www-authenticate" not in reply.headers  # no. 45: Basic was not tried
    said: str = reply.json()["error_description"]
    return said


@pytest.mark.parametrize("alg", ALGS)
async def test_private_key_jwt_proves_who_the_client_is(signing: World, alg: str) -> None:
    reply = await _post(signing, _by(signing, alg, alg))
    assert reply.status_code == 200, reply.text
    assert (await _post(signing, _by(signing, alg, alg, header={"kid": None}))).status_code == 200
    assert (await _post(signing, _by(signing, alg, alg), client_id=alg)).status_code == 200


async def test_client_secret_jwt_proves_who_the_client_is(signing: World) -> None:
    secret = OctKey.import_key(SECRET)
    assert (await _post(signing, _by(signing, "shared", "HS256", secret))).status_code == 200
    wrong = OctKey.import_key(SECRET[:-1] + "?")
    await _refused(signing, _by(signing, "shared", "HS256", wrong))


@pytest.mark.parametrize(
    "aud", [ISSUER, TOKEN_URL, f"{ISSUER}/oauth/introspect", [TOKEN_URL], ["x", f"{ISSUER}/oauth/introspect"]]
)
async def test_it_is_taken_at_introspection_and_revocation_too(signing: World, aud: Any) -> None:
    token = (await _post(signing, _by(signing, "ES256"))).json()["access_token"]
    told = await _post(signing, _by(signing, "ES256", aud=aud), "/oauth/introspect", grant_type="", token=token)
    assert told.status_code == 200 and told.json()["active"], told.text
    gone = await _post(signing, _by(signing, "ES256"), "/oauth/revoke", grant_type="", token=token)
    assert gone.status_code == 200
    told = await _post(signing, _by(signing, "ES256"), "/oauth/introspect", grant_type="", token=token)
    assert told.json() == {"active": False}


async def test_another_endpoints_address_is_no_audience(signing: World) -> None:
    await _refused(signing, _by(signing, "ES256", aud=f"{ISSUER}/oauth/introspect"))


async def test_each_is_good_once(signing: World) -> None:
    """No. 47: jti."""
    assertion = _by(signing, "ES256")
    assert (await _post(signing, assertion)).status_code == 200
    assert await _refused(signing, assertion) == "the client assertion was used before"
    same = _by(signing, "ES256", jti="same")
    assert (await _post(signing, same)).status_code == 200
    assert await _refused(signing, _by(signing, "ES256", jti="same")) == "the client assertion was used before"
    assert (await _post(signing, _by(signing, "RS256", "RS256", jti="same"))).status_code == 200  # another client's


async def test_a_used_one_is_remembered_for_as_long_as_it_could_be_shown(signing: World) -> None:
    assertion = _by(signing, "ES256", exp=int(signing.clock.now()) + 3_599)
    assert (await _post(signing, assertion)).status_code == 200
    signing.clock.move(3_605)
    await signing.versions.poll()
    assert await _refused(signing, assertion) == "the client assertion was used before"
    signing.clock.move(10)
    assert (await _refused(signing, assertion)).startswith("exp is over")


async def test_of_fifty_that_show_the_same_one_gets_a_token(signing: World) -> None:
    assertion = _by(signing, "ES256")
    replies = await asyncio.gather(*(_post(signing, assertion) for _ in range(50)))
    assert sorted(reply.status_code for reply in replies) == [200] + [401] * 49


async def test_what_is_wrong_uses_nothing_up(signing: World) -> None:
    """An assertion with a bad signature must not burn a jti: anybody could send it."""
    good = _by(signing, "ES256", jti="once")
    await _refused(signing, _by(signing, "ES256", by=key("ES256", "thief"), jti="once"))
    await _refused(signing, _by(signing, "ES256", jti="once", aud="https://other.example"))
    assert (await _post(signing, good)).status_code == 200


async def test_the_registered_algorithm_only(signing: World) -> None:
    """No. 47: the key is registered and would fit."""
    for client in ALGS:
        for alg in ALGS:
            if alg != client:
                await _refused(signing, _by(signing, client, alg))
    for alg in ALGS[1:]:
        assert (await _post(signing, _by(signing, "any", alg))).status_code == 200


async def test_a_public_key_is_no_secret(signing: World) -> None:
    """CVE-2024-37568: HS256 with a public key, in each spelling that it has."""
    for alg in ("RS256", "ES256"):
        public_key = key(alg)
        spellings = [
            public_key.as_pem(private=False),
            public_key.as_der(private=False),
            json.dumps(public_key.as_dict(private=False)).encode(),
        ]
        for raw in spellings:
            for client in (alg, "any"):
                await _refused(signing, _hmac(claims_of(client, signing.clock.now()), raw, public_key.kid))


def _hmac(claims: dict[str, Any], secret: bytes, kid: str) -> str:
    """By hand: the library makes no secret of a public key."""
    parts = [{"alg": "HS256", "kid": kid}, claims]
    signed = ".".join(_b64(json.dumps(part).encode()) for part in parts)
    return f"{signed}.{_b64(hmac.digest(secret, signed.encode(), 'sha256'))}"


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


async def test_none_and_headers_that_bring_their_own_key_are_refused(signing: World) -> None:
    """CVE-2026-27962, CVE-2025-59420; §12 no. 41."""
    now, thief = signing.clock.now(), key("ES256", "thief")
    for client in ("ES256", "any", "shared"):
        await _refused(signing, unsigned(claims_of(client, now)))
        await _refused(signing, unsigned(claims_of(client, now), kid="ec-one"))
        await _refused(signing, unsigned(claims_of(client, now)) + "AAAA")
    own = thief.as_dict(private=False)
    for header in ({"jwk": own}, {"jku": "https://evil.example/jwks"}, {"x5u": "https://evil.example/"}, {"kid": "?"}):
        await _refused(signing, _by(signing, "ES256", by=thief, header=header))
        await _refused(signing, _by(signing, "ES256", by=thief, header={"kid": "ec-one", **header}))
    assert signing.web.asked == []
    good = _by(signing, "ES256")
    _, body, mark = good.split(".")
    for crit in ({"alg": "ES256", "crit": ["x"], "x": 1}, {"alg": "ES256", "b64": False, "crit": ["b64"]}):
        await _refused(signing, f"{_b64(json.dumps(crit).encode())}.{body}.{mark}")
    assert (await _post(signing, good)).status_code == 200


async def test_one_changed_byte_anywhere_is_refused(signing: World) -> None:
    token = _by(signing, "EdDSA", "EdDSA")
    for at in range(0, len(token), 9):
        other = "A" if token[at] != "A" else "B"
        await _refused(signing, token[:at] + other + token[at + 1 :])
    assert (await _post(signing, token)).status_code == 200


async def test_what_is_no_assertion_is_refused(signing: World) -> None:
    for junk in ("x", "a.b", "a.b.c", "a.b.c.d", "é.é.é", "." * 50, "e30.e30.", "e30.W10.AAAA", "e30.MQ.AAAA"):
        await _refused(signing, junk)
    reply = await _post(signing, _by(signing, "ES256", x="y" * LONGEST_JWT))
    assert reply.status_code == 400  # longer than any parameter


async def test_our_own_tokens_and_request_objects_are_no_assertions(signing: World) -> None:
    """No. 41: an ID token, a logout token and an access token of ours; a request object of the client's."""
    tokens = await signing.signed_up()
    now = signing.clock.now()
    ours = [signing.keyring.sign("ES256", claims_of("ES256", now), typ) for typ in ("JWT", "logout+jwt", "at+jwt")]
    for token in (tokens["id_token"], tokens["access_token"], *ours):
        await _refused(signing, token)
    request = {"iss": "ES256", "aud": ISSUER, "client_id": "ES256", "response_type": "code", "exp": int(now) + 60}
    await _refused(signing, sign({**request, "jti": "r"}, key("ES256"), "ES256"))
    await _refused(signing, sign(claims_of("ES256", now), key("ES256"), "ES256", typ="oauth-authz-req+jwt"))


async def test_another_clients_assertion_is_refused(signing: World) -> None:
    await _refused(signing, _by(signing, "ES256", by=key("ES256", "thief")))
    await _refused(signing, _by(signing, "nobody"))
    await _refused(signing, _by(signing, "RS256"), client_id="ES256")  # signed for one, shown for another
    await _refused(signing, _by(signing, "ES256"), client_id="RS256")
    await _refused(signing, _by(signing, "shop"))  # its method is another one


async def test_two_methods_at_once_are_refused(signing: World) -> None:
    """No. 43."""
    both = await _post(signing, _by(signing, "ES256"), client_secret="x")
    assert (both.status_code, both.json()["error"]) == (400, "invalid_request")
    sent = {**GRANT, "client_assertion_type": ASSERTION, "client_assertion": _by(signing, "ES256")}
    for form in (sent, {**GRANT, "client_assertion_type": ASSERTION}):
        reply = await signing.http.post("/oauth/token", data=form, headers=credentials("shop")[0])
        assert (reply.status_code, reply.json()["error"]) == (400, "invalid_request")


async def test_a_method_that_was_not_registered_is_refused(signing: World) -> None:
    """No. 44: not the secret of a client that signs, not the name alone."""
    for form in ({"client_id": "shared", "client_secret": SECRET}, {"client_id": "shared"}, {"client_id": "ES256"}):
        reply = await signing.http.post("/oauth/token", data={**GRANT, **form})
        assert (reply.status_code, reply.json()["error"]) == (401, "invalid_client")


async def test_the_type_of_an_assertion_must_be_named(signing: World) -> None:
    for kind in ("", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer", ASSERTION.upper()):
        await _refused(signing, _by(signing, "ES256"), client_assertion_type=kind)
    reply = await signing.http.post("/oauth/token", data={**GRANT, "client_assertion_type": ASSERTION})
    assert reply.status_code == 401


async def test_a_disabled_client_is_refused(signing: World) -> None:
    assert (await _post(signing, _by(signing, "ES256"))).status_code == 200
    await signing.clients.disable("ES256")
    await signing.versions.poll()
    await _refused(signing, _by(signing, "ES256"))


# -- keys behind an address (no. 49) -----------------------------------------------------------------------------------


async def test_keys_behind_an_address_are_asked_for_once(signing: World) -> None:
    signing.web.pages[JWKS_URI] = json.dumps(public(key("ES256"))).encode()
    for _ in range(5):
        assert (await _post(signing, _by(signing, "far"))).status_code == 200
    assert signing.web.asked == [JWKS_URI]


async def test_an_algorithm_that_was_not_registered_calls_nobody(signing: World) -> None:
    claims = claims_of("far", signing.clock.now())
    await _refused(signing, _hmac(claims, SECRET.encode(), "ec-one"))
    await _refused(signing, unsigned(claims))
    assert signing.web.asked == []


@pytest.mark.parametrize("status", [201, 206, 404])
async def test_what_an_error_or_a_part_says_is_no_key_set(signing: World, status: int) -> None:
    signing.web.pages[JWKS_URI] = Fetched(status, {}, json.dumps(public(key("ES256"))).encode())
    await _refused(signing, _by(signing, "far"))


async def test_an_unknown_key_is_asked_for_but_not_again_and_again(signing: World) -> None:
    signing.web.pages[JWKS_URI] = json.dumps(public(key("ES256"))).encode()
    assert (await _post(signing, _by(signing, "far"))).status_code == 200
    for name in "abcdefgh":
        await _refused(signing, _by(signing, "far", by=key("ES256", name)))
    assert len(signing.web.asked) == 1  # a moment ago it was asked, and whoever makes up names makes us call nobody
    signing.clock.move(client_keys.PAUSE)
    await asyncio.gather(*(_refused(signing, _by(signing, "far", by=key("ES256", name))) for name in "abcdefgh"))
    assert len(signing.web.asked) == 2
    assert (await _post(signing, _by(signing, "far"))).status_code == 200


async def test_the_suite_swaps_the_key_behind_the_address(signing: World) -> None:
    """`refresh-token-rp-key-rotation`: 60 seconds later the new `kid` works, and the old one does not for long."""
    signing.web.pages[JWKS_URI] = json.dumps(public(key("ES256"))).encode()
    assert (await _post(signing, _by(signing, "far"))).status_code == 200
    new = key("ES256", "new")
    signing.web.pages[JWKS_URI] = json.dumps(public(new)).encode()
    signing.clock.move(60)
    assert (await _post(signing, _by(signing, "far", by=new))).status_code == 200
    await _refused(signing, _by(signing, "far"))


@pytest.mark.parametrize("name", ["k", None])
async def test_a_new_key_is_noticed_though_its_name_is_not_new(signing: World, name: str | None) -> None:
    """Core §10.1 asks for names only where there are several keys."""

    def shown(key: Any) -> bytes:
        (only,) = public(key)["keys"]
        return json.dumps({"keys": [{what: said for what, said in {**only, "kid": name}.items() if said}]}).encode()

    def by(key: Any) -> str:
        return _by(signing, "far", by=key, header={"kid": name})

    old, new = key("ES256"), key("ES256", "new")
    signing.web.pages[JWKS_URI] = shown(old)
    assert (await _post(signing, by(old))).status_code == 200
    signing.web.pages[JWKS_URI] = shown(new)
    await _refused(signing, by(new))  # a moment ago it was asked
    signing.clock.move(client_keys.PAUSE)
    assert (await _post(signing, by(new))).status_code == 200
    await _refused(signing, by(old))


async def test_a_key_that_its_owner_took_away_does_not_live_on(signing: World) -> None:
    signing.web.pages[JWKS_URI] = json.dumps(public(key("ES256"), key("EdDSA"))).encode()
    assert (await _post(signing, _by(signing, "far"))).status_code == 200
    signing.web.pages[JWKS_URI] = json.dumps(public(key("EdDSA"))).encode()
    signing.clock.move(client_keys.FRESH)
    await signing.versions.poll()
    await _refused(signing, _by(signing, "far"))


@pytest.mark.parametrize("gone", [None, b"<html>", b"{}", b'{"keys": [1]}', b"\xff", b"[" * 9_000])
async def test_while_the_address_says_nothing_known_keys_stand_for_a_while(signing: World, gone: bytes | None) -> None:
    signing.web.pages[JWKS_URI] = json.dumps(public(key("ES256"))).encode()
    assert (await _post(signing, _by(signing, "far"))).status_code == 200
    if gone is None:
        del signing.web.pages[JWKS_URI]
    else:
        signing.web.pages[JWKS_URI] = gone
    signing.clock.move(client_keys.FRESH)
    assert (await _post(signing, _by(signing, "far"))).status_code == 200
    signing.clock.move(client_keys.STALE - client_keys.FRESH)
    await _refused(signing, _by(signing, "far"))
    before = len(signing.web.asked)
    await _refused(signing, _by(signing, "far"))
    assert len(signing.web.asked) == before  # a failure is remembered too


@pytest.mark.parametrize("how", ["private", "oct", "small", "encryption", "other alg"])
async def test_keys_that_cannot_be_a_clients_signature_keys_are_not_taken(signing: World, how: str) -> None:
    private = key("ES256")
    jwk = {**private.as_dict(private=False), "kid": private.kid}
    bad = {
        "private": private.as_dict(private=True),
        "oct": {"kty": "oct", "k": _b64(b"x" * 32)},
        "small": jwk | {"crv": "P-384"},
        "encryption": jwk | {"use": "enc"},
        "other alg": jwk | {"alg": "ES384"},
    }[how]
    signing.web.pages[JWKS_URI] = json.dumps({"keys": [bad]}).encode()
    await _refused(signing, _by(signing, "far"))


# -- registration ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metadata", "field"),
    [
        ({"token_endpoint_auth_method": "private_key_jwt"}, "jwks"),
        ({"jwks": {"keys": []}}, "jwks"),
        ({"jwks": {}}, "jwks"),
        ({"jwks": {"keys": [{"kty": "oct", "k": "AAAA"}]}}, "jwks"),
        ({"jwks": {"keys": [{"kty": "RSA", "e": "AQAB"}]}}, "jwks"),
        ({"jwks": {"keys": [{"kty": "RSA", "e": "AQAB", "n": "A" * 171}]}}, "jwks"),
        ({"jwks": {"keys": [{"kty": "RSA", "e": "AQAB", "n": "A" * 2_731}]}}, "jwks"),
        ({"jwks": {"keys": [{"kty": "EC", "crv": "P-256", "x": "A", "y": "A", "d": "A"}]}}, "jwks"),
        ({"jwks": {"keys": [{"kty": "EC", "crv": "P-256", "x": "A", "y": "A"}] * 21}}, "jwks"),
        ({"jwks": {"keys": [{"kty": "EC", "crv": "P-256", "x": "A", "y": "A"}]}, "jwks_uri": JWKS_URI}, "jwks"),
        ({"jwks_uri": "http://rp.example/jwks"}, "jwks_uri"),
        ({"jwks_uri": "https://rp.example/jwks#x"}, "jwks_uri"),
        ({"jwks_uri": "file:///etc/passwd"}, "jwks_uri"),
        ({"token_endpoint_auth_signing_alg": "RS256"}, "token_endpoint_auth_signing_alg"),
        ({"token_endpoint_auth_method": "client_secret_jwt", "token_endpoint_auth_signing_alg": "RS256"}, "alg"),
        ({"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "HS256"}, "alg"),
        ({"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "none"}, "alg"),
        ({"token_endpoint_auth_method": "tls_client_auth"}, "token_endpoint_auth_method"),
    ],
)
async def test_metadata_that_could_never_work_is_refused(world: World, metadata: dict[str, Any], field: str) -> None:
    if (
        metadata.get("token_endpoint_auth_signing_alg")
        and metadata.get("token_endpoint_auth_method") == "private_key_jwt"
    ):
        metadata = {**metadata, "jwks_uri": JWKS_URI}
    with pytest.raises(InvalidMetadata) as refused:
        await world.clients.create({"redirect_uris": [CALLBACK], **metadata})
    assert field in refused.value.field


async def test_a_short_secret_is_no_key(world: World) -> None:
    """No. 48; Core §16.19."""
    document = {
        "client_id": "short",
        "redirect_uris": [CALLBACK],
        "token_endpoint_auth_method": "client_secret_jwt",
        "client_secret": "x" * 31,
    }
    with pytest.raises(InvalidMetadata, match="32 bytes"):
        await world.clients.import_(document)
    await world.clients.import_({**document, "client_secret": "x" * 32})


async def test_who_signs_with_a_key_of_his_own_has_no_secret(signing: World) -> None:
    client = await signing.clients.get("ES256")
    assert client is not None and client.secret_hash is None and client.secret_enc is None
    made = await signing.clients.create(
        {"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "client_secret_jwt"}
    )
    assert made.secret is not None and len(made.secret.reveal()) >= 32
    kept = signing.clients.symmetric_secret(made.client)
    assert kept is not None and kept.matches(made.secret)


async def test_the_document_says_how_clients_may_sign(world: World) -> None:
    members = world.provider.metadata
    for name in ("token", "revocation", "introspection"):
        methods = members[f"{name}_endpoint_auth_methods_supported"]
        assert {"client_secret_jwt", "private_key_jwt"} <= set(methods)
        assert set(members[f"{name}_endpoint_auth_signing_alg_values_supported"]) == {*ALGS, "HS256"}


async def test_a_dump_holds_neither_secret_nor_jti(signing: World, tmp_path: Path) -> None:
    await _post(signing, _by(signing, "shared", "HS256", OctKey.import_key(SECRET), jti="planted-jti"))
    files = _files(tmp_path)
    assert SECRET.encode() not in files and b"shared" in files
    assert "planted-jti" not in repr(signing.store._values)  # type: ignore[attr-defined]


def _files(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.glob("bridge.db*"))
