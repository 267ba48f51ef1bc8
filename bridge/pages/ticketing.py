"""From an app on another host to a ticket for it: the app sends a browser here, our own pages send it back, and it
leaves with a form that the ticket is in — DESIGN §6, S14, docs/decisions/0125.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bridge.asgi import Receive, Reply, Scope, Send, local_path
from bridge.events.event import Events
from bridge.interactions.arrivals import Arrivals
from bridge.interactions.interactions import Visit as Interaction
from bridge.interactions.record import Answer, Display, Step
from bridge.pages.app import wire_host
from bridge.pages.asked import Asked
from bridge.pages.browser import Desk
from bridge.pages.models import Error, FormPost, TryLater
from bridge.sessions.judge import Alive, Dead
from bridge.sessions.ticket import ARRIVAL, TicketWish, is_binding_hash, known_refusal
from bridge.sessions.tickets import Tickets
from bridge.types import ClientId

_HIS: Final[tuple[Step, ...]] = ("login", "account")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticketing:
    """`/login/ticket`."""

    desk: Desk
    tickets: Tickets
    arrivals: Arrivals
    events: Events

    async def ticket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET alone.  With `interaction`: the dispatcher of such a visit; with `refused`: what became of a ticket;
        else an app's request."""
        asked = await self.desk.read(scope, receive, ("ticket",))
        if asked.interaction is not None:
            reply = await self._go_on(asked, asked.interaction)
        elif asked.overtaken is not None and asked.overtaken.record.ticket is not None:
            reply = await self._begun(asked, asked.overtaken.record.ticket)
        elif asked.lost_interaction:
            reply = self.desk.stale(asked)
        elif "refused" in asked.heard.query:
            reply = self._refused(asked)
        else:
            reply = await self._begin(asked)
        await reply(scope, receive, send)

    async def _begin(self, asked: Asked) -> Reply:
        wish = _wish(asked.heard.query)
        if isinstance(wish, str):
            return self._no(asked, wish)
        return await self._begun(asked, wish)

    async def _begun(self, asked: Asked, wish: TicketWish) -> Reply:
        """The visit, or one anew for one that was overtaken, which ends."""
        if not self.tickets.may_get(wish.origin):
            self.events.tell("ticket.refused", asked.visit, reason="not-listed")
            return self._no(asked, "origin: it is not one of sessions.ticket_origins")
        if wait := await self.arrivals.admit(asked.visit.ip):
            page = TryLater(kind="too-many", wait=wait)
            return self.desk.page(asked, page, status=page.status, cookies=((b"retry-after", b"%d" % wait),))
        if asked.overtaken is not None and not await self.desk.interactions.finish(asked.overtaken):
            return self.desk.stale(asked)
        interaction = await self.desk.interactions.begin_ticket(
            asked.binding, wish, _display(wish.origin), nobody=asked.alive is None
        )
        return self._ask(asked, interaction)

    async def _go_on(self, asked: Asked, visit: Interaction) -> Reply:
        wish, session = visit.record.ticket, _person(asked)
        if wish is None or not self.tickets.may_get(wish.origin):  # not any more, or whoever wrote that was not us
            return self.desk.stale(asked)
        denied = "deny" in visit.record.answers
        if not denied and (session is None or not _answered(visit.record.answers, session)):
            return self._ask(asked, visit.id)
        if not await self.desk.interactions.finish(visit):
            return self.desk.stale(asked)
        if denied or session is None:
            return self.desk.onward(asked, f"{wish.origin}/")
        return await self._issue(asked, session, wish)

    async def _issue(self, asked: Asked, session: Alive, wish: TicketWish) -> Reply:
        token = await self.tickets.issue(session, wish, asked.visit)
        if isinstance(token, Dead):
            return self.desk.stale(asked, "ticket: signed-out")
        fields = (("ticket", token.text.reveal()),)
        page = FormPost(target=wish.origin + ARRIVAL, app_name=wire_host(wish.origin), fields=fields)
        return self.desk.page(asked, page)

    def _ask(self, asked: Asked, interaction: str) -> Reply:
        return self.desk.go(asked, "continue_as" if _person(asked) else "login", interaction=interaction)

    def _refused(self, asked: Asked) -> Reply:
        """The app's host took no ticket, and has no pages to say so."""
        return self.desk.stale(asked, f"ticket: {known_refusal(asked.heard.query['refused'])}")

    def _no(self, asked: Asked, detail: str) -> Reply:
        page = Error(kind="bad-request", detail=detail, reference=None)
        return self.desk.page(asked, page, status=page.status)


def _wish(query: dict[str, str]) -> TicketWish | str:
    """What an app asks for, or which parameter is wrong."""
    origin, binding = query.get("origin", ""), query.get("binding", "")
    if not origin:
        return "origin: it is missing"
    if not is_binding_hash(binding):
        return "binding: it must be a SHA-256 in lower-case hex"
    return TicketWish(origin=origin, binding=binding, next=local_path(query.get("next")) or "/")


def _answered(answers: Mapping[Step, Answer], session: Alive) -> bool:
    """Whether the person of this very session signed in on this visit, or said that it is he who goes on (S14)."""
    return any(step in answers and answers[step].session == session.record.id for step in _HIS)


def _person(asked: Asked) -> Alive | None:
    """Who may take a session elsewhere: somebody at our own pages, and no caller of the legacy API."""
    return asked.alive if asked.alive is not None and asked.alive.record.kind == "op" else None


def _display(origin: str) -> Display:
    """As our pages show the app: by its host, and nothing that it says of itself."""
    return Display(client=ClientId(origin), name=wire_host(origin), redirect_uri=origin + ARRIVAL, verified=True)
