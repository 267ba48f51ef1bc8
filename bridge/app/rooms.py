"""Builds every room from a configuration, each with exactly its collaborators — DESIGN §4.

Nothing is opened here: making the rooms reads no file but the secrets' and reaches no server.
"""

from dataclasses import dataclass, replace
from typing import Final

from bridge.accounts.accounts import Accounts
from bridge.accounts.cached import CachedAccounts
from bridge.accounts.contacts import Contacts
from bridge.accounts.invites import Invites
from bridge.accounts.joining import Joining
from bridge.accounts.members import Members
from bridge.accounts.numbers import ClientNumbers
from bridge.accounts.single_sign_on import SingleSignOnRules
from bridge.clients.clients import Clients
from bridge.clients.credentials import Credentials
from bridge.clients.metadata import OFFERED, Offered
from bridge.clients.registrations import Registrations
from bridge.clients.roles import Roles
from bridge.clients.upkeep import ClientUpkeep
from bridge.clock import Chance, Clock
from bridge.config import Config
from bridge.config.keyfiles import keys_of
from bridge.database.consents import ConsentRows
from bridge.database.database import Database
from bridge.database.endings import Endings
from bridge.database.recent import Recent
from bridge.database.versions import VersionTable
from bridge.events.audit import AuditLog
from bridge.events.event import Events
from bridge.events.ledger import Ledger
from bridge.events.metrics import Metrics
from bridge.fetch.fetch import Fetch
from bridge.grants.consents import Consents, KnownAs
from bridge.grants.families import Families
from bridge.interactions.arrivals import HOUR, Arrivals
from bridge.interactions.interactions import Interactions
from bridge.keys.keyring import Keyring
from bridge.keys.rotation import Schedule
from bridge.login.assemble import assemble_login
from bridge.login.attempt import Login
from bridge.login.challenge import Challenges
from bridge.login.device import Devices
from bridge.login.enrolment import Enrolment
from bridge.login.passkeys import Passkeys
from bridge.login.relying_party import RelyingParty
from bridge.login.sso import SingleSignOn, sso_seal
from bridge.mint import TokenMint
from bridge.oidc.response_modes import offer_of
from bridge.outbox.farewells import Farewells
from bridge.outbox.outbox import Outbox
from bridge.outbox.patient import PatientOutbox
from bridge.resets.ask import ResetRequests
from bridge.resets.link import Links
from bridge.resets.sign_up import SigningUp
from bridge.ring import Ring
from bridge.sessions.cookie import Cookies
from bridge.sessions.reconciler import Reconciler
from bridge.sessions.record import RecordCodec
from bridge.sessions.sessions import Sessions
from bridge.sessions.stamp import draw_stamp
from bridge.sessions.tickets import Tickets, ticket_seal
from bridge.stores.gate import Gate
from bridge.stores.guard import Guard
from bridge.stores.store import Store
from bridge.stores.url import guard_on, open_store
from bridge.stores.versions import Versions
from bridge.tokens import Names, Slots
from bridge.users.cached import CachedUsers
from bridge.users.directory import UserDirectory
from bridge.users.email_changes import EmailChanges
from bridge.users.factors import SqlFactors
from bridge.users.last_logins import LastLogins
from bridge.users.passwords import Passwords
from bridge.users.policy import PasswordPolicy
from bridge.users.sign_ups import SignUps
from bridge.users.sql import DrawStamp, SqlUsers
from bridge.users.upkeep import UserUpkeep

_DAY: Final = 86_400
_LATE: Final = 60
"""Seconds by which workers' clocks and caches of keys may be late, and more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """All rooms of one bridge."""

    config: Config
    clock: Clock
    chance: Chance
    ring: Ring
    slots: Slots
    names: Names
    mint: TokenMint
    events: Events
    metrics: Metrics
    audit: AuditLog
    ledger: Ledger
    database: Database
    endings: Endings
    raw_store: Store
    store: Store
    guard: Guard
    versions: Versions
    users: SqlUsers
    factors: SqlFactors
    cached_users: CachedUsers
    user_directory: UserDirectory
    user_upkeep: UserUpkeep
    email_changes: EmailChanges
    last_logins: LastLogins
    policy: PasswordPolicy
    accounts: Accounts
    cached_accounts: CachedAccounts
    client_numbers: ClientNumbers
    members: Members
    invites: Invites
    joining: Joining
    contacts: Contacts
    clients: Clients
    client_upkeep: ClientUpkeep
    registrations: Registrations
    fetch: Fetch
    credentials: Credentials
    roles: Roles
    keyring: Keyring
    sessions: Sessions
    tickets: Tickets
    cookies: Cookies
    interactions: Interactions
    arrivals: Arrivals
    families: Families
    consents: Consents
    devices: Devices
    login: Login
    enrolment: Enrolment
    links_in: SingleSignOn
    outbox: Outbox
    farewells: Farewells
    letters: PatientOutbox
    links: Links
    resets: ResetRequests
    sign_ups: SignUps
    signing_up: SigningUp | None
    """None: nobody may make an account of his own."""
    reconciler: Reconciler[Recent]


def make_rooms(config: Config, *, clock: Clock, chance: Chance) -> Rooms:
    """Every room.  Raises ConfigError."""
    keys = keys_of(config)
    ring, slots, names = keys.ring, Slots(keys.slot), Names(config.base_url)
    events, metrics = Events(clock), Metrics()
    database = Database(config.database.url, clock)
    raw_store = open_store(config.store.url, clock=clock)
    store = Gate(raw_store)
    guard = guard_on(raw_store, clock=clock, workers=config.server.workers)
    outbox = Outbox(database, clock)
    farewells = Farewells(database, outbox)
    endings = Endings(database, clock, longest_life=_longest_life(config), leave=farewells.leave)
    # What the reconciler publishes it publishes while the gate is shut: those rooms hold the store behind it.
    versions = Versions(raw_store, names, VersionTable(database))
    passwords = Passwords(config.users, html_escaped=config.legacy.html_escaped_fallback)
    new_stamp: DrawStamp = lambda reason: draw_stamp(reason, chance)  # noqa: E731
    users = SqlUsers(
        db=database,
        passwords=passwords,
        ring=ring,
        slots=slots,
        clock=clock,
        chance=chance,
        draw_stamp=new_stamp,
        versions=versions,
        sub_is_number=config.legacy.sub_source == "user_id",
    )
    upkeep = UserUpkeep(users=users, clock=clock, draw_stamp=new_stamp)
    factors = SqlFactors(
        db=database,
        ring=ring,
        clock=clock,
        chance=chance,
        draw_stamp=new_stamp,
        authority=users.name,
    )
    sessions = Sessions(
        store=store,
        names=names,
        codec=RecordCodec(ring.subkeys("record-mac"), config.base_url),
        truth=endings,
        clock=clock,
        chance=chance,
        options=config.sessions,
        events=events,
    )
    last_logins = LastLogins(users.write_logins, clock)
    devices = Devices(ring=ring, clock=clock, chance=chance, days=config.login.device_days)
    audit = AuditLog(database, clock, config.events)
    letters = PatientOutbox(outbox)
    members = Members(database, clock)
    ledger = Ledger(db=database, audit=audit, events=events, versions=versions)
    party = RelyingParty.at(config.base_url, config.pages.brand_name)
    passkeys = (
        Passkeys(
            party=party,
            challenges=Challenges(ring=ring, clock=clock, chance=chance, epoch=lambda: endings.epoch),
            rows=factors,
            store=store,
            names=names,
            letters=letters,
            clock=clock,
            chance=chance,
        )
        if party is not None
        else None
    )
    rows = ConsentRows(database, leave=farewells.leave)
    families, consents = _grants(store, names, endings, rows, clock=clock, known_as=sessions.known_as)
    families_again, consents_again = _grants(raw_store, names, endings, rows, clock=clock)
    accounts = Accounts(db=database, upkeep=upkeep, clock=clock, options=config.accounts, draw=chance)
    cached_accounts = CachedAccounts(members, accounts, versions)
    invites = Invites(
        db=database,
        members=members,
        outbox=outbox,
        ring=ring,
        clock=clock,
        lifetime=config.accounts.invite_lifetime,
        draw=chance,
    )
    offered = _offered(config)
    clients = Clients(db=database, ring=ring, versions=versions, clock=clock, offered=offered)
    sign_ups = SignUps(db=database, ring=ring, clock=clock, lifetime=config.users.sign_up_lifetime, draw=chance)
    login = assemble_login(
        users=users,
        factors=factors,
        passkeys=passkeys,
        sessions=sessions,
        store=store,
        guard=guard,
        names=names,
        ring=ring,
        arrivals=last_logins,
        letters=letters,
        ledger=ledger,
        outbox=outbox,
        epoch=lambda: endings.epoch,
        clock=clock,
        chance=chance,
        options=config.login,
        events=events,
        took=metrics.login_took,
    )
    return Rooms(
        config=config,
        clock=clock,
        chance=chance,
        ring=ring,
        slots=slots,
        names=names,
        mint=TokenMint(ring),
        events=events,
        metrics=metrics,
        audit=audit,
        ledger=ledger,
        database=database,
        endings=endings,
        raw_store=raw_store,
        store=store,
        guard=guard,
        versions=versions,
        users=users,
        factors=factors,
        cached_users=CachedUsers(users, versions),
        user_directory=UserDirectory(database),
        user_upkeep=upkeep,
        email_changes=EmailChanges(
            db=database,
            users=users,
            ring=ring,
            clock=clock,
            draw_stamp=new_stamp,
            lifetime=config.users.email_change_lifetime,
            draw=chance,
        ),
        last_logins=last_logins,
        policy=PasswordPolicy(config.users),
        accounts=accounts,
        cached_accounts=cached_accounts,
        client_numbers=ClientNumbers(accounts=accounts, cached=cached_accounts, members=members, versions=versions),
        members=members,
        invites=invites,
        joining=Joining(invites=invites, accounts=accounts, users=users, upkeep=upkeep, ledger=ledger),
        contacts=Contacts(database, clock),
        clients=clients,
        client_upkeep=ClientUpkeep(db=database, clients=clients, clock=clock, offered=offered, draw=chance),
        fetch=Fetch(config.fetch),
        registrations=Registrations(
            db=database,
            clients=clients,
            ring=ring,
            clock=clock,
            offered=offered,
            require_pkce=config.oidc.registration_require_pkce,
            unused=config.oidc.registration_unused,
            draw=chance,
        ),
        credentials=Credentials(db=database, ring=ring, versions=versions, hasher=passwords, clock=clock),
        roles=Roles(db=database, versions=versions, clock=clock),
        keyring=Keyring(
            db=database, ring=ring, clock=clock, events=events, schedule=_key_schedule(config), versions=versions
        ),
        sessions=sessions,
        tickets=Tickets(
            store=store,
            sessions=sessions,
            seal=ticket_seal(ring),
            epoch=lambda: endings.epoch,
            clock=clock,
            chance=chance,
            events=events,
        ),
        cookies=Cookies(config.sessions, plain=config.dev),
        interactions=Interactions(store=store, names=names, ring=ring, clock=clock, chance=chance),
        arrivals=Arrivals(guard=guard, names=names, ring=ring, limit=config.oidc.visits_per_minute),
        families=families,
        consents=consents,
        devices=devices,
        login=login,
        links_in=SingleSignOn(
            store=store,
            names=names,
            seal=sso_seal(ring),
            users=users,
            rules=SingleSignOnRules(accounts=accounts, members=members),
            clients=clients,
            entry=login.entry,
            second_factor=login.second_factor,
            epoch=lambda: endings.epoch,
            clock=clock,
            chance=chance,
            options=config.login,
            events=events,
        ),
        enrolment=Enrolment(
            keeper=factors,
            passkeys=passkeys,
            authority=users,
            ledger=ledger,
            outbox=outbox,
            sessions=sessions,
            store=store,
            names=names,
            ring=ring,
            clock=clock,
            chance=chance,
            skew=config.login.code_skew,
        ),
        outbox=outbox,
        farewells=farewells,
        letters=letters,
        links=Links(ring=ring, clock=clock, lifetime=config.resets.lifetime),
        resets=ResetRequests(
            users=users, outbox=outbox, guard=guard, names=names, ring=ring, events=events, options=config.resets
        ),
        sign_ups=sign_ups,
        signing_up=SigningUp(
            rows=sign_ups,
            users=users,
            upkeep=upkeep,
            ledger=ledger,
            db=database,
            outbox=outbox,
            visitors=Arrivals(
                guard=guard,
                names=names,
                ring=ring,
                limit=config.users.sign_ups_per_visitor,
                seconds=HOUR,
                what="sign-up-visitor",
            ),
            guard=guard,
            names=names,
            ring=ring,
            events=events,
            options=config.users,
        )
        if config.users.sign_up
        else None,
        reconciler=Reconciler(
            store=raw_store,
            gate=store,
            truth=endings,
            tools=sessions.tools,
            clock=clock,
            events=events,
            steps=(families_again.reconcile, consents_again.reconcile, versions.republish),
        ),
    )


def _key_schedule(config: Config) -> Schedule:
    """A key that does not sign any more is still there for the hints of whoever is signed in."""
    before = config.oidc.jwks_max_age + _LATE
    return Schedule(
        every=config.oidc.key_rotation,
        before=before,
        after=max(config.oidc.id_token, config.sessions.longest) + before,
    )


def _offered(config: Config) -> Offered:
    """What clients may register for."""
    offer = offer_of(config.oidc)
    return replace(
        OFFERED, grant_types=OFFERED.grant_types | {*offer.grant_types}, response_types=frozenset(offer.types)
    )


def _longest_life(config: Config) -> float:
    """Seconds that a session or a grant lives at most, and a day for clocks that differ."""
    grants = config.grants
    return max(config.sessions.longest, grants.code + max(grants.access, grants.refresh_absolute)) + _DAY


def _grants(
    store: Store, names: Names, endings: Endings, rows: ConsentRows, *, clock: Clock, known_as: KnownAs | None = None
) -> tuple[Families, Consents]:
    families = Families(store=store, names=names, truth=endings, clock=clock)
    return families, Consents(store=store, names=names, rows=rows, families=families, known_as=known_as)
