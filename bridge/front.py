"""The front door: finds the endpoint of a request by its exact path, and turns trouble into a clear answer.

Decides on `scope["path"]` below the issuer's own path or the mount point; `//token`, `/./token` and `%74oken` are other
paths, and nobody's (engine §11).
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from msgspec import Struct, structs

from bridge.asgi import ASGIApp, BadRequest, Endpoints, Headers, Message, Receive, Reply, Scope, Send, path_of
from bridge.errors import Unavailable

_WELL_KNOWN: Final = "/.well-known/oauth-authorization-server"


class Trouble(Protocol):
    """Shows what went wrong: a page to a browser, JSON to a program."""

    def show(self, scope: Scope, *, status: int, why: str, reference: str | None, retry_after: int | None) -> Reply: ...


class Tell(Protocol):
    """Hears of the exceptions that became an answer.  `place`: the endpoint's own path, never that of the request,
    which may carry a token; `reference`: what the caller was shown of an exception that nobody expected."""

    def __call__(self, error: Exception, *, place: str, reference: str | None) -> None: ...


class Found(Struct, frozen=True):
    """An endpoint, the path (or prefix) it was registered under, and the request as it shall see it."""

    place: str
    endpoint: ASGIApp
    scope: Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """Routes by exact path, then by prefix (`/reset/t/`); everything unexpected becomes `trouble`."""

    exact: Endpoints
    prefixes: Mapping[str, ASGIApp]
    trouble: Trouble
    tell: Tell
    admit: Callable[[Scope], str | None]
    """Why a request is not answered at all (421), or None."""
    base: str = ""
    """The issuer's path: the bridge is there on its host, whether or not somebody mounts it there."""
    alone: Endpoints = field(default_factory=dict[str, ASGIApp])
    """More exact paths, where no other app stands behind the bridge."""

    def find(self, scope: Scope) -> Found | None:
        """The endpoint of this path on the host; None: it is not ours."""
        if not self.base:
            return self._at(path_of(scope), scope, self.exact)
        if scope["path"] == _WELL_KNOWN + self.base:  # RFC 8414 §3.1: always at the root of the host
            return self._at(_WELL_KNOWN, scope, self.exact, written=scope["path"])
        placed = self._placed(scope)
        return self._at(*placed, self.exact) if placed else None

    def find_alone(self, scope: Scope) -> Found | None:
        """The same where no other app is behind us, also under another mount point than the issuer's."""
        if (found := self.find(scope)) is not None:
            return found
        placed = self._placed(scope)
        if placed is None and scope.get("root_path"):
            placed = path_of(scope), scope
            if (found := self._at(*placed, self.exact)) is not None:
                return found
        return self._at(*placed, self.alone) if placed else None

    async def answer(self, found: Found, receive: Receive, send: Send) -> None:
        """Run the endpoint; an exception before its answer began becomes a clear one."""
        if (refusal := self.admit(found.scope)) is not None:
            await self._show(found.scope, receive, send, status=421, why=refusal)
            return
        watched = _Watched(send)
        try:
            await found.endpoint(found.scope, receive, watched)
        except Exception as error:  # the last resort
            if watched.begun:
                self.tell(error, place=found.place, reference=None)
                raise HalfSent from error
            await self._sorry(error, found, receive, send)

    async def refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        """404."""
        refusal = self.admit(scope)
        await self._show(scope, receive, send, status=421 if refusal else 404, why=refusal or "")

    def _placed(self, scope: Scope) -> tuple[str, Scope] | None:
        """The path below the issuer's own."""
        if not self.base:
            return path_of(scope), scope
        path: str = scope["path"]
        if path != self.base and not path.startswith(self.base + "/"):
            return None
        return path[len(self.base) :], {**scope, "root_path": self.base}

    def _at(self, path: str, scope: Scope, exact: Endpoints, *, written: str | None = None) -> Found | None:
        if (endpoint := exact.get(path)) is not None:
            return Found(path, endpoint, scope) if _as_written(written or path, scope) else None
        return next((Found(name, app, scope) for name, app in self.prefixes.items() if path.startswith(name)), None)

    async def _sorry(self, error: Exception, found: Found, receive: Receive, send: Send) -> None:
        scope = found.scope
        match error:
            case BadRequest():
                await self._show(scope, receive, send, status=error.status, why=str(error), headers=error.headers)
            case Unavailable():
                self.tell(error, place=found.place, reference=None)
                await self._show(scope, receive, send, status=503, retry_after=error.retry_after)
            case _:
                reference = secrets.token_hex(5)
                self.tell(error, place=found.place, reference=reference)
                await self._show(scope, receive, send, status=500, reference=reference)

    async def _show(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        status: int,
        why: str = "",
        reference: str | None = None,
        retry_after: int | None = None,
        headers: Headers = (),
    ) -> None:
        reply = self.trouble.show(scope, status=status, why=why, reference=reference, retry_after=retry_after)
        await structs.replace(reply, headers=(*reply.headers, *headers))(scope, receive, send)


class HalfSent(ConnectionError):
    """The answer had begun: the server cuts the connection, because half an answer is none."""


class _Watched:
    """A `send` that remembers whether the answer has begun: with whatever is sent first."""

    __slots__ = ("_send", "begun")

    def __init__(self, send: Send) -> None:
        self._send = send
        self.begun = False

    def __call__(self, message: Message) -> Awaitable[None]:
        self.begun = True
        return self._send(message)


def _as_written(path: str, scope: Scope) -> bool:
    """Whether the path came without an escape: a proxy that guards one spelling must not be passed by another."""
    raw: bytes | None = scope.get("raw_path")
    return raw is None or raw.partition(b"?")[0].endswith(path.encode())
