"""Signing up: an address, the link that came to it, and a form for name and password — security §8, §24, §26.

The answer to an address is always the same page.  The link's token leaves the address bar for a cookie, and only a form
that is sent makes the account.  Signed in is who opened the link in the browser that asked for it, by the password that
he has just chosen; in any other browser nobody is: no link makes a session.
"""

from dataclasses import dataclass

from msgspec.structs import replace

from bridge.asgi import Receive, Reply, Scope, Send, path_of
from bridge.database.text import InvalidField
from bridge.pages.asked import Asked
from bridge.pages.browser import Desk
from bridge.pages.masking import masked
from bridge.pages.models import LinkOver, SignedUp, SignUpFinish, SignUpProblem, SignUpSent
from bridge.pages.models import SignUp as SignUpPage
from bridge.pages.signin import SignIn, app_of
from bridge.resets.judge import NewPasswords
from bridge.resets.sign_up import Over, SigningUp
from bridge.secret import Secret
from bridge.tokens import digest
from bridge.users.email import email_key
from bridge.users.send import SIGN_UP_PATH
from bridge.users.sign_ups import SignUp


@dataclass(frozen=True, slots=True, kw_only=True)
class SignUpPages:
    """`/signup`, `/signup/t/<token>` and `/signup/finish`."""

    desk: Desk
    signing_up: SigningUp
    sign_in: SignIn
    passwords: NewPasswords
    minutes: int

    async def begin(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The form; its answer is the same for every address, and given before anything is looked at."""
        asked = await self.desk.read(scope, receive)
        if asked.lost_interaction:
            reply = await self.desk.lost(asked)
        elif asked.posted:
            reply = self._asked_for(asked)
        else:
            reply = self._begin(asked)
        await reply(scope, receive, send)

    async def follow(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A link from a mail: consumes nothing, and in the browser that asked leads on in its visit."""
        asked = await self.desk.read(scope, receive)
        token = path_of(scope).removeprefix(SIGN_UP_PATH)
        found = await self.signing_up.look(Secret(token))
        if found is None:
            reply = self._over(asked)
        else:
            visit = found.interaction if found.is_from(asked.heard.pre) else None
            reply = self.desk.carry(asked, "signup", token, "signup_finish", interaction=visit)
        await reply(scope, receive, send)

    async def finish(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET asks for name and password; POST makes the account."""
        asked = await self.desk.read(scope, receive)
        token = self.desk.cookie(scope, "signup") or ""
        found = await self.signing_up.look(Secret(token))
        if found is None:
            reply = self._over(asked)
        elif not asked.posted:
            reply = self._show(asked, found, token)
        elif not self.desk.proven(asked, "signup-finish", digest(token), asked.session_id):
            reply = self._show(asked, found, token, problem="stale", status=403)
        else:
            reply = await self._make(asked, found, token)
        await reply(scope, receive, send)

    def _begin(self, asked: Asked, *, stale: bool = False) -> Reply:
        typed = asked.form.get("email", "")
        page = SignUpPage(
            csrf=self.desk.proof(asked, "signup", asked.session_id),
            interaction=asked.interaction_id,
            app=app_of(asked),
            person=asked.user.email if asked.user else None,
            email=typed if email_key(typed) else "",  # it may be a password, in the wrong field
            problem="stale" if stale else "no-email" if asked.posted else None,
        )
        return self.desk.page(asked, page, status=403 if stale else 422 if asked.posted else 200)

    def _asked_for(self, asked: Asked) -> Reply:
        if not self.desk.proven(asked, "signup", asked.session_id):
            return self._begin(asked, stale=True)
        email = asked.form.get("email", "").strip()
        if not self.signing_up.ask(email, asked.visit, binding=asked.binding, interaction=asked.interaction_id):
            return self._begin(asked)
        return self.desk.page(asked, SignUpSent(interaction=asked.interaction_id, email=email, minutes=self.minutes))

    async def _make(self, asked: Asked, found: SignUp, token: str) -> Reply:
        first, last = asked.form.get("first_name", "").strip(), asked.form.get("last_name", "").strip()
        new = Secret(asked.form.get("new_password", ""))
        if problem := self._problem(found, first, last, new, asked.form.get("new_password_again", "")):
            return self._show(asked, found, token, problem=problem, status=422)
        try:
            made = await self.signing_up.make(
                Secret(token),
                first_name=first,
                last_name=last,
                password=new,
                language=asked.locale if asked.asked_locale else "",
                visit=asked.visit,
            )
        except InvalidField:
            return self._show(asked, found, token, problem="long-name", status=422)
        if isinstance(made, Over):
            return self._over(asked)
        used = self.desk.cookies.clear("signup")
        if not found.is_from(asked.heard.pre):
            return self.desk.page(asked, SignedUp(), cookies=(used,))
        welcome = await self.sign_in.enter(asked, made.email, new)
        return replace(welcome, headers=(*welcome.headers, used))

    def _problem(self, found: SignUp, first: str, last: str, new: Secret, again: str) -> SignUpProblem | None:
        if not first and not last:
            return "no-name"
        if not new.matches(again):
            return "different"
        return self.passwords.judge_first(new, about=(found.email, first, last))

    def _show(
        self, asked: Asked, found: SignUp, token: str, *, problem: SignUpProblem | None = None, status: int = 200
    ) -> Reply:
        page = SignUpFinish(
            csrf=self.desk.proof(asked, "signup-finish", digest(token), asked.session_id),
            interaction=asked.interaction_id,
            app=app_of(asked),
            masked_address=masked(found.email),
            person=asked.user.email if asked.user and found.is_from(asked.heard.pre) else None,
            shortest=self.passwords.shortest_first,
            first_name=asked.form.get("first_name", ""),
            last_name=asked.form.get("last_name", ""),
            problem=problem,
        )
        return self.desk.page(asked, page, status=status)

    def _over(self, asked: Asked) -> Reply:
        return self.desk.page(asked, LinkOver(what="signup"), status=410, cookies=(self.desk.cookies.clear("signup"),))
