"""The token endpoint: who may ask, how, and what comes back — RFC 6749 §3.2, §5; Core §3.1.3; RFC 7636 §4.6."""

import base64
import time
from itertools import cycle
from typing import Any, cast
from urllib.parse import quote, quote_plus

import httpx2
import pytest
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.jwk import KeySet

from bridge.clients.client import Client
from bridge.oidc.client_auth import AuthenticatedClient
from bridge.oidc.errors import OAuthError
from bridge.oidc.grants.client_credentials import ClientCredentials
from bridge.oidc.grants.response import Response
from bridge.oidc.id_token import IdTokens
from bridge.types import ClientId, Visit
from tests.oidc.world import CALLBACK, ISSUER, VERIFIER, World, answer, basic, secret_of


async def _code(world: World, client: str = "shop", **request: str | None) -> str:
    await world.allow(client, "openid", "email")
    return await (await world.sign_in()).code(client, **request)


def _refused(reply: httpx2.Response, error: str, status: int = 400) -> str:
    """RFC 6749 §5.2, and never to be stored."""
    assert (reply.status_code, reply.headers["content-type"]) == (status, "application/json"), reply.text
    assert reply.headers["cache-control"] == "no-store" and reply.headers["pragma"] == "no-cache"
    members = reply.json()
    assert members["error"] == error and set(members) == {"error", "error_description"}
    assert all(" " <= c <= "~" and c not in '"\\' for c in members["error_description"])
    return str(members["error_description"])


async def test_a_good_answer(world: World) -> None:
    """§12 no. 53, 66, 70, 72, 73: members, types, headers; the ID token checked by Authlib's own rules."""
    tokens = await world.redeem(await _code(world))
    assert tokens.headers["cache-control"] == "no-store" and tokens.headers["content-type"] == "application/json"
    members = tokens.json()
    assert members["token_type"] == "Bearer" and members["expires_in"] == 3600 and members["scope"] == "openid"
    assert set(members) == {"access_token", "token_type", "expires_in", "scope", "refresh_token", "id_token"}
    claims = await _claims(world, members["id_token"], "RS256", access_token=members["access_token"])
    now = int(world.clock.now())
    assert (claims["iss"], claims["aud"], claims["sub"]) == (ISSUER, "shop", world.bob.sub)
    assert (claims["iat"], claims["exp"], claims["auth_time"], claims["nonce"]) == (now, now + 3600, now, "no")
    assert claims["amr"] == ["pwd"] and len(claims["sid"]) == 22


async def test_an_id_token_is_signed_as_the_client_registered(world: World) -> None:
    members = (await world.redeem(await _code(world, "es"), "es")).json()
    await _claims(world, members["id_token"], "ES256", access_token=members["access_token"])


async def test_no_nonce_asked_none_given(world: World) -> None:
    members = (await world.redeem(await _code(world, nonce=None))).json()
    assert "nonce" not in await _claims(world, members["id_token"], "RS256", nonce=None)


async def test_without_openid_there_is_no_id_token(world: World) -> None:
    """§12 no. 85."""
    members = (await world.redeem(await _code(world, scope="email"))).json()
    assert "id_token" not in members and members["scope"] == "email"
    assert (await world.userinfo(members["access_token"])).status_code == 403


async def test_after_a_refresh_the_sign_in_is_the_same(world: World) -> None:
    """§12 no. 62: sub, aud, auth_time, sid stay; no nonce."""
    first = (await world.redeem(await _code(world))).json()
    world.clock.move(100)
    second = (await world.refresh(first["refresh_token"])).json()
    before = await _claims(world, first["id_token"], "RS256")
    after = await _claims(world, second["id_token"], "RS256", nonce=None, access_token=second["access_token"])
    assert "nonce" not in after and after["iat"] == before["iat"] + 100
    for name in ("iss", "sub", "aud", "auth_time", "sid", "amr"):
        assert after[name] == before[name]


# ── how the client authenticates ──


@pytest.mark.parametrize("client", ["shop", "post", "spa"])
async def test_each_registered_way_to_authenticate_works(world: World, client: str) -> None:
    assert (await world.redeem(await _code(world, client), client)).status_code == 200


@pytest.mark.parametrize(
    ("headers", "form"),
    [
        ({}, {}),
        ({}, {"client_id": "nobody"}),
        ({}, {"client_id": "nobody", "client_secret": "x"}),
        ({}, {"client_id": "shop"}),
        ({}, {"client_id": "post", "client_secret": "wrong"}),
        ({}, {"client_id": "spa", "client_secret": "x"}),
        ({}, {"client_id": "post", "client_assertion": "x", "client_assertion_type": "y"}),
        ({"authorization": "Basic"}, {}),
        ({"authorization": "Basic !!!"}, {}),
        ({"authorization": "Basic " + base64.b64encode(b"shop").decode()}, {}),
        ({"authorization": "Basic " + base64.b64encode(b"\xff\xfe:x").decode()}, {}),
        ({"authorization": "Bearer abc"}, {"client_id": "shop"}),
        (basic("shop", "wrong"), {}),
        (basic("shop", ""), {}),
        (basic("nobody", "x"), {}),
        (basic("spa", ""), {}),
        (basic("spa", "x"), {}),
    ],
)
async def test_a_client_that_cannot_prove_itself_is_refused(
    world: World, headers: dict[str, str], form: dict[str, str]
) -> None:
    """B10, §12 no. 45, 50: the challenge only for who tried the header, and never a reason."""
    reply = await world.http.post("/oauth/token", data={"grant_type": "client_credentials", **form}, headers=headers)
    _refused(reply, "invalid_client", 401)
    assert ("www-authenticate" in reply.headers) is bool(headers)
    assert world.kinds() == ["token.refused"] and world.told.events[0].client in (None, "shop", "post", "spa")


@pytest.mark.parametrize("tried", ["shop-by-post", "post-by-basic", "robot-as-public"])
async def test_another_way_than_the_registered_one_is_refused(world: World, tried: str) -> None:
    """§12 no. 44; engine §3: `none` only for clients registered so, here too."""
    headers, form = {
        "shop-by-post": ({}, {"client_id": "shop", "client_secret": secret_of("shop")}),
        "post-by-basic": (basic("post", secret_of("post")), {}),
        "robot-as-public": ({}, {"client_id": "robot"}),
    }[tried]
    reply = await world.http.post("/oauth/token", data={"grant_type": "client_credentials", **form}, headers=headers)
    _refused(reply, "invalid_client", 401)


async def test_two_ways_at_once_are_refused(world: World) -> None:
    """§12 no. 43."""
    form = {"grant_type": "client_credentials", "client_secret": secret_of("shop")}
    reply = await world.http.post("/oauth/token", data=form, headers=basic("shop", secret_of("shop")))
    _refused(reply, "invalid_request")


async def test_the_same_client_id_beside_the_header_is_fine_and_another_is_not(world: World) -> None:
    for client_id, status in (("shop", 200), ("post", 401)):
        form = {"grant_type": "client_credentials", "client_id": client_id}
        reply = await world.http.post("/oauth/token", data=form, headers=basic("shop", secret_of("shop")))
        assert reply.status_code == status


@pytest.mark.parametrize(
    "encoded", ["old%3Asecret%2Bwith%2F50%25+of%3Deverything", "old:secret+with/50% of=everything"]
)
async def test_a_secret_with_awkward_letters_is_read_encoded_or_not(world: World, encoded: str) -> None:
    """B10, §12 no. 42."""
    form = {"grant_type": "authorization_code", "code": "x"}
    reply = await world.http.post("/oauth/token", data=form, headers=basic("imported", encoded))
    _refused(reply, "invalid_grant")  # it is known who asks


async def test_the_id_in_the_form_does_not_borrow_the_secret_of_the_header(world: World) -> None:
    form = {"grant_type": "client_credentials", "client_id": "shop"}
    reply = await world.http.post("/oauth/token", data=form, headers=basic("es", secret_of("shop")))
    _refused(reply, "invalid_client", 401)


AWKWARD_IDS = ["ACME-HOSTING.SQxO+rZO/TQC8YTkLQuQ0w==", "My Shop.0f+1", "50%.25%2B", "plain"]
AWKWARD_SECRETS = ["a+b", "a/b", "ab==", "a:b", ":", "a%2Bb", "100%", "a b", "+ / = : %", "é+%"]


async def test_ids_and_secrets_are_taken_as_they_were_imported(world: World) -> None:
    """Whmcs-api §6.4: by Basic, encoded as RFC 6749 §2.3.1 says or as they are or half of it, and by POST."""
    pairs = [(f"{name}{n}", secret) for n, (name, secret) in enumerate(zip(cycle(AWKWARD_IDS), AWKWARD_SECRETS))]
    await world.clients.import_(
        [{"client_id": name, "client_secret": secret, "redirect_uris": [CALLBACK]} for name, secret in pairs]
    )
    await world.versions.poll()
    for name, secret in pairs:
        for shown in (secret, secret + "x", secret[:-1] + "~"):
            ways: list[tuple[dict[str, str], dict[str, str]]] = [
                (basic(name, shown), {}),
                (basic(name, shown), {"client_id": name}),
                (basic(quote_plus(name), quote_plus(shown)), {}),
                (basic(quote_plus(name), quote_plus(shown)), {"client_id": name}),
                (basic(quote(name, safe=""), quote(shown, safe="")), {}),
                (basic(quote(name, safe="+"), quote(shown, safe="+")), {}),
                ({}, {"client_id": name, "client_secret": shown}),
            ]
            for headers, form in ways:
                asked = {"grant_type": "authorization_code", "code": "x", **form}
                error = (await world.http.post("/oauth/token", data=asked, headers=headers)).json()["error"]
                # `invalid_grant`: it is known who asks
                assert error == ("invalid_grant" if shown == secret else "invalid_client"), (name, shown, headers)


async def test_an_id_that_can_be_read_in_two_ways_is_the_one_whose_secret_was_shown(world: World) -> None:
    """`a+b` is `a b` to whoever encodes, and `a+b` to whoever does not."""
    secrets = {"a b": "first", "a+b": "second", "a%2Bb": "third"}
    await world.clients.import_(
        [{"client_id": name, "client_secret": secret, "redirect_uris": [CALLBACK]} for name, secret in secrets.items()]
    )
    await world.versions.poll()
    for shown, may in (("a+b", {"a b", "a+b"}), ("a%2Bb", {"a+b", "a%2Bb"}), ("a%20b", {"a b"})):
        for name, secret in secrets.items():
            reply = await world.http.post("/oauth/token", data={"grant_type": "?"}, headers=basic(shown, secret))
            assert (reply.json()["error"] == "unsupported_grant_type") is (name in may), (shown, name)
    await world.http.post("/oauth/token", data={"grant_type": "?"}, headers=basic("a%20b", "wrong"))
    assert (world.told.events[-1].kind, world.told.events[-1].client) == ("token.refused", "a b")


async def test_a_disabled_client_gets_nothing(world: World) -> None:
    tokens = (await world.redeem(await _code(world))).json()
    await world.clients.disable("shop")
    await world.versions.poll()
    _refused(await world.refresh(tokens["refresh_token"]), "invalid_client", 401)


# ── what is asked ──


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_post_only(world: World, method: str) -> None:
    """§12 no. 52."""
    reply = await world.http.request(method, "/oauth/token?grant_type=client_credentials")
    _refused(reply, "invalid_request", 405)
    assert reply.headers["allow"] == "POST, OPTIONS"


async def test_a_form_only_and_nothing_from_the_address(world: World) -> None:
    """§12 no. 52, §25: credentials in a query are not looked at."""
    headers = basic("robot", secret_of("robot"))
    reply = await world.http.post("/oauth/token", json={"grant_type": "client_credentials"}, headers=headers)
    _refused(reply, "invalid_request", 415)
    reply = await world.http.post("/oauth/token?grant_type=client_credentials", data={"a": "b"}, headers=headers)
    assert "grant_type" in _refused(reply, "invalid_request")


async def test_a_resource_may_come_several_times_and_means_nothing(world: World) -> None:
    """RFC 8707 §2."""
    reply = await world.token(
        "robot", grant_type="client_credentials", resource=["https://a.example", "https://b.example"]
    )
    assert reply.status_code == 200 and "resource" not in reply.json()


async def test_a_repeated_parameter_is_refused(world: World) -> None:
    reply = await world.http.post(
        "/oauth/token",
        content=b"grant_type=client_credentials&grant_type=client_credentials",
        headers={**basic("robot", secret_of("robot")), "content-type": "application/x-www-form-urlencoded"},
    )
    assert "grant_type" in _refused(reply, "invalid_request")


@pytest.mark.parametrize(
    ("grant", "error"),
    [
        ("password", "unsupported_grant_type"),
        ("implicit", "unsupported_grant_type"),
        ("urn:ietf:params:oauth:grant-type:jwt-bearer", "unsupported_grant_type"),
        ("refresh_token", "unauthorized_client"),
        ("authorization_code", "unauthorized_client"),
        ("", "invalid_request"),
    ],
)
async def test_a_grant_that_is_not_offered_or_not_the_clients(world: World, grant: str, error: str) -> None:
    """§12 no. 54. §12 no. 29."""
    _refused(await world.token("robot", grant_type=grant), error)


# ── the code ──


@pytest.mark.parametrize(
    ("verifier", "why"),
    [
        ("", "missing"),
        ("w" * 43, "match"),
        ("v" * 42, "43 to 128"),
        ("v" * 129, "43 to 128"),
        ("v" * 42 + "!", "43 to 128"),
        ("é" * 43, "43 to 128"),
    ],
)
async def test_a_wrong_verifier_burns_nothing(world: World, verifier: str, why: str) -> None:
    """B5, §12 no. 18; the right one is taken afterwards."""
    code = await _code(world)
    assert why in _refused(await world.redeem(code, code_verifier=verifier), "invalid_grant")
    assert (await world.redeem(code)).status_code == 200


async def test_a_verifier_without_a_challenge_is_refused(world: World) -> None:
    """§21, §12 no. 19: the downgrade."""
    code = await _code(world, "imported", code_challenge=None, code_challenge_method=None)
    _refused(await world.redeem(code, "imported"), "invalid_grant")
    assert (await world.redeem(code, "imported", code_verifier="")).status_code == 200


async def test_an_imported_client_may_use_pkce(world: World) -> None:
    code = await _code(world, "imported")
    _refused(await world.redeem(code, "imported", code_verifier=""), "invalid_grant")
    assert (await world.redeem(code, "imported")).status_code == 200


async def test_the_address_must_be_the_same_again(world: World) -> None:
    """§12 no. 14, 25: without it only PKCE binds the code to its request."""
    code = await _code(world)
    _refused(await world.redeem(code, redirect_uri=CALLBACK + "/"), "invalid_grant")
    assert (await world.redeem(code, redirect_uri="")).status_code == 200
    plain = await _code(world, "imported", code_challenge=None, code_challenge_method=None)
    _refused(await world.redeem(plain, "imported", code_verifier="", redirect_uri=""), "invalid_grant")


async def test_a_code_is_its_own_clients(world: World) -> None:
    """§12 no. 20: nothing burns."""
    code = await _code(world)
    _refused(await world.redeem(code, "es"), "invalid_grant")
    assert (await world.redeem(code)).status_code == 200


async def test_a_code_that_is_used_twice_takes_its_tokens_along(world: World) -> None:
    """B6, §12 no. 21."""
    code = await _code(world)
    tokens = (await world.redeem(code)).json()
    assert (await world.userinfo(tokens["access_token"])).status_code == 200
    _refused(await world.redeem(code), "invalid_grant")
    assert (await world.userinfo(tokens["access_token"])).status_code == 401
    _refused(await world.refresh(tokens["refresh_token"]), "invalid_grant")
    assert "token.replay" in world.kinds()


async def test_a_code_is_over_after_a_minute(world: World) -> None:
    """§12 no. 23."""
    code = await _code(world)
    world.clock.move(61)
    _refused(await world.redeem(code), "invalid_grant")


async def test_tokens_are_not_taken_for_one_another(world: World) -> None:
    """§12 no. 26."""
    code = await _code(world)
    tokens = (await world.redeem(code)).json()
    for wrong in (tokens["access_token"], tokens["refresh_token"], tokens["id_token"], "x", "lbc_" + "A" * 64):
        _refused(await world.redeem(wrong), "invalid_grant")
    for wrong in (code, tokens["access_token"], tokens["id_token"], "x", "lbr_" + "A" * 64):
        _refused(await world.refresh(wrong), "invalid_grant")
    assert (await world.refresh(tokens["refresh_token"])).status_code == 200


# ── refreshing ──


async def test_who_may_not_refresh_gets_no_refresh_token(world: World) -> None:
    assert "refresh_token" not in (await world.redeem(await _code(world, "post"), "post")).json()


async def test_a_refresh_token_is_its_own_clients(world: World) -> None:
    """§12 no. 59; another client's attempt ends nothing."""
    tokens = (await world.redeem(await _code(world))).json()
    _refused(await world.refresh(tokens["refresh_token"], "es"), "invalid_grant")
    assert (await world.refresh(tokens["refresh_token"])).status_code == 200


async def test_scopes_may_shrink_and_come_back_but_never_grow(world: World) -> None:
    """§12 no. 55."""
    tokens = (await world.redeem(await _code(world, scope="openid email"))).json()
    _refused(await world.refresh(tokens["refresh_token"], scope="openid phone"), "invalid_scope")
    narrow = (await world.refresh(tokens["refresh_token"], scope="openid")).json()
    assert narrow["scope"] == "openid"
    assert "email" not in (await world.userinfo(narrow["access_token"])).json()
    whole = (await world.refresh(narrow["refresh_token"])).json()
    assert whole["scope"] == "openid email"
    assert "email" in (await world.userinfo(whole["access_token"])).json()


async def test_a_lost_reply_is_given_again(world: World) -> None:
    """§9, §12 no. 57; `expires_in` says the true rest."""
    tokens = (await world.redeem(await _code(world))).json()
    first = (await world.refresh(tokens["refresh_token"])).json()
    world.clock.move(7)
    again = (await world.refresh(tokens["refresh_token"])).json()
    assert (again["refresh_token"], again["access_token"]) == (first["refresh_token"], first["access_token"])
    assert (first["expires_in"], again["expires_in"]) == (3600, 3593)
    await _claims(world, again["id_token"], "RS256", nonce=None, access_token=again["access_token"])


@pytest.mark.parametrize(
    ("prompt", "client", "kept"),
    [("consent", "shop", True), ("", "shop", False), ("", "ours", True), ("consent", "post", False)],
)
async def test_offline_access_is_for_who_was_asked_for_it(world: World, prompt: str, client: str, kept: bool) -> None:
    """§12 no. 61."""
    await world.allow(client, "openid", "offline_access")
    browser = await world.sign_in()
    reply = await browser.authorize(client, scope="openid offline_access", prompt=prompt)
    if prompt:
        reply = await browser.consent(reply)
    tokens = (await world.redeem(answer(reply)["code"], client)).json()
    assert ("offline_access" in tokens["scope"].split()) is kept


async def test_a_scope_that_names_nothing_is_none(world: World) -> None:
    """RFC 6749 §3.3."""
    tokens = (await world.redeem(await _code(world, scope="openid email"))).json()
    _refused(await world.refresh(tokens["refresh_token"], scope=" "), "invalid_scope")
    assert (await world.refresh(tokens["refresh_token"])).json()["scope"] == "openid email"


@pytest.mark.parametrize("sign", ["\xa0", "\t", "\n", "\u3000"])
async def test_nothing_but_spaces_parts_scopes(world: World, sign: str) -> None:
    """RFC 6749 §3.3: several are as good as one."""
    tokens = (await world.redeem(await _code(world, scope="openid email"))).json()
    own = {"client": "robot", "grant_type": "client_credentials"}
    _refused(await world.refresh(tokens["refresh_token"], scope=f"openid{sign}email"), "invalid_scope")
    _refused(await world.token(**own, scope=f"reports:read{sign}reports:write"), "invalid_scope")
    whole = await world.refresh(tokens["refresh_token"], scope=" openid  email ")
    assert whole.json()["scope"] == "openid email"
    both = await world.token(**own, scope=" reports:read  reports:write ")
    assert both.json()["scope"] == "reports:read reports:write"


async def test_what_the_client_may_no_longer_have_is_not_said_to_be_granted(world: World) -> None:
    """RFC 6749 §5.1."""
    tokens = (await world.redeem(await _code(world, scope="openid email"))).json()
    await world.clients.change("shop", lambda document: {**document, "scope": "openid"})
    _refused(await world.refresh(tokens["refresh_token"], scope="email"), "invalid_scope")
    assert (await world.refresh(tokens["refresh_token"])).json()["scope"] == "openid"


# ── a client's own ──


async def test_a_client_has_tokens_of_its_own(world: World) -> None:
    members = (await world.token("robot", grant_type="client_credentials")).json()
    assert set(members) == {"access_token", "token_type", "expires_in", "scope"}
    assert members["scope"] == "reports:read reports:write"  # `openid` is about a person, and there is none
    narrow = (await world.token("robot", grant_type="client_credentials", scope="reports:read")).json()
    assert narrow["scope"] == "reports:read"
    # All that this one may have is about a person; introspection leaves the member out as well (RFC 7662 §2.2).
    assert set((await world.token(grant_type="client_credentials")).json()) == set(members) - {"scope"}


@pytest.mark.parametrize("scope", ["openid", "reports:read admin", "offline_access", " ", "   "])
async def test_a_clients_own_token_is_about_nobody(world: World, scope: str) -> None:
    """§12 no. 65."""
    _refused(await world.token("robot", grant_type="client_credentials", scope=scope), "invalid_scope")


async def test_a_clients_own_token_does_not_open_userinfo(world: World) -> None:
    members = (await world.token("robot", grant_type="client_credentials")).json()
    assert (await world.userinfo(members["access_token"])).status_code == 403


async def test_a_public_client_has_none(world: World) -> None:
    """§12 no. 50, whatever its row says."""
    grant = ClientCredentials(
        world.issuing,
        Response(
            IdTokens(issuer=ISSUER, lifetime=60, keys=world.keyring, clock=world.clock),
            cast(Any, None),  # for nobody
            cast(Any, None),  # about nobody
            world.clock,
        ),
    )
    client = Client(client_id=ClientId("open"), auth_method="none", grant_types=("client_credentials",))
    with pytest.raises(OAuthError) as refused:
        await grant(AuthenticatedClient(client, "none"), {}, Visit(door="oidc"))
    assert refused.value.code == "unauthorized_client"


async def _claims(
    world: World, token: str, alg: str, *, nonce: str | None = "no", access_token: str | None = None
) -> dict[str, Any]:
    """The claims, once signature, header and every rule of Core §3.1.3.7 hold."""
    keys = KeySet.import_key_set((await world.http.get("/oauth/jwks")).json())
    decoded = jwt.decode(token, keys, algorithms=[alg])
    assert set(decoded.header) == {"alg", "kid", "typ"} and decoded.header["alg"] == alg
    params = {"nonce": nonce, "client_id": decoded.claims["aud"], "access_token": access_token}
    checked = CodeIDToken(decoded.claims, decoded.header, {"iss": {"value": ISSUER}}, params)
    checked.validate(now=int(world.clock.now()), leeway=0)
    assert abs(world.clock.now() - time.time()) < 86_400
    return dict(decoded.claims)


async def test_nothing_of_the_verifier_or_the_secrets_is_in_an_event(world: World) -> None:
    code = await _code(world)
    tokens = (await world.redeem(code)).json()
    await world.redeem(code)
    told = repr(world.told.events)
    for secret in (VERIFIER, code, tokens["access_token"], tokens["refresh_token"], secret_of("shop")):
        assert secret not in told


async def test_what_happened_is_told_with_the_door_and_the_address(world: World) -> None:
    """DESIGN §4: every room tells."""
    code = await _code(world)
    tokens = (await world.redeem(code)).json()
    await world.refresh(tokens["refresh_token"])
    await world.redeem("nonsense")
    await world.redeem(code)
    told = [event for event in world.told.events if event.kind.startswith(("code.", "token."))]
    assert [(event.kind, event.reason) for event in told] == [
        ("code.issued", ""),
        ("token.issued", "authorization_code"),
        ("token.issued", "refresh_token"),
        ("token.refused", "the code is not one of ours"),
        ("token.replay", ""),
        ("token.refused", "the code was used before"),
    ]
    assert {(event.door, str(event.ip), event.client) for event in told} == {("oidc", "127.0.0.1", "shop")}
    assert [event.user for event in told] == [world.bob.id] * 3 + [None, world.bob.id, None]


async def test_the_refresh_token_of_a_public_client_is_replaced_by_each_use(world: World) -> None:
    """§12 no. 56; RFC 9700 §2.2.2."""
    browser = await world.sign_in()
    code = answer(await browser.consent(await browser.authorize("phone")))["code"]
    tokens = (await world.redeem(code, "phone")).json()
    again = (await world.refresh(tokens["refresh_token"], "phone")).json()
    assert again["refresh_token"] != tokens["refresh_token"]
