"""What every call of the JSON API is: a POST of a JSON object, by an API credential that may do this — DESIGN §7."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import msgspec

from bridge.api.caller import Credentials, Refusal, authenticate, basic
from bridge.asgi import BadRequest, Proxies, Receive, Reply, Scope, Send, content_type, json_reply, read_body
from bridge.errors import Unavailable
from bridge.events.event import Events
from bridge.secret import Secret
from bridge.types import Visit


class Body(Protocol):
    """What was sent.  The credential may be in it, unless it came as HTTP Basic."""

    @property
    def identifier(self) -> str | None: ...
    @property
    def secret(self) -> str | None: ...


Sent = TypeVar("Sent", bound=Body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """Answers calls: what an endpoint of the API is given."""

    credentials: Credentials
    proxies: Proxies
    events: Events

    async def answer(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        action: str,
        body: type[Sent],
        then: Callable[[Sent, Visit], Awaitable[Reply]],
    ) -> None:
        """What `then` says of the call, whose `Visit` names the credential; or what is wrong with it."""
        try:
            reply = await self._reply(scope, receive, action, body, then)
        except BadRequest as error:
            reply = _error(error.status, str(error))
        except Unavailable as error:
            later = (b"retry-after", str(error.retry_after).encode())
            reply = _error(503, "Try again soon.", later)
        await reply(scope, receive, send)

    async def _reply(
        self,
        scope: Scope,
        receive: Receive,
        action: str,
        body: type[Sent],
        then: Callable[[Sent, Visit], Awaitable[Reply]],
    ) -> Reply:
        if scope["method"] != "POST":
            return _error(405, "POST only.", (b"allow", b"POST"))
        sent, ip = await _parse(scope, receive, body), self.proxies.client(scope)
        caller = await authenticate(self.credentials, _shown(scope, sent), action=action, ip=ip)
        if isinstance(caller, Refusal):
            self.events.tell("credential.refused", Visit("api", ip), actor=caller.credential, reason=caller.why)
            challenge = ((b"www-authenticate", b'Basic realm="api", charset="UTF-8"'),) if caller.status == 401 else ()
            return _error(caller.status, caller.message, *challenge)
        return await then(sent, Visit("api", ip, caller=caller.name))


async def _parse(scope: Scope, receive: Receive, body: type[Sent]) -> Sent:
    if content_type(scope) != "application/json":
        raise BadRequest("The body must be application/json.", 415)
    raw = await read_body(scope, receive)
    try:
        return msgspec.json.decode(raw, type=body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise BadRequest('The body must be a JSON object such as {"token": "…"}.') from None


def _shown(scope: Scope, sent: Body) -> tuple[str, Secret] | None:
    """What was shown once; credentials at both places are none, for one of the two may be somebody else's."""
    in_header = basic(scope)
    if sent.identifier is None and sent.secret is None:
        return in_header
    if in_header is not None or sent.identifier is None or sent.secret is None:
        return None
    return sent.identifier, Secret(sent.secret)


def _error(status: int, message: str, *headers: tuple[bytes, bytes]) -> Reply:
    reply = json_reply({"error": message}, status)
    return Reply(reply.status, reply.body, reply.content_type, (*reply.headers, *headers))
