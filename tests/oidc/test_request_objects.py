"""Requests that their client signed, by value and by reference — RFC 9101, Core §6; §12 no. 38–41."""

from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from joserfc.jwk import OctKey

from bridge.clients.client import Client
from bridge.clients.metadata import InvalidMetadata
from bridge.fetch.answers import Fetched
from bridge.keys.foreign import Unverified
from bridge.oidc.errors import OAuthError
from bridge.oidc.options import OidcOptions
from bridge.oidc.params import Parameters
from bridge.oidc.request_object import merged, unpacked
from bridge.types import ClientId
from tests.oidc.signing import key, public, sign, unsigned
from tests.oidc.world import CALLBACK, CHALLENGE, ISSUER, Browser, World, answer, form_fields, page, shown

NOW = 1_800_000_000.0
ALGS = ("RS256", "PS256", "ES256", "EdDSA")
SECRET = "a-secret-that-is-a-key-and-long-enough"
OBJECT_URI = "https://rp.example/object"
APP = Client(client_id=ClientId("app"))
Make = Callable[..., str]


# -- pure: what stands inside ------------------------------------------------------------------------------------------


def _unpacked(claims: dict[str, Any], typ: str | None = None) -> dict[str, str]:
    token = Unverified("", {"alg": "ES256", **({"typ": typ} if typ else {})}, claims)
    return unpacked(token, APP, issuer=ISSUER, now=NOW)


@pytest.mark.parametrize(
    ("claims", "values"),
    [
        ({}, {}),
        ({"scope": "openid", "state": "s t+%"}, {"scope": "openid", "state": "s t+%"}),
        ({"iss": "app", "aud": ISSUER, "exp": NOW + 60, "nbf": NOW, "iat": NOW, "jti": "x"}, {}),
        ({"aud": ["https://other.example", ISSUER], "nonce": "n"}, {"nonce": "n"}),
        ({"client_id": "app"}, {"client_id": "app"}),
        ({"nbf": NOW + 8, "exp": NOW + 3_600}, {}),
        ({"exp": NOW - 9}, {}),
        ({"max_age": 60}, {"max_age": "60"}),
        ({"claims": {"id_token": {"sub": {"value": "x"}}}}, {"claims": '{"id_token":{"sub":{"value":"x"}}}'}),
        ({"state": ""}, {}),
        ({"sub": "somebody"}, {}),
    ],
)
def test_what_stands_inside(claims: dict[str, Any], values: dict[str, str]) -> None:
    for typ in (None, "JWT", "oauth-authz-req+jwt", "application/oauth-authz-req+jwt"):
        assert _unpacked(claims, typ) == values


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"request": "x.y.z"}, "request or request_uri"),
        ({"request_uri": "https://rp.example/object"}, "request or request_uri"),
        ({"request": None}, "request or request_uri"),
        ({"client_id": "other"}, "client_id"),
        ({"client_id": None}, "client_id"),
        ({"iss": "other"}, "iss"),
        ({"iss": ISSUER}, "iss"),
        ({"aud": "https://other.example"}, "aud"),
        ({"aud": f"{ISSUER}/"}, "aud"),
        ({"aud": f"{ISSUER}/oauth/authorize"}, "aud"),
        ({"aud": []}, "aud"),
        ({"aud": None}, "aud"),
        ({"sub": "app"}, "sub"),
        ({"exp": NOW - 10}, "exp is over"),
        ({"exp": NOW + 3_601}, "exp is more"),
        ({"exp": "1"}, "exp is no number"),
        ({"nbf": NOW + 61}, "nbf is not yet"),
        ({"iat": NOW + 61}, "iat is not yet"),
        ({"scope": ["openid"]}, "scope of the request object"),
        ({"state": 5}, "state of the request object"),
        ({"max_age": True}, "max_age of the request object"),
        ({"max_age": 1.5}, "max_age of the request object"),
        ({"claims": []}, "claims of the request object"),
    ],
)
def test_what_must_not_stand_inside(claims: dict[str, Any], why: str) -> None:
    """No. 39, 40."""
    with pytest.raises(OAuthError, match=why) as refused:
        _unpacked(claims)
    assert refused.value.code == "invalid_request_object"


@pytest.mark.parametrize("value", ["text", 5, True, None, {"a": 1}, ["a"], [{"type": "x"}]])
@pytest.mark.parametrize("name", ["foo", 'a"b', "authorization_details", "resource", "jti", "sub"])
def test_what_nobody_here_understands_is_ignored_whatever_it_is(name: str, value: Any) -> None:
    """RFC 6749 §3.1; RFC 9101 §4 carries numbers and structures too."""
    assert _unpacked({name: value, "nonce": "n"}).get("nonce") == "n" and name not in _unpacked({name: value})


@pytest.mark.parametrize("typ", ["logout+jwt", "at+jwt", "client-authentication+jwt", "dpop+jwt", "x"])
def test_a_token_of_another_kind_is_no_request(typ: str) -> None:
    """No. 41."""
    with pytest.raises(OAuthError, match="another kind"):
        _unpacked({}, typ)


OUTSIDE = {"client_id": "app", "response_type": "code", "state": "outside", "prompt": "none", "request": "x.y.z"}


def test_what_stands_inside_wins() -> None:
    inner = {"state": "inside", "nonce": "n", "response_type": "code"}
    both = merged(Parameters(OUTSIDE), inner, strict=False)
    assert both.values == {
        "client_id": "app",
        "response_type": "code",
        "state": "inside",
        "prompt": "none",
        "nonce": "n",
    }
    alone = merged(Parameters(OUTSIDE), inner, strict=True)
    assert alone.values == {"client_id": "app", "response_type": "code", "state": "inside", "nonce": "n"}


def test_a_state_that_stands_outside_only_counts_where_core_rules() -> None:
    """`state-only-outside-request-object-not-used`, of FAPI's plan, is about the stricter rule."""
    assert merged(Parameters(OUTSIDE), {"nonce": "n"}, strict=False).values["state"] == "outside"
    assert "state" not in merged(Parameters(OUTSIDE), {"nonce": "n"}, strict=True).values


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("inner", [{"client_id": "other"}, {"response_type": "token"}])
def test_client_and_response_type_are_the_same_inside_and_outside(inner: dict[str, str], strict: bool) -> None:
    with pytest.raises(OAuthError, match="is not the one outside"):
        merged(Parameters(OUTSIDE), inner, strict=strict)


# -- the whole way -----------------------------------------------------------------------------------------------------


@pytest.fixture
async def objects(world: World) -> World:
    """Where both ways are offered, with a client for each algorithm, and Bob signed in."""
    options = OidcOptions(request_objects=True, request_uris=True)
    other = World(world.db, world.store, world.clock, keyring=world.keyring, oidc=options)
    base = {"redirect_uris": [CALLBACK, f"{CALLBACK}2"], "scope": "openid email"}
    keys = {"jwks": public(*map(key, ALGS))}
    for alg in ALGS:
        await other.clients.create({**base, **keys, "request_object_signing_alg": alg}, client_id=f"r-{alg}")
    await other.clients.create({**base, **keys, "request_uris": [OBJECT_URI]}, client_id="free")
    await other.clients.create({**base, **keys, "require_signed_request_object": True}, client_id="strict")
    by_secret = {**base, "request_object_signing_alg": "HS256", "client_secret": SECRET, "client_id": "shared"}
    await other.clients.import_({**by_secret, "require_pkce": True})
    await other.open()
    for client in ("free", "strict", "shared", *(f"r-{alg}" for alg in ALGS)):
        await other.allow(client, "openid")
    return other


def _inside(client: str, **other: Any) -> dict[str, Any]:
    usual = {
        "client_id": client,
        "response_type": "code",
        "redirect_uri": CALLBACK,
        "scope": "openid",
        "state": "inside",
        "nonce": "inside",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return {name: value for name, value in {**usual, **other}.items() if value is not None}


async def _ask(world: World, client: str, browser: Browser | None = None, /, **outside: str | None) -> httpx2.Response:
    sent = {"client_id": client, "response_type": "code", "redirect_uri": CALLBACK, "scope": "openid", **outside}
    query = httpx2.QueryParams({name: value for name, value in sent.items() if value is not None})
    return await (browser or await world.sign_in()).get(f"/oauth/authorize?{query}")


def _signed(client: str, alg: str = "ES256", by: Any = None, **other: Any) -> str:
    header = other.pop("header", {})
    return sign(_inside(client, **other), by or key(alg), alg, **header)


async def _code(world: World, client: str, **outside: str | None) -> dict[str, str]:
    said = answer(await _ask(world, client, **outside))
    assert "code" in said, said
    return said


async def _error(world: World, client: str, **outside: str | None) -> str:
    said = answer(await _ask(world, client, state="outside", **outside))
    assert said["state"] == "outside" and said["iss"] == ISSUER and "code" not in said
    return said["error"]


@pytest.mark.parametrize("alg", ALGS)
async def test_an_object_by_value_is_the_request(objects: World, alg: str) -> None:
    client = f"r-{alg}"
    said = await _code(objects, client, request=_signed(client, alg), state="outside", nonce="outside")
    assert said["state"] == "inside"
    await objects.clients.create({"redirect_uris": [CALLBACK]})  # (no effect on what follows)
    assert (await _code(objects, "free", request=_signed("free", alg)))["state"] == "inside"


async def test_an_object_may_be_signed_by_the_clients_secret(objects: World) -> None:
    text = sign(_inside("shared"), OctKey.import_key(SECRET), "HS256")
    assert (await _code(objects, "shared", request=text))["state"] == "inside"
    forged = sign(_inside("shared"), OctKey.import_key(SECRET + "?"), "HS256")
    assert await _error(objects, "shared", request=forged) == "invalid_request_object"
    assert await _error(objects, "free", request=forged) == "invalid_request_object"


async def test_an_unsigned_object_is_taken_from_nobody(objects: World) -> None:
    """No. 39: none is refused if signing was registered; and it is not offered at all."""
    for client in ("free", "strict", "shared", "r-ES256"):
        assert await _error(objects, client, request=unsigned(_inside(client))) == "invalid_request_object"


@pytest.mark.parametrize("typ", [None, "oauth-authz-req+jwt"])
async def test_a_visit_goes_on_with_what_stood_inside(objects: World, typ: str | None) -> None:
    """Through login, and by a form: the redirect URI, state and nonce are those inside (`…-with-redirect-uri`)."""
    browser = Browser(objects)
    text = _signed("free", redirect_uri=f"{CALLBACK}2", response_mode="form_post", header={"typ": typ})
    reply = await _ask(objects, "free", browser, request=text, redirect_uri="https://evil.example/", state="outside")
    assert page(reply, "/login")
    done = await browser.login(reply)
    fields = form_fields(done.text)
    assert f'action="{CALLBACK}2"' in done.text and fields["state"] == "inside" and fields["code"]


async def test_an_unregistered_address_inside_is_a_page(objects: World) -> None:
    text = _signed("free", redirect_uri="https://evil.example/")
    assert "redirect_uri" in shown(await _ask(objects, "free", request=text))


async def test_without_an_address_outside_a_bad_object_is_a_page(objects: World) -> None:
    """Nothing inside is believed, so nobody is sent there."""
    forged = _signed("free", by=key("ES256", "thief"))
    assert "request" in shown(await _ask(objects, "free", request=forged, redirect_uri=None))


async def test_what_is_forged_or_junk_is_an_invalid_request_object(objects: World) -> None:
    good, thief = _signed("r-ES256"), key("ES256", "thief")
    head, body, mark = good.split(".")
    junk = ["x", "a.b.c", "a.b.c.d.e", f"{head}.{body}.", f"{head}.{body}.{mark[:-4]}AAAA", f"{head}.e30.{mark}"]
    junk += [_signed("r-ES256", by=thief), _signed("r-ES256", by=thief, header={"kid": "ec-one"})]
    junk += [_signed("r-ES256", by=thief, header={"kid": "ec-one", "jwk": thief.as_dict(private=False)})]
    junk += [_signed("r-ES256", alg) for alg in ALGS if alg != "ES256"]  # registered keys, but not this algorithm
    junk += [_signed("r-ES256", client_id="free"), _signed("r-ES256", response_type="token")]
    junk += [objects.keyring.sign("ES256", _inside("r-ES256"))]
    for text in junk:
        assert await _error(objects, "r-ES256", request=text) == "invalid_request_object", text
    assert (await _code(objects, "r-ES256", request=good))["state"] == "inside"


async def test_what_is_wrong_inside_goes_back_by_the_way_inside(objects: World) -> None:
    said = answer(await _ask(objects, "free", request=_signed("free", prompt="bogus")))
    assert (said["error"], said["state"]) == ("invalid_request", "inside")
    said = answer(await _ask(objects, "free", request=_signed("free", code_challenge=None)))
    assert (said["error"], said["state"]) == ("invalid_request", "inside")


async def test_a_client_that_demands_signatures_counts_nothing_outside(objects: World) -> None:
    said = await _code(objects, "strict", request=_signed("strict", state=None), state="outside", prompt="login")
    assert "state" not in said
    whole = {name: value for name, value in _inside("strict", state="outside").items() if name != "client_id"}
    said = answer(await _ask(objects, "strict", **whole))
    assert (said["error"], said["error_description"]) == (
        "invalid_request",
        "this client must send a signed request object",
    )


async def test_an_object_that_says_it_is_of_rfc_9101_counts_alone_for_every_client(objects: World) -> None:
    for typ, states in ((None, ["outside"]), ("oauth-authz-req+jwt", [])):
        text = _signed("free", state=None, header={"typ": typ})
        said = await _code(objects, "free", request=text, state="outside")
        assert [value for name, value in said.items() if name == "state"] == states


async def test_both_ways_at_once_and_an_object_twice_are_refused(objects: World) -> None:
    both = {"request": _signed("free"), "request_uri": OBJECT_URI}
    assert await _error(objects, "free", **both) == "invalid_request"
    browser = await objects.sign_in()
    query = httpx2.QueryParams([("client_id", "free"), ("redirect_uri", CALLBACK), ("response_type", "code")])
    twice = f"/oauth/authorize?{query}&request={_signed('free')}&request={_signed('free')}"
    assert answer(await browser.get(twice))["error"] == "invalid_request"


async def test_post_is_the_same(objects: World) -> None:
    browser = await objects.sign_in()
    form = {"client_id": "free", "response_type": "code", "request": _signed("free")}
    assert answer(await browser.post("/oauth/authorize", form))["state"] == "inside"


# -- by reference ------------------------------------------------------------------------------------------------------


async def test_an_object_by_reference_is_read_where_it_was_registered(objects: World) -> None:
    objects.web.pages[OBJECT_URI] = _signed("free").encode() + b"\n"
    assert (await _code(objects, "free", request_uri=OBJECT_URI, state="outside"))["state"] == "inside"
    assert objects.web.asked == [OBJECT_URI]


async def test_a_fragment_is_for_caches_and_never_sent(objects: World) -> None:
    """Core §6.2: it may be the hash of what lies there, or any other sign that this changed."""
    objects.web.pages[OBJECT_URI] = _signed("free").encode()
    assert (await _code(objects, "free", request_uri=f"{OBJECT_URI}#changed"))["state"] == "inside"
    assert objects.web.asked == [OBJECT_URI]


async def test_an_address_may_be_so_long_and_no_longer(objects: World) -> None:
    """Core §6.2: 512 characters, its fragment among them."""
    objects.web.pages[OBJECT_URI] = _signed("free").encode()
    longest = f"{OBJECT_URI}#".ljust(512, "x")
    assert (await _code(objects, "free", request_uri=longest))["state"] == "inside"
    assert await _error(objects, "free", request_uri=f"{longest}x") == "invalid_request_uri"


@pytest.mark.parametrize(
    "uri",
    [
        f"{OBJECT_URI}/",
        f"{OBJECT_URI}?x",
        OBJECT_URI.upper(),
        "https://rp.example/",
        "https://169.254.169.254/latest/",
        "http://rp.example/object",
        "urn:ietf:params:oauth:request_uri:x",
        f"{OBJECT_URI}#{'x' * 500}",
        "x",
    ],
)
async def test_nobody_is_called_who_was_not_registered(objects: World, uri: str) -> None:
    """No. 38; security §16: exactly, before any fetch."""
    objects.web.pages[OBJECT_URI] = _signed("free").encode()
    assert await _error(objects, "free", request_uri=uri) == "invalid_request_uri"
    assert await _error(objects, "strict", request_uri=OBJECT_URI) == "invalid_request_uri"
    assert objects.web.asked == []


async def test_where_nothing_lies_the_address_is_at_fault_and_where_junk_lies_the_object(objects: World) -> None:
    assert await _error(objects, "free", request_uri=OBJECT_URI) == "invalid_request_uri"
    for status in (201, 206, 299, 404):
        objects.web.pages[OBJECT_URI] = Fetched(status, {}, _signed("free").encode())
        assert await _error(objects, "free", request_uri=OBJECT_URI) == "invalid_request_uri"
    for junk in (b"", b"<html>", "é".encode(), b"a.b.c", _signed("free", by=key("ES256", "thief")).encode()):
        objects.web.pages[OBJECT_URI] = junk
        assert await _error(objects, "free", request_uri=OBJECT_URI) == "invalid_request_object"
    objects.web.pages[OBJECT_URI] = unsigned(_inside("free")).encode()
    assert await _error(objects, "free", request_uri=OBJECT_URI) == "invalid_request_object"


async def test_nobody_makes_us_call_an_address_without_end(objects: World) -> None:
    objects.web.pages[OBJECT_URI] = _signed("free").encode()
    browser = await objects.sign_in()
    most = OidcOptions().visits_per_minute
    replies = [await _ask(objects, "free", browser, request_uri=OBJECT_URI) for _ in range(most + 3)]
    assert [reply.status_code for reply in replies[-3:]] == [429] * 3
    assert len(objects.web.asked) == most


# -- what is offered ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "by_value", "by_reference"),
    [
        (OidcOptions(), False, False),
        (OidcOptions(request_objects=True), True, False),
        (OidcOptions(request_uris=True), False, True),
    ],
)
async def test_what_is_not_offered_is_refused_and_the_document_says_so(
    objects: World, options: OidcOptions, by_value: bool, by_reference: bool
) -> None:
    world = await World(objects.db, objects.store, objects.clock, keyring=objects.keyring, oidc=options).open()
    await world.allow("free", "openid")
    world.web.pages[OBJECT_URI] = _signed("free").encode()
    members = world.provider.metadata
    assert members["request_parameter_supported"] is by_value
    assert members["request_uri_parameter_supported"] is by_reference
    assert members.get("require_request_uri_registration", False) is by_reference
    assert ("request_object_signing_alg_values_supported" in members) is (by_value or by_reference)
    for name, sent, on in (("request", _signed("free"), by_value), ("request_uri", OBJECT_URI, by_reference)):
        said = answer(await _ask(world, "free", **{name: sent}))
        assert ("code" in said) if on else (said["error"] == f"{name}_not_supported"), name
    assert bool(world.web.asked) is by_reference


async def test_every_algorithm_that_is_named_works(objects: World) -> None:
    named = set(objects.provider.metadata["request_object_signing_alg_values_supported"])
    assert named == {*ALGS, "HS256"}  # each has a test of its own above


@pytest.mark.parametrize(
    ("metadata", "field"),
    [
        ({"request_object_signing_alg": "RS384"}, "request_object_signing_alg"),
        ({"request_object_signing_alg": "RS256"}, "request_object_signing_alg"),
        (
            {"request_object_signing_alg": "HS256", "token_endpoint_auth_method": "none"},
            "request_object_signing_alg",
        ),
        ({"request_object_signing_alg": "none"}, "request_object_signing_alg"),
        ({"request_uris": ["http://rp.example/object"]}, "request_uris"),
        ({"request_uris": ["file:///etc/passwd"]}, "request_uris"),
        ({"request_uris": [f"https://rp.example/{n}" for n in range(21)]}, "request_uris"),
    ],
)
async def test_metadata_that_could_never_work_is_refused(world: World, metadata: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidMetadata) as refused:
        await world.clients.create({"redirect_uris": [CALLBACK], **metadata})
    assert refused.value.field == field
