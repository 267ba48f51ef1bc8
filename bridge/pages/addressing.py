"""Another e-mail address on a person's own page: asked for, and taken back while it waits — security §24, §30, S15."""

from dataclasses import dataclass
from typing import assert_never

from bridge.asgi import Receive, Reply, Scope, Send
from bridge.pages.accounting import Accounting
from bridge.pages.asked import Asked
from bridge.pages.browser import Desk
from bridge.resets.new_address import NewAddresses, NoAddress, TooOften
from bridge.users.email_changes import EmailChange, Unchanged
from bridge.users.user import User


@dataclass(frozen=True, slots=True, kw_only=True)
class Addressing:
    """`/account/email`."""

    desk: Desk
    accounting: Accounting
    addresses: NewAddresses

    async def address(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST asks for `new_email`, or with `cancel` takes back what waits; GET is the account page."""
        asked = await self.desk.read(scope, receive)
        await (await (self._decide(asked) if asked.posted else self.accounting.shown(asked)))(scope, receive, send)

    async def _decide(self, asked: Asked) -> Reply:
        alive, user = self.accounting.proven(asked), asked.user
        if alive is None or user is None:
            return await self.accounting.shown(asked, problem="stale", status=403)
        if not self.addresses.kept_here(user):
            return await self.accounting.shown(asked, status=409)
        if "cancel" in asked.form:
            return await self._cancel(asked, user)
        return self.accounting.confirmed(asked, alive) or await self._ask(asked, user, asked.form.get("new_email", ""))

    async def _ask(self, asked: Asked, user: User, email: str) -> Reply:
        match await self.addresses.ask(user, email, asked.visit):
            case EmailChange():
                return await self.accounting.shown(asked, notice="email-asked")
            case Unchanged():
                return await self.accounting.shown(asked, address_problem="same", typed=email, status=422)
            case NoAddress():
                return await self.accounting.shown(asked, address_problem="no-email", typed=email, status=422)
            case TooOften(wait):
                return await self.accounting.shown(asked, problem="too-many", wait=wait, status=429)
            case None:
                return await self.accounting.shown(asked, problem="stale", status=409)
            case outcome:
                assert_never(outcome)

    async def _cancel(self, asked: Asked, user: User) -> Reply:
        """Without showing again who he is: nothing of the account changes."""
        done = await self.addresses.cancel(user, asked.visit)
        return await self.accounting.shown(asked, notice="email-cancelled" if done else "email-over")
