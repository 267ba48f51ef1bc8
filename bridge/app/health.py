"""Whether this process lives, whether it can serve, and its figures: `/healthz`, `/readyz`, `/metrics` — DESIGN §7."""

import asyncio
import ipaddress
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from bridge.asgi import (
    NO_STORE,
    ASGIApp,
    BadRequest,
    Endpoints,
    Proxies,
    Receive,
    Reply,
    Scope,
    Send,
    json_reply,
    passed_on,
)
from bridge.errors import BridgeError
from bridge.events.metrics import CONTENT_TYPE, Metrics
from bridge.types import IPNetwork

FRESH: Final = 1.0
"""Seconds for which a finding is given to whoever asks: asking often must not cost the database anything."""

_LOOPBACK: Final[Sequence[IPNetwork]] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))

Check = Callable[[], Awaitable[object]]


class Health:
    """`checks`: name → something that raises a BridgeError when it cannot be relied upon."""

    def __init__(
        self,
        *,
        checks: Mapping[str, Check],
        metrics: Metrics,
        proxies: Proxies,
        metrics_allowed: Sequence[IPNetwork],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._checks = dict(checks)
        self._metrics = metrics
        self._proxies = proxies
        self._allowed = metrics_allowed or _LOOPBACK
        self._monotonic = monotonic
        self._finding: asyncio.Task[dict[str, str]] | None = None
        self._found_at = float("-inf")

    def endpoints(self) -> Endpoints:
        """Exact paths below the mount point."""
        return {"/healthz": _read_only(self.alive), "/readyz": _read_only(self.ready), "/metrics": self.figures}

    async def alive(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The process answers: nothing else is asked."""
        await json_reply({"status": "ok"})(scope, receive, send)

    async def ready(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Store, database, keys and work: 200, or 503 that names what is missing (by name only)."""
        found = await self._found()
        ready = all(state == "ok" for state in found.values())
        content = {"status": "ok" if ready else "unavailable", **found}
        await json_reply(content, 200 if ready else 503)(scope, receive, send)

    async def figures(self, scope: Scope, receive: Receive, send: Send) -> None:
        """For Prometheus, from allowed addresses; to anybody else this path does not exist."""
        if not self._may_read(scope):
            raise BadRequest("", 404)
        await _read_only(Reply(200, self._metrics.render(), CONTENT_TYPE, NO_STORE))(scope, receive, send)

    def _may_read(self, scope: Scope) -> bool:
        address = self._proxies.client(scope)
        if address is None or not any(address in network for network in self._allowed):
            return False
        return not passed_on(scope, address)

    async def _found(self) -> dict[str, str]:
        """One look for all who ask at the same time, or within a second."""
        if self._finding is None or (self._finding.done() and self._monotonic() - self._found_at >= FRESH):
            self._finding = asyncio.create_task(self._find())
        return await asyncio.shield(self._finding)

    async def _find(self) -> dict[str, str]:
        states = await asyncio.gather(*(_state(check) for check in self._checks.values()))
        self._found_at = self._monotonic()
        return dict(zip(self._checks, states, strict=True))


def _read_only(endpoint: ASGIApp) -> ASGIApp:
    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            raise BadRequest("", 405, ((b"allow", b"GET, HEAD"),))
        await endpoint(scope, receive, send)

    return guarded


async def _state(check: Check) -> str:
    try:
        await check()
    except BridgeError:
        return "unavailable"
    return "ok"
