"""Whether this process lives, whether it can serve, and its figures: `/healthz`, `/readyz`, `/metrics` — DESIGN §7."""

import ipaddress
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bridge.asgi import NO_STORE, Endpoints, Proxies, Receive, Reply, Scope, Send, json_reply
from bridge.errors import BridgeError
from bridge.events.metrics import CONTENT_TYPE, Metrics
from bridge.types import IPNetwork

_LOOPBACK: Final[Sequence[IPNetwork]] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))

Check = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """`checks`: name → something that raises a BridgeError when it cannot be relied upon."""

    checks: Mapping[str, Check]
    metrics: Metrics
    proxies: Proxies
    metrics_allowed: Sequence[IPNetwork]

    def endpoints(self) -> Endpoints:
        """Exact paths below the mount point."""
        return {"/healthz": self.alive, "/readyz": self.ready, "/metrics": self.figures}

    async def alive(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The process answers: nothing else is asked."""
        await json_reply({"status": "ok"})(scope, receive, send)

    async def ready(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Store, database and keys: 200, or 503 that names what is missing (by name only)."""
        found = {name: await _state(check) for name, check in self.checks.items()}
        ready = all(state == "ok" for state in found.values())
        await json_reply({"status": "ok" if ready else "unavailable", **found}, 200 if ready else 503)(
            scope, receive, send
        )

    async def figures(self, scope: Scope, receive: Receive, send: Send) -> None:
        """For Prometheus, from allowed addresses; to anybody else this path does not exist."""
        address = self.proxies.client(scope)
        if address is None or not any(address in network for network in self.metrics_allowed or _LOOPBACK):
            await json_reply({"error": "not_found"}, 404)(scope, receive, send)
            return
        await Reply(200, self.metrics.render(), CONTENT_TYPE, NO_STORE)(scope, receive, send)


async def _state(check: Check) -> str:
    try:
        await check()
    except BridgeError:
        return "unavailable"
    return "ok"
