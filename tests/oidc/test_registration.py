"""Apps that register themselves — RFC 7591; RFC 7592; Registration 1.0; security §17; §12 nos. 5–7, 90–93."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx2
import pytest

from bridge.fetch.answers import Fetched
from bridge.oidc.registration import Who
from bridge.types import ClientId
from tests.oidc.world import ISSUER, VERIFIER, World, answer, authorize_path, basic, page

CALLBACK = "https://new.example/cb"
DOCUMENT: dict[str, Any] = {"redirect_uris": [CALLBACK], "client_name": "New"}
Worlds = Callable[[Who], AbstractAsyncContextManager[World]]


@pytest.fixture
async def world(registering: Worlds) -> AsyncIterator[World]:
    """In which anybody may register."""
    async with registering("open") as world:
        yield world


@pytest.fixture
async def guarded(registering: Worlds) -> AsyncIterator[World]:
    """In which an initial access token is needed."""
    async with registering("token") as world:
        yield world


async def _register(world: World, token: str | None = None, /, **document: Any) -> httpx2.Response:
    whole = {name: value for name, value in {**DOCUMENT, **document}.items() if value is not None}
    headers = {"authorization": f"Bearer {token}"} if token is not None else {}
    return await world.http.post("/oauth/register", json=whole, headers=headers)


async def _registered(world: World, **document: Any) -> dict[str, Any]:
    reply = await _register(world, **document)
    assert reply.status_code == 201, reply.text
    made: dict[str, Any] = reply.json()
    return made


async def _manage(
    world: World, method: str, made: dict[str, Any], token: str | None = None, document: Any = None
) -> httpx2.Response:
    uri = made["registration_client_uri"].removeprefix(ISSUER)
    headers = {"authorization": f"Bearer {token or made['registration_access_token']}"}
    return await world.http.request(method, uri, json=document, headers=headers)


async def _invited(world: World, **terms: Any) -> str:
    made = await world.registrations.invite("them", **terms)
    assert made is not None and made.token is not None
    return made.token.reveal()


async def _code(world: World, made: dict[str, Any], **request: str) -> httpx2.Response:
    browser = await world.sign_in()
    return await browser.get(authorize_path(made["client_id"], redirect_uri=made["redirect_uris"][0], **request))


# ---- registering -------------------------------------------------------------------------------------------------


async def test_the_answer_echoes_what_holds_with_the_defaults(world: World) -> None:
    """RFC 7591 §3.2.1; §12 no. 90."""
    reply = await _register(world, unheard_of={"a": 1}, contacts=["a@new.example"], **{"client_name#zh": "新"})
    assert reply.status_code == 201 and reply.headers["cache-control"] == "no-store"
    made = reply.json()
    assert {name: made[name] for name in ("redirect_uris", "client_name", "client_name#zh", "contacts")} == {
        "redirect_uris": [CALLBACK],
        "client_name": "New",
        "client_name#zh": "新",
        "contacts": ["a@new.example"],
    }
    assert made["token_endpoint_auth_method"] == "client_secret_basic" and made["grant_types"] == ["authorization_code"]
    assert made["response_types"] == ["code"] and made["application_type"] == "web"
    assert made["id_token_signed_response_alg"] == "RS256" and made["subject_type"] == "public"
    assert made["scope"] == "openid profile email address phone offline_access"
    assert made["client_secret_expires_at"] == 0 and isinstance(made["client_id_issued_at"], int)
    assert made["registration_client_uri"] == f"{ISSUER}/oauth/register?client_id={made['client_id']}"
    assert "unheard_of" not in made


async def test_what_is_asked_for_where_a_request_does_not_say_is_echoed_and_kept(world: World) -> None:
    """Registration §2: `default_max_age`, `default_acr_values`, `require_auth_time`."""
    defaults = {"default_max_age": 600, "default_acr_values": ["phr", "mfa"], "require_auth_time": True}
    made = (await _register(world, **defaults)).json()
    assert {name: made[name] for name in defaults} == defaults
    client = await world.clients.get(ClientId(made["client_id"]))
    assert client is not None
    assert (client.default_max_age, client.default_acr_values) == (600, ("phr", "mfa"))


async def test_what_was_registered_signs_people_in_once_they_were_asked(world: World) -> None:
    made = await _registered(world)
    browser = await world.sign_in()
    asked = await browser.get(authorize_path(made["client_id"], redirect_uri=CALLBACK))
    visit = await world.interactions.load(page(asked, "/consent"), browser.jar[world.cookies.name("pre")])
    assert visit is not None and visit.record.app is not None and not visit.record.app.verified
    code = answer(await browser.consent(asked))["code"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    who = basic(made["client_id"], made["client_secret"])
    tokens = (await world.http.post("/oauth/token", data=form, headers=who)).json()
    assert (await world.userinfo(tokens["access_token"])).status_code == 200


def _nested(levels: int) -> list[Any]:
    """So many lists in one another."""
    nested: list[Any] = []
    for _ in range(levels - 1):
        nested = [nested]
    return nested


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ({"redirect_uris": None}, "invalid_redirect_uri"),
        ({"redirect_uris": []}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://new.example/cb#here"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["http://new.example/cb"]}, "invalid_redirect_uri"),
        ({"redirect_uris": [f"{CALLBACK}?iss=https://evil.example"]}, "invalid_redirect_uri"),
        ({"post_logout_redirect_uris": ["https://new.example/?state=x"]}, "invalid_client_metadata"),
        ({"redirect_uris": ["javascript:alert(1)"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["data:text/html,x"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["com.example.app:/cb"]}, "invalid_redirect_uri"),
        ({"grant_types": ["client_credentials"], "response_types": []}, "invalid_client_metadata"),
        ({"grant_types": ["authorization_code", "password"]}, "invalid_client_metadata"),
        ({"grant_types": ["single_sign_on"], "response_types": []}, "invalid_client_metadata"),
        ({"response_types": []}, "invalid_client_metadata"),
        ({"response_types": ["bogus"]}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": "tls_client_auth"}, "invalid_client_metadata"),
        ({"id_token_signed_response_alg": "none"}, "invalid_client_metadata"),
        ({"scope": "admin"}, "invalid_client_metadata"),
        ({"scope": "openid\tprofile"}, "invalid_client_metadata"),
        ({"response_types": ["code\tcode"]}, "invalid_client_metadata"),
        ({"client_name": "a\x00b"}, "invalid_client_metadata"),
        ({"client_name": "n" * 256}, "invalid_client_metadata"),
        ({"contacts": ["c" * 17_000]}, "invalid_client_metadata"),
        ({"contacts": _nested(8)}, "invalid_client_metadata"),
        ({"contacts": _nested(500)}, "invalid_client_metadata"),
        ({"client_name#de": _nested(8)}, "invalid_client_metadata"),
        ({"jwks": {"keys": [{"kty": "RSA", "n": "!" * 342, "e": "AQAB"}]}}, "invalid_client_metadata"),
        ({"jwks": {"keys": [{"kty": "RSA", "n": "n" * 342, "e": "A" * 512}]}}, "invalid_client_metadata"),
        ({"jwks": {"keys": [{"kty": "new", "x": _nested(6)}]}}, "invalid_client_metadata"),
        ({"subject_type": "pairwise", "redirect_uris": ["https://127.0.0.1/cb"]}, "invalid_client_metadata"),
        ({"initiate_login_uri": "http://new.example/login"}, "invalid_client_metadata"),
        ({"initiate_login_uri": "http://127.0.0.1/login"}, "invalid_client_metadata"),
        ({"logo_uri": "javascript:alert(1)"}, "invalid_client_metadata"),
        ({"logo_uri#de": "javascript:alert(1)"}, "invalid_client_metadata"),
        ({"policy_uri#de": 5}, "invalid_client_metadata"),
        ({"client_uri#en": {"a": 1}}, "invalid_client_metadata"),
        ({"tos_uri#zh-Hant": "/terms"}, "invalid_client_metadata"),
        ({"client_name#de": "n" * 256}, "invalid_client_metadata"),
        ({"subject_type": "secret"}, "invalid_client_metadata"),
        ({"subject_type": "pairwise", "redirect_uris": [CALLBACK, "https://x.example/"]}, "invalid_client_metadata"),
        ({"sector_identifier_uri": "http://new.example/s.json"}, "invalid_client_metadata"),
        ({"redirect_uris": ["https://new.example;script-src/cb"]}, "invalid_redirect_uri"),
    ],
)
async def test_what_may_not_be_registered_is_refused_by_its_name(
    world: World, document: dict[str, Any], error: str
) -> None:
    """§12 nos. 5, 6, 7, 90; security §17: no client_credentials."""
    reply = await _register(world, **document)
    assert (reply.status_code, reply.json()["error"]) == (400, error)
    said = reply.json()["error_description"]
    assert any(named in said for named in (*document, "sector_identifier_uri", "document is "))


@pytest.mark.parametrize("text", ["NaN", "-Infinity", "1e999", "9" * 5_000, "[" * 30_000])
async def test_what_only_python_takes_for_json_is_refused(world: World, text: str) -> None:
    """Else the client's own row and our answer would be no JSON."""
    body = f'{{"redirect_uris": ["{CALLBACK}"], "software_id": {text}}}'
    headers = {"content-type": "application/json"}
    reply = await world.http.post("/oauth/register", content=body, headers=headers)
    assert reply.status_code == 400 and reply.json()["error"] in ("invalid_request", "invalid_client_metadata")


@pytest.mark.parametrize(
    "member", ["first_party", "require_pkce", "allow_query_token", "client_secret", "client_id", "resource_server"]
)
async def test_nobody_registers_what_is_ours_to_say(world: World, member: str) -> None:
    value = "mine" if member.startswith("client") else member != "require_pkce"
    made = await _registered(world, **{member: value})
    client = await world.clients.get(made["client_id"])
    assert client is not None and client.require_pkce and not client.first_party and not client.allow_query_token
    assert made.get(member) != value


async def test_scopes_that_are_not_for_such_apps_are_left_out(world: World) -> None:
    assert (await _registered(world, scope="openid clients reports:read email"))["scope"] == "openid email"


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b"{}", "application/x-www-form-urlencoded", 415),
        (b"not json", "application/json", 400),
        (b'"text"', "application/json", 400),
        (b"[" * 60_000, "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b'{"client_name": "\\ud800", "redirect_uris": ["https://new.example/cb"]}', "application/json", 400),
        (b'{"contacts": ["\\ud800"], "redirect_uris": ["https://new.example/cb"]}', "application/json", 400),
        (b'{"client_name": NaN}', "application/json", 400),
        (b" " * 70_000, "application/json", 413),
    ],
)
async def test_what_is_no_document_is_a_clear_error(
    world: World, content: bytes, content_type: str, status: int
) -> None:
    headers = {"content-type": content_type}
    reply = await world.http.post("/oauth/register", content=content, headers=headers)
    assert reply.status_code == status and reply.json()["error"].startswith("invalid_")


async def test_other_methods_are_named_and_no_script_may_read(world: World) -> None:
    """Security §28: registration is not for other origins."""
    reply = await world.http.request("PATCH", "/oauth/register")
    assert reply.status_code == 405 and reply.headers["allow"] == "POST, GET, PUT, DELETE"
    reply = await world.http.request("OPTIONS", "/oauth/register", headers={"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in reply.headers


async def test_one_address_registers_so_many_in_an_hour(world: World) -> None:
    statuses = [(await _register(world)).status_code for _ in range(21)]
    assert statuses == [201] * 20 + [429]


# ---- initial access tokens ---------------------------------------------------------------------------------------


async def test_without_an_initial_access_token_nobody_registers(guarded: World) -> None:
    """§12 no. 90: registration is gated."""
    bare = await _register(guarded)
    assert (bare.status_code, bare.headers["www-authenticate"]) == (401, "Bearer")
    for wrong in ("x", "lbi_" + "a" * 22 + "_" + "b" * 43, (await guarded.signed_up())["access_token"]):
        reply = await _register(guarded, wrong)
        assert (reply.status_code, reply.json()["error"]) == (401, "invalid_token")
    assert [client.source for client in await guarded.clients.list()].count("registration") == 0


async def test_one_registers_as_often_as_it_was_made_for(guarded: World) -> None:
    token = await _invited(guarded, uses=2)
    statuses = [(await _register(guarded, token)).status_code for _ in range(3)]
    assert statuses == [201, 201, 401]


async def test_of_fifty_at_once_with_one_use_one_registers(guarded: World) -> None:
    token = await _invited(guarded)
    replies = await asyncio.gather(*(_register(guarded, token) for _ in range(15)))
    assert sorted(reply.status_code for reply in replies) == [201, *[401] * 14]


async def test_nobody_is_called_for_whoever_has_no_token(guarded: World) -> None:
    used = await _invited(guarded)
    assert (await _register(guarded, used)).status_code == 201
    for token in (used, used[:-1] + "!", "lbi_x", "x"):
        reply = await _register(guarded, token, sector_identifier_uri="https://sector.example/uris.json")
        assert reply.status_code == 401
    assert guarded.web.asked == []


async def test_a_refused_document_costs_no_use(guarded: World) -> None:
    token = await _invited(guarded)
    assert (await _register(guarded, token, redirect_uris=[])).status_code == 400
    assert (await _register(guarded, token)).status_code == 201


async def test_it_ends_with_its_time_and_by_hand(guarded: World) -> None:
    token = await _invited(guarded, uses=None, lifetime=60)
    assert (await _register(guarded, token)).status_code == 201
    guarded.clock.move(61)
    assert (await _register(guarded, token)).status_code == 401
    assert await guarded.registrations.uninvite("them") and not await guarded.registrations.uninvite("them")
    other = await _invited(guarded, uses=None)
    assert await guarded.registrations.uninvite("them")
    assert (await _register(guarded, other)).status_code == 401


async def test_its_scopes_bound_those_of_its_apps(guarded: World) -> None:
    token = await _invited(guarded, scopes=("openid", "reports:read"))
    assert (await _register(guarded, token, scope="openid email reports:read")).json()["scope"] == "openid reports:read"


async def test_no_change_goes_beyond_its_scopes(guarded: World) -> None:
    token = await _invited(guarded, scopes=("openid", "reports:read"))
    made = (await _register(guarded, token)).json()
    assert made["scope"] == "openid reports:read"
    for asked, granted in ((None, "openid reports:read"), ("email openid offline_access", "openid")):
        document = {**DOCUMENT, "client_id": made["client_id"], **({"scope": asked} if asked else {})}
        made = (await _manage(guarded, "PUT", made, None, document)).json()
        assert made["scope"] == granted


# ---- managing ----------------------------------------------------------------------------------------------------


async def test_who_signs_with_a_key_of_his_own_gets_no_secret_and_one_that_shares_a_key_does(world: World) -> None:
    """The suite's Dynamic plan registers for private_key_jwt."""
    by_key = {"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://new.example/jwks"}
    made = await _registered(world, **by_key)
    assert "client_secret" not in made and made["jwks_uri"] == by_key["jwks_uri"]
    changed = await _manage(
        world,
        "PUT",
        made,
        document={**DOCUMENT, "client_id": made["client_id"], "token_endpoint_auth_method": "client_secret_jwt"},
    )
    client = await world.clients.get(made["client_id"])
    assert changed.status_code == 200 and client is not None
    kept = world.clients.symmetric_secret(client)
    assert kept is not None and kept.matches(changed.json()["client_secret"])


async def test_its_token_reads_the_client_without_the_secret(world: World) -> None:
    """RFC 7592 §2.1: we keep a hash, and so cannot tell it again; Registration 1.0 §4.3 for initiate_login_uri."""
    made = await _registered(world, initiate_login_uri="https://new.example/login")
    read = await _manage(world, "GET", made)
    assert read.status_code == 200
    assert read.json() == {k: v for k, v in made.items() if k not in ("client_secret", "client_secret_expires_at")}
    assert read.json()["initiate_login_uri"] == "https://new.example/login"


async def test_nobody_else_s_token_manages_it(world: World) -> None:
    """§12 no. 91: only by its own; RFC 7592 §2.1 wants the same for a client that is not there."""
    made, other = await _registered(world), await _registered(world)
    tokens = await world.signed_up()
    wrong = (other["registration_access_token"], tokens["access_token"], tokens["refresh_token"], "x", "")
    gone = {**made, "registration_client_uri": f"{ISSUER}/oauth/register?client_id=nobody"}
    ours = {**made, "registration_client_uri": f"{ISSUER}/oauth/register?client_id=shop"}
    for method in ("GET", "PUT", "DELETE"):
        for token in wrong:
            reply = await _manage(world, method, made, token or " ", {**DOCUMENT, "client_id": made["client_id"]})
            assert (reply.status_code, reply.json()["error"]) == (401, "invalid_token")
        for there in (gone, ours):
            assert (await _manage(world, method, there, None, DOCUMENT)).status_code == 401
        bare = await world.http.request(method, f"/oauth/register?client_id={made['client_id']}", json=DOCUMENT)
        assert (bare.status_code, bare.headers["www-authenticate"]) == (401, "Bearer")
    assert (await _manage(world, "GET", made)).status_code == 200


async def test_no_database_is_asked_for_what_no_client_is_called(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL takes no NUL: that would be a fault of ours, and not of whoever asks."""
    made = await _registered(world)

    def asked(*_: object, **__: object) -> None:
        raise AssertionError("the database was asked")

    monkeypatch.setattr(world.db, "read", asked)
    monkeypatch.setattr(world.db, "begin", asked)
    for name in ("%00", "a%0D%0Ab", "%C3%A9", "x" * 300):
        nobody = {**made, "registration_client_uri": f"{ISSUER}/oauth/register?client_id={name}"}
        for method in ("GET", "PUT", "DELETE"):
            assert (await _manage(world, method, nobody, None, DOCUMENT)).status_code == 401


async def test_a_client_s_tokens_of_other_kinds_do_not_manage_it_and_its_own_opens_nothing_else(world: World) -> None:
    """Security §1."""
    made = await _registered(world)
    managing = made["registration_access_token"]
    assert (await world.userinfo(managing)).status_code == 401
    assert (await _register(world, managing)).status_code == 401
    assert (await _manage(world, "GET", made, made["client_secret"])).status_code == 401


async def test_a_change_says_everything_and_renews_the_token(world: World) -> None:
    """RFC 7592 §2.2; §12 no. 91."""
    made = await _registered(world, logo_uri="https://new.example/logo.png", contacts=["a@new.example"])
    document = {"client_id": made["client_id"], "redirect_uris": [CALLBACK], "client_name": "Newer"}
    changed = await _manage(world, "PUT", made, None, document)
    assert changed.status_code == 200 and changed.json()["client_name"] == "Newer"
    assert "logo_uri" not in changed.json() and "contacts" not in changed.json()
    assert "client_secret" not in changed.json()
    assert (await _manage(world, "GET", made)).status_code == 401
    assert (await _manage(world, "GET", changed.json())).json() == changed.json()
    found = await world.clients.get(made["client_id"])
    assert found is not None and found.name == "Newer"


@pytest.mark.parametrize(
    "wrong",
    [
        {"client_id": "other"},
        {"client_id": None},
        {"client_secret": "not-it"},
        {"client_secret": 7},
        {"registration_access_token": "x"},
        {"registration_client_uri": "https://x.example"},
        {"client_secret_expires_at": 0},
        {"client_id_issued_at": 1},
        {"redirect_uris": ["http://new.example/"]},
    ],
)
async def test_a_change_that_says_what_is_ours_changes_nothing(world: World, wrong: dict[str, Any]) -> None:
    made = await _registered(world)
    document = {**DOCUMENT, "client_id": made["client_id"], "client_name": "Newer", **wrong}
    reply = await _manage(world, "PUT", made, None, document)
    assert reply.status_code == 400
    assert (await _manage(world, "GET", made)).json()["client_name"] == "New"


async def test_nobody_changes_it_without_end(world: World) -> None:
    """Each change outdates what every worker knows of all clients, and is written into the audit."""
    made = await _registered(world)
    document = {**DOCUMENT, "client_id": made["client_id"]}
    for _ in range(19):
        reply = await _manage(world, "PUT", made, None, document)
        assert reply.status_code == 200
        made = reply.json()
    refused = [await _manage(world, "PUT", made, None, document) for _ in range(3)]
    assert all(reply.status_code == 429 and int(reply.headers["retry-after"]) > 0 for reply in refused)
    assert (await _manage(world, "GET", made)).status_code == 200
    assert (await _manage(world, "DELETE", made)).status_code == 204


async def test_a_change_may_repeat_the_secret_and_keeps_it(world: World) -> None:
    made = await _registered(world)
    document = {**DOCUMENT, "client_id": made["client_id"], "client_secret": made["client_secret"]}
    assert (await _manage(world, "PUT", made, None, document)).status_code == 200
    form = {"grant_type": "refresh_token", "refresh_token": "x"}
    reply = await world.http.post("/oauth/token", data=form, headers=basic(made["client_id"], made["client_secret"]))
    assert reply.json()["error"] != "invalid_client"


async def test_who_becomes_public_loses_the_secret_and_gets_a_new_one_on_return(world: World) -> None:
    made = await _registered(world)
    public = {**DOCUMENT, "client_id": made["client_id"], "token_endpoint_auth_method": "none"}
    changed = (await _manage(world, "PUT", made, None, public)).json()
    assert "client_secret" not in changed
    back = (await _manage(world, "PUT", changed, None, {**DOCUMENT, "client_id": made["client_id"]})).json()
    assert back["client_secret"] not in ("", made["client_secret"])


async def test_a_new_address_is_asked_about_again(world: World) -> None:
    """People allowed the addresses that they were shown."""
    made = await _registered(world)
    await world.allow(made["client_id"], "openid")
    assert "code" in answer(await _code(world, made))
    same = {**DOCUMENT, "client_id": made["client_id"], "client_name": "Newer"}
    made = (await _manage(world, "PUT", made, None, same)).json()
    assert "code" in answer(await _code(world, made))
    moved = {**DOCUMENT, "client_id": made["client_id"], "redirect_uris": ["https://evil.example/cb"]}
    made = (await _manage(world, "PUT", made, None, moved)).json()
    # At once: the copy beside the session still says that he allowed it.
    assert answer(await _code(world, made, prompt="none"))["error"] == "consent_required"


async def test_what_is_allowed_is_allowed_for_the_host_that_was_shown(world: World) -> None:
    """security §17: the page names where the answer goes, and an application that registered itself has other hosts."""
    made = await _registered(world, redirect_uris=[CALLBACK, "https://new.example/other", "https://evil.example/cb"])
    browser = await world.sign_in()

    async def at(uri: str, **request: str) -> httpx2.Response:
        return await browser.get(authorize_path(made["client_id"], redirect_uri=uri, **request))

    assert "code" in answer(await browser.consent(await at(CALLBACK)))
    assert "code" in answer(await at("https://new.example/other", prompt="none"))
    assert answer(await at("https://evil.example/cb", prompt="none"))["error"] == "consent_required"
    assert "code" in answer(await browser.consent(await at("https://evil.example/cb")))
    for uri in made["redirect_uris"]:
        assert "code" in answer(await at(uri, prompt="none"))


async def test_a_page_that_stood_open_while_an_address_was_added_allows_none_of_it(world: World) -> None:
    made = await _registered(world)
    browser = await world.sign_in()
    open_page = await browser.get(authorize_path(made["client_id"], redirect_uri=CALLBACK))
    both = {**DOCUMENT, "client_id": made["client_id"], "redirect_uris": [CALLBACK, "https://evil.example/cb"]}
    await _manage(world, "PUT", made, None, both)
    assert "code" in answer(await browser.consent(open_page))
    evil = authorize_path(made["client_id"], redirect_uri="https://evil.example/cb", prompt="none")
    assert answer(await browser.get(evil))["error"] == "consent_required"


async def test_a_public_app_on_the_device_is_asked_about_each_time_whatever_it_calls_itself(world: World) -> None:
    """RFC 8252 §8.6."""
    for uri, error in (("http://127.0.0.1:8000/cb", "consent_required"), (CALLBACK, None)):
        made = await _registered(world, redirect_uris=[uri], token_endpoint_auth_method="none")
        await world.allow(made["client_id"], "openid")
        assert answer(await _code(world, made, prompt="none")).get("error") == error


async def test_an_address_that_becomes_one_of_every_port_is_asked_about_again(world: World) -> None:
    """RFC 8252 §7.3: of native apps, and on the person's own machine other programs have ports too."""
    made = await _registered(world, redirect_uris=["http://127.0.0.1:8000/cb"])
    await world.allow(made["client_id"], "openid")
    assert "code" in answer(await _code(world, made, prompt="none"))
    native = {"redirect_uris": made["redirect_uris"], "client_id": made["client_id"], "application_type": "native"}
    made = (await _manage(world, "PUT", made, None, native)).json()
    assert answer(await _code(world, made, prompt="none"))["error"] == "consent_required"


async def test_a_removed_client_is_nobody(world: World) -> None:
    """§12 no. 91: its tokens are dead."""
    made = await _registered(world)
    await world.allow(made["client_id"], "openid")
    code = answer(await _code(world, made))["code"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    who = basic(made["client_id"], made["client_secret"])
    tokens = (await world.http.post("/oauth/token", data=form, headers=who)).json()
    assert (await world.userinfo(tokens["access_token"])).status_code == 200
    gone = await _manage(world, "DELETE", made)
    assert (gone.status_code, gone.content) == (204, b"")
    assert (await _manage(world, "GET", made)).status_code == 401
    assert (await world.userinfo(tokens["access_token"])).status_code == 401
    assert (await world.http.post("/oauth/token", data=form, headers=who)).json()["error"] == "invalid_client"


async def test_what_nobody_ever_allowed_is_forgotten_after_a_while(world: World) -> None:
    """Security §17: expired if unused."""
    idle, used = await _registered(world), await _registered(world)
    await world.allow(used["client_id"], "openid")
    world.clock.move(86_300)
    assert await world.registrations.forget() == 0
    world.clock.move(200)
    assert await world.registrations.forget() == 1
    assert (await _manage(world, "GET", idle)).status_code == 401
    assert (await _manage(world, "GET", used)).status_code == 200
    assert await world.clients.get("shop") is not None


# ---- sectors and subjects ----------------------------------------------------------------------------------------

SECTOR = "https://sector.example/uris.json"


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (b'["https://new.example/cb", "https://more.example/"]', 201),
        (b'["https://more.example/"]', 400),
        (b'{"https://new.example/cb": 1}', 400),
        (b"\xff", 400),
        (Fetched(404, {}, b'["https://new.example/cb"]'), 400),
        (None, 400),
    ],
)
async def test_a_sector_s_document_lists_every_address(
    world: World, reply: bytes | Fetched | None, status: int
) -> None:
    """§12 no. 92."""
    if reply is not None:
        world.web.pages[SECTOR] = reply
    made = await _register(world, subject_type="pairwise", sector_identifier_uri=SECTOR)
    assert made.status_code == status
    assert made.json().get("error") == (None if status == 201 else "invalid_client_metadata")


async def test_no_spelling_of_its_address_goes_past_the_sector_s_document(world: World) -> None:
    """Else whoever registers would know people by the `sub` that another's apps know them by."""
    for spelling in ("HTTPS://sector.example/uris.json", "Https://Sector.example/uris.json"):
        reply = await _register(world, subject_type="pairwise", sector_identifier_uri=spelling)
        assert (reply.status_code, reply.json()["error"]) == (400, "invalid_client_metadata")


@pytest.mark.parametrize(
    "uris",
    [
        ["com.mine.app://victim.example/cb"],
        ["https://victim.example/cb", "com.mine.app://victim.example/cb"],
        ["http://localhost/cb"],
        ["http://127.0.0.1/cb"],
    ],
)
async def test_an_address_that_proves_no_host_is_no_sector(world: World, uris: list[str]) -> None:
    """Core §8.1: whom answers reach there is whoever registered the scheme, on his own device."""
    app = {"application_type": "native", "redirect_uris": uris}
    reply = await _register(world, subject_type="pairwise", **app)
    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_client_metadata")
    world.web.pages[SECTOR] = json.dumps(uris).encode()
    assert (await _register(world, subject_type="pairwise", sector_identifier_uri=SECTOR, **app)).status_code == 201


async def test_a_change_cannot_leave_the_sector_s_document(world: World) -> None:
    world.web.pages[SECTOR] = b'["https://new.example/cb"]'
    made = await _registered(world, sector_identifier_uri=SECTOR)
    document = {**DOCUMENT, "client_id": made["client_id"], "sector_identifier_uri": SECTOR}
    document["redirect_uris"] = [CALLBACK, "https://new.example/other"]
    assert (await _manage(world, "PUT", made, None, document)).status_code == 400


async def test_nobody_is_called_for_whoever_may_not_change_it(world: World) -> None:
    """security §16: an address in a request of somebody unknown is none that we look at."""
    world.web.pages[SECTOR] = b'["https://new.example/cb"]'
    made = await _registered(world)
    document = {**DOCUMENT, "client_id": made["client_id"], "sector_identifier_uri": SECTOR}
    assert (await _manage(world, "PUT", made, "lbm_" + "x" * 64, document)).status_code == 401
    assert world.web.asked == []


async def _sub(world: World, made: dict[str, Any]) -> set[str]:
    """By what name the app knows Bob, wherever it is told."""
    await world.allow(made["client_id"], "openid")
    code = answer(await _code(world, made))["code"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": made["redirect_uris"][0]}
    reply = await world.http.post(
        "/oauth/token",
        data={**form, "code_verifier": VERIFIER},
        headers=basic(made["client_id"], made["client_secret"]),
    )
    tokens = reply.json()
    claims = world.keyring.verify(tokens["id_token"])
    assert claims is not None
    hinted = answer(await _code(world, made, prompt="none", id_token_hint=tokens["id_token"]))
    assert "code" in hinted
    return {claims["sub"], (await world.userinfo(tokens["access_token"])).json()["sub"]}


async def test_a_pairwise_client_knows_people_by_a_sub_of_its_sector(world: World) -> None:
    """§12 no. 74: the same everywhere, and another one for another sector."""
    world.web.pages[SECTOR] = b'["https://new.example/cb", "https://b.example/cb"]'
    b = ["https://b.example/cb"]
    public = await _sub(world, await _registered(world))
    alone = await _sub(world, await _registered(world, subject_type="pairwise"))
    twin = await _sub(world, await _registered(world, subject_type="pairwise"))
    other = await _sub(world, await _registered(world, subject_type="pairwise", redirect_uris=b))
    pair = {"subject_type": "pairwise", "sector_identifier_uri": SECTOR}
    shared = [await _sub(world, await _registered(world, **pair)) for _ in range(2)]
    shared.append(await _sub(world, await _registered(world, redirect_uris=b, **pair)))
    assert public == {world.bob.sub}
    assert all(len(subs) == 1 for subs in (alone, twin, other, *shared))
    assert alone == twin and shared[0] == shared[1] == shared[2]
    assert len({*public, *alone, *other, *shared[0]}) == 4
    assert all(len(sub) <= 255 and sub.isascii() for sub in alone)
