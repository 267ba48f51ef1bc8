"""`POST /api/v1/sessions/touch`: a satellite says that a session was used, and is told whose it is — DESIGN §7.

Body: `{"token": "…"}`, and `identifier` and `secret` unless they come as HTTP Basic.  Answer: `{"result": "touched"}`,
`"alive"` (used a moment ago: nothing to write) or `"dead"` with its `reason`; `until`, and the `user`.
"""

from typing import Final, Protocol

from msgspec import Struct

from bridge.api.call import Calls
from bridge.api.caller import Credentials
from bridge.asgi import Proxies, Receive, Reply, Scope, Send, json_reply
from bridge.events.event import Events
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
        self._calls = Calls(credentials=credentials, proxies=proxies, events=events)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._calls.answer(scope, receive, send, action=ACTION, body=_Call, then=self._touched)

    async def _touched(self, call: _Call, _visit: Visit) -> Reply:
        token = LoginToken.parse(call.token)
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
