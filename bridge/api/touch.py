"""`POST /api/v1/sessions/touch`: a satellite says that a session was used, and is told whose it is — DESIGN §7.

Body: `{"token": "…"}`, and `identifier` and `secret` unless they come as HTTP Basic.  Answer: `{"result": "touched"}`,
`"alive"` (used a moment ago: nothing to write) or `"dead"` with its `reason`; `until`, and the `user`.
"""

from typing import Final, Protocol

import msgspec
from msgspec import Struct

from bridge.api.caller import Credentials, Refusal, authenticate, basic
from bridge.asgi import BadRequest, Proxies, Receive, Reply, Scope, Send, content_type, json_reply, read_body
from bridge.errors import Unavailable
from bridge.events.event import Events
from bridge.secret import Secret
from bridge.sessions.judge import Alive, Dead, allowed
from bridge.sessions.sessions import Sessions
from bridge.tokens import LoginToken
from bridge.types import Subject, UserId, Visit

PATH: Final = "/api/v1/sessions/touch"
ACTION: Final = "touchsession"
"""What an API credential must be allowed."""


class Person(Protocol):
    """What is told of a user; `bridge.users.user.User` is one."""

    @property
    def sub(self) -> Subject: ...
    @property
    def name(self) -> str: ...
    @property
    def email(self) -> str: ...
    @property
    def groups(self) -> tuple[str, ...]: ...


class People(Protocol):
    """Profiles, from a cache."""

    async def __call__(self, user: UserId, /) -> Person | None: ...


class _Call(Struct, frozen=True, forbid_unknown_fields=True):
    token: str
    identifier: str | None = None
    secret: str | None = None


class Touch:
    """The endpoint."""

    def __init__(
        self, *, sessions: Sessions, people: People, credentials: Credentials, proxies: Proxies, events: Events
    ) -> None:
        self._sessions = sessions
        self._people = people
        self._credentials = credentials
        self._proxies = proxies
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            reply = await self._reply(scope, receive)
        except BadRequest as error:
            reply = _error(error.status, str(error))
        except Unavailable as error:
            later = (b"retry-after", str(error.retry_after).encode())
            reply = _error(503, "Try again soon.", later)
        await reply(scope, receive, send)

    async def _reply(self, scope: Scope, receive: Receive) -> Reply:
        if scope["method"] != "POST":
            return _error(405, "POST only.", (b"allow", b"POST"))
        call = await _parse(scope, receive)
        visit = Visit("api", self._proxies.client(scope))
        caller = await authenticate(self._credentials, _shown(scope, call), action=ACTION, ip=visit.ip)
        if isinstance(caller, Refusal):
            self._events.tell("credential.refused", visit, actor=caller.credential, reason=caller.why)
            challenge = ((b"www-authenticate", b'Basic realm="api", charset="UTF-8"'),) if caller.status == 401 else ()
            return _error(caller.status, caller.message, *challenge)
        return await self._touched(call.token)

    async def _touched(self, text: str) -> Reply:
        token = LoginToken.parse(text)
        verdict = Dead("unknown") if token is None else await self._sessions.why(token)
        # The satellite judged the address: only it saw the browser.
        if isinstance(verdict, Alive) and not allowed(verdict.record.kind, "middleware", self._sessions.options):
            verdict = Dead("wrong-place")
        if isinstance(verdict, Dead):
            return json_reply({"result": "dead", "reason": verdict.reason, "user": None})
        person = await self._people(verdict.record.uid)
        if person is None:
            return json_reply({"result": "dead", "reason": "disabled", "user": None})
        touched = self._sessions.due(verdict) and await self._sessions.touch(verdict)
        return json_reply(
            {
                "result": "touched" if touched else "alive",
                "until": verdict.record.abs,
                "user": {
                    "id": verdict.record.uid,
                    "sub": person.sub,
                    "name": person.name,
                    "email": person.email,
                    "groups": person.groups,
                },
            }
        )


async def _parse(scope: Scope, receive: Receive) -> _Call:
    if content_type(scope) != "application/json":
        raise BadRequest("The body must be application/json.", 415)
    body = await read_body(scope, receive)
    try:
        return msgspec.json.decode(body, type=_Call)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise BadRequest('The body must be a JSON object such as {"token": "…"}.') from None


def _shown(scope: Scope, call: _Call) -> tuple[str, Secret] | None:
    """What was shown once; credentials at both places are none, for one of the two may be somebody else's."""
    in_header = basic(scope)
    if call.identifier is None and call.secret is None:
        return in_header
    if in_header is not None or call.identifier is None or call.secret is None:
        return None
    return call.identifier, Secret(call.secret)


def _error(status: int, message: str, *headers: tuple[bytes, bytes]) -> Reply:
    reply = json_reply({"error": message}, status)
    return Reply(reply.status, reply.body, reply.content_type, (*reply.headers, *headers))
