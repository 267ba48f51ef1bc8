"""Who comes by a link that an API caller asked for — security §8, whmcs-api §5.1.

A session begun by a GET, by contract: so only when a person goes there himself, and never in the place of somebody who
is signed in.  He is asked first, and answers by POST.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from msgspec.structs import replace

from bridge.asgi import NO_REFERRER, NO_STORE, Receive, Reply, Scope, Send, is_navigation, looks_ahead, see_other
from bridge.clients.words import words
from bridge.errors import Unavailable
from bridge.login.outcome import LoggedIn, SecondFactorNeeded
from bridge.login.sso import BASE, Offer, SingleSignOn, SsoRefused
from bridge.pages.asked import Asked
from bridge.pages.browser import Desk
from bridge.pages.models import Arrive, Error
from bridge.sessions.cookie import Header
from bridge.sessions.judge import Alive
from bridge.tokens import LoginToken

_LATE = ("unknown", "used", "too-old", "signed-out", "client-gone")


@dataclass(frozen=True, slots=True)
class Here:
    """Who is signed in in this browser: at our own pages, and at the apps."""

    op: Alive | None
    app: Alive | None

    def others(self, offer: Offer) -> list[Alive]:
        """The sessions of somebody else than the link is for."""
        return [each for each in (self.op, self.app) if each is not None and each.record.uid != offer.user.id]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arriving:
    """`/oauth/singlesignon.php`."""

    desk: Desk
    links: SingleSignOn
    pending_seconds: int

    async def arrive(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET redeems the link, or asks; POST is the answer.  HEAD uses nothing up."""
        if scope["method"] == "HEAD":
            await Reply(200, headers=(*NO_STORE, *NO_REFERRER))(scope, receive, send)
            return
        asked = await self.desk.read(scope, receive, ())
        reply = await (self._answered(asked) if asked.posted else self._followed(asked))
        await reply(scope, receive, send)

    async def _followed(self, asked: Asked) -> Reply:
        if looks_ahead(asked.heard.scope) or not is_navigation(asked.heard.scope):
            page = Error(kind="bad-request", detail="this address is to be followed by a person", reference=None)
            return self.desk.page(asked, page, status=page.status)
        offer = await self._offer(asked, asked.heard.query)
        if isinstance(offer, Reply):
            return offer
        here = await self._here(asked)
        if here.others(offer):
            return self._ask(asked, offer)
        return await self._let_in(asked, offer, here)

    async def _answered(self, asked: Asked) -> Reply:
        offer = await self._offer(asked, asked.form)
        if isinstance(offer, Reply):
            return offer
        if not self.desk.proven(asked, "arrive", offer.token.sid):
            return self._ask(asked, offer)
        if asked.form.get("answer") != "continue":
            return self.desk.go(asked, "account")
        return await self._let_in(asked, offer, await self._here(asked))

    async def _offer(self, asked: Asked, given: Mapping[str, str]) -> Offer | Reply:
        found = await self.links.look(given.get("access_token", ""))
        if isinstance(found, SsoRefused):
            return self._refused(asked, found)
        led = _led(found, given.get("scope", ""))
        if led is None:
            page = Error(kind="bad-request", detail="scope: this link may not lead there", reference=None)
            return self.desk.page(asked, page, status=page.status)
        return led

    async def _here(self, asked: Asked) -> Here:
        token = self.desk.token(asked, "app")
        app = await self.desk.sessions.resolve(token, "middleware", asked.visit.ip) if token is not None else None
        return Here(asked.alive, app if isinstance(app, Alive) else None)

    async def _let_in(self, asked: Asked, offer: Offer, here: Here) -> Reply:
        outcome = await self.links.redeem(offer, asked.visit)
        if isinstance(outcome, SsoRefused):
            return self._refused(asked, outcome)
        self.links.tell_redeemed(offer, asked.visit, outcome)
        cookies = await self._replaced(offer, here)
        match outcome:
            case LoggedIn(_, born) if born is not None:
                return self._go(asked, offer, (*cookies, *self.desk.signed_in(born)))
            case SecondFactorNeeded(_, LoginToken() as pending):
                seconds = self.pending_seconds
                cookie = self.desk.cookies.set("pending", pending.text.reveal(), max_age=seconds)
                return self.desk.go(asked, "second_factor", next=offer.wish.target, cookies=(*cookies, cookie))
            case _:
                raise Unavailable("a sign-in without a session")

    async def _replaced(self, offer: Offer, here: Here) -> tuple[Header, ...]:
        """End what the browser had: another's sessions, and the one at the apps, whose token it gets a new one for."""
        others = here.others(offer)
        for old in {each.record.id: each for each in (*others, here.app) if each is not None}.values():
            with suppress(Unavailable):  # the browser forgets it with this answer in any case
                await self.desk.sessions.end(old.record.uid, old.token.tag, old.record.id, "replaced")
        return self.desk.signed_out() if others else ()

    def _go(self, asked: Asked, offer: Offer, cookies: tuple[Header, ...]) -> Reply:
        if asked.posted:
            return self.desk.onward(asked, offer.wish.target, cookies=cookies)
        return see_other(offer.wish.target, (*NO_REFERRER, *cookies))

    def _ask(self, asked: Asked, offer: Offer) -> Reply:
        page = Arrive(
            csrf=self.desk.proof(asked, "arrive", offer.token.sid),
            access_token=offer.token.text.reveal(),
            scope=asked.heard.given("scope") or "",
            name=offer.user.name,
            email=offer.user.email,
            problem="stale" if asked.posted else None,
        )
        return self.desk.page(asked, page, status=403 if asked.posted else 200)

    def _refused(self, asked: Asked, refused: SsoRefused) -> Reply:
        self.links.tell_refused(refused, asked.visit)
        late = refused.why in _LATE
        page = Error(kind="stale" if late else "denied", detail=refused.words, reference=None)
        return self.desk.page(asked, page, status=page.status)


def _led(offer: Offer, scope: str) -> Offer | None:
    """The link with the destination that its scope names; None: it may not lead there.

    What CreateSsoToken made has its destination, and nothing in its address changes that.
    """
    targets = offer.wish.targets
    if not targets or not words(scope):
        return offer
    named = [name for name in words(scope) if name != BASE]
    if not set(named) <= targets.keys():
        return None
    return replace(offer, wish=replace(offer.wish, target=targets[named[0]])) if named else offer
