"""The login put together from what it stands on."""

import time
from collections.abc import Callable

import anyio

from bridge.clock import Chance, Clock
from bridge.events.event import Events
from bridge.events.ledger import Ledger
from bridge.login.attempt import Login
from bridge.login.device import Devices
from bridge.login.entry import Arrivals, Entry
from bridge.login.options import LoginOptions
from bridge.login.passkeys import Passkeys
from bridge.login.passwordless import Passwordless
from bridge.login.pending import pending_codec
from bridge.login.remembering import Remembering
from bridge.login.second_factor import SecondFactor
from bridge.login.series import Series
from bridge.login.throttle import Pause, Throttle
from bridge.login.watch import Queue, Watch
from bridge.login.ways import Factors, Ways
from bridge.outbox.outbox import Outbox
from bridge.ring import Ring
from bridge.sessions.sessions import Sessions
from bridge.stores.guard import Guard
from bridge.stores.store import Store
from bridge.tokens import Names
from bridge.users.backend import UserBackend


def assemble_login(
    *,
    users: UserBackend,
    factors: Factors,
    passkeys: Passkeys | None,
    sessions: Sessions,
    store: Store,
    guard: Guard,
    names: Names,
    ring: Ring,
    arrivals: Arrivals,
    letters: Queue,
    ledger: Ledger,
    outbox: Outbox,
    epoch: Callable[[], int],
    clock: Clock,
    chance: Chance,
    options: LoginOptions,
    events: Events,
    pause: Pause = anyio.sleep,
    monotonic: Callable[[], float] = time.monotonic,
    took: Callable[[float], object] = lambda _: None,
) -> Login:
    """A `Login`.  `epoch`: the store's, as SQL last said it; `arrivals`: `LastLogins`; `letters`: `PatientOutbox`;
    `took`: `Metrics.login_took`."""
    series = _series(sessions, names, ring, clock, chance)
    entry = Entry(sessions=sessions, users=users, series=series)
    devices = Devices(ring=ring, clock=clock, chance=chance, days=options.device_days)
    throttle = Throttle(guard=guard, names=names, ring=ring, devices=devices, options=options, pause=pause)
    watch = Watch(guard=guard, names=names, ring=ring, devices=devices, queue=letters, clock=clock, options=options)
    second_factor = SecondFactor(
        store=store,
        names=names,
        codec=pending_codec(ring),
        users=users,
        ways=Ways(
            factors=factors,
            passkeys=passkeys,
            ledger=ledger,
            outbox=outbox,
            clock=clock,
            skew=options.code_skew,
        ),
        entry=entry,
        throttle=throttle,
        watch=watch,
        epoch=epoch,
        clock=clock,
        chance=chance,
        options=options,
        events=events,
    )
    passwordless = (
        Passwordless(
            passkeys=passkeys,
            users=users,
            entry=entry,
            throttle=throttle,
            watch=watch,
            arrivals=arrivals,
            events=events,
        )
        if passkeys is not None
        else None
    )
    remembering = (
        Remembering(
            store=store,
            names=names,
            series=series,
            users=users,
            sessions=sessions,
            entry=entry,
            watch=watch,
            clock=clock,
            chance=chance,
            events=events,
        )
        if series is not None
        else None
    )
    return Login(
        users=users,
        second_factor=second_factor,
        entry=entry,
        throttle=throttle,
        watch=watch,
        arrivals=arrivals,
        passwordless=passwordless,
        remembering=remembering,
        options=options,
        events=events,
        pause=pause,
        monotonic=monotonic,
        took=took,
    )


def _series(sessions: Sessions, names: Names, ring: Ring, clock: Clock, chance: Chance) -> Series | None:
    options = sessions.options
    if not options.keep_signed_in:
        return None
    seconds = min(options.keep_signed_in_seconds, options.longest)
    return Series(names=names, ring=ring, clock=clock, chance=chance, seconds=seconds)
