"""A login with everything that it stands on, and hands on its clock."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from ipaddress import ip_address

from pyotp import totp as authenticator

from bridge.clock import chance
from bridge.database.database import Database
from bridge.database.endings import Endings
from bridge.events.audit import AuditLog
from bridge.events.event import Event, Events
from bridge.events.ledger import Deed, Ledger
from bridge.events.options import EventsOptions
from bridge.login.assemble import assemble_login
from bridge.login.challenge import Challenges
from bridge.login.device import Devices
from bridge.login.enrolment import Enrolment
from bridge.login.options import LoginOptions
from bridge.login.outcome import LoggedIn, Outcome, SecondFactorNeeded
from bridge.login.passkeys import Passkeys
from bridge.login.relying_party import RelyingParty
from bridge.login.shown import Code, RecoveryCode
from bridge.outbox.outbox import Outbox
from bridge.ring import MasterKey, Ring
from bridge.secret import Secret
from bridge.sessions.birth import Birth, Born
from bridge.sessions.judge import Alive, Dead
from bridge.sessions.options import SessionOptions
from bridge.sessions.record import RecordCodec
from bridge.sessions.sessions import Sessions
from bridge.sessions.stamp import draw_stamp
from bridge.stores.guard import Guard, MemoryGuard
from bridge.stores.memory import MemoryStore
from bridge.stores.store import Store
from bridge.testing.hands import Hands
from bridge.tokens import LoginToken, Names, Slots
from bridge.types import IPAddress, UserId, Visit
from bridge.users.backend import Answer, Capability, UserBackend
from bridge.users.factors import FactorsChanged, SqlFactors
from bridge.users.options import UserOptions
from bridge.users.passwords import Passwords
from bridge.users.sql import SqlUsers
from bridge.users.user import User

EMAIL = "Ada@Example.com"
PASSWORD = Secret("correct horse battery")
WRONG = Secret("wrong horse battery")
NEW = Secret("another one entirely")
TOTP = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
CHEAP = UserOptions(argon2_memory=8, argon2_passes=1)
IP = ip_address("192.0.2.7")
BROWSER = Visit("pages", ip=IP, user_agent="Firefox")
PORTAL = Visit("legacy", ip=IP, caller="portal")


class Heard:
    """Remembers what was told."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def hear(self, event: Event) -> None:
        self.events.append(event)

    def told(self, *kinds: str) -> list[tuple[str, str]]:
        """Kind and reason of each event of these kinds."""
        return [(event.kind, event.reason) for event in self.events if event.kind in kinds]


class Silent:
    """Nobody else is to be told that something changed."""

    async def publish(self, name: str) -> None: ...


class Arrivals:
    """Who came in."""

    def __init__(self) -> None:
        self.noted: list[tuple[UserId, IPAddress | None]] = []

    def note(self, user: UserId, ip: IPAddress | None) -> None:
        self.noted.append((user, ip))


class Letters:
    """What was left for the owner: purpose, user, and how many failures it tells of."""

    def __init__(self) -> None:
        self.left: list[tuple[str, UserId, Mapping[str, str]]] = []

    async def put(self, purpose: str, user: UserId, payload: Mapping[str, str]) -> None:
        self.left.append((purpose, user, payload))

    @property
    def purposes(self) -> list[str]:
        return [purpose for purpose, _, _ in self.left]


class Between:
    """The users, with something that happens between the check of a password and the birth of the session."""

    capabilities: Capability

    def __init__(self, users: UserBackend) -> None:
        self.name, self.capabilities, self.by_id, self.by_email = (
            users.name,
            users.capabilities,
            users.by_id,
            users.by_email,
        )
        self._users = users
        self.checks = 0
        self.then: Callable[[], Awaitable[object]] | None = None

    async def authenticate(self, email: str, password: Secret) -> Answer:
        self.checks += 1
        answer = await self._users.authenticate(email, password)
        if (then := self.then) is not None:
            self.then = None
            await then()
        return answer


class House:
    """One instance: users in SQL, everything else as given."""

    def __init__(
        self,
        db: Database,
        *,
        store: Store | None = None,
        guard: Guard | None = None,
        options: LoginOptions | None = None,
        backend: UserBackend | None = None,
        hashing: UserOptions | None = None,
        issuer: str = "https://login.example.com",
    ) -> None:
        self.db = db
        self.clock = Hands()
        self.options = options or LoginOptions(floor_ms=0)
        self.store = store or MemoryStore(self.clock)
        self.names = Names(issuer)
        self.heard = Heard()
        self.events = Events(self.clock, self.heard)
        self.endings = Endings(db, self.clock)
        self.ring = Ring([MasterKey("k1", Secret(b"m" * 32))])
        self.hashes: Counter[str] = Counter()
        self.pauses: list[float] = []
        self.arrivals = Arrivals()
        self.letters = Letters()
        self.users = SqlUsers(
            db=db,
            passwords=Passwords(hashing or CHEAP, count=lambda name: self.hashes.update([name])),
            ring=self.ring,
            slots=Slots(Secret(b"s" * 32)),
            clock=self.clock,
            chance=chance,
            draw_stamp=draw_stamp,
            versions=Silent(),
        )
        self.factors = SqlFactors(
            db=db, ring=self.ring, clock=self.clock, chance=chance, draw_stamp=draw_stamp, authority="bridge"
        )
        audit = AuditLog(db, self.clock, EventsOptions())
        self.ledger = Ledger(db=db, audit=audit, events=self.events, versions=Silent())
        self.outbox = Outbox(db, self.clock)
        self.session_options = SessionOptions()
        self.codec = RecordCodec(self.ring.subkeys("record-mac"), issuer)
        self.sessions = Sessions(
            store=self.store,
            names=self.names,
            codec=self.codec,
            truth=self.endings,
            clock=self.clock,
            chance=chance,
            options=self.session_options,
            events=self.events,
        )
        self.devices = Devices(ring=self.ring, clock=self.clock, chance=chance, days=self.options.device_days)
        self.backend = Between(backend or self.users)
        party = RelyingParty.at(issuer, "Acme")
        assert party is not None
        self.passkeys = Passkeys(
            party=party,
            challenges=Challenges(ring=self.ring, clock=self.clock, chance=chance, epoch=lambda: self.endings.epoch),
            rows=self.factors,
            store=self.store,
            names=self.names,
            letters=self.letters,
            clock=self.clock,
            chance=chance,
        )
        self.login = assemble_login(
            users=self.backend,
            factors=self.factors,
            passkeys=self.passkeys,
            sessions=self.sessions,
            store=self.store,
            guard=guard or MemoryGuard(self.clock),
            names=self.names,
            ring=self.ring,
            arrivals=self.arrivals,
            letters=self.letters,
            ledger=self.ledger,
            outbox=self.outbox,
            epoch=lambda: self.endings.epoch,
            clock=self.clock,
            chance=chance,
            options=self.options,
            events=self.events,
            pause=self._pause,
            monotonic=lambda: 0.0,
        )
        self.enrolment = Enrolment(
            keeper=self.factors,
            passkeys=self.passkeys,
            authority=self.users,
            ledger=self.ledger,
            outbox=self.outbox,
            sessions=self.sessions,
            store=self.store,
            names=self.names,
            ring=self.ring,
            clock=self.clock,
            chance=chance,
            skew=self.options.code_skew,
        )

    async def open(self) -> None:
        await self.endings.recent(None)

    @property
    def wish(self) -> Birth:
        return Birth.browser(self.session_options)

    @property
    def legacy_wish(self) -> Birth:
        return Birth.legacy(self.session_options, via="portal")

    async def ada(self, *, totp: bool = False, email: str = EMAIL) -> User:
        return await self.users.create(email=email, password=PASSWORD, totp=Secret(TOTP) if totp else None)

    async def row(self, user: User) -> User:
        found = await self.users.by_id(user.id)
        assert found is not None
        return found

    async def attempt(
        self, password: Secret = PASSWORD, *, email: str = EMAIL, visit: Visit = BROWSER, over: Alive | None = None
    ) -> Outcome:
        """What the login page does, or ValidateLogin, as the door of `visit` says."""
        wish = self.legacy_wish if visit.door == "legacy" else self.wish
        return await self.login.attempt(email, password, wish=wish, visit=visit, over=over)

    async def finish(
        self, pending: LoginToken, code: str, *, visit: Visit = BROWSER, over: Alive | None = None
    ) -> Outcome:
        return await self.login.finish(pending, Code(code), wish=self.wish, visit=visit, over=over)

    async def recover(self, pending: LoginToken, code: str) -> Outcome:
        """The same with a recovery code."""
        return await self.login.finish(pending, RecoveryCode(Secret(code)), wish=self.wish, visit=BROWSER)

    async def done(self, change: Callable[[Deed], Awaitable[FactorsChanged | None]]) -> FactorsChanged:
        """A change of factors, by nobody's session."""
        changed = await self.ledger.do(BROWSER, change)
        assert changed is not None
        return changed

    async def set_totp(self, user: User) -> FactorsChanged:
        """From now on he owes a code of TOTP."""
        return await self.done(lambda deed: self.factors.set_totp(deed, user.id, Secret(TOTP)))

    async def pending(self) -> LoginToken:
        outcome = await self.attempt()
        assert isinstance(outcome, SecondFactorNeeded) and outcome.pending is not None
        return outcome.pending

    def code(self, *, later: float = 0) -> str:
        """The code that the authenticator shows now, or shows then."""
        return authenticator.TOTP(TOTP).at(int(self.clock.now() + later))

    def wrong_code(self) -> str:
        near = {self.code(later=30 * step) for step in range(-2, 3)}
        return next(code for code in (f"{n:06}" for n in range(10)) if code not in near)

    async def alive(self, token: LoginToken) -> Alive | Dead:
        """What the issuer's pages make of it."""
        return await self.sessions.resolve(token, "issuer", IP)

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)


def born(outcome: Outcome) -> Born:
    """The session of a login that succeeded."""
    assert isinstance(outcome, LoggedIn) and outcome.born is not None, outcome
    return outcome.born
