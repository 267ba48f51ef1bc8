"""An instance's sessions, its users' stamps, and hands on its clock."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bridge.events.event import Event, Events
from bridge.secret import Secret
from bridge.sessions.birth import Birth, Born
from bridge.sessions.judge import Alive, Dead
from bridge.sessions.options import SessionOptions
from bridge.sessions.record import EndReason, RecordCodec
from bridge.sessions.sealed import Sealed
from bridge.sessions.sessions import Sessions
from bridge.sessions.stamp import draw_stamp
from bridge.sessions.ticket import Ticket
from bridge.sessions.tickets import Tickets
from bridge.sessions.truth import Truth
from bridge.stores.store import Store
from bridge.testing.hands import Hands
from bridge.tokens import LoginToken, Names, Slots
from bridge.types import ClientId, IPAddress, Key, Place, SlotTag, Stamp, Standing, UserId, Visit

ANN, BOB = UserId(1), UserId(2)
SLOTS = Slots(Secret(bytes(range(32))))
VISIT = Visit("pages", user_agent="Firefox")


@dataclass(frozen=True)
class Ended:
    """A row of what ended."""

    user: UserId
    tag: SlotTag
    session_id: str
    reason: str = ""
    key: str = ""


NOBODY: Mapping[ClientId, str] = {}


@dataclass
class Rows:
    """SQL, as far as sessions ask it: in memory, and it can be told to fail."""

    stamps: dict[UserId, Stamp] = field(default_factory=dict)
    sessions: list[Ended] = field(default_factory=list)
    keys: list[Ended] = field(default_factory=list)
    changed: list[tuple[UserId, SlotTag]] = field(default_factory=list)
    until: dict[str, float] = field(default_factory=dict)
    told: dict[ClientId, str] = field(default_factory=dict)
    identities: list[str] = field(default_factory=list)
    error: Exception | None = None

    async def stamp_of(self, user: UserId) -> Stamp | None:
        self._may()
        return self.stamps.get(user)

    async def restamp(self, user: UserId, new: Stamp, *, expected: Stamp | None = None) -> bool:
        self._may()
        if user not in self.stamps or (expected is not None and self.stamps[user] != expected):
            return False
        self.stamps[user] = new
        self.changed.append((user, SLOTS.of_user(user)))
        return True

    async def end_session(
        self,
        user: UserId,
        tag: SlotTag,
        session_id: str,
        reason: EndReason,
        until: float,
        *,
        told: Mapping[ClientId, str] = NOBODY,
    ) -> None:
        self._may()
        self.told |= told
        self.until[session_id] = until
        if session_id not in {row.session_id for row in self.sessions}:
            self.sessions.append(Ended(user, tag, session_id, reason))

    async def end_key(self, key: Key, session_id: str, user: UserId, tag: SlotTag, until: float) -> None:
        self._may()
        self.keys.append(Ended(user, tag, session_id, key=key))

    async def recent(self, since: float | None) -> "Recent":
        self._may()
        users = [Standing(user, tag, self.stamps[user]) for user, tag in self.changed]
        return Recent(users, self.sessions, self.keys)

    async def raise_epoch(self, identity: str) -> None:
        if identity not in self.identities:
            self.identities.append(identity)

    def _may(self) -> None:
        if self.error is not None:
            raise self.error


@dataclass(frozen=True)
class Recent:
    """What the reconciler publishes again."""

    users: Sequence[Standing]
    sessions: Sequence[Ended]
    keys: Sequence[Ended]


class Heard:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def hear(self, event: Event) -> None:
        self.events.append(event)

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]


class World:
    """One instance.  `issuer` is its own, so that many share one Redis."""

    def __init__(
        self,
        store: Store,
        *,
        truth: Truth | None = None,
        options: SessionOptions | None = None,
        clock: Hands | None = None,
    ) -> None:
        self.clock = clock or Hands()
        self.store = store
        self.rows = Rows()
        self.truth: Truth = truth or self.rows
        self.options = options or SessionOptions()
        self.heard = Heard()
        self.events = Events(self.clock, self.heard)
        self.issuer = f"https://{secrets.token_hex(6)}.example"
        self.names = Names(self.issuer)
        self.keys = {"k1": bytes(32)}
        self.codec = RecordCodec(self.keys, self.issuer)
        self.sessions = self.another_worker()
        self.epoch = 1
        self.seal = Sealed({"k1": bytes(31) + b"t"}, "ticket", Ticket)
        self.tickets = self.tickets_of(self.sessions)

    def another_worker(self, options: SessionOptions | None = None) -> Sessions:
        """The same instance, another process."""
        return Sessions(
            store=self.store,
            names=self.names,
            codec=self.codec,
            truth=self.truth,
            clock=self.clock,
            chance=secrets.token_bytes,
            options=options or self.options,
            events=self.events,
        )

    def tickets_of(self, sessions: Sessions) -> Tickets:
        """Those of that worker."""
        return Tickets(
            store=self.store,
            sessions=sessions,
            seal=self.seal,
            epoch=lambda: self.epoch,
            clock=self.clock,
            chance=secrets.token_bytes,
            events=self.events,
        )

    async def user(self, user: UserId = ANN) -> Standing:
        """A user whose stamp is published."""
        self.rows.stamps.setdefault(user, draw_stamp("new"))
        return await self.standing(user)

    async def standing(self, user: UserId = ANN) -> Standing:
        """What his row says now; published."""
        tag = SLOTS.of_user(user)
        stamp = await self.sessions.publish_stamp(user, tag)
        assert stamp is not None
        return Standing(user, tag, stamp)

    async def login(self, user: UserId = ANN, *, wish: Birth | None = None, visit: Visit = VISIT) -> Born:
        """A person who typed the right password."""
        standing = await self.user(user)
        born = await self.sessions.start(standing, wish or Birth.browser(self.options), visit, amr=["pwd"])
        assert isinstance(born, Born)
        return born

    async def legacy(self, *, via: str = "portal", bind_ip: IPAddress | None = None, cap: int | None = None) -> Born:
        """A ValidateLogin."""
        return await self.login(wish=Birth.legacy(self.options, via=via, bind_ip=bind_ip, cap=cap))

    async def at(self, token: LoginToken | None, place: Place = "issuer", ip: IPAddress | None = None) -> Alive | Dead:
        """Who holds the token?"""
        assert token is not None
        return await self.sessions.resolve(token, place, ip)

    async def alive(self, token: LoginToken | None, place: Place = "issuer") -> Alive:
        """The same for one who must be somebody."""
        verdict = await self.at(token, place)
        assert isinstance(verdict, Alive), verdict
        return verdict

    async def why(self, token: LoginToken | None, place: Place = "issuer", ip: IPAddress | None = None) -> str:
        """Why the token is nobody; "alive" when it is not."""
        verdict = await self.at(token, place, ip)
        return verdict.reason if isinstance(verdict, Dead) else "alive"
