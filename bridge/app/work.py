"""What one worker does beside its requests — DESIGN §5, §8; security §3, §20."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Final

from bridge.accounts.invites import PURPOSE as INVITE
from bridge.accounts.send import InviteSender
from bridge.app.chores import Chores
from bridge.app.claim import claim
from bridge.app.leaving import SIGN_OUT, LateSignOuts
from bridge.app.rooms import Rooms
from bridge.app.telling import Outage
from bridge.clients.client import Client
from bridge.errors import Unavailable
from bridge.grants.restamped import EVERY, Restamped
from bridge.oidc import backchannel_logout
from bridge.oidc.backchannel_logout import BackChannelLogout
from bridge.oidc.client_keys import ClientKeys
from bridge.oidc.client_tokens import ClientTokens
from bridge.outbox.farewells import BACKCHANNEL_LOGOUT, once_of
from bridge.outbox.notices import Notices
from bridge.outbox.post import Post
from bridge.outbox.worker import OutboxWorker, Sender
from bridge.pages.paths import PLACES
from bridge.resets.ask import PURPOSE as RESET
from bridge.resets.send import ResetSender
from bridge.sessions import reconciler
from bridge.types import ClientId, Subject, UserId
from bridge.users.send import EmailChangeSender, SignUpSender
from bridge.users.sign_ups import SIGN_UP

KEYS_EVERY: Final = 0.5
TEND_EVERY: Final = 60.0
CLAIM_EVERY: Final = 60.0
SWEEP_AFTER: Final = 60.0
SWEEP_EVERY: Final = 3_600.0
DRAIN_SECONDS: Final = 4.0
"""For each kind of thing that was begun and must not be lost, at shut-down."""
TELLING_SECONDS: Final = 2.0
"""For which somebody who signs out waits until the apps know it."""
_OUTBOX: Final = "the outbox"
_COURIER: Final = "the farewells"


class Work:
    """The chores of one worker, and what must be finished before it closes."""

    def __init__(self, rooms: Rooms, *, post: Post) -> None:
        self._rooms = rooms
        self._post = post
        self._begin_anew()

    def begin(self) -> None:
        """The chores, in this event loop."""
        self._begin_anew()
        self._chores.begin()

    async def check(self) -> None:
        """Raise `Unavailable` while a chore is failing."""
        await self._chores.check()

    @property
    def letters_waiting(self) -> int:
        """What the outbox had to deliver when it last counted."""
        return self._outbox.waiting

    @property
    def farewells_waiting(self) -> int:
        """Apps that were still to be told of a sign-out, when it last counted."""
        return self._courier.waiting if self._courier else 0

    @property
    def farewells_dead(self) -> int:
        """Apps that could not be told."""
        return self._courier.dead if self._courier else 0

    @property
    def letters_dead(self) -> int:
        """What it had given up."""
        return self._outbox.dead

    async def finish(self) -> None:
        """What requests began and was not part of their answers (touches, resets that were asked for), the letters that
        are being sent, and the rows that wait."""
        rooms = self._rooms
        await _within(DRAIN_SECONDS, asyncio.gather(rooms.sessions.finish(), rooms.resets.close()))
        if rooms.signing_up is not None:
            await _within(DRAIN_SECONDS, rooms.signing_up.close())
        self._outbox.stop()
        if self._courier is not None:
            self._courier.stop()
            await _within(DRAIN_SECONDS, self._courier.settled())
            await self._chores.left(_COURIER, DRAIN_SECONDS)
        await self._chores.left(_OUTBOX, DRAIN_SECONDS)
        await _within(DRAIN_SECONDS, self._chores.end())
        await _within(DRAIN_SECONDS, rooms.audit.close())
        await _within(DRAIN_SECONDS, rooms.letters.close())

    async def tell(self, clients: Iterable[tuple[ClientId, str]]) -> None:
        """Tell these clients, with what they know the session by, of its end, as far as they are to be told; what does
        not get there soon is tried again."""
        if self._courier is not None:
            with suppress(Unavailable):
                await self._courier.hurry([once_of(client, sid) for client, sid in clients], TELLING_SECONDS)

    def _begin_anew(self) -> None:
        rooms = self._rooms
        self._outbox = self._new_outbox()
        self._courier = self._new_courier() if rooms.config.oidc.enabled else None
        telling = {_COURIER: self._courier.run, "the watch over stamps": self._follow_stamps} if self._courier else {}
        self._chores = Chores(
            {
                **telling,
                "the reconciler": self._reconcile,
                "the watch over versions": rooms.versions.run,
                "the watch over keys": self._follow_keys,
                "the keys' schedule": self._tend_keys,
                "the watch over the store's owner": self._stay_the_owner,
                _OUTBOX: self._outbox.run,
                "the audit": rooms.audit.run,
                "the note of logins": rooms.last_logins.run,
                "the letters about logins": rooms.letters.run,
                "the sweep": self._sweep,
            }
        )

    async def _reconcile(self) -> None:
        outage = Outage(self._rooms.reconciler.tick)
        while True:
            await asyncio.sleep(reconciler.EVERY)  # first: the bridge opened with a tick
            await outage.once()

    async def _follow_keys(self) -> None:
        """Another worker, or the command line, changed the keys: read them again, within two seconds."""
        seen: bytes | None = None
        while True:
            await asyncio.sleep(KEYS_EVERY)  # first: the bridge opened with today's keys
            token = self._rooms.versions.token("keys")
            if token is not None and token != seen:
                with suppress(Unavailable):
                    await self._rooms.keyring.refresh()
                    seen = token  # from before: what changed meanwhile has another

    async def _tend_keys(self) -> None:
        """New signing keys come and old ones go; of all workers one does it."""
        while True:
            with suppress(Unavailable):
                await self._rooms.keyring.tend()
            await asyncio.sleep(TEND_EVERY)

    async def _follow_stamps(self) -> None:
        """Whose sessions ended all at once: their apps are to be told."""
        rooms = self._rooms
        restamped = Restamped(
            store=rooms.store,
            tools=rooms.sessions.tools,
            truth=rooms.endings,
            clock=rooms.clock,
            leave=rooms.farewells.leave_now,
        )
        while True:
            with suppress(Unavailable):
                await restamped.tick()
            await asyncio.sleep(EVERY)

    async def _stay_the_owner(self) -> None:
        """A store that lost everything has lost our claim too."""
        rooms = self._rooms
        while True:
            await asyncio.sleep(CLAIM_EVERY)
            with suppress(Unavailable):
                await claim(rooms.raw_store, rooms.names, rooms.slots)

    async def _sweep(self) -> None:
        """Forget, once an hour, what could no longer matter."""
        await asyncio.sleep(SWEEP_AFTER)
        while True:
            for forget in self._forgetting():
                with suppress(Unavailable):
                    await forget()
            await asyncio.sleep(SWEEP_EVERY)

    def _forgetting(self) -> Sequence[Callable[[], Awaitable[object]]]:
        rooms = self._rooms
        return (
            rooms.endings.sweep,
            rooms.audit.forget,
            self._outbox.forget,
            rooms.invites.forget,
            rooms.email_changes.forget,
            rooms.sign_ups.forget,
            rooms.registrations.forget,
        )

    def _new_outbox(self) -> OutboxWorker:
        rooms = self._rooms
        resets = ResetSender(
            users=rooms.users,
            links=rooms.links,
            post=self._post,
            events=rooms.events,
            base_url=rooms.config.base_url,
        )
        notices = Notices(
            users=rooms.users.by_id,
            post=self._post,
            reset_page=f"{rooms.config.base_url}{PLACES['reset']}",
            account_page=f"{rooms.config.base_url}{PLACES['account']}",
        )
        base_url = rooms.config.base_url
        invites = InviteSender(invites=rooms.invites, users=rooms.users, post=self._post, base_url=base_url)
        changes = EmailChangeSender(changes=rooms.email_changes, users=rooms.users, post=self._post, base_url=base_url)
        sign_ups = SignUpSender(
            sign_ups=rooms.sign_ups,
            users=rooms.users,
            post=self._post,
            sign_in_page=f"{base_url}{PLACES['login']}",
            base_url=base_url,
        )
        senders: dict[str, Sender] = {
            **notices.senders,
            RESET: resets,
            INVITE: invites,
            **changes.senders,
            SIGN_UP: sign_ups,
            SIGN_OUT: LateSignOuts(outbox=rooms.outbox, sessions=rooms.sessions).send,
        }
        return OutboxWorker(
            rooms.database, senders, rooms.clock, rooms.events, rooms.config.mail, but=(BACKCHANNEL_LOGOUT,)
        )

    def _wrap(self) -> ClientTokens:
        rooms = self._rooms
        keys = ClientKeys(fetch=rooms.fetch, clock=rooms.clock, symmetric_secret=rooms.clients.symmetric_secret)
        return ClientTokens(issuer=rooms.config.base_url, keys=rooms.keyring, client_keys=keys)

    def _new_courier(self) -> OutboxWorker:
        """A worker of its own: no letter waits for an app's server."""
        rooms = self._rooms

        async def subject_of(user: UserId, client: Client) -> Subject | None:
            found = await rooms.cached_users.by_id(user)
            return None if found is None else rooms.slots.subject_for(client.sector, found.sub)

        sender = BackChannelLogout(
            issuer=rooms.config.base_url,
            clients=rooms.clients,
            subject_of=subject_of,
            keys=rooms.keyring,
            wrap=self._wrap(),
            fetch=rooms.fetch,
            clock=rooms.clock,
            chance=rooms.chance,
            events=rooms.events,
        )
        return OutboxWorker(
            rooms.database,
            {BACKCHANNEL_LOGOUT: sender.send},
            rooms.clock,
            rooms.events,
            rooms.config.mail,
            only=(BACKCHANNEL_LOGOUT,),
            pauses=backchannel_logout.PAUSES,
            at_once=backchannel_logout.AT_ONCE,
            given_up="logout.failed",
        )


async def _within(seconds: float, work: Awaitable[object]) -> None:
    """Do it, or leave it when it takes too long: a server that hangs must not keep this process alive."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await work
