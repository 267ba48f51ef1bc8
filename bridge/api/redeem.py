"""`POST /api/v1/sessions/redeem`: a satellite shows a ticket, and gets the session of the browser that brought it — §6.

Body: `{"ticket": "…", "origin": "https://app.example.net", "binding": "…"}`, and `identifier` and `secret` unless they
come as HTTP Basic.  `origin` is the satellite's own, `binding` what the browser holds (docs/decisions/0125).
Answer: `{"result": "redeemed", "token": "…", "next": "/…"}`, or `{"result": "refused", "reason": "…"}`.
"""

from typing import Final

from msgspec import Struct

from bridge.api.call import Calls
from bridge.api.caller import Credentials
from bridge.asgi import Proxies, Receive, Reply, Scope, Send, json_reply
from bridge.events.event import Events
from bridge.sessions.ticket import Refused
from bridge.sessions.tickets import Tickets
from bridge.types import Visit

PATH: Final = "/api/v1/sessions/redeem"
ACTION: Final = "redeemticket"
"""What an API credential must be allowed."""


class _Call(Struct, frozen=True, forbid_unknown_fields=True):
    ticket: str
    origin: str
    binding: str
    identifier: str | None = None
    secret: str | None = None


class Redeem:
    """The endpoint."""

    def __init__(self, *, tickets: Tickets, credentials: Credentials, proxies: Proxies, events: Events) -> None:
        self._tickets = tickets
        self._calls = Calls(credentials=credentials, proxies=proxies, events=events)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._calls.answer(scope, receive, send, action=ACTION, body=_Call, then=self._redeemed)

    async def _redeemed(self, call: _Call, visit: Visit) -> Reply:
        outcome = await self._tickets.redeem(
            call.ticket, origin=call.origin, binding=call.binding, via=visit.caller or "api", visit=visit
        )
        if isinstance(outcome, Refused):
            return json_reply({"result": "refused", "reason": outcome.why})
        return json_reply({"result": "redeemed", "token": outcome.token.text.reveal(), "next": outcome.next})
