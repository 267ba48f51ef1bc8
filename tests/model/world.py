"""One instance on the modelled store and SQL: the project's own rooms, and what people do with them.

Whatever is handed to somebody is written down with the step at which his credential was checked, so that the judge can
say afterwards what should be dead.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

from pyotp import totp as authenticator

from bridge.clients.credential import SessionTerms
from bridge.database.recent import Recent
from bridge.events.event import Events
from bridge.events.ledger import Deed, Ledger
from bridge.grants.consents import Consents
from bridge.grants.families import Families
from bridge.login.attempt import Login
from bridge.login.challenge import Challenges
from bridge.login.entry import Arrival, Entry
from bridge.login.options import LoginOptions
from bridge.login.outcome import LoggedIn, Outcome, SecondFactorNeeded
from bridge.login.passkeys import Passkeys
from bridge.login.passwordless import Passwordless
from bridge.login.pending import pending_codec
from bridge.login.relying_party import RelyingParty, handle_of
from bridge.login.remembering import Remembering, Resumed
from bridge.login.second_factor import SecondFactor
from bridge.login.series import Series
from bridge.login.shown import Assertion, Code, RecoveryCode, Shown
from bridge.login.sso import Offer, SingleSignOn, SsoWish, sso_seal
from bridge.login.throttle import Admitted, Throttle
from bridge.login.watch import Watch
from bridge.login.ways import Ways
from bridge.outbox.outbox import Outbox
from bridge.ring import Ring
from bridge.secret import Secret
from bridge.sessions.birth import Birth, Born
from bridge.sessions.judge import Alive
from bridge.sessions.options import SessionOptions
from bridge.sessions.reconciler import Reconciler
from bridge.sessions.record import RecordCodec
from bridge.sessions.sessions import Sessions
from bridge.sessions.ticket import Redeemed, Refused, TicketWish
from bridge.sessions.tickets import Tickets, ticket_seal
from bridge.stores.gate import Gate
from bridge.testing.hands import Hands
from bridge.tokens import LoginToken, Names, Slots, digest
from bridge.types import StampReason, UserId, Visit
from bridge.users.backend import UserBackend
from bridge.users.passkey import Passkey
from bridge.users.user import User
from tests.authenticator import Authenticator
from tests.model.sql import CHECKED_AT, RECOVERY_CODE, TOTP_SECRET, ModelSql
from tests.model.store import Adversary, ModelStore
from tests.model.turns import FLOW, Turns

ANN, BOB = UserId(1), UserId(2)
ISSUER = "https://login.example"
RING = Ring.parse("k1:" + "A" * 43)
VISIT = Visit("pages")
SHOP = "https://shop.example"
HELD = "what the browser holds"
AUTHENTICATOR = Authenticator(ISSUER, counts=False, rp_id="login.example")
PARTY = RelyingParty(id="login.example", origin=ISSUER, name="Login")
PASSKEY = Passkey(
    id=1,
    user=ANN,
    credential_id=AUTHENTICATOR.id,
    public_key=AUTHENTICATOR.cose,
    transports=(),
    label="",
    created_at=0,
    last_used_at=None,
)


@dataclass(frozen=True)
class Handed:
    """A login token that somebody was given."""

    token: LoginToken
    user: UserId
    session: str
    """The id that its endings name: its own, of a child its parent's."""
    child: bool
    checked_at: int


@dataclass(frozen=True)
class Issued:
    """A ticket that a browser was given."""

    token: LoginToken
    under: Handed


@dataclass(frozen=True)
class Link:
    """A link that signs a person in, made by an API caller."""

    token: LoginToken
    checked_at: int


@dataclass(frozen=True)
class Kept:
    """What keeps a browser signed in."""

    secret: str
    under: Handed


@dataclass(frozen=True)
class Told:
    """Something that was acknowledged to somebody."""

    what: Literal["ended", "all ended", "others ended", "kept lost", "rotated"]
    user: UserId
    about: str
    step: int


class Free:
    """A guard that admits everybody: guessing is not what is modelled here."""

    async def password(self, email: str, visit: Visit) -> Admitted:
        return Admitted(())

    async def code(self, user: UserId) -> Admitted:
        return Admitted(())

    async def passkey(self, visit: Visit) -> Admitted:
        return Admitted(())

    async def settle(self, admitted: Admitted, *, wrong: bool) -> None: ...


class Blind:
    """A watch that sees nothing: letters are not what is modelled here."""

    async def failed(self, user: UserId | None) -> None: ...

    def look(self, user: User) -> "asyncio.Task[int]":
        return asyncio.create_task(self._never())

    async def came_in(
        self, user: User, visit: Visit, arrival: Arrival | None, failed: Awaitable[int] | None = None
    ) -> None: ...

    async def device_copied(self, user: User, visit: Visit) -> None: ...

    async def _never(self) -> int:
        return 0


@dataclass
class Judged:
    """The users, to whoever checks something against a row of theirs: the step at which it was read is kept."""

    sql: ModelSql
    name: str = "bridge"

    async def by_id(self, user: UserId) -> User | None:
        row = await self.sql.by_id(user)
        CHECKED_AT.set(self.sql.turns.step)
        return row


class Open:
    """Accounts of which none is closed: who may be signed in so is not what is modelled here."""

    async def is_member(self, user: UserId, account: object) -> bool:
        return True

    async def objection(self, user: UserId, account: object) -> None:
        return None


class Nobody:
    """Hears who came in, and forgets it."""

    def note(self, user: UserId, ip: object) -> None: ...


class ModelLedger:
    """A transaction is one turn of SQL; what it writes down is not modelled."""

    async def do(self, visit: Visit, work: Callable[[Deed], Awaitable[Any]]) -> Any:
        return await work(cast(Deed, _NO_DEED))


class NoLetters:
    """Nobody is written to."""

    async def put(self, *letter: object) -> None: ...


@dataclass(frozen=True)
class _NoDeed:
    tx: None = None


_NO_DEED = _NoDeed()


@dataclass
class World:
    """One schedule's world."""

    seed: object
    adversary: Adversary
    handed: list[Handed] = field(default_factory=list)
    pending: list[tuple[LoginToken, int]] = field(default_factory=list)
    tickets_issued: list[Issued] = field(default_factory=list)
    links_made: list[Link] = field(default_factory=list)
    responses: list[str] = field(default_factory=list)
    """What Ann's authenticator has signed."""
    kept: list[Kept] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    used: dict[str, set[str]] = field(default_factory=dict)
    """One-time thing → what each of its successes gave."""
    again: list[str] = field(default_factory=list)
    """What was used, and works again when everything has settled."""
    wrong: list[str] = field(default_factory=list)
    """What was seen to be wrong while it happened."""
    asked: dict[str, str] = field(default_factory=dict)
    """Flow → the session that asks to end all others."""

    def __post_init__(self) -> None:
        self.chance = random.Random(str(self.seed))
        self.turns = Turns(self.chance, serial=True)
        self.clock = Hands()
        self.store = ModelStore(self.turns, self.clock, self.adversary, self.chance)
        self.sql = ModelSql(self.turns, Slots(Secret(bytes(32))))
        self.names = Names(ISSUER)
        self.gate = Gate(self.store)
        self.events = Events(self.clock)
        options = SessionOptions(cap=100, ticket_origins=(SHOP,))
        self.codec = RecordCodec(RING.subkeys("record-mac"), ISSUER)
        self.sessions = Sessions(
            store=self.gate,
            names=self.names,
            codec=self.codec,
            truth=self.sql,
            clock=self.clock,
            chance=self.chance.randbytes,
            options=options,
            events=self.events,
        )
        self.tickets = Tickets(
            store=self.gate,
            sessions=self.sessions,
            seal=ticket_seal(RING),
            epoch=lambda: self.sql.epoch,
            clock=self.clock,
            chance=self.chance.randbytes,
            events=self.events,
        )
        self.login = self._login()
        self.links = self._links()
        self.passwordless = self._passwordless()
        self.families, self.consents = self._grants(self.gate)
        families, consents = self._grants(self.store)
        self.reconciler = Reconciler[Recent](
            store=self.store,
            truth=self.sql,
            tools=self.sessions.tools,
            clock=self.clock,
            events=self.events,
            steps=(families.reconcile, consents.reconcile),
        )

    # ── what people do ──

    async def sign_in(
        self,
        user: UserId = ANN,
        password: str = "p0",
        *,
        legacy: bool = False,
        over: LoginToken | None = None,
        keep: bool = False,
    ) -> None:
        """The login page, or ValidateLogin.  `over`: the browser has this session already."""
        options = self.sessions.options
        wish = Birth.legacy(options, via="portal") if legacy else Birth.browser(options, keep=keep)
        alive = await self._resolved(over) if over is not None else None
        outcome = await self.login.attempt(
            f"{user}@example.org", Secret(password), wish=wish, visit=VISIT, over=alive, child=self.child_of(alive)
        )
        match outcome:
            case SecondFactorNeeded(_, LoginToken() as pending):
                self.pending.append((pending, CHECKED_AT.get()))
            case LoggedIn(_, Born() as born):
                self.hand(born, CHECKED_AT.get(), over=alive)
                if born.device is not None:
                    self.kept.append(Kept(born.device.reveal(), self.handed[-2]))
            case _:
                pass

    async def give_code(self, number: int = 0) -> None:
        """The second step of the login that was left pending."""
        if len(self.pending) > number:
            pending, checked_at = self.pending[number]
            await self.finish(pending, checked_at)

    async def recover(self, number: int = 0) -> None:
        """The same with the recovery code that he has left."""
        if len(self.pending) > number:
            pending, checked_at = self.pending[number]
            shown = RecoveryCode(RECOVERY_CODE)
            outcome = await self.finish(pending, checked_at, shown)
            if isinstance(outcome, LoggedIn) and outcome.born is not None:
                self.used.setdefault("recovery code", set()).add(outcome.born.key)

    async def finish(self, pending: LoginToken, checked_at: int, shown: Shown | None = None) -> Outcome:
        """The same for one that is known."""
        code = authenticator.TOTP(TOTP_SECRET.reveal()).at(int(self.clock.now()))
        wish = Birth.browser(self.sessions.options)
        outcome = await self.login.finish(pending, shown or Code(code), wish=wish, visit=VISIT)
        if isinstance(outcome, LoggedIn) and outcome.born is not None:
            self.hand(outcome.born, checked_at)
            self.used.setdefault(f"pending {pending.sid}", set()).add(outcome.born.key)
        return outcome

    async def use(self, token: LoginToken) -> None:
        """A request, and its touch."""
        alive = await self._resolved(token)
        if alive is not None:
            await self.sessions.touch(alive)

    async def come_back(self) -> None:
        """A browser that stays signed in shows what it was given at first."""
        remembering = self.login.remembering
        if self.kept and remembering is not None:
            kept = self.kept[0]
            resumed = await remembering.resume(kept.secret, VISIT)
            if isinstance(resumed, Resumed):
                self.handed.append(replace(kept.under, token=resumed.token))
                self.used.setdefault(f"device {kept.under.session}", set()).add(self.names.session(resumed.token))

    async def go_elsewhere(self, token: LoginToken) -> None:
        """A child session on another host."""
        alive = await self._resolved(token)
        born = await self.sessions.child(alive, via="elsewhere") if alive is not None else None
        if isinstance(born, Born) and alive is not None:
            self.hand(born, next(each.checked_at for each in self.handed if each.token.sid == token.sid))

    async def take_ticket(self, token: LoginToken) -> None:
        """The person says at the issuer that he goes on to an app elsewhere."""
        alive = await self._resolved(token)
        wish = TicketWish(origin=SHOP, binding=digest(HELD), next="/")
        ticket = await self.tickets.issue(alive, wish, VISIT) if alive is not None else None
        if isinstance(ticket, LoginToken):
            under = next(each for each in self.handed if each.token.sid == token.sid)
            self.tickets_issued.append(Issued(ticket, under))

    async def bring_ticket(self, number: int = 0) -> None:
        """His browser brings it there."""
        if len(self.tickets_issued) > number:
            await self.redeem(self.tickets_issued[number])

    async def redeem(self, issued: Issued) -> Redeemed | Refused:
        """The same for one that is known."""
        text, under = issued.token.text.reveal(), issued.under
        outcome = await self.tickets.redeem(text, origin=SHOP, binding=HELD, via="shop", visit=VISIT)
        if isinstance(outcome, Redeemed):
            child = replace(under, token=outcome.token, child=True)
            self.handed.append(child)
            self.used.setdefault(f"ticket {issued.token.sid}", set()).add(self.names.session(outcome.token))
        return outcome

    async def sign_out(self, session: str, user: UserId = ANN) -> None:
        """The session ends, with all that was born under it."""
        await self.sessions.end(user, self.sql.slots.of_user(user), session, "you")
        self._say("ended", user, session)

    async def make_link(self) -> None:
        """An API caller asks for a link that signs Ann in."""
        user = await Judged(self.sql).by_id(ANN)
        assert user is not None
        token = await self.links.issue(user, SsoWish(target="/", via="portal", terms=SessionTerms()))
        if token is not None:
            self.links_made.append(Link(token, CHECKED_AT.get()))

    async def follow(self, number: int = 0) -> None:
        """A browser follows it."""
        if len(self.links_made) > number:
            await self.arrive_by(self.links_made[number])

    async def arrive_by(self, link: Link) -> bool:
        """The same for one that is known: whether it was good, be it for a second step."""
        offer = await self.links.look(link.token.text.reveal())
        outcome = await self.links.redeem(offer, VISIT) if isinstance(offer, Offer) else offer
        gave: str | None = None
        match outcome:
            case LoggedIn(_, Born() as born):
                self.hand(born, link.checked_at)
                gave = born.key
            case SecondFactorNeeded(_, LoginToken() as pending):
                self.pending.append((pending, link.checked_at))
                gave = self.names.pending(pending.tag, pending)
            case _:
                return False
        self.used.setdefault(f"link {link.token.sid}", set()).add(gave)
        return True

    def enrol_passkey(self) -> None:
        """Ann has one, and signs in by it alone."""
        AUTHENTICATOR.handle = handle_of(self.sql.add(ANN, second_factor="passkey"))
        self.sql.passkeys[AUTHENTICATOR.id] = PASSKEY

    def sign_a_challenge(self) -> None:
        """Ann's authenticator answers the login page."""
        self.responses.append(AUTHENTICATOR.sign(self.passwordless.request(HELD)))

    async def show(self, number: int = 0) -> bool:
        """That response, instead of a password; whether it opened."""
        arrival = Arrival(wish=Birth.browser(self.sessions.options), visit=VISIT)
        outcome = await self.passwordless.attempt(Assertion(self.responses[number], HELD), arrival)
        if not isinstance(outcome, LoggedIn) or outcome.born is None:
            return False
        self.hand(outcome.born, CHECKED_AT.get())
        self.used.setdefault(f"challenge {number}", set()).add(outcome.born.key)
        return True

    async def end_all(self, reason: StampReason = "password", *, password: str | None = "p1") -> None:
        """Another password, or the user is disabled: SQL, then the store."""
        await self.sql.change(ANN, reason, password=password)
        await self.sessions.publish_stamp(ANN, self.sql.slots.of_user(ANN))
        self._say("all ended", ANN)

    async def end_others(self, token: LoginToken) -> None:
        """All but this."""
        alive = await self._resolved(token)
        if alive is not None:
            self.asked[FLOW.get()] = alive.record.id
            kept = await self.sessions.end_others(alive)
            what: Any = "others ended" if isinstance(kept, Alive) else "kept lost"
            self._say(what, alive.record.uid, token.sid)

    async def reconcile(self) -> None:
        """One tick."""
        await self.reconciler.tick()

    # ── what is written down ──

    def hand(self, born: Born, checked_at: int, *, over: Alive | None = None) -> None:
        """Somebody holds these tokens from now on."""
        for token in filter(None, (born.token, born.child)):
            child = born.record.kind == "app" or token is born.child
            session = born.record.parent or born.record.id
            self.handed.append(Handed(token, born.record.uid, session, child, checked_at))
        if over is not None and over.record.id == born.record.id:
            self._say("rotated", born.record.uid, over.token.sid)

    def child_of(self, alive: Alive | None) -> LoginToken | None:
        """The app cookie that the browser has beside it."""
        session = alive.record.id if alive is not None else None
        return next((each.token for each in self.handed if each.session == session and each.child), None)

    def first(self) -> Handed:
        """What was handed first."""
        return self.handed[0]

    # ── how it runs ──

    async def prepare(self, *steps: Awaitable[None]) -> None:
        """Before the schedule: one after the other, and nothing goes wrong."""
        for step in steps:
            await step
        self.turns.step = 0
        self.turns.serial = False

    def arrive(self) -> None:
        """After the schedule: what is still on its way arrives."""
        while self.store.in_flight:
            self.store.deliver_one()

    async def settle(self) -> None:
        """Then the reconciler does its work, undisturbed; and whoever holds a one-time thing tries it once more."""
        self.adversary.losses = self.adversary.rollbacks = self.adversary.crashes = 0
        self.turns.serial = True
        await self.reconciler.tick()
        for pending, checked_at in self.pending:
            was_used = f"pending {pending.sid}" in self.used
            if isinstance(await self.finish(pending, checked_at), LoggedIn) and was_used:
                self.again.append("pending login")
        for issued in self.tickets_issued:
            was_used = f"ticket {issued.token.sid}" in self.used
            if isinstance(await self.redeem(issued), Redeemed) and was_used:
                self.again.append("ticket")
        for link in self.links_made:
            was_used = f"link {link.token.sid}" in self.used
            if await self.arrive_by(link) and was_used:
                self.again.append("link")
        for number in range(len(self.responses)):
            was_used = f"challenge {number}" in self.used
            if await self.show(number) and was_used:
                self.again.append("challenge")

    def between(self, waiting: Sequence[str]) -> str | None:
        """Between two turns: the store stirs, or a flow (never the reconciler's) crashes."""
        self.store.stir()
        flows = [name for name in waiting if not name.startswith("tick")]
        if flows and self.adversary.crashes and self.chance.random() < 0.03:
            self.adversary.crashes -= 1
            return self.chance.choice(flows)
        return None

    # ── how it is built ──

    async def _resolved(self, token: LoginToken) -> Alive | None:
        verdict = await self.sessions.resolve(token, "issuer", None)
        return verdict if isinstance(verdict, Alive) else None

    def _say(self, what: Any, user: UserId, about: str = "") -> None:
        self.told.append(Told(what, user, about, self.turns.step))
        for look in self.looks:
            look(self, self.told[-1])

    looks: list[Callable[["World", Told], None]] = field(default_factory=list)

    def _login(self) -> Login:
        series = Series(names=self.names, ring=RING, clock=self.clock, chance=self.chance.randbytes, seconds=86_400)
        entry = Entry(sessions=self.sessions, users=self.sql, series=series)
        throttle, watch = cast(Throttle, Free()), cast(Watch, Blind())
        options = LoginOptions(floor_ms=0)
        second_factor = SecondFactor(
            store=self.gate,
            names=self.names,
            codec=pending_codec(RING),
            users=self.sql,
            ways=Ways(
                factors=self.sql,
                passkeys=None,
                ledger=cast(Ledger, ModelLedger()),
                outbox=cast(Outbox, NoLetters()),
                clock=self.clock,
                skew=options.code_skew,
            ),
            entry=entry,
            throttle=throttle,
            watch=watch,
            epoch=lambda: self.sql.epoch,
            clock=self.clock,
            chance=self.chance.randbytes,
            options=options,
            events=self.events,
        )
        return Login(
            users=self.sql,
            second_factor=second_factor,
            entry=entry,
            throttle=throttle,
            watch=watch,
            arrivals=Nobody(),
            passwordless=None,
            remembering=Remembering(
                store=self.gate,
                names=self.names,
                series=series,
                users=self.sql,
                sessions=self.sessions,
                entry=entry,
                watch=watch,
                clock=self.clock,
                chance=self.chance.randbytes,
                events=self.events,
            ),
            options=options,
            events=self.events,
        )

    def _links(self) -> SingleSignOn:
        return SingleSignOn(
            store=self.gate,
            names=self.names,
            seal=sso_seal(RING),
            users=self.sql,
            rules=Open(),
            clients=cast(Any, None),  # no link of these has one
            entry=self.login.entry,
            second_factor=self.login.second_factor,
            epoch=lambda: self.sql.epoch,
            clock=self.clock,
            chance=self.chance.randbytes,
            options=LoginOptions(floor_ms=0),
            events=self.events,
        )

    def _passwordless(self) -> Passwordless:
        passkeys = Passkeys(
            party=PARTY,
            challenges=Challenges(
                ring=RING, clock=self.clock, chance=self.chance.randbytes, epoch=lambda: self.sql.epoch
            ),
            rows=self.sql,
            store=self.gate,
            names=self.names,
            letters=cast(Any, NoLetters()),
            clock=self.clock,
            chance=self.chance.randbytes,
        )
        return Passwordless(
            passkeys=passkeys,
            users=cast(UserBackend, Judged(self.sql)),
            entry=self.login.entry,
            throttle=cast(Throttle, Free()),
            watch=cast(Watch, Blind()),
            arrivals=Nobody(),
            events=self.events,
        )

    def _grants(self, store: Any) -> tuple[Families, Consents]:
        families = Families(store=store, names=self.names, truth=self.sql, clock=self.clock)
        return families, Consents(store=store, names=self.names, rows=self.sql, families=families)
