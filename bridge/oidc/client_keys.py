"""A client's own public keys, registered or behind its `jwks_uri` — Registration 1.0 §2; Core §10.1.1.

An address is asked again when a key comes up that we do not know, but not again and again: whoever makes up key ids
must not make us call somebody (security §16; engine §6).
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from typing import Final, Protocol

from msgspec import Struct

from bridge.clients.client import Client
from bridge.clock import Clock
from bridge.fetch.answers import Fetched, NotFetched
from bridge.keys.foreign import PublicKeys, Unverified, Verdict, judge
from bridge.secret import Secret

FRESH: Final = 600.0
"""Seconds for which keys are believed without asking again: a key that its owner took away must not live on."""
STALE: Final = 3_600.0
"""Seconds for which they are still believed while nobody answers there."""
PAUSE: Final = 30.0
"""Seconds between two questions to one address."""
_MOST: Final = 1_000


class Fetches(Protocol):
    """`bridge.fetch.fetch.Fetch`."""

    async def get(self, url: str, *, accept: str = ...) -> Fetched | NotFetched: ...


class _Held(Struct):
    """What an address said, when it said so, and when it was asked last."""

    keys: PublicKeys | None = None
    said: float = float("-inf")
    asked: float = float("-inf")
    asking: "asyncio.Task[None] | None" = None


class ClientKeys:
    """Judges what clients signed."""

    def __init__(
        self, *, fetch: Fetches | None, clock: Clock, symmetric_secret: Callable[[Client], Secret | None]
    ) -> None:
        """`fetch` None: nobody is called, and who has but an address has no keys."""
        self._fetch = fetch
        self._clock = clock
        self._symmetric_secret = symmetric_secret
        self._held: OrderedDict[str, _Held] = OrderedDict()

    async def judge(self, client: Client, token: Unverified, algorithms: tuple[str, ...]) -> Verdict:
        """Whether that client signed it, by one of those algorithms.

        Whether a key is a secret or public is told by the algorithms that were registered, not by the token.
        """
        if token.alg not in algorithms:
            return "forged"
        if token.alg.startswith("HS"):
            secret = self._symmetric_secret(client)
            return "forged" if secret is None else judge(token, secret, algorithms)
        verdict = judge(token, await self.public(client), algorithms)
        # "forged" too: who has one key need not name it (Core §10.1), and a new one may have the name of the old.
        if verdict != "signed" and client.jwks_uri is not None and self._may_ask(client.jwks_uri):
            verdict = judge(token, await self.public(client, anew=True), algorithms)
        return verdict

    async def public(self, client: Client, *, anew: bool = False) -> PublicKeys:
        """Its key set; an empty one if it has none, or none that can be had."""
        if client.jwks is not None:
            return _parsed(client.jwks)
        if client.jwks_uri is None or self._fetch is None:
            return _NONE
        held = self._of(client.jwks_uri)
        if (anew or self._clock.now() - held.said >= FRESH) and self._may_ask(client.jwks_uri):
            held.asked = self._clock.now()
            held.asking = asyncio.create_task(self._ask(client.jwks_uri, held))
        if held.asking is not None:
            await asyncio.shield(held.asking)  # many wait for one question, and none of them ends it by going away
        return held.keys if held.keys is not None and self._clock.now() - held.said < STALE else _NONE

    def _may_ask(self, url: str) -> bool:
        return self._clock.now() - self._of(url).asked >= PAUSE

    def _of(self, url: str) -> _Held:
        held = self._held.setdefault(url, _Held())
        self._held.move_to_end(url)
        if len(self._held) > _MOST:
            self._held.popitem(last=False)
        return held

    async def _ask(self, url: str, held: _Held) -> None:
        try:
            reply = (
                await self._fetch.get(url, accept="application/jwk-set+json, application/json") if self._fetch else None
            )
            if isinstance(reply, Fetched) and reply.status == 200:
                held.keys, held.said = PublicKeys.parse(reply.body), self._clock.now()
        except ValueError:
            pass  # what is no key set changes nothing: the old one stands for as long as it may
        finally:
            held.asking = None


_NONE: Final = PublicKeys(())


@lru_cache(maxsize=_MOST)
def _parsed(jwks: str) -> PublicKeys:
    try:
        return PublicKeys.parse(jwks)
    except ValueError:
        return _NONE  # it was looked at when it was registered; what passed that and is no key opens nothing
