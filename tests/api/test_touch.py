"""`POST /api/v1/sessions/touch` — DESIGN §7."""

import base64
import ipaddress
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.api import Redeem, Touch, endpoints
from bridge.api.touch import ACTION, PATH
from bridge.asgi import Proxies
from bridge.clients.credential import Credential
from bridge.clock import SystemClock
from bridge.errors import Unavailable
from bridge.secret import Secret
from bridge.sessions.birth import Birth
from bridge.sessions.options import SessionOptions
from bridge.stores.memory import MemoryStore
from bridge.types import UserId
from tests.middleware.scene import Ann, Answer, Header, ask
from tests.sessions.world import ANN, World

PORTAL = Credential(
    name="portal",
    identifier="id-of-portal",
    actions=frozenset({ACTION}),
    allowed_ips=(ipaddress.ip_network("192.0.2.0/24"),),
)


class Credentials:
    """One credential, whose secret is "s3cret"."""

    def __init__(self) -> None:
        self.portal = PORTAL

    async def find(self, identifier: str) -> Credential | None:
        return self.portal if identifier == self.portal.identifier else None

    async def check(self, credential: Credential, secret: Secret) -> bool:
        return secret.matches("s3cret")


class Api:
    """The endpoint of one world."""

    def __init__(self, options: SessionOptions | None = None) -> None:
        self.world = World(MemoryStore(SystemClock()), options=options)
        self.credentials = Credentials()
        self.people: dict[UserId, Ann] = {ANN: Ann()}
        proxies, events = Proxies(), self.world.events
        self.endpoints = endpoints(
            touch=Touch(
                sessions=self.world.sessions,
                people=self._person,
                credentials=self.credentials,
                proxies=proxies,
                events=events,
            ),
            redeem=Redeem(tickets=self.world.tickets, credentials=self.credentials, proxies=proxies, events=events),
        )
        self.app = self.endpoints[PATH]

    async def _person(self, user: UserId, /) -> Ann | None:
        return self.people.get(user)

    async def post(self, body: object, *headers: Header, **more: Any) -> Answer:
        given = [(b"content-type", b"application/json"), *headers]
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await ask(self.app, path=PATH, method="POST", headers=given, body=raw, **more)

    async def touch(self, token: str, **more: Any) -> Any:
        return (await self.post({"token": token}, basic(), **more)).json


def basic(identifier: str = "id-of-portal", secret: str = "s3cret") -> Header:
    return b"authorization", b"Basic " + base64.b64encode(f"{identifier}:{secret}".encode())


@pytest.fixture
def api() -> Api:
    """A bridge's API."""
    return Api()


async def test_a_use_elsewhere_is_written_down(api: Api) -> None:
    born = await api.world.login()
    assert born.child is not None
    api.world.clock.move(300)
    assert await api.touch(born.child.text.reveal()) == {
        "result": "touched",
        "until": born.record.abs,
        "user": {
            "id": 1,
            "sub": "sub-of-ann",
            "name": "Ann Example",
            "email": "ann@example.org",
            "groups": ["staff"],
        },
    }
    assert (await api.world.alive(born.child, "middleware")).record.last == born.record.last + 300
    assert (await api.touch(born.child.text.reveal()))["result"] == "alive"


async def test_the_answer_is_json_and_not_to_be_stored(api: Api) -> None:
    answer = await api.post({"token": "x"}, basic())
    assert answer.values(b"content-type") == [b"application/json"]
    assert answer.values(b"cache-control") == [b"no-store"]


async def test_a_dead_session_is_told_to_be_dead(api: Api) -> None:
    born = await api.world.legacy()
    await api.world.sessions.end_all(ANN, born.token.tag, "password")
    told = await api.touch(born.token.text.reveal())
    assert told == {"result": "dead", "reason": "password-changed", "user": None}
    assert (await api.touch("x" * 40))["reason"] == "unknown"
    assert (await api.touch("no token"))["reason"] == "unknown"


async def test_a_user_who_is_no_more_is_dead(api: Api) -> None:
    born = await api.world.legacy()
    api.people.clear()
    assert (await api.touch(born.token.text.reveal()))["result"] == "dead"


async def test_2_an_issuers_session_is_touched_by_no_satellite(api: Api) -> None:
    born = await api.world.login()
    api.world.clock.move(300)
    told = await api.touch(born.token.text.reveal())
    assert told == {"result": "dead", "reason": "wrong-place", "user": None}
    assert (await api.world.alive(born.token)).record.last == born.record.last


async def test_the_satellite_has_judged_the_address(api: Api) -> None:
    wish = Birth.legacy(api.world.options, via="portal", bind_ip=ipaddress.ip_address("203.0.113.9"))
    born = await api.world.login(wish=wish)
    assert (await api.touch(born.token.text.reveal()))["result"] == "touched"


async def test_credentials_may_come_in_the_body_but_not_at_both_places(api: Api) -> None:
    body = {"token": "x", "identifier": "id-of-portal", "secret": "s3cret"}
    assert (await api.post(body)).status == 200
    assert (await api.post(body, basic())).status == 401
    assert (await api.post({"token": "x", "identifier": "id-of-portal"})).status == 401


@pytest.mark.parametrize(
    "header",
    [
        basic(secret="wrong"),
        basic(identifier="nobody"),
        (b"authorization", b"Bearer x"),
        (b"authorization", b"Basic !"),
        (b"authorization", b"Basic " + base64.b64encode(b"no colon")),
        (b"authorization", b"Basic " + base64.b64encode(b"\xff:\xff")),
        (b"x-nothing", b""),
    ],
)
async def test_whoever_shows_no_right_credential_is_asked_for_one(api: Api, header: Header) -> None:
    answer = await api.post({"token": "x"}, header)
    assert answer.status == 401
    assert answer.values(b"www-authenticate")[0].startswith(b"Basic ")
    assert api.world.heard.kinds() == ["credential.refused"]


async def test_a_credential_is_good_from_its_addresses_and_for_its_actions_only(api: Api) -> None:
    assert (await api.post({"token": "x"}, basic(), client="198.51.100.1")).status == 403
    api.credentials.portal = replace(PORTAL, actions=frozenset({"validatelogin"}))
    assert (await api.post({"token": "x"}, basic())).status == 403
    api.credentials.portal = replace(PORTAL, actions=frozenset({"*"}))
    assert (await api.post({"token": "x"}, basic())).status == 200
    api.credentials.portal = replace(PORTAL, disabled=True)
    assert (await api.post({"token": "x"}, basic())).status == 401
    api.credentials.portal = replace(PORTAL, kind="admin")
    assert (await api.post({"token": "x"}, basic())).status == 401


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b'{"token": 7}', 400),
        (b'{"token": null}', 400),
        (b"{}", 400),
        (b'{"token": "x", "more": 1}', 400),
        (b'{"token": "\xff"}', 400),
        (b'{"token": "\\ud800"}', 400),
        (b"[" * 20_000, 400),
        (b" " * 65_537, 413),
    ],
)
async def test_what_is_no_call_is_a_clear_error(api: Api, body: bytes, status: int) -> None:
    answer = await api.post(body, basic())
    assert answer.status == status
    assert isinstance(answer.json["error"], str)


@settings(max_examples=100)
@given(body=st.binary(max_size=200) | st.text(max_size=50).map(lambda text: json.dumps({"token": text}).encode()))
async def test_nothing_that_is_sent_breaks_it(api: Api, body: bytes) -> None:
    assert (await api.post(body, basic())).status in (200, 400)


async def test_only_post_and_only_json(api: Api) -> None:
    refused = await ask(api.app, path=PATH)
    assert (refused.status, refused.values(b"allow")) == (405, [b"POST"])
    form = await ask(api.app, path=PATH, method="POST", headers=[basic()], body=b"token=x")
    assert form.status == 415


async def test_a_silent_store_is_503(api: Api) -> None:
    async def fails(*_: str) -> list[bytes | None]:
        raise Unavailable("no answer")

    api.world.store.read = fails  # type: ignore[method-assign]
    answer = await api.post({"token": "x" * 40}, basic())
    assert (answer.status, answer.values(b"retry-after")) == (503, [b"2"])


async def test_no_secret_is_told_of(api: Api) -> None:
    born = await api.world.legacy()
    await api.post({"token": born.token.text.reveal()}, basic(secret="planted-secret"))
    told = repr(api.world.heard.events)
    assert "planted-secret" not in told and born.token.text.reveal() not in told
