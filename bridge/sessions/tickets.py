"""Issues tickets and redeems them: the rows "ticket to another host / redeem" of store §2."""

from collections.abc import Callable
from functools import partial
from typing import Final

from bridge.clock import Chance, Clock
from bridge.events.event import Events
from bridge.ring import Ring
from bridge.sessions.judge import Alive, Dead
from bridge.sessions.sealed import Sealed
from bridge.sessions.sessions import TRIES, Sessions
from bridge.sessions.ticket import (
    Arrived,
    Moment,
    Redeemed,
    Refused,
    StampAbsent,
    Ticket,
    TicketWish,
    issue,
    redeem,
)
from bridge.stores.decide import decide_on
from bridge.stores.store import Store
from bridge.tokens import LoginToken
from bridge.types import Visit

_LONGEST: Final = 200
"""Characters of an origin that is told of: whoever asks may write anything there."""


def ticket_seal(ring: Ring) -> Sealed[Ticket]:
    """What tickets are sealed with: keys that no reader of sessions is given."""
    return Sealed(ring.subkeys("token-mac"), "ticket", Ticket)


class Tickets:
    """All tickets of one instance.  Every method raises `Unavailable` when the store does not answer."""

    def __init__(
        self,
        *,
        store: Store,
        sessions: Sessions,
        seal: Sealed[Ticket],
        epoch: Callable[[], int],
        clock: Clock,
        chance: Chance,
        events: Events,
    ) -> None:
        """`epoch`: the store's, as SQL last said it (store §2, rule 9)."""
        self._store = store
        self._sessions = sessions
        self._seal = seal
        self._epoch = epoch
        self._clock = clock
        self._chance = chance
        self._events = events

    def may_get(self, origin: str) -> bool:
        """Whether an app of that origin may get tickets at all."""
        return origin in self._sessions.options.ticket_origins

    async def issue(self, parent: Alive, wish: TicketWish, visit: Visit) -> LoginToken | Dead:
        """A ticket under that session, to be shown to its browser once; Dead: the session ended meanwhile."""
        token = LoginToken.draw(parent.token.tag, self._chance)
        decide = partial(issue, parent=parent.token, token=token, wish=wish, at=self._moment())
        done = await decide_on(self._store, self._sessions.keys_of(parent.token), decide, tries=TRIES)
        if isinstance(done, Dead):
            return done
        record = done.record
        self._events.tell("ticket.issued", visit, user=record.uid, session=record.id, origin=wish.origin)
        return token

    async def redeem(self, text: str, *, origin: str, binding: str, via: str, visit: Visit) -> Redeemed | Refused:
        """The child session for the app at `origin` and the browser that holds `binding`.

        `via`: the API credential that asks, or the door.  Of all who show one ticket, one is told `Redeemed`.
        """
        token = LoginToken.parse(text)
        outcome = Refused("unknown") if token is None else await self._redeem(token, origin, binding, via)
        if isinstance(outcome, Refused):
            self._events.tell("ticket.refused", visit, user=outcome.user, reason=outcome.why, origin=origin[:_LONGEST])
            return outcome
        born, record = outcome.born, outcome.born.record
        self._events.tell(
            "ticket.redeemed", visit, user=record.uid, sid=born.token.sid, session=record.parent, origin=origin
        )
        return Redeemed(born.token, outcome.next)

    async def _redeem(self, token: LoginToken, origin: str, binding: str, via: str) -> Arrived | Refused:
        names = self._sessions.tools.names
        keys = (names.ticket(token), names.stamp(token.tag))
        decide = partial(
            redeem, token=token, origin=origin, binding=binding, via=via, draw=self._chance, at=self._moment()
        )
        outcome = await decide_on(self._store, keys, decide, tries=TRIES)
        if isinstance(outcome, StampAbsent):
            await self._sessions.publish_stamp(outcome.user, token.tag)
            outcome = await decide_on(self._store, keys, decide, tries=TRIES)
        return Refused("signed-out", outcome.user) if isinstance(outcome, StampAbsent) else outcome

    def _moment(self) -> Moment:
        return Moment(now=self._clock.now(), epoch=self._epoch(), tools=self._sessions.tools, seal=self._seal)
