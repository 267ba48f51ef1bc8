"""How often somebody may guess — sessions-and-accounts §8.1, security §23.

An attempt is counted when it is admitted and given back when it was no wrong password, so that parallel guesses cannot
slip through.  Names in the store are HMACs: it holds no address of anybody.
"""

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Final

from msgspec import Struct

from bridge.login.device import Devices
from bridge.login.line import Lines
from bridge.login.options import LoginOptions
from bridge.login.under_way import UnderWay
from bridge.ring import Ring
from bridge.secret import mac
from bridge.stores.guard import Guard, Window
from bridge.tokens import Names
from bridge.types import IPAddress, UserId, Visit
from bridge.users.email import email_key

_MINUTE: Final = 60.0
_FIVE: Final = 300.0
_HOUR: Final = 3600.0

Pause = Callable[[float], Awaitable[None]]


class Admitted(Struct, frozen=True):
    """One attempt, counted in these windows."""

    windows: tuple[Window, ...]
    cap: Window | None = None
    """The account's cap through the legacy API, unless it was reached."""


class Blocked(Struct, frozen=True):
    """Not now; nothing was counted."""

    wait: float
    """Seconds."""


class Throttle:
    """Admits attempts at passwords and codes.  Every method raises `Unavailable` when nothing can be counted."""

    def __init__(
        self, *, guard: Guard, names: Names, ring: Ring, devices: Devices, options: LoginOptions, pause: Pause
    ) -> None:
        """`pause`: lets that many seconds pass."""
        self._guard = guard
        self._names = names
        self._key = ring.newest.derive("limiter")
        self._devices = devices
        self._options = options
        self._lines = Lines(pause=pause)
        self._under_way = UnderWay()

    async def password(self, email: str, visit: Visit) -> Admitted | Blocked:
        """One attempt at that account's password.  Through the legacy API it may be delayed."""
        # What is no address is an account as well, which nobody has: it counts like one.
        account = email_key(email) or email[:320]
        if visit.door in ("legacy", "local"):
            return await self._through_caller(account, visit)
        return await self._admit(*self._browser(account, visit), *self._addresses("", visit.ip))

    async def code(self, user: UserId) -> Admitted | Blocked:
        """One attempt at that user's second factor."""
        name = self._name("code", str(user))
        return await self._admit(
            self._window(name, "5", self._options.codes_per_5_minutes, _FIVE),
            self._window(name, "h", self._options.codes_per_hour, _HOUR),
        )

    async def passkey(self, visit: Visit) -> Admitted | Blocked:
        """One attempt with a passkey alone: whose it is shows when it is checked."""
        return await self._admit(*self._addresses("", visit.ip))

    async def settle(self, admitted: Admitted, *, wrong: bool) -> None:
        """It is over.  Unless it was `wrong` (a success, or somebody else's error) it does not count."""
        try:
            if not wrong:
                await self._guard.refund((*admitted.windows, *([admitted.cap] if admitted.cap else ())))
        finally:
            self._under_way.land(_keys(admitted.windows), freed=not wrong)

    async def _through_caller(self, account: str, visit: Visit) -> Admitted | Blocked:
        """A portal asks for its users.  Its own address says nothing; theirs only adds windows, which are the
        caller's own: no credential can block an address, or an account, for the others."""
        caller = visit.caller or ""
        cap = self._window(self._name("cap", account), "h", self._options.legacy_account_per_hour, _HOUR)
        admitted = await self._admit(
            *self._account("caller", account, caller, _network(visit.ip)), *self._addresses(caller, visit.ip), cap=cap
        )
        if isinstance(admitted, Blocked) or admitted.cap is not None:
            return admitted
        try:
            wait = await self._lines.stand(cap.key, self._options.legacy_delay)
        except BaseException:  # who hangs up in the line, too: nobody is to wait for him
            self._under_way.land(_keys(admitted.windows), freed=False)
            raise
        if wait > 0:
            await self.settle(admitted, wrong=False)
            return Blocked(wait)
        return admitted

    async def _admit(self, *windows: Window, cap: Window | None = None) -> Admitted | Blocked:
        wait = await self._under_way.admit(_keys(windows), partial(self._guard.admit, windows, cap))
        return Blocked(wait) if wait > 0 else Admitted(windows, cap if wait == 0 else None)

    def _browser(self, account: str, visit: Visit) -> Iterator[Window]:
        if device := self._devices.device(visit.device, account):
            yield from self._account("device", account, device)
            return
        yield from self._account("account", account)
        if limit := self._options.unknown_browsers_per_minute:
            yield self._window(self._name("unknown"), "1", limit, _MINUTE)

    def _account(self, purpose: str, *values: str) -> Iterator[Window]:
        name = self._name(purpose, *values)
        yield self._window(name, "5", self._options.account_per_5_minutes, _FIVE)
        yield self._window(name, "h", self._options.account_per_hour, _HOUR)

    def _addresses(self, caller: str, ip: IPAddress | None) -> Iterator[Window]:
        if ip is None:
            return
        # In IPv6 whoever has one address has 2^64 of them, and may have 2^16 such networks.
        address = self._name("address", caller, str(ip) if ip.version == 4 else _network(ip))
        yield self._window(address, "1", self._options.address_per_minute, _MINUTE)
        yield self._window(address, "h", self._options.address_per_hour, _HOUR)
        yield self._window(self._name("network", caller, _network(ip, 48)), "h", self._options.network_per_hour, _HOUR)

    def _window(self, name: str, length: str, limit: int, seconds: float) -> Window:
        """`length` tells apart the windows of one name."""
        return Window(self._names.limiter(f"{name}-{length}"), limit, seconds)

    def _name(self, purpose: str, *values: str) -> str:
        return mac(self._key, purpose, *(value.encode("utf-8", "surrogatepass") for value in values)).hex()[:32]


class Attempt:
    """An admitted attempt until it is settled."""

    def __init__(self, throttle: Throttle, admitted: Admitted) -> None:
        self._throttle = throttle
        self._admitted = admitted
        self._giving_back: asyncio.Task[None] | None = None

    def right(self) -> None:
        """It was no guess: given back while what it opens is being made, so that one write tells the store both."""
        if self._giving_back is None:
            self._giving_back = asyncio.create_task(self._throttle.settle(self._admitted, wrong=False))

    async def over(self, *, wrong: bool) -> None:
        """That was all.  What was right once was no guess, whatever became of it."""
        if self._giving_back is not None:
            await self._giving_back
        else:
            await self._throttle.settle(self._admitted, wrong=wrong)


def _keys(windows: Sequence[Window]) -> list[str]:
    return [window.key for window in windows]


def _network(ip: IPAddress | None, prefix: int = 64) -> str:
    """Its /24, or IPv6 network of that prefix; one name for all whose address is not known."""
    if ip is None:
        return ""
    return str(ipaddress.ip_network(f"{ip}/{24 if ip.version == 4 else prefix}", strict=False))
