"""Who guessed at an admin's login too often — whmcs-api §2.4."""

from bridge.legacy.options import LegacyOptions
from bridge.ring import Ring
from bridge.secret import mac
from bridge.stores.guard import Guard, Window
from bridge.tokens import Names
from bridge.types import IPAddress


class Bans:
    """Wrong admin logins by address.  A ban closes admin login to the address, nothing else: others may share it."""

    def __init__(self, *, guard: Guard, names: Names, ring: Ring, options: LegacyOptions) -> None:
        self._guard = guard
        self._names = names
        self._key = ring.newest.derive("limiter")
        self._options = options

    async def admit(self, address: IPAddress | None) -> bool:
        """Whether one more attempt is allowed; it counts until it is forgiven.  Raises Unavailable."""
        return await self._guard.admit([self._window(address)]) == 0

    async def forgive(self, address: IPAddress | None) -> None:
        """The admitted attempt was a right one."""
        await self._guard.refund([self._window(address)])

    def _window(self, address: IPAddress | None) -> Window:
        name = self._names.limiter(mac(self._key, "admin-login", str(address)).hex()[:32])
        return Window(name, self._options.admin_failures, self._options.admin_ban)
