"""Signing out: one session, here and in the applications that share it — RP-Initiated Logout 1.0 §2, S7.

Asks first, unless the wish came with a genuine ID token of this very session.  What cannot be ended now, because the
store does not answer, is queued, and the browser is signed out all the same; what cannot even be queued is not said to
have ended (sessions-and-accounts §5.7).
"""

from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from bridge.asgi import Receive, Reply, Scope, Send, is_navigation, looks_ahead
from bridge.errors import Unavailable
from bridge.interactions.record import Logout
from bridge.login.remembering import Over, Remembering
from bridge.pages.asked import Asked, Heard, reads_html
from bridge.pages.browser import Desk
from bridge.pages.models import Logout as LogoutPage
from bridge.pages.models import SignedOut
from bridge.pages.signin import app_of
from bridge.sessions.cookie import Header
from bridge.sessions.judge import Alive, Dead
from bridge.sessions.record import SessionRecord
from bridge.tokens import LoginToken
from bridge.types import ClientId
from bridge.users.user import User

Later = Callable[[LoginToken], Awaitable[object]]
"""Queues the end of the session that this token opens.  Raises `Unavailable`."""

Tell = Callable[[Iterable[tuple[ClientId, str]]], Awaitable[object]]
"""Tells these clients of the end of what they know the session by: not longer than somebody would wait, and without
fail, as what fails is tried again."""


FramesOf = Callable[[Iterable[tuple[ClientId, str]]], Awaitable[tuple[str, ...]]]
"""What these clients want to be loaded in frames of the page that says so.  Never fails."""


async def no_frames(_: Iterable[tuple[ClientId, str]]) -> tuple[str, ...]:
    """Loads nothing."""
    return ()


async def nobody(_: Iterable[tuple[ClientId, str]]) -> None:
    """Tells no client."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaving:
    """`/logout`."""

    desk: Desk
    later: Later
    tell: Tell
    frames_of: FramesOf
    remembering: Remembering | None = None
    """None: no browser is kept signed in."""

    async def logout(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET asks (or ends, where the wish proves itself); POST ends."""
        heard = await self.desk.hear(scope, receive)
        try:
            asked = await self.desk.know(heard, ("logout",))
        except Unavailable:
            reply = await self._unseen(heard)
        else:
            wish = asked.interaction.record.logout if asked.interaction else None
            reply = await (self._posted(asked, wish) if asked.posted else self._shown(asked, wish))
        await reply(scope, receive, send)

    async def _shown(self, asked: Asked, wish: Logout | None) -> Reply:
        alive = asked.alive or await self.desk.by_link(asked)
        if alive is None:
            return await self._remembered(asked, wish)
        # A picture is no wish either: an app's own logo, on one of our pages, may be an address of ours.
        meant = is_navigation(asked.heard.scope) and not looks_ahead(asked.heard.scope)
        if wish is not None and meant and self._proves_itself(asked, alive, wish):
            return await self._end(asked, alive, wish)
        return self._ask(asked, alive.token.sid, asked.user)

    async def _posted(self, asked: Asked, wish: Logout | None) -> Reply:
        alive = asked.alive or await self.desk.by_link(asked)
        if alive is None:
            return await self._remembered(asked, wish)
        if not self.desk.proven(asked, "logout", alive.token.sid):
            return self._ask(asked, alive.token.sid, asked.user)
        if asked.form.get("answer") == "stay":
            return self.desk.go(asked, "account")
        return await self._end(asked, alive, wish)

    async def _unseen(self, heard: Heard) -> Reply:
        """The store does not answer.  Raises `Unavailable` unless this is the sign-out of our own form."""
        token = heard.token
        if token is None or not heard.posted or heard.form.get("answer") == "stay":
            raise Unavailable
        if not self.desk.proves(heard, heard.interaction or "", "logout", token.sid):
            raise Unavailable
        await self.later(token)
        asked = self.desk.unknown(heard)
        return self.desk.page(asked, SignedOut(why="signed-out"), cookies=self.desk.signed_out_for_good(asked))

    async def _remembered(self, asked: Asked, wish: Logout | None) -> Reply:
        """Nobody is signed in, but in this browser somebody would be without a password: he is asked as well."""
        held = self.desk.cookie(asked.heard.scope, "dev")
        known = await self.remembering.look(held, asked.visit) if self.remembering is not None and held else Over()
        if held is None or isinstance(known, Over):
            return self._gone(asked, wish)
        if not asked.posted or not self.desk.proven(asked, "logout", known.series):
            return self._ask(asked, known.series, known.user)
        if asked.form.get("answer") == "stay":
            return self.desk.go(asked, "account")
        await self._forget(asked)
        return self._onward(asked, wish, self.desk.signed_out_for_good(asked))

    async def _forget(self, asked: Asked) -> None:
        """What keeps this browser signed in is good for nothing any more."""
        held = self.desk.cookie(asked.heard.scope, "dev")
        if self.remembering is not None and held is not None:
            await self.remembering.forget(held, asked.visit)

    def _ask(self, asked: Asked, bound: str, user: User | None) -> Reply:
        page = LogoutPage(
            # Bound to the cookie itself, so that it can be checked while nobody answers.
            csrf=self.desk.proof(asked, "logout", bound),
            interaction=asked.interaction_id,
            app=app_of(asked),
            email=user.email if user else None,
            problem="stale" if asked.posted else None,
        )
        return self.desk.page(asked, page, status=403 if asked.posted else 200)

    async def _end(self, asked: Asked, alive: Alive, wish: Logout | None) -> Reply:
        by_link, ended = await self.desk.by_link(asked), list[SessionRecord]()
        for each in {one.record.id: one for one in (alive, by_link) if one is not None}.values():
            try:
                ended += await self.desk.sessions.end(each.record.uid, each.token.tag, each.record.id, "you")
            except Unavailable:
                await self.later(each.token)
        known = [each for record in ended for each in record.clients.items()]
        await self.tell(known)
        frames = await self.frames_of(known) if reads_html(asked.heard.scope) else ()
        with suppress(Unavailable):  # it belongs to the session whose end is queued
            await self._forget(asked)
        return self._onward(asked, wish, self.desk.signed_out_for_good(asked), frames)

    def _gone(self, asked: Asked, wish: Logout | None) -> Reply:
        """Nobody is signed in: the wish is fulfilled already."""
        held = self.desk.cookie(asked.heard.scope, "dev") is not None
        cookies = self.desk.signed_out_for_good(asked) if asked.session is not None or held else ()
        if isinstance(asked.session, Dead) and wish is None:
            return self.desk.page(asked, SignedOut(why=asked.session.reason), cookies=cookies)
        app = app_of(asked)
        if wish is not None and wish.target is not None and app is not None and not app.verified:
            # Whoever registers an address would lead people there by ours (RFC 9700 §4.11.2): he who reads it decides.
            return self.desk.page(asked, SignedOut(why="signed-out", target=wish.target, app=app), cookies=cookies)
        return self._onward(asked, wish, cookies)

    def _onward(
        self, asked: Asked, wish: Logout | None, cookies: tuple[Header, ...], frames: tuple[str, ...] = ()
    ) -> Reply:
        target = wish.target if wish is not None else None
        if target is not None and not frames:
            return self.desk.onward(asked, target, cookies=cookies)
        return self.desk.page(asked, SignedOut(why="signed-out", frames=frames, target=target), cookies=cookies)

    @staticmethod
    def _proves_itself(asked: Asked, alive: Alive, wish: Logout) -> bool:
        app = asked.interaction.record.app if asked.interaction else None
        return wish.means(alive.record.clients, app.client if app else None)
