"""A client's server is told that its user signed out — Back-Channel Logout 1.0 §2.4, §2.5.

The outbox keeps what is to be told, tries again and gives up; here one token is made and posted once.  What the client
answers is not kept: it may be an inner server's.
"""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from bridge.clients.client import Client
from bridge.clock import Chance, Clock
from bridge.errors import BridgeError
from bridge.events.event import Events
from bridge.fetch.answers import Fetched, NotFetched
from bridge.oidc.client_auth import Clients
from bridge.oidc.errors import OAuthError
from bridge.oidc.id_token import Signs, algorithm_of
from bridge.outbox.outbox import Delivery
from bridge.tokens import new_id
from bridge.types import Subject, UserId

EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
LIFETIME: Final = 120
"""Seconds for which a logout token is good (§2.4 asks for two minutes at most)."""
PAUSES: Final = (5.0, 30.0, 120.0, 600.0, 3_600.0)
"""Seconds before each further try.  A client that was away for longer finds its user signed out when it next asks."""
AT_ONCE: Final = 20
REST: Final = 5.0
"""Seconds in which a client that let us wait is not waited for again: others are due."""


class Untold(BridgeError):
    """The client did not say that it took it.  The outbox tries again."""


class Posts(Protocol):
    """The way out (`bridge.fetch.fetch.Fetch`)."""

    async def post(self, url: str, fields: Sequence[tuple[str, str]]) -> Fetched | NotFetched: ...


class Wraps(Protocol):
    """Encrypts what is for a client that wants it so (`bridge.oidc.client_tokens.ClientTokens`)."""

    async def id_token(self, client: Client, signed: str) -> str: ...


class BackChannelLogout:
    """A sender of the outbox.  `subject_of`: the user's subject; None: there is no such user any more."""

    def __init__(
        self,
        *,
        issuer: str,
        clients: Clients,
        subject_of: Callable[[UserId, Client], Awaitable[Subject | None]],
        keys: Signs,
        wrap: Wraps,
        fetch: Posts,
        clock: Clock,
        chance: Chance,
        events: Events,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuer = issuer
        self._clients = clients
        self._subject_of = subject_of
        self._keys = keys
        self._wrap = wrap
        self._fetch = fetch
        self._clock = clock
        self._chance = chance
        self._events = events
        self._monotonic = monotonic
        self._resting: dict[str, float] = {}

    async def send(self, delivery: Delivery) -> None:
        """Tell it.  A client that is gone, or wants no more to be told, is not.  Raises `Untold`, `Unavailable`."""
        client = await self._clients.get(delivery.payload["client"])
        if client is None or client.disabled or client.backchannel_logout_uri is None:
            return
        self._refuse_if_resting(client)
        sub = None if delivery.user is None else await self._subject_of(delivery.user, client)
        signed = self._keys.sign(
            algorithm_of(client), self._claims(client, sub, delivery.payload["sid"]), typ="logout+jwt"
        )
        try:
            token = await self._wrap.id_token(client, signed)  # §2.4: by the keys of its ID tokens
        except OAuthError as error:
            raise Untold(f"{client.client_id}: no key to encrypt to") from error
        reply = await self._fetch.post(client.backchannel_logout_uri, [("logout_token", token)])
        if isinstance(reply, NotFetched) and reply.reason == "slow":
            self._resting[client.client_id] = self._monotonic() + REST
        if (why := untaken(reply)) is not None:
            raise Untold(f"{client.client_id}: {why}")
        self._events.tell("logout.delivered", user=delivery.user, actor="outbox", client=client.client_id)

    def _claims(self, client: Client, sub: Subject | None, sid: str) -> dict[str, Any]:
        """§2.4.  Never a nonce: so that it cannot be taken for an ID token.  Every try has a `jti` of its own, lest a
        client take the second for a replay of the first."""
        now = int(self._clock.now())
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "aud": client.client_id,
            "iat": now,
            "exp": now + LIFETIME,
            "jti": new_id(self._chance),
            "sid": sid,
            "events": {EVENT: _NOTHING_MORE},
        }
        return claims if sub is None else {**claims, "sub": sub}

    def _refuse_if_resting(self, client: Client) -> None:
        until = self._resting.get(client.client_id)
        if until is None:
            return
        if self._monotonic() < until:
            raise Untold(f"{client.client_id}: slow a moment ago")
        del self._resting[client.client_id]


_NOTHING_MORE: Final[Mapping[str, object]] = {}


def untaken(reply: Fetched | NotFetched) -> str | None:
    """Why that is not "done" (§2.8); None: it is."""
    match reply:
        case NotFetched("not-allowed"):
            return "not-allowed (see fetch.allow)"
        case NotFetched(reason):
            return reason
        case Fetched(200 | 204):
            return None
        case Fetched(status):
            return f"status {status}"
