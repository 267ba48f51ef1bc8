"""The second step on a person's own page: set up, removed, and codes for the day it is lost — S9, S15, A8, A9."""

from dataclasses import dataclass

from bridge.asgi import Receive, Reply, Scope, Send
from bridge.login.enrolment import Done, Enrolment, NotDone, Offer
from bridge.login.totp import otpauth_uri
from bridge.outbox.device import device_name
from bridge.pages.accounting import Accounting
from bridge.pages.app import plain
from bridge.pages.asked import Asked
from bridge.pages.browser import Desk
from bridge.pages.models import PasskeySetup, RecoveryCodes, SetupProblem, TotpSetup
from bridge.pages.picture import qr_code
from bridge.sessions.birth import Born
from bridge.sessions.judge import Alive, Dead
from bridge.types import FactorChange
from bridge.users.user import User

_SETS_UP = "totp-setup"
_ADDS = "passkey-setup"


@dataclass(frozen=True, slots=True, kw_only=True)
class Securing:
    """`/account/totp`, `/account/passkeys`, `/account/factors` and `/account/recovery-codes`."""

    desk: Desk
    accounting: Accounting
    enrolment: Enrolment

    async def totp(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET shows a new secret, to whoever has just shown who he is; POST takes the first code of it."""
        asked = await self.desk.read(scope, receive)
        person = self._person(asked)
        if isinstance(person, Reply):
            reply = person
        elif asked.posted:
            reply = await self._set_up(asked, *person)
        else:
            reply = self.accounting.confirmed(asked, person[1], "totp") or self._offer(asked, *person)
        await reply(scope, receive, send)

    async def passkeys(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET asks the browser for a new passkey, of whoever has just shown who he is; POST takes it."""
        asked = await self.desk.read(scope, receive)
        person = self._person(asked)
        if isinstance(person, Reply):
            reply = person
        elif asked.posted:
            reply = await self._add(asked, *person)
        else:
            reply = self.accounting.confirmed(asked, person[1], "passkeys") or await self._ask(asked, *person)
        await reply(scope, receive, send)

    async def remove(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST removes what `remove` names; GET is the account page."""
        asked = await self.desk.read(scope, receive)
        await (await (self._remove(asked) if asked.posted else self.accounting.shown(asked)))(scope, receive, send)

    async def recovery_codes(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST makes new ones; GET is the account page."""
        asked = await self.desk.read(scope, receive)
        await (await (self._renew(asked) if asked.posted else self.accounting.shown(asked)))(scope, receive, send)

    def _person(self, asked: Asked) -> tuple[User, Alive] | Reply:
        """Who is signed in; where another system keeps him, or nobody is there, the page to show instead."""
        alive, user = asked.alive, asked.user
        if alive is None or user is None:
            return self.accounting.gone(asked)
        return (user, alive) if self.enrolment.kept_here(user) else self.desk.go(asked, "account")

    def _offer(
        self,
        asked: Asked,
        user: User,
        alive: Alive,
        *,
        offer: Offer | None = None,
        problem: SetupProblem | None = None,
        status: int = 200,
    ) -> Reply:
        """The page; `offer`: the one that he has seen already."""
        offer = offer or self.enrolment.offer_totp(alive)
        uri = otpauth_uri(offer.secret, account=user.email, issuer=self.desk.pages.brand.name)
        page = TotpSetup(
            csrf=self.desk.proof(asked, _SETS_UP, alive.record.id),
            offer=offer.sealed,
            secret=offer.secret.reveal(),
            uri=uri.reveal(),
            picture=qr_code(uri),
            problem=problem,
        )
        return self.desk.page(asked, page, status=status)

    async def _set_up(self, asked: Asked, user: User, alive: Alive) -> Reply:
        offer = self.enrolment.offered(alive, asked.form.get("offer", ""))
        if offer is None or not self.desk.proven(asked, _SETS_UP, alive.record.id):
            # A new secret is for whoever has just shown who he is.
            again = self.accounting.confirmed(asked, alive, "totp")
            return again or self._offer(asked, user, alive, problem="stale", status=403)
        done = await self.enrolment.confirm_totp(user, alive, offer, asked.form.get("code", ""), asked.visit)
        if isinstance(done, NotDone) and done.why != "stale":
            return self._offer(asked, user, alive, offer=offer, problem=done.why, status=422)
        return await self._answer(asked, "totp-added", done)

    async def _ask(
        self, asked: Asked, user: User, alive: Alive, *, problem: SetupProblem | None = None, status: int = 200
    ) -> Reply:
        """The page that adds a passkey."""
        request = await self.enrolment.passkey_request(user, alive, asked.binding)
        if request is None:
            return self.desk.go(asked, "account")
        page = PasskeySetup(
            csrf=self.desk.proof(asked, _ADDS, alive.record.id),
            passkey=request,
            label=plain(asked.form.get("label", "")) or device_name(asked.visit.user_agent) or "",
            problem=problem,
        )
        return self.desk.page(asked, page, status=status)

    async def _add(self, asked: Asked, user: User, alive: Alive) -> Reply:
        if not self.desk.proven(asked, _ADDS, alive.record.id):
            again = self.accounting.confirmed(asked, alive, "passkeys")
            return again or await self._ask(asked, user, alive, problem="stale", status=403)
        label = plain(asked.form.get("label", "")) or device_name(asked.visit.user_agent) or "Passkey"
        done = await self.enrolment.add_passkey(
            user, alive, asked.form.get("passkey", ""), label=label, browser=asked.binding, visit=asked.visit
        )
        if isinstance(done, NotDone) and done.why != "stale":
            # He may have taken longer than a challenge lives: then he shows again who he is.
            again = self.accounting.confirmed(asked, alive, "passkeys")
            return again or await self._ask(asked, user, alive, problem="wrong", status=422)
        return await self._answer(asked, "passkey-added", done)

    async def _remove(self, asked: Asked) -> Reply:
        person = self._ready(asked) or await self._refused(asked)
        if isinstance(person, Reply):
            return person
        match asked.form.get("remove", ""):
            case "totp":
                return await self._answer(asked, "totp-removed", await self.enrolment.remove_totp(*person, asked.visit))
            case other if other.isdecimal() and other.isascii() and len(other) < 19:
                done = await self.enrolment.remove_passkey(*person, int(other), asked.visit)
                return await self._answer(asked, "passkey-removed", done)
            case _:
                return await self.accounting.shown(asked, notice="factor-unchanged")

    async def _renew(self, asked: Asked) -> Reply:
        person = self._ready(asked) or await self._refused(asked)
        if isinstance(person, Reply):
            return person
        return await self._answer(asked, "codes-renewed", await self.enrolment.renew_codes(*person, asked.visit))

    def _ready(self, asked: Asked) -> tuple[User, Alive] | Reply | None:
        """Who sent the account page's own form, and has just shown who he is; None: it was not that form."""
        alive, user = self.accounting.proven(asked), asked.user
        if alive is None or user is None:
            return None
        return self.accounting.confirmed(asked, alive) or (user, alive)

    async def _refused(self, asked: Asked) -> Reply:
        return await self.accounting.shown(asked, problem="stale", status=403)

    async def _answer(self, asked: Asked, what: FactorChange, done: Done | NotDone) -> Reply:
        if isinstance(done, NotDone):
            return await self.accounting.shown(asked, notice="factor-unchanged", status=409)
        session = done.session
        cookies = self.desk.signed_in(session) if isinstance(session, Born) else ()
        if done.codes:
            page = RecoveryCodes(codes=tuple(code.reveal() for code in done.codes), first=what != "codes-renewed")
            return self.desk.page(asked, page, cookies=cookies)
        if isinstance(session, Dead):  # it ended with the others: the sign-in page says why
            return self.accounting.gone(asked)
        kept = session.alive(self.desk.sessions.tools.codec)
        return await self.accounting.shown(asked, notice=what, kept=kept, changed=done.user, cookies=cookies)
