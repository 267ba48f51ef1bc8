"""The front door: finds the endpoint of a request by its exact path, and turns trouble into a clear answer.

Decides on `scope["path"]` below the mount point only; `//token`, `/./token` and `%74` are other paths, and nobody's.
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from bridge.asgi import ASGIApp, BadRequest, Endpoints, Message, Receive, Reply, Scope, Send, header, parse_ip, path_of
from bridge.errors import Unavailable

_FORWARDING: Final = frozenset(
    {b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip"}
)


class Trouble(Protocol):
    """Shows what went wrong: a page to a browser, JSON to a program."""

    def show(self, scope: Scope, *, status: int, why: str, reference: str | None, retry_after: int | None) -> Reply: ...


Told = Callable[[BaseException, str, Scope], None]
"""Is told of an exception nobody expected: the exception, the reference that the caller was shown, the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """Routes by exact path, then by prefix (`/reset/t/`); everything unexpected becomes `trouble`."""

    exact: Endpoints
    prefixes: Mapping[str, ASGIApp]
    trouble: Trouble
    tell: Told
    admit: Callable[[Scope], str | None]
    """Why a request is not answered at all (421), or None: the dev profile's guard against leaking (security §27)."""

    def find(self, scope: Scope) -> ASGIApp | None:
        """The endpoint of this path, or None: it is not ours."""
        path = path_of(scope)
        if (endpoint := self.exact.get(path)) is not None:
            return endpoint
        return next((app for prefix, app in self.prefixes.items() if path.startswith(prefix)), None)

    async def answer(self, endpoint: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the endpoint; an exception before its answer began becomes a clear one."""
        if (refusal := self.admit(scope)) is not None:
            await self._show(scope, receive, send, status=421, why=refusal)
            return
        watched = _Watched(send)
        try:
            await endpoint(scope, receive, watched)
        except Unavailable as error:
            await self._unless_begun(watched, scope, receive, status=503, why="", retry_after=error.retry_after)
        except BadRequest as error:
            await self._unless_begun(watched, scope, receive, status=error.status, why=str(error))
        except Exception as error:  # noqa: BLE001  # the last resort: told, with a reference
            reference = secrets.token_hex(5)
            self.tell(error, reference, scope)
            await self._unless_begun(watched, scope, receive, status=500, why="", reference=reference)

    async def refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        """404."""
        await self._show(scope, receive, send, status=404, why="")

    async def _unless_begun(
        self,
        send: "_Watched",
        scope: Scope,
        receive: Receive,
        *,
        status: int,
        why: str,
        reference: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        if send.begun:
            raise ConnectionError("the answer had begun")  # the server cuts the connection; half an answer is none
        await self._show(scope, receive, send, status=status, why=why, reference=reference, retry_after=retry_after)

    async def _show(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        status: int,
        why: str,
        reference: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        reply = self.trouble.show(scope, status=status, why=why, reference=reference, retry_after=retry_after)
        await reply(scope, receive, send)


class _Watched:
    """A `send` that remembers whether the answer has begun."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.begun = False

    async def __call__(self, message: Message) -> None:
        self.begun = self.begun or message["type"] == "http.response.start"
        await self._send(message)


def local_only(scope: Scope) -> str | None:
    """The dev profile answers this machine only: a local Host, and no proxy in between (security §27)."""
    host = (header(scope, b"host") or "").strip().lower()
    name = host[: host.rfind("]") + 1] if host.startswith("[") else host.partition(":")[0]
    if name not in ("localhost", "127.0.0.1", "[::1]"):
        return "The dev profile answers to localhost, 127.0.0.1 and [::1] only."
    if any(key in _FORWARDING for key, _ in scope["headers"]):
        return "The dev profile does not stand behind a proxy."
    return None


def anybody(scope: Scope) -> str | None:  # noqa: ARG001  # the shape of `admit`
    """Production answers everybody: nothing is ever built from Host."""
    return None


def is_local(scope: Scope) -> bool:
    """Whether the peer itself is this machine."""
    peer = parse_ip((scope.get("client") or ("",))[0])
    return peer is not None and peer.is_loopback


Lifespan = Callable[[], Awaitable[None]]


async def lifespan(receive: Receive, send: Send, opening: Lifespan, closing: Lifespan) -> None:
    """ASGI's lifespan protocol: open at start-up, close at shut-down; a failure is told to the server."""
    await receive()
    try:
        await opening()
    except Exception as error:
        await send({"type": "lifespan.startup.failed", "message": str(error)})
        raise
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await closing()
    await send({"type": "lifespan.shutdown.complete"})
