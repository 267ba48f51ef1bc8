"""Another e-mail address: the link that confirms it, and the one that undoes it — security §24, §30.

Opening a link does neither: mail scanners open every link.  Each takes a POST from the form that the link led to, and
neither signs anybody in.
"""

from dataclasses import dataclass

from bridge.asgi import Receive, Reply, Scope, Send, path_of
from bridge.pages.asked import Asked
from bridge.pages.browser import Desk
from bridge.pages.masking import masked
from bridge.pages.models import EmailChange as EmailChangePage
from bridge.pages.models import EmailChanged, EmailChangeProblem, LinkOver
from bridge.resets.readdress import Readdress
from bridge.secret import Secret
from bridge.tokens import digest
from bridge.users.email_changes import EmailChange, Gone
from bridge.users.send import PATH
from bridge.users.user import AddressTaken, User


@dataclass(frozen=True, slots=True, kw_only=True)
class Readdressing:
    """`/email/t/<token>` and `/email`."""

    desk: Desk
    readdress: Readdress

    async def follow(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The link: its token moves into a cookie."""
        asked = await self.desk.read(scope, receive)
        token = path_of(scope).removeprefix(PATH)
        found = await self.readdress.look(Secret(token))
        reply = self._gone(asked) if isinstance(found, Gone) else self.desk.carry(asked, "email", token, "email")
        await reply(scope, receive, send)

    async def email(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET asks; POST does it."""
        asked = await self.desk.read(scope, receive)
        token = self.desk.cookie(scope, "email") or ""
        found = await self.readdress.look(Secret(token))
        if isinstance(found, Gone):
            reply = self._gone(asked)
        elif not asked.posted:
            reply = self._show(asked, found, token)
        elif not self.desk.proven(asked, "email", digest(token), found.state):
            reply = self._show(asked, found, token, problem="stale", status=403)
        else:
            reply = await self._take(asked, found, token)
        await reply(scope, receive, send)

    async def _take(self, asked: Asked, found: EmailChange, token: str) -> Reply:
        undone = found.state == "confirmed"
        way = self.readdress.undo if undone else self.readdress.confirm
        match await way(Secret(token), asked.visit):
            case User() as user:
                mine = asked.user is not None and asked.user.id == user.id
                cookies = (self.desk.cookies.clear("email"), *(self.desk.signed_out() if mine else ()))
                return self.desk.page(asked, EmailChanged(undone=undone), cookies=cookies)
            case AddressTaken():
                return self._show(asked, found, token, problem="taken", status=409)
            case Gone():
                return self._gone(asked)

    def _show(
        self,
        asked: Asked,
        found: EmailChange,
        token: str,
        *,
        problem: EmailChangeProblem | None = None,
        status: int = 200,
    ) -> Reply:
        page = EmailChangePage(
            csrf=self.desk.proof(asked, "email", digest(token), found.state),
            undo=found.state == "confirmed",
            old_address=masked(found.old_email),
            new_address=masked(found.new_email),
            problem=problem,
        )
        return self.desk.page(asked, page, status=status)

    def _gone(self, asked: Asked) -> Reply:
        return self.desk.page(asked, LinkOver(what="email"), status=410, cookies=(self.desk.cookies.clear("email"),))
