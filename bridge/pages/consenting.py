"""May this application have this, and is it you? — Core §3.1.2.4, DESIGN §7, security §8.

The answers are noted in the visit; what follows from them the dispatcher decides.
"""

from dataclasses import dataclass

from bridge.asgi import Receive, Reply, Scope, Send
from bridge.events.event import Events
from bridge.grants.consents import Consents
from bridge.interactions.interactions import Visit as Interaction
from bridge.interactions.record import Display, Step
from bridge.pages.asked import Asked
from bridge.pages.browser import Desk
from bridge.pages.models import Consent as ConsentPage
from bridge.pages.models import ContinueAs as ContinuePage
from bridge.pages.models import Scope as ScopeLine
from bridge.pages.signin import app_from
from bridge.sessions.judge import Alive
from bridge.users.user import User


@dataclass(frozen=True, slots=True)
class Question:
    """A visit that asks somebody who is signed in."""

    interaction: Interaction
    app: Display
    session: Alive
    user: User


@dataclass(frozen=True, slots=True, kw_only=True)
class Consenting:
    """`/consent` and `/login/continue`."""

    desk: Desk
    consents: Consents
    events: Events

    async def consent(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET asks; POST takes "allow" or "deny"."""
        asked = await self.desk.read(scope, receive, ("authorize",))
        found = self._question(asked)
        if isinstance(found, Reply):
            reply = found
        elif asked.posted and self.desk.proven(asked, "consent", found.session.record.id):
            reply = await self._answer_consent(asked, found)
        else:
            reply = self._ask_consent(asked, found)
        await reply(scope, receive, send)

    async def continue_as(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET asks "is it you?"; POST takes "continue", "other" or "cancel"."""
        asked = await self.desk.read(scope, receive)
        found = self._question(asked)
        if isinstance(found, Reply):
            reply = found
        elif asked.posted and self.desk.proven(asked, "account", found.session.record.id):
            reply = await self._answer_account(asked, found)
        else:
            reply = self._ask_account(asked, found)
        await reply(scope, receive, send)

    def _question(self, asked: Asked) -> Question | Reply:
        """The visit and the person, or the way back to where one of them is made."""
        interaction = asked.interaction
        if interaction is None or interaction.record.app is None:
            return self.desk.stale(asked)
        if asked.alive is None or asked.user is None:
            return self.desk.back(asked, interaction)
        return Question(interaction, interaction.record.app, asked.alive, asked.user)

    def _ask_consent(self, asked: Asked, question: Question) -> Reply:
        page = ConsentPage(
            csrf=self.desk.proof(asked, "consent", question.session.record.id),
            interaction=question.interaction.id,
            app=app_from(question.app),
            email=question.user.email,
            scopes=tuple(ScopeLine(name=name) for name in question.interaction.record.scopes),
            claims=question.interaction.record.claims,
            problem="stale" if asked.posted else None,
        )
        return self.desk.page(asked, page, status=403 if asked.posted else 200)

    async def _answer_consent(self, asked: Asked, question: Question) -> Reply:
        if asked.form.get("answer") != "allow":
            return await self._note(asked, question, "deny")
        session, user, client = question.session, question.user.id, question.app.client
        scopes, claims = question.interaction.record.scopes, question.interaction.record.claims
        await self.consents.grant(user, session.token.tag, client, scopes, claims, place=question.app.place)
        self.events.tell(
            "consent.granted",
            asked.visit,
            user=user,
            client=client,
            session=session.record.id,
            scope=" ".join((*scopes, *claims)),
        )
        return await self._note(asked, question, "consent")

    def _ask_account(self, asked: Asked, question: Question) -> Reply:
        page = ContinuePage(
            csrf=self.desk.proof(asked, "account", question.session.record.id),
            interaction=question.interaction.id,
            app=app_from(question.app),
            name=question.user.name,
            email=question.user.email,
            problem="stale" if asked.posted else None,
        )
        return self.desk.page(asked, page, status=403 if asked.posted else 200)

    async def _answer_account(self, asked: Asked, question: Question) -> Reply:
        match asked.form.get("answer"):
            case "continue":
                return await self._note(asked, question, "account")
            case "cancel":
                return await self._note(asked, question, "deny")
            case _:  # another account: he signs in anew, and that replaces whoever is signed in
                return self.desk.go(asked, "login", interaction=question.interaction.id, other="1")

    async def _note(self, asked: Asked, question: Question, step: Step) -> Reply:
        session = question.session.record.id
        await self.desk.interactions.answer(question.interaction.id, asked.binding, step, session=session)
        return self.desk.back(asked, question.interaction)
