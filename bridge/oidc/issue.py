"""The collaborators of whoever hands out tokens, and the one step in which a token is presented — DESIGN §5."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol, TypeVar

from bridge.clients.client import Client
from bridge.clock import Chance, Clock
from bridge.events.event import Events
from bridge.grants.families import Families
from bridge.grants.options import GrantOptions
from bridge.grants.records import Family
from bridge.grants.redemption import keys_of
from bridge.grants.terms import Fresh, Moment, StampUnknown, Tokens
from bridge.grants.unclaimed import Unclaimed
from bridge.grants.wrap import Wrap
from bridge.mint import OAuthToken, TokenMint
from bridge.stores.decide import Decision, More, decide_on
from bridge.stores.store import Store
from bridge.tokens import Names, Slots
from bridge.types import ClientId, SlotTag, UserId, Visit

Outcome = TypeVar("Outcome")
Members = Mapping[str, object]
"""Of a token response."""
_NONE: Final[Members] = MappingProxyType({})


class PublishStamp(Protocol):
    """Makes the store say what SQL says of a user's stamp (`Sessions.publish_stamp`).  Raises `Unavailable`."""

    def __call__(self, user: UserId, tag: SlotTag, /) -> Awaitable[object]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuing:
    """What handing out tokens needs."""

    store: Store
    names: Names
    slots: Slots
    mint: TokenMint
    wrap: Wrap
    clock: Clock
    chance: Chance
    options: GrantOptions
    epoch: Callable[[], int]
    """`store_epoch` as last read.  Raises `Unavailable` before the first time."""
    families: Families
    publish_stamp: PublishStamp
    events: Events
    unclaimed: Unclaimed

    def moment(self) -> Moment:
        """Here, by our rules, now."""
        return Moment(self.names, self.options, self.clock.now())

    def fresh(self, token: OAuthToken, client: Client) -> Fresh:
        """New tokens of that token's family; a refresh token only for a client that may use it."""
        may_refresh = "refresh_token" in client.grant_types
        return Fresh(
            access=self.mint.draw("access", token.tag, token.family, self.chance),
            refresh=self.mint.draw("refresh", token.tag, token.family, self.chance) if may_refresh else None,
        )

    async def present(
        self,
        token: OAuthToken,
        decide: Callable[..., Decision[Outcome] | More],
        respond: Callable[[Tokens], Awaitable[Members]],
    ) -> tuple[Outcome, Members]:
        """Read what everybody reads who is shown a token, decide, commit.  An absent stamp is asked of SQL, once.

        What is answered to Tokens is made before they are committed: where it cannot be made, what was presented is
        as good as before.  StampUnknown still: there is no such user any more.  Raises `Unavailable`.
        """
        made = _NONE

        async def ready(outcome: Outcome) -> None:
            nonlocal made
            made = await respond(outcome) if isinstance(outcome, Tokens) else _NONE

        keys = keys_of(token, self.names)
        outcome = await decide_on(self.store, keys, decide, ready=ready)
        if isinstance(outcome, StampUnknown):
            await self.publish_stamp(outcome.user, token.tag)
            outcome = await decide_on(self.store, keys, decide, ready=ready)
        return outcome, made

    async def end(self, token: OAuthToken, family: Family, reason: str) -> None:
        """End the family of that token: in SQL, then in the store."""
        await self.families.end(token.tag, family, reason)

    async def end_replayed(self, token: OAuthToken, family: Family, visit: Visit) -> None:
        """Somebody held a copy: whatever stands on it is over, and the log knows."""
        await self.end(token, family, "replay")
        self.events.tell("token.replay", visit, user=family.uid, client=family.client, session=family.session)

    def tell_issued(self, family: Family, grant: str, visit: Visit) -> None:
        """Tokens went out."""
        self.events.tell("token.issued", visit, user=family.uid, client=family.client, reason=grant)

    def tell_refused(self, client: ClientId, why: str, visit: Visit) -> None:
        """Nothing went out."""
        self.events.tell("token.refused", visit, client=client, reason=why)
