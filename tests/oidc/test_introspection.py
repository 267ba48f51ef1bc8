"""What a token is good for, and who is told — RFC 7662, security §17, §28; §12 no. 50, 53, 99."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from bridge.stores.memory import MemoryStore
from bridge.types import SlotTag, UserId
from tests.oidc.world import ISSUER, World, basic, credentials

INACTIVE = {"active": False}
HINTS = [None, "access_token", "refresh_token", "bogus"]


async def _ask(world: World, token: str, client: str = "shop", **form: str) -> dict[str, Any]:
    headers, extra = credentials(client)
    reply = await world.http.post("/oauth/introspect", data={**extra, "token": token, **form}, headers=headers)
    assert reply.status_code == 200, reply.text
    assert reply.headers["cache-control"] == "no-store" and reply.headers["content-type"] == "application/json"
    members: dict[str, Any] = reply.json()
    return members


async def _guard(world: World) -> dict[str, str]:
    """A resource server's header."""
    made = await world.clients.create(
        {"client_name": "Files", "grant_types": [], "response_types": [], "resource_server": True}, client_id="files"
    )
    await world.versions.poll()
    assert made.secret is not None
    return basic("files", made.secret.reveal())


async def _asked_by(world: World, headers: dict[str, str], token: str) -> Any:
    return (await world.http.post("/oauth/introspect", data={"token": token}, headers=headers)).json()


@pytest.mark.parametrize("hint", HINTS)
async def test_a_client_learns_what_its_own_tokens_are_good_for(world: World, hint: str | None) -> None:
    """A wrong hint works."""
    tokens = await world.signed_up("shop", "openid", "email")
    form = {"token_type_hint": hint} if hint else {}
    now = int(world.clock.now())
    common = {
        "active": True,
        "iss": ISSUER,
        "client_id": "shop",
        "scope": "openid email",
        "sub": world.bob.sub,
        "auth_time": now,
    }
    options = world.issuing.options
    access = {**common, "token_type": "Bearer", "iat": now, "exp": now + options.access}
    assert await _ask(world, tokens["access_token"], **form) == access
    told = await _ask(world, tokens["refresh_token"], **form)
    assert now + options.access < told.pop("exp") <= now + options.refresh_idle
    assert told == common


async def test_a_clients_own_token_names_nobody(world: World) -> None:
    token = (await world.token("robot", grant_type="client_credentials")).json()["access_token"]
    told = await _ask(world, token, "robot")
    assert told["active"] and told["scope"] == "reports:read reports:write" and told["client_id"] == "robot"
    assert not {"sub", "auth_time", "acr"} & told.keys()


async def test_another_clients_tokens_are_inactive(world: World) -> None:
    tokens = await world.signed_up("shop")
    for token in (tokens["access_token"], tokens["refresh_token"]):
        assert await _ask(world, token, "es") == INACTIVE
        assert (await _ask(world, token, "shop"))["active"]


async def test_a_resource_server_sees_access_tokens_of_every_client_and_no_refresh_token(world: World) -> None:
    headers, tokens = await _guard(world), await world.signed_up("es", "openid")
    assert (await _asked_by(world, headers, tokens["access_token"]))["client_id"] == "es"
    assert await _asked_by(world, headers, tokens["refresh_token"]) == INACTIVE


@pytest.mark.parametrize("source", ["registration", "legacy"])
async def test_nobody_makes_himself_a_resource_server(world: World, source: Any) -> None:
    """§17."""
    made = await world.clients.create({"grant_types": [], "response_types": [], "resource_server": True}, source=source)
    assert not made.client.resource_server


@pytest.mark.parametrize("junk", ["x", "lba_" + "A" * 64, "lbr_" + "A" * 64, "lbc_x", "a.b.c", "é" * 40, "0" * 40])
async def test_what_is_no_token_is_inactive_and_costs_no_read(
    world: World, junk: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.store, "read", lambda *_: pytest.fail("read"))
    assert await _ask(world, junk) == INACTIVE


async def test_one_changed_byte_is_inactive(world: World) -> None:
    tokens = await world.signed_up()
    for token in (tokens["access_token"], tokens["refresh_token"]):
        for at in range(0, len(token), 5):
            other = "A" if token[at] != "A" else "B"
            assert await _ask(world, token[:at] + other + token[at + 1 :]) == INACTIVE


async def test_codes_id_tokens_and_sessions_are_inactive(world: World) -> None:
    """§1."""
    tokens = await world.signed_up()
    browser = await world.sign_in()
    session = browser.jar[world.cookies.name("op")]
    for other in (await browser.code(), tokens["id_token"], session):
        assert await _ask(world, other) == INACTIVE


async def test_a_used_refresh_token_is_inactive_and_asking_ends_nothing(world: World) -> None:
    tokens = await world.signed_up()
    rotated = (await world.refresh(tokens["refresh_token"])).json()
    world.clock.move(3_000)  # long after the grace: shown at the token endpoint it would end the family
    assert await _ask(world, tokens["refresh_token"]) == INACTIVE
    assert (await _ask(world, rotated["refresh_token"]))["active"]


async def test_expired_tokens_are_inactive(world: World) -> None:
    tokens = await world.signed_up()
    world.clock.move(world.issuing.options.access - 1)
    assert (await _ask(world, tokens["access_token"]))["active"]
    world.clock.move(1)
    await world.versions.poll()
    assert await _ask(world, tokens["access_token"]) == INACTIVE
    assert (await _ask(world, tokens["refresh_token"]))["active"]
    world.clock.move(world.issuing.options.refresh_idle)
    assert await _ask(world, tokens["refresh_token"]) == INACTIVE


async def test_what_was_revoked_is_inactive(world: World) -> None:
    tokens = await world.signed_up()
    headers, form = credentials("shop")
    await world.http.post("/oauth/revoke", data={**form, "token": tokens["refresh_token"]}, headers=headers)
    for token in (tokens["access_token"], tokens["refresh_token"]):
        assert await _ask(world, token) == INACTIVE


async def test_after_all_of_a_user_ended_his_tokens_are_inactive(world: World) -> None:
    tokens = await world.signed_up()
    await world.sessions.end_all(world.bob.id, world.bob.tag, "user")
    for token in (tokens["access_token"], tokens["refresh_token"]):
        assert await _ask(world, token) == INACTIVE


async def test_nothing_is_told_of_a_client_that_was_disabled(world: World) -> None:
    headers, tokens = await _guard(world), await world.signed_up("shop")
    assert (await _asked_by(world, headers, tokens["access_token"]))["active"]
    await world.clients.disable("shop")
    await world.versions.poll()
    assert await _asked_by(world, headers, tokens["access_token"]) == INACTIVE
    reply = await world.http.post("/oauth/introspect", data={"token": "x"}, headers=credentials("shop")[0])
    assert reply.status_code == 401


async def test_only_scopes_that_the_client_may_still_have_are_told(world: World) -> None:
    tokens = await world.signed_up("shop", "openid", "email")
    client = await world.clients.get("shop")
    assert client is not None
    world.provider._introspect._authenticate._clients = _Changed(world, client.client_id, scopes=("openid",))
    assert (await _ask(world, tokens["access_token"]))["scope"] == "openid"


async def test_the_refresh_token_of_a_client_that_may_not_refresh_any_more_is_inactive(world: World) -> None:
    tokens = await world.signed_up("shop", "openid", "email")
    world.provider._introspect._authenticate._clients = _Changed(world, "shop", grant_types=("authorization_code",))
    assert await _ask(world, tokens["refresh_token"]) == INACTIVE
    assert (await _ask(world, tokens["access_token"]))["active"]


async def test_a_refresh_token_that_lay_idle_is_inactive_though_its_family_lives(world: World) -> None:
    tokens = await world.signed_up("ours", "openid", "offline_access")
    options = world.issuing.options
    assert (await _ask(world, tokens["refresh_token"], "ours"))["exp"] == int(world.clock.now()) + options.refresh_idle
    world.clock.move(options.refresh_idle)
    assert options.refresh_idle < options.refresh_absolute
    assert await _ask(world, tokens["refresh_token"], "ours") == INACTIVE


class _Changed:
    """The clients, after one was registered anew."""

    def __init__(self, world: World, client_id: str, **changes: Any) -> None:
        self._world = world
        self._client_id = client_id
        self._changes = changes
        self.check_secret = world.clients.check_secret

    def still(self, client: Any) -> bool:
        return False

    async def get(self, client_id: str) -> Any:
        found = await self._world.clients.get(client_id)
        return replace(found, **self._changes) if found and client_id == self._client_id else found


async def test_public_clients_are_refused(world: World) -> None:
    """No. 50."""
    tokens = await world.signed_up("spa", "openid")
    form = {"client_id": "spa", "token": tokens["access_token"]}
    reply = await world.http.post("/oauth/introspect", data=form)
    assert (reply.status_code, reply.json()["error"]) == (401, "invalid_client")


async def test_a_client_that_registered_itself_is_refused(world: World) -> None:
    """§17."""
    made = await world.clients.create({"redirect_uris": ["https://x.example/"]}, source="registration")
    assert made.secret is not None
    headers = basic(made.client.client_id, made.secret.reveal())
    reply = await world.http.post("/oauth/introspect", data={"token": "x"}, headers=headers)
    assert (reply.status_code, reply.json()["error"]) == (400, "unauthorized_client")
    assert "token.refused" in world.kinds()


@pytest.mark.parametrize(
    ("form", "headers", "answer"),
    [
        ({"token": "x"}, {}, (401, "invalid_client")),
        ({"token": "x", "client_id": "shop"}, {}, (401, "invalid_client")),
        ({"token": "x"}, basic("shop", "wrong"), (401, "invalid_client")),
        ({"token": "x"}, basic("nobody", "wrong"), (401, "invalid_client")),
        ({"token": "x"}, {"authorization": "Bearer lba_" + "A" * 64}, (401, "invalid_client")),
        ({"a": "b"}, None, (400, "invalid_request")),
        ({"token": ""}, None, (400, "invalid_request")),
        ({"token": ["a", "b"]}, None, (400, "invalid_request")),
    ],
)
async def test_who_does_not_authenticate_or_names_no_token_is_told_nothing(
    world: World, form: dict[str, Any], headers: dict[str, str] | None, answer: tuple[int, str]
) -> None:
    sent = credentials("shop")[0] if headers is None else headers
    reply = await world.http.post("/oauth/introspect", data=form, headers=sent)
    assert (reply.status_code, reply.json()["error"]) == answer
    assert reply.headers["cache-control"] == "no-store"


async def test_it_is_a_post_of_a_form_and_the_query_counts_for_nothing(world: World) -> None:
    headers = credentials("shop")[0]
    for method in ("GET", "OPTIONS", "PUT"):
        reply = await world.http.request(method, "/oauth/introspect", headers=headers)
        assert (reply.status_code, reply.headers["allow"]) == (405, "POST")
    assert (await world.http.post("/oauth/introspect", json={"token": "x"}, headers=headers)).status_code == 415
    assert (await world.http.post("/oauth/introspect?token=x", data={"a": "b"}, headers=headers)).status_code == 400


async def test_scripts_of_other_origins_may_not_read_it(world: World) -> None:
    """§28."""
    for headers in ({}, credentials("shop")[0]):
        reply = await world.http.post(
            "/oauth/introspect", data={"token": "x"}, headers={**headers, "origin": "https://spa.example"}
        )
        assert not [name for name in reply.headers if name.startswith("access-control-")]


async def test_it_costs_one_read_and_no_sql(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """DESIGN §5.  Cached clients are there once they were used."""
    tokens = await world.signed_up()
    await world.versions.poll()
    await _ask(world, tokens["access_token"])
    reads: list[tuple[str, ...]] = []
    read = world.store.read

    async def counted(*keys: str) -> Sequence[bytes | None]:
        reads.append(keys)
        return await read(*keys)

    monkeypatch.setattr(world.store, "read", counted)
    monkeypatch.setattr(world.store, "commit", lambda *_: pytest.fail("written"))
    monkeypatch.setattr(world.db, "read", lambda *_: pytest.fail("SQL"))
    monkeypatch.setattr(world.db, "first", lambda *_, **__: pytest.fail("SQL"))
    for token in (tokens["access_token"], tokens["refresh_token"]):
        assert (await _ask(world, token))["active"]
    assert [len(keys) for keys in reads] == [3, 3]


async def test_a_stamp_that_the_store_lost_is_asked_of_sql(world: World) -> None:
    tokens = await world.signed_up()
    assert isinstance(world.store, MemoryStore)
    for which in ("access_token", "refresh_token"):
        world.store._values.pop(world.names.stamp(SlotTag(world.bob.tag)))
        assert (await _ask(world, tokens[which]))["active"], which


async def test_a_user_who_is_gone_has_no_tokens(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = await world.signed_up()
    assert isinstance(world.store, MemoryStore)

    async def nothing(user: UserId, tag: SlotTag) -> None:
        del user, tag

    world.store._values.pop(world.names.stamp(world.bob.tag))
    object.__setattr__(world.issuing, "publish_stamp", nothing)
    assert await _ask(world, tokens["access_token"]) == INACTIVE


async def test_the_document_names_it(world: World) -> None:
    members = world.provider.metadata
    assert members["introspection_endpoint"] == f"{ISSUER}/oauth/introspect"
    assert members["introspection_endpoint_auth_methods_supported"] == [
        method for method in members["token_endpoint_auth_methods_supported"] if method != "none"
    ]
