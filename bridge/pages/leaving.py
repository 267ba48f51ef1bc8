"""Signing out: one session, here and in the applications that share it — RP-Initiated Logout 1.0 §2, S7.

Asks first, unless the wish came with a genuine ID token of this very session.  With the store down the browser is
signed out all the same: the ending is in SQL, and the reconciler publishes it.
"""

from contextlib import suppress
from dataclasses import dataclass

from bridge.asgi import Receive, Reply, Scope, Send, see_other
from bridge.errors import Unavailable
from bridge.interactions.record import Logout
from bridge.pages.browser import Asked, Desk
from bridge.pages.models import Logout as LogoutPage
from bridge.pages.models import SignedOut
from bridge.pages.signin import app_of
from bridge.sessions.cookie import Header
from bridge.sessions.judge import Alive, Dead
from bridge.users.backend import UserBackend


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaving:
    """`/logout`, and `/signed-out`."""

    desk: Desk
    users: UserBackend

    async def logout(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET asks (or ends, where the wish proves itself); POST ends."""
        asked = await self.desk.read(scope, receive)
        wish = asked.interaction.record.logout if asked.interaction else None
        reply = await (self._posted(asked, wish) if asked.posted else self._shown(asked, wish))
        await reply(scope, receive, send)

    async def _shown(self, asked: Asked, wish: Logout | None) -> Reply:
        alive = asked.alive
        if alive is None:
            return self._gone(asked, wish)
        if wish is not None and self._proves_itself(asked, alive, wish):
            return await self._end(asked, alive, wish)
        return await self._ask(asked, alive)

    async def _posted(self, asked: Asked, wish: Logout | None) -> Reply:
        alive = asked.alive
        if alive is None:
            return self._gone(asked, wish)
        if not self.desk.proven(asked, "logout", alive.record.id):
            return await self._ask(asked, alive, status=403)
        if asked.form.get("answer") == "stay":
            return self.desk.go(asked, "account")
        return await self._end(asked, alive, wish)

    async def _ask(self, asked: Asked, alive: Alive, *, status: int = 200) -> Reply:
        user = await self.users.by_id(alive.record.uid)
        page = LogoutPage(
            csrf=self.desk.proof(asked, "logout", alive.record.id),
            interaction=asked.interaction_id,
            app=app_of(asked),
            email=user.email if user else None,
        )
        return self.desk.page(asked, page, status=status)

    async def _end(self, asked: Asked, alive: Alive, wish: Logout | None) -> Reply:
        # SQL knows of it before the store is told; a store that does not answer is told by the reconciler.
        with suppress(Unavailable):
            await self.desk.sessions.end(alive.record.uid, alive.token.tag, alive.record.id, "you")
        return self._onward(asked, wish, self._cleared())

    def _gone(self, asked: Asked, wish: Logout | None) -> Reply:
        """Nobody is signed in: the wish is fulfilled already."""
        cookies = self._cleared() if asked.session is not None else ()
        if isinstance(asked.session, Dead) and wish is None:
            return self.desk.page(asked, SignedOut(why=asked.session.reason), cookies=cookies)
        return self._onward(asked, wish, cookies)

    def _onward(self, asked: Asked, wish: Logout | None, cookies: tuple[Header, ...]) -> Reply:
        if wish is not None and wish.target is not None:
            return see_other(wish.target, cookies)
        return self.desk.page(asked, SignedOut(why="signed-out"), cookies=cookies)

    @staticmethod
    def _proves_itself(asked: Asked, alive: Alive, wish: Logout) -> bool:
        app = asked.interaction.record.app if asked.interaction else None
        return wish.means(alive.record.clients, app.client if app else None)

    def _cleared(self) -> tuple[Header, ...]:
        return (self.desk.cookies.clear("op"), self.desk.cookies.clear("app"))
