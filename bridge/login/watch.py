"""The owner is told of a sign-in that may not be his: on a device that we do not know, or after many failures — A9.

Birth, letter, answer, in this order: nobody holds a session whose letter was not left before.  Each letter takes a
right password, so who knows none cannot make us write; and there are only so many a day.
"""

import asyncio
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from typing import Final, Protocol

from bridge.clock import Clock
from bridge.errors import Unavailable
from bridge.login.device import Devices
from bridge.login.entry import Arrival
from bridge.login.options import LoginOptions
from bridge.outbox.notices import DEVICE_COPIED, MANY_FAILURES, NEW_DEVICE, payload
from bridge.ring import Ring
from bridge.secret import mac
from bridge.stores.guard import Guard, Window
from bridge.tokens import Names
from bridge.types import UserId, Visit
from bridge.users.user import User

_DAY: Final = 86_400.0
_NO_LIMIT: Final = 1_000_000_000


class Queue(Protocol):
    """Where letters are left; `PatientOutbox` is one."""

    async def put(self, purpose: str, user: UserId, payload: Mapping[str, str]) -> object:
        """Never fails."""
        ...


class Watch:
    """Counts what fails, and tells the owner what succeeded.  Nothing of it can make a login fail."""

    def __init__(
        self,
        *,
        guard: Guard,
        names: Names,
        ring: Ring,
        devices: Devices,
        queue: Queue,
        clock: Clock,
        options: LoginOptions,
    ) -> None:
        self._guard = guard
        self._names = names
        self._key = ring.newest.derive("limiter")
        self._devices = devices
        self._queue = queue
        self._clock = clock
        self._options = options

    async def failed(self, user: UserId | None) -> None:
        """A wrong password or code.  Accounts that do not exist have one count together: it costs the same."""
        with suppress(Unavailable):
            await self._guard.admit((self._failures(user),))

    def look(self, user: User) -> "asyncio.Task[int]":
        """Ask how often it failed while what his password opens is being made: one write tells the store both."""
        return asyncio.create_task(self._count(user))

    async def came_in(
        self, user: User, visit: Visit, arrival: Arrival | None, failed: Awaitable[int] | None = None
    ) -> None:
        """He proved who he is; `arrival`: and got a session.  At most one letter: the graver, where both are due.

        `failed`: what `look` began.
        """
        failures = await (failed or self._count(user))
        if failures >= self._options.many_failures and await self._may_write(MANY_FAILURES, user):
            await self._queue.put(MANY_FAILURES, user.id, payload(visit, self._clock.now(), failures=failures))
            with suppress(Unavailable):
                await self._guard.clear(self._failures(user.id).key)  # he knows of these
        elif arrival is not None and self._is_new(user, arrival) and await self._may_write(NEW_DEVICE, user):
            await self._queue.put(NEW_DEVICE, user.id, payload(visit, self._clock.now()))

    async def device_copied(self, user: User, visit: Visit) -> None:
        """Somebody showed what kept a device of his signed in, and somebody else had used it since."""
        if await self._may_write(DEVICE_COPIED, user):
            await self._queue.put(DEVICE_COPIED, user.id, payload(visit, self._clock.now()))

    def _is_new(self, user: User, arrival: Arrival) -> bool:
        """A browser with neither mark nor session of his.

        Not at the first sign-in of all: every device is new then, and a letter to each new customer, on the day of an
        import to all of them, is one that nobody reads the next time.
        """
        if arrival.wish.kind != "op" or user.last_login_at is None:
            return False
        if arrival.over is not None and arrival.over.record.uid == user.id:
            return False
        return self._devices.device(arrival.visit.device, user.email) is None

    async def _count(self, user: User) -> int:
        try:
            return await self._guard.count(self._failures(user.id))
        except Unavailable:
            return 0

    async def _may_write(self, purpose: str, user: User) -> bool:
        try:
            return await self._guard.admit((self._window(purpose, user.id, self._options.notices_per_day),)) <= 0
        except Unavailable:  # a letter too many rather than none
            return True

    def _failures(self, user: UserId | None) -> Window:
        return self._window("failures", user, _NO_LIMIT)

    def _window(self, purpose: str, user: UserId | None, limit: int) -> Window:
        name = mac(self._key, purpose, "" if user is None else str(user)).hex()[:32]
        return Window(self._names.limiter(name), limit, _DAY)
