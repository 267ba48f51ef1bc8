"""An invite to a customer account: the link from the letter, and the form that accepts — whmcs-api §3.5.

Opening it accepts nothing: mail scanners open every link.  By POST it is accepted by the person whose address it went
to, signed in, or by a new user who gives himself a password.
"""

from dataclasses import dataclass
from typing import assert_never

from bridge.accounts.joining import Invited, Joining
from bridge.accounts.membership import Membership
from bridge.accounts.outcomes import AlreadyMember, InviteGone, NoUser, OtherAddress, UserExists
from bridge.accounts.send import PATH
from bridge.asgi import Receive, Reply, Scope, Send, path_of
from bridge.database.text import InvalidField
from bridge.pages.app import App
from bridge.pages.asked import Asked
from bridge.pages.browser import Desk
from bridge.pages.masking import masked
from bridge.pages.models import Invite, InviteAccepted, InviteFace, InviteProblem, LinkOver
from bridge.resets.judge import NewPasswords
from bridge.secret import Secret
from bridge.tokens import digest
from bridge.users.email import email_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Inviting:
    """`/invite/t/<token>` and `/invite`."""

    desk: Desk
    joining: Joining
    passwords: NewPasswords

    async def follow(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The link: its token moves into a cookie."""
        asked = await self.desk.read(scope, receive)
        token = path_of(scope).removeprefix(PATH)
        found = await self.joining.look(Secret(token))
        reply = (
            self._gone(asked) if isinstance(found, InviteGone) else self.desk.carry(asked, "invite", token, "invite")
        )
        await reply(scope, receive, send)

    async def invite(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET shows what it is about; POST accepts."""
        asked = await self.desk.read(scope, receive)
        token = self.desk.cookie(scope, "invite") or ""
        found = await self.joining.look(Secret(token))
        if isinstance(found, InviteGone):
            reply = self._gone(asked)
        elif not asked.posted:
            reply = self._show(asked, found, token)
        elif not self.desk.proven(asked, "invite", digest(token), asked.session_id):
            reply = self._show(asked, found, token, problem="stale", status=403)
        else:
            reply = await self._take(asked, found, token)
        await reply(scope, receive, send)

    async def _take(self, asked: Asked, found: Invited, token: str) -> Reply:
        match _face(asked, found):
            case "accept":
                return await self._accept(asked, found, token)
            case "register":
                return await self._register(asked, found, token)
            case _:
                return self._show(asked, found, token, status=403)

    async def _accept(self, asked: Asked, found: Invited, token: str) -> Reply:
        if asked.user is None:
            return self._show(asked, found, token, status=403)
        outcome = await self.joining.accept(Secret(token), asked.user.id, asked.visit)
        match outcome:
            case Membership() | AlreadyMember():
                return self._accepted(asked, found)
            case InviteGone() | NoUser():
                return self._gone(asked)
            case OtherAddress():  # his address was changed meanwhile
                return self._show(asked, found, token, status=403)
            case _:
                assert_never(outcome)

    async def _register(self, asked: Asked, found: Invited, token: str) -> Reply:
        first, last = asked.form.get("first_name", "").strip(), asked.form.get("last_name", "").strip()
        new = Secret(asked.form.get("new_password", ""))
        if problem := self._problem(found, first, last, new, asked.form.get("new_password_again", "")):
            return self._show(asked, found, token, problem=problem, status=422)
        try:
            outcome = await self.joining.register(
                Secret(token),
                first_name=first,
                last_name=last,
                password=new,
                language=asked.locale if asked.asked_locale else "",
                visit=asked.visit,
            )
        except InvalidField:
            return self._show(asked, found, token, problem="long-name", status=422)
        match outcome:
            case Membership():
                return self._accepted(asked, found)
            case InviteGone():
                return self._gone(asked)
            case UserExists():  # since a moment ago: he can sign in
                return self.desk.go(asked, "invite")
            case _:
                assert_never(outcome)

    def _problem(self, found: Invited, first: str, last: str, new: Secret, again: str) -> InviteProblem | None:
        if not first and not last:
            return "no-name"
        if not new.matches(again):
            return "different"
        return self.passwords.judge_first(new, about=(found.invite.email, first, last))

    def _show(
        self,
        asked: Asked,
        found: Invited,
        token: str,
        *,
        problem: InviteProblem | None = None,
        status: int = 200,
    ) -> Reply:
        page = Invite(
            csrf=self.desk.proof(asked, "invite", digest(token), asked.session_id),
            account=_name(found),
            masked_address=masked(found.invite.email),
            face=_face(asked, found),
            person=asked.user.email if asked.user else "",
            shortest=self.passwords.shortest_first,
            first_name=asked.form.get("first_name", ""),
            last_name=asked.form.get("last_name", ""),
            problem=problem,
        )
        return self.desk.page(asked, page, status=status)

    def _accepted(self, asked: Asked, found: Invited) -> Reply:
        page = InviteAccepted(account=_name(found), signed_in=asked.user is not None)
        return self.desk.page(asked, page, cookies=(self.desk.cookies.clear("invite"),))

    def _gone(self, asked: Asked) -> Reply:
        return self.desk.page(asked, LinkOver(what="invite"), status=410, cookies=(self.desk.cookies.clear("invite"),))


def _face(asked: Asked, found: Invited) -> InviteFace:
    """Who looks at it, as far as the invite goes."""
    if asked.user is not None:
        return "accept" if asked.user.email_key == email_key(found.invite.email) else "other"
    return "register" if found.user is None else "sign-in"


def _name(found: Invited) -> str:
    """The account's name, cleaned as an application's is: its owner chose it."""
    name = found.account.profile.company_name or found.account.name
    return App(name=name or f"#{found.account.id}", redirect_uri="", verified=True).name
