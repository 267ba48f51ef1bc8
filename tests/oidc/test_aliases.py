"""WHMCS's names of the endpoints: the same provider, and tokens in queries for whom they are allowed — whmcs-api §6."""

import itertools
import json
from collections import Counter
from pathlib import Path

import anyio
import httpx2
import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oidc.discovery import OpenIDProviderMetadata

from bridge.errors import Unavailable
from tests.oidc.world import (
    CLIENTS,
    ISSUER,
    VERIFIER,
    Browser,
    World,
    answer,
    authorize_path,
    credentials,
    page,
    secret_of,
    shown,
)

GOLDEN = Path(__file__).parent / "golden" / "openid-configuration.php.json"
DISCOVERY = "/oauth/openid-configuration.php"
AUTHORIZE, TOKEN, USERINFO, CERTS = (f"/oauth/{name}.php" for name in ("authorize", "token", "userinfo", "certs"))
CALLBACK = CLIENTS["imported"]["redirect_uris"][0]
QUIET = {"cache-control": "no-store", "pragma": "no-cache", "referrer-policy": "no-referrer"}


async def _imported(world: World) -> str:
    """An access token of a client that may send it in a query."""
    return str((await world.signed_up("imported"))["access_token"])


async def _refused_to(world: World) -> str:
    """One of a client that may not."""
    return str((await world.signed_up("shop"))["access_token"])


def _with_code(reply: httpx2.Response) -> str:
    return answer(reply)["code"]


# ── the same provider ──


async def test_the_document_is_the_golden_one(world: World) -> None:
    reply = await world.http.get(DISCOVERY)
    assert reply.status_code == 200 and reply.headers["content-type"] == "application/json"
    assert json.dumps(reply.json(), indent=2) + "\n" == GOLDEN.read_text("utf-8")
    OpenIDProviderMetadata(reply.json()).validate()
    AuthorizationServerMetadata(reply.json()).validate()


async def test_it_differs_from_the_other_one_in_four_addresses(world: World) -> None:
    """One issuer, whichever document a relying party reads."""
    here, there = (await world.http.get(DISCOVERY)).json(), world.provider.metadata
    assert here.keys() == there.keys() and here["issuer"] == there["issuer"] == ISSUER
    assert {name: here[name] for name in here if here[name] != there[name]} == {
        "authorization_endpoint": ISSUER + AUTHORIZE,
        "token_endpoint": ISSUER + TOKEN,
        "userinfo_endpoint": ISSUER + USERINFO,
        "jwks_uri": ISSUER + CERTS,
    }
    for name in (name for name in here if name.endswith("_endpoint") or name == "jwks_uri"):
        assert here[name].removeprefix(ISSUER) in world.endpoints, name


async def test_the_keys_are_the_same(world: World) -> None:
    assert (await world.http.get(CERTS)).content == (await world.http.get("/oauth/jwks")).content
    assert (await world.http.post(CERTS)).status_code == 405


@pytest.mark.parametrize("token", [TOKEN, "/oauth/token"])
@pytest.mark.parametrize("authorize", [AUTHORIZE, "/oauth/authorize"])
async def test_what_begins_at_one_address_may_go_on_at_the_other(world: World, authorize: str, token: str) -> None:
    """Also the visit: our own pages lead back to where visits are judged, with the same answer and `iss`."""
    browser = Browser(world)
    reply = await browser.get(authorize_path("imported").replace("/oauth/authorize", authorize))
    reply = await browser.consent(await browser.login(reply))
    assert reply.headers["location"].startswith("https://old.example/cb?") and answer(reply)["iss"] == ISSUER
    tokens = await _redeemed(world, token, _with_code(reply))
    assert tokens.status_code == 200, tokens.text
    claims = await world.http.get(USERINFO, headers={"authorization": f"Bearer {tokens.json()['access_token']}"})
    assert claims.json()["sub"] == world.bob.sub


async def test_a_visit_can_be_resumed_at_the_alias_and_in_its_own_browser_only(world: World) -> None:
    """§26: the id alone is worth nothing here either."""
    browser, thief = Browser(world), Browser(world)
    first = await browser.get(authorize_path("imported").replace("/oauth/authorize", AUTHORIZE))
    back = f"{AUTHORIZE}?interaction={page(first, '/login')}"
    assert "interaction" in shown(await thief.get(back))
    assert page(await browser.get(back), "/login") == page(first, "/login")


async def test_a_request_posted_from_another_site_goes_on_whole(world: World) -> None:
    """Core §3.1.2.1: without our cookies, which the GET that follows has."""
    await world.allow("imported", "openid")
    browser = await world.sign_in()
    form = {"client_id": "imported", "redirect_uri": "https://old.example/cb", "response_type": "code"}
    form |= {"scope": "openid", "state": "a+b/c=&d"}
    reply = await browser.post(AUTHORIZE, form, cross_site=True)
    assert reply.status_code == 303 and reply.headers["referrer-policy"] == "no-referrer"
    assert answer(await browser.get(reply.headers["location"]))["state"] == "a+b/c=&d"
    assert "code" in answer(await browser.post(AUTHORIZE, form))


@pytest.mark.parametrize("uri", ["https://old.example/cb/", "https://old.example/c", "https://old.example/cb?"])
async def test_an_address_that_is_not_letter_for_letter_the_registered_one_is_shown(world: World, uri: str) -> None:
    """§6.3: the slash at the end counts."""
    path = authorize_path("imported", redirect_uri=uri).replace("/oauth/authorize", AUTHORIZE)
    assert "redirect_uri" in shown(await (await world.sign_in()).get(path))


async def test_a_code_is_redeemed_once_wherever_it_is_shown(any_world: World) -> None:
    """§4: fifty at both addresses; one wins, and for the replays its tokens die."""
    world, replies = any_world, []
    await world.allow("imported", "openid")
    code = await (await world.sign_in()).code("imported", code_challenge=None, code_challenge_method=None)

    async def one(path: str) -> None:
        replies.append(await _redeemed(world, path, code, code_verifier=""))

    async with anyio.create_task_group() as group:
        for _, path in zip(range(50), itertools.cycle((TOKEN, "/oauth/token")), strict=False):
            group.start_soon(one, path)
    assert Counter(reply.status_code for reply in replies) == {200: 1, 400: 49}
    (tokens,) = [reply.json() for reply in replies if reply.status_code == 200]
    assert (await world.http.get(USERINFO, params={"access_token": tokens["access_token"]})).status_code == 401


# ── tokens in queries ──


async def test_a_client_that_may_shows_its_token_in_the_query(any_world: World) -> None:
    world = any_world
    token = await _imported(world)
    for method in ("GET", "POST"):
        reply = await world.http.request(method, USERINFO, params={"access_token": token})
        assert reply.status_code == 200 and reply.headers["content-type"] == "application/json"
        assert reply.json()["sub"] == world.bob.sub and reply.json()["email_verified"] is True
        assert reply.headers.items() >= QUIET.items()


async def test_each_use_is_told_with_its_client(world: World) -> None:
    """§25: when nobody does it any more, it can be forbidden."""
    token = await _imported(world)
    for _ in range(3):
        await world.http.get(USERINFO, params={"access_token": token})
    told = [event for event in world.told.events if event.kind == "token.in-query"]
    assert [(event.client, event.door) for event in told] == [("imported", "oidc")] * 3
    assert token not in repr(told)
    await world.http.get(USERINFO, headers={"authorization": f"Bearer {token}"})
    await world.http.get(USERINFO, params={"access_token": token + "x"})
    assert world.kinds().count("token.in-query") == 3


async def test_a_client_that_may_not_is_told_to_use_the_header(world: World) -> None:
    token = await _refused_to(world)
    reply = await world.http.get(USERINFO, params={"access_token": token})
    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_request")
    assert "in the header" in reply.json()["error_description"] and "Bearer error=" in reply.headers["www-authenticate"]
    assert reply.headers.items() >= QUIET.items()
    assert [(e.client, e.reason) for e in world.told.events if e.kind == "token.refused"] == [("shop", "in-query")]
    for shows in ({"headers": {"authorization": f"Bearer {token}"}}, {"data": {"access_token": token}}):
        reply = await world.http.request("POST", USERINFO, **shows)  # type: ignore[arg-type]
        assert reply.status_code == 200


async def test_the_other_address_takes_no_token_from_a_query(world: World) -> None:
    """§25: not even of a client that may."""
    token = await _imported(world)
    for method in ("GET", "POST"):
        reply = await world.http.request(method, "/oauth/userinfo", params={"access_token": token})
        assert reply.status_code == 401 and reply.headers["www-authenticate"] == "Bearer"
    assert "token.in-query" not in world.kinds()


@pytest.mark.parametrize("path", [USERINFO, "/oauth/userinfo"])
async def test_an_empty_query_beside_a_header_is_one_place(world: World, path: str) -> None:
    """§6.4, kind C."""
    token = await _imported(world)
    for query in ("?access_token=", "?access_token", "?", "?other=1"):
        reply = await world.http.get(path + query, headers={"authorization": f"Bearer {token}"})
        assert reply.status_code == 200, query
    assert (await world.http.get(f"{path}?access_token=")).headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", [USERINFO, "/oauth/userinfo"])
@pytest.mark.parametrize(
    "places", [("header", "form"), ("header", "query"), ("form", "query"), ("header", "form", "query")]
)
async def test_more_than_one_place_is_refused(world: World, path: str, places: tuple[str, ...]) -> None:
    """RFC 6750 §2, also if it is the same token."""
    token = await _imported(world)
    reply = await world.http.post(
        path,
        headers={"authorization": f"Bearer {token}"} if "header" in places else {},
        params={"access_token": token} if "query" in places else {},
        data={"access_token": token} if "form" in places else {},
    )
    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_request")
    assert 'Bearer error="invalid_request"' in reply.headers["www-authenticate"]


async def test_a_repeated_token_is_refused(world: World) -> None:
    token = await _imported(world)
    for first, second in ((token, token), (token, ""), ("", token), (token, "x")):
        reply = await world.http.get(f"{USERINFO}?access_token={first}&access_token={second}")
        assert (reply.status_code, reply.json()["error"]) == (400, "invalid_request"), (first, second)


async def test_one_changed_letter_is_no_token(world: World) -> None:
    token = await _imported(world)
    for at in range(len(token)):
        changed = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        reply = await world.http.get(USERINFO, params={"access_token": changed})
        assert (reply.status_code, reply.json()["error"]) == (401, "invalid_token"), at


async def test_no_token_of_another_kind_is_taken_from_the_query(world: World) -> None:
    """§1; the whole matrix is in tests/security."""
    tokens = await world.signed_up("imported")
    browser = await world.sign_in()
    code = await browser.code("imported", code_challenge=None, code_challenge_method=None)
    robot = {"client_id": "old-robot", "client_secret": "s", "grant_types": ["client_credentials"], "scope": "x"}
    await world.clients.import_(robot)
    await world.versions.poll()
    form = {"grant_type": "client_credentials", "client_id": "old-robot", "client_secret": "s"}
    own = (await world.http.post(TOKEN, data=form)).json()["access_token"]
    for wrong in (tokens["id_token"], code, own, browser.jar[world.cookies.name("op")], "", "x" * 9_000):
        reply = await world.http.get(USERINFO, params={"access_token": wrong})
        assert reply.status_code in (400, 401, 403), wrong
        assert "sub" not in reply.json()


async def test_what_has_ended_is_told_nothing(world: World) -> None:
    token = await _imported(world)
    await world.clients.disable("imported")
    await world.versions.poll()
    assert (await world.http.get(USERINFO, params={"access_token": token})).status_code == 401
    await world.clients.enable("imported")
    await world.versions.poll()
    assert (await world.http.get(USERINFO, params={"access_token": token})).status_code == 200
    await world.sessions.end_all(world.bob.id, world.bob.tag, "user")
    assert (await world.http.get(USERINFO, params={"access_token": token})).status_code == 401


async def test_every_answer_of_that_address_is_kept_by_nobody(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """§25: not the good ones, not the bad ones."""
    token = await _imported(world)
    plain = (await world.signed_up("imported", "email"))["access_token"]
    seen = set()
    for method, params in (
        ("GET", {"access_token": token}),
        ("GET", {"access_token": plain}),
        ("GET", {"access_token": "x"}),
        ("GET", {}),
        ("PUT", {"access_token": token}),
        ("HEAD", {"access_token": token}),
    ):
        reply = await world.http.request(method, USERINFO, params=params)
        assert reply.headers.items() >= QUIET.items(), method
        seen.add(reply.status_code)

    async def down(*_: str) -> None:
        raise Unavailable("down")

    monkeypatch.setattr(world.store, "read", down)
    reply = await world.http.get(USERINFO, params={"access_token": token})
    assert reply.headers.items() >= QUIET.items()
    assert seen | {reply.status_code} == {200, 401, 403, 405, 503}


@pytest.mark.parametrize("path", [TOKEN, "/oauth/token"])
async def test_no_other_endpoint_looks_at_its_query(world: World, path: str) -> None:
    """§25: a secret in the address authenticates nobody."""
    form = {"grant_type": "client_credentials", "client_id": "imported"}
    secret = secret_of("imported")
    reply = await world.http.post(path, params={**form, "client_secret": secret}, data={"x": "y"})
    assert (reply.status_code, reply.json()["error"]) == (401, "invalid_client")
    assert (await world.http.get(path, params={**form, "client_secret": secret})).status_code == 405


async def _redeemed(world: World, path: str, code: str, **more: str) -> httpx2.Response:
    """At that address."""
    headers, form = credentials("imported")
    form |= {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    return await world.http.post(path, data={k: v for k, v in {**form, **more}.items() if v}, headers=headers)
