"""Forgotten password: ask for a link, follow it, choose a new one — sessions-and-accounts §6.2, R1 to R6.

The token of a link leaves the address bar at once: it moves into a cookie, and the form is at an address without it.
"""

from dataclasses import dataclass

from bridge.asgi import Receive, Reply, Scope, Send, path_of
from bridge.pages.asked import Asked
from bridge.pages.browser import Desk
from bridge.pages.masking import masked
from bridge.pages.models import Forgot, LinkRefused, NewPassword, PasswordProblem, ResetSent
from bridge.resets.ask import ResetRequests
from bridge.resets.complete import Changed, Ready, Refused, ResetCompletion, Unfit
from bridge.resets.judge import NewPasswords
from bridge.resets.send import PATH
from bridge.secret import Secret
from bridge.sessions.cookie import Header
from bridge.tokens import digest
from bridge.users.email import email_key
from bridge.users.user import User


@dataclass(frozen=True, slots=True, kw_only=True)
class Resetting:
    """`/reset`, `/reset/t/<token>` and `/reset/new`."""

    desk: Desk
    requests: ResetRequests
    completion: ResetCompletion
    passwords: NewPasswords
    minutes: int

    async def forgot(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The form; its answer is the same for every address, and given before anything is looked at."""
        asked = await self.desk.read(scope, receive)
        reply = self._asked_for(asked) if asked.posted else self._forgot(asked)
        await reply(scope, receive, send)

    async def follow(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A link from a mail.  Consumes nothing, however often a scanner looks; HEAD sets no cookie (R3)."""
        asked = await self.desk.read(scope, receive)
        token = path_of(scope).removeprefix(PATH)
        found = await self.completion.look(token)
        if isinstance(found, Refused):
            reply = self._refused(asked, found)
        else:
            reply = self.desk.carry(asked, "reset", token, "new_password")
        await reply(scope, receive, send)

    async def choose(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The form for a new password, and its use."""
        asked = await self.desk.read(scope, receive)
        token = self.desk.cookie(scope, "reset")
        if token is None:
            reply = self.desk.go(asked, "reset")
        elif asked.posted:
            reply = await self._chosen(asked, token)
        else:
            found = await self.completion.look(token)
            reply = self._choose(asked, token, found.user) if isinstance(found, Ready) else self._refused(asked, found)
        await reply(scope, receive, send)

    def _forgot(self, asked: Asked, *, stale: bool = False) -> Reply:
        typed = asked.form.get("email", "")
        page = Forgot(
            csrf=self.desk.proof(asked, "reset"),
            interaction=asked.interaction_id,
            email=typed if email_key(typed) else "",  # it may be a password, in the wrong field
            problem="stale" if stale else "no-email" if asked.posted else None,
        )
        return self.desk.page(asked, page, status=403 if stale else 422 if asked.posted else 200)

    def _asked_for(self, asked: Asked) -> Reply:
        if not self.desk.proven(asked, "reset"):
            return self._forgot(asked, stale=True)
        email = asked.form.get("email", "").strip()
        if not self.requests.ask(email, asked.visit):
            return self._forgot(asked)
        return self.desk.page(asked, ResetSent(interaction=asked.interaction_id, email=email, minutes=self.minutes))

    def _choose(
        self, asked: Asked, token: str, user: User, *, problem: PasswordProblem | None = None, status: int = 200
    ) -> Reply:
        page = NewPassword(
            csrf=self.desk.proof(asked, "new-password", digest(token)),
            nonce=self.desk.proof(asked, "reset-nonce", digest(token)),
            masked_address=masked(user.email),
            shortest=self.passwords.shortest(user),
            problem=problem,
        )
        return self.desk.page(asked, page, status=status)

    async def _chosen(self, asked: Asked, token: str) -> Reply:
        found = await self.completion.look(token)
        if isinstance(found, Refused):
            return self._refused(asked, found)
        name = digest(token)
        if not self.desk.proven(asked, "new-password", name) or not self._same_nonce(asked, name):
            return self._choose(asked, token, found.user, problem="stale", status=403)
        new = Secret(asked.form.get("new_password", ""))
        if not new.matches(asked.form.get("new_password_again", "")):
            return self._choose(asked, token, found.user, problem="different", status=422)
        match await self.completion.finish(token, new, asked.visit):
            case Refused() as refused:
                return self._refused(asked, refused)
            case Unfit(fault, user):
                return self._choose(asked, token, user, problem=fault, status=422)
            case Changed(user):
                return self.desk.go(asked, "login", reset="done", cookies=self._done(asked, user))

    def _done(self, asked: Asked, user: User) -> tuple[Header, ...]:
        """The link is used and so is its cookie.  Whoever else is signed in with this browser stays so."""
        somebody_else = asked.user is not None and asked.user.id != user.id
        return (self.desk.cookies.clear("reset"), *(() if somebody_else else self.desk.signed_out()))

    def _same_nonce(self, asked: Asked, name: str) -> bool:
        given = asked.form.get("nonce", "")
        return self.desk.interactions.proven(given, asked.interaction_id or "", asked.binding, "reset-nonce", name)

    def _refused(self, asked: Asked, refused: Refused) -> Reply:
        return self.desk.page(
            asked, LinkRefused(problem=refused.problem), status=410, cookies=(self.desk.cookies.clear("reset"),)
        )
