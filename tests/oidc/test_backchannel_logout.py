"""One try to tell a client — Back-Channel Logout 1.0 §2.4, §2.5, §2.8; security §16."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from bridge.clients.client import Client
from bridge.events.event import Event, Events
from bridge.fetch.answers import Fetched, NotFetched
from bridge.oidc.backchannel_logout import PAUSES, REST, BackChannelLogout, Untold, untaken
from bridge.oidc.errors import OAuthError
from bridge.outbox.outbox import Delivery
from bridge.secret import Secret
from bridge.testing.hands import Hands
from bridge.types import ClientId, Subject, UserId

URL = "https://shop.example/logout"
BOB = Subject("bob")


@dataclass
class Scene:
    """A client, a way out that answers as the test says, and keys that sign nothing."""

    client: Client | None = field(
        default_factory=lambda: Client(client_id=ClientId("shop"), backchannel_logout_uri=URL, id_token_alg="ES256")
    )
    reply: Fetched | NotFetched = field(default_factory=lambda: Fetched(200, {}, b""))
    user: Subject | None = BOB
    keyless: bool = False
    posted: list[tuple[str, list[tuple[str, str]]]] = field(default_factory=list)
    signed: list[tuple[str, dict[str, Any], str]] = field(default_factory=list)
    heard: list[Event] = field(default_factory=list)
    hands: Hands = field(default_factory=Hands)

    async def get(self, client_id: str) -> Client | None:
        return self.client

    def still(self, client: Client) -> bool:
        return True

    async def check_secret(self, client: Client, secret: Secret) -> bool:
        return False

    async def subject_of(self, user: UserId, client: Client) -> Subject | None:
        return self.user

    def sign(self, alg: str, claims: dict[str, Any], typ: str = "JWT") -> str:
        self.signed.append((alg, claims, typ))
        return "the-token"

    async def id_token(self, client: Client, signed: str) -> str:
        if self.keyless:
            raise OAuthError("invalid_request", "no key")
        return f"wrapped {signed}"

    async def post(self, url: str, fields: Sequence[tuple[str, str]]) -> Fetched | NotFetched:
        self.posted.append((url, list(fields)))
        return self.reply

    def hear(self, event: Event) -> None:
        self.heard.append(event)

    def sender(self) -> BackChannelLogout:
        return BackChannelLogout(
            issuer="https://login.example",
            clients=self,
            subject_of=self.subject_of,
            keys=self,
            wrap=self,
            fetch=self,
            clock=self.hands,
            chance=lambda n: bytes([len(self.signed)]) * n,
            events=Events(self.hands, self),
            monotonic=self.hands.now,
        )


def delivery() -> Delivery:
    payload = {"client": "shop", "sid": "s1"}
    return Delivery(id=1, purpose="backchannel-logout", user=UserId(7), payload=payload, attempt=1, message_id="m")


async def test_bcl_2_4_what_is_signed_by_the_clients_own_algorithm() -> None:
    scene = Scene()
    sender = scene.sender()
    await sender.send(delivery())
    await sender.send(delivery())
    (alg, claims, typ), (_, again, _) = scene.signed
    now = int(scene.hands.now())
    assert (alg, typ) == ("ES256", "logout+jwt")
    assert claims.pop("jti") != again["jti"], "or the second try would be a replay of the first"
    assert claims == {
        "iss": "https://login.example",
        "aud": "shop",
        "sub": "bob",
        "sid": "s1",
        "iat": now,
        "exp": now + 120,
        "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
    }
    assert scene.posted[0] == (URL, [("logout_token", "wrapped the-token")])
    assert [(event.kind, event.client, event.user) for event in scene.heard] == [("logout.delivered", "shop", 7)] * 2


async def test_bcl_2_4_of_a_user_who_is_no_more_the_session_alone_is_named() -> None:
    scene = Scene(user=None)
    await scene.sender().send(delivery())
    assert "sub" not in scene.signed[0][1] and scene.signed[0][1]["sid"] == "s1"


@pytest.mark.parametrize(
    "client",
    [
        None,
        Client(client_id=ClientId("shop")),
        Client(client_id=ClientId("shop"), backchannel_logout_uri=URL, disabled=True),
    ],
)
async def test_a_client_that_is_gone_or_wants_it_no_more_is_not_told(client: Client | None) -> None:
    scene = Scene(client=client)
    await scene.sender().send(delivery())
    assert (scene.posted, scene.heard) == ([], [])


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (Fetched(200, {}, b""), None),
        (Fetched(204, {}, b""), None),
        (Fetched(201, {}, b""), "status 201"),
        (Fetched(400, {}, b"the body is nobody's business"), "status 400"),
        (Fetched(501, {}, b""), "status 501"),
        (NotFetched("redirected"), "redirected"),
        (NotFetched("not-allowed"), "not-allowed (see fetch.allow)"),
        (NotFetched("too-big"), "too-big"),
    ],
)
async def test_bcl_2_8_only_200_and_204_are_done(reply: Fetched | NotFetched, why: str | None) -> None:
    assert untaken(reply) == why
    scene = Scene(reply=reply)
    if why is None:
        await scene.sender().send(delivery())
        return
    with pytest.raises(Untold) as failed:
        await scene.sender().send(delivery())
    assert str(failed.value) == f"shop: {why}"
    assert scene.heard == []


async def test_bcl_2_4_what_is_to_be_encrypted_never_leaves_in_the_clear() -> None:
    scene = Scene(keyless=True)
    with pytest.raises(Untold, match="shop: no key to encrypt to"):
        await scene.sender().send(delivery())
    assert scene.posted == []


async def test_who_let_us_wait_is_not_waited_for_again_at_once() -> None:
    scene = Scene(reply=NotFetched("slow"))
    sender = scene.sender()
    for _ in range(3):
        with pytest.raises(Untold):
            await sender.send(delivery())
    assert len(scene.posted) == 1
    scene.hands.move(REST)
    scene.reply = Fetched(200, {}, b"")
    await sender.send(delivery())
    await sender.send(delivery())
    assert len(scene.posted) == 3


def test_it_is_tried_for_more_than_an_hour() -> None:
    assert PAUSES == (5, 30, 120, 600, 3_600)
