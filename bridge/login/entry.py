"""What is born for somebody who proved who he is, and for nobody else — store §2, rule 3.

The row is read before the credential is checked, and every birth expects its stamp.  Whoever loses that race has the
stamp published and the row read again: the same stamp, and it is tried again; another one, and the credential is
checked again.  The new stamp is never just taken.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final, Protocol, TypeAlias, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from bridge.errors import Unavailable
from bridge.login.pending import Vouched
from bridge.login.series import DeviceSecret, Series
from bridge.login.shown import Shown
from bridge.sessions.birth import Birth, Born, Earlier
from bridge.sessions.judge import Alive
from bridge.sessions.sessions import Sessions, Stale
from bridge.stores.store import Change
from bridge.tokens import LoginToken
from bridge.types import IPAddress, UserId, Visit
from bridge.users.backend import UserBackend
from bridge.users.user import User

TRIES: Final = 4

Made = TypeVar("Made")
Admits: TypeAlias = Callable[[UserId], Awaitable[bool]]


class Arrival(Struct, frozen=True, kw_only=True):
    """Who comes in how."""

    wish: Birth
    visit: Visit
    over: Alive | None = None
    """The session that this browser has already: the same person's goes on under a new token, another's ends."""
    child: LoginToken | None = None
    """The app cookie that came along."""
    shown: Shown | None = None
    """The second factor that came with the password, from whoever has no second step."""
    admits: Admits | None = None
    """Whom this door lets in, asked once the password was right and before anything is made; None: everybody."""


class Arrivals(Protocol):
    """Hears who came in."""

    def note(self, user: UserId, ip: IPAddress | None) -> None: ...


class Entry:
    """Gives birth, or says that it was too late."""

    def __init__(self, *, sessions: Sessions, users: UserBackend, series: Series | None = None) -> None:
        """`series`: of devices that stay signed in; None: none does."""
        self._sessions = sessions
        self._users = users
        self._series = series

    def by_link(self, vouched: Vouched) -> Birth:
        """What a person is given for whom an API caller vouched."""
        terms = vouched.terms
        return Birth.sso(
            self._sessions.options, via=vouched.via, idle=terms.idle, absolute=terms.lifetime, cap=terms.cap
        )

    async def enter(
        self, user: User, arrival: Arrival, *, amr: Sequence[str], also: Sequence[Change] = ()
    ) -> Born | Stale:
        """The session of a user whose credential was checked against this very row.  `also`: in the same commit."""
        visit, over = arrival.visit, arrival.over
        secret = self._series.draw(user.tag) if self._series is not None and arrival.wish.keep else None

        def kept(born: Born) -> Sequence[Change]:
            return self._series.begun(secret, born) if self._series is not None and secret is not None else ()

        if over is not None and (over.record.uid, over.record.kind) == (user.id, arrival.wish.kind):
            turned = await self._sessions.rotate(
                over, user.standing, visit, amr=amr, child=arrival.child, also=also, with_it=kept
            )
            if isinstance(turned, Born | Stale):
                return _holding(turned, secret)
            over = None  # it ended meanwhile; he has just proved who he is, so he gets a new one
        born = await self._sessions.start(user.standing, arrival.wish, visit, amr=amr, also=also, with_it=kept)
        if isinstance(born, Born) and over is not None:
            with suppress(Unavailable):  # the browser forgets it with this answer in any case
                await self._sessions.end(over.record.uid, over.token.tag, over.record.id, "replaced")
        return _holding(born, secret)

    async def go_on(self, user: User, came: Alive, visit: Visit, *, session: str) -> Born | Stale:
        """At our own pages, under a session of that `id`: as good as that by which he came, and not better (security
        §8).  That one is over."""
        wish, earlier = Birth.browser(self._sessions.options, ip=visit.ip), Earlier(session, came.record.auth_time)
        born = await self._sessions.start(user.standing, wish, visit, amr=came.record.amr, earlier=earlier)
        if isinstance(born, Born):
            with suppress(Unavailable):  # the browser forgets it with this answer in any case
                await self._sessions.end(user.id, came.token.tag, came.record.id, "replaced")
        return born

    async def against(self, user: User, attempt: Callable[[], Awaitable[Made | Stale]]) -> Made | None:
        """Try until it is done; None: the row has changed, and the credential must be checked again.

        Raises `Unavailable`, also when others keep winning.
        """
        for _ in range(TRIES):
            made = await attempt()
            if not isinstance(made, Stale):
                return made
            if not await self.unchanged(user):
                return None
        raise Unavailable("contended")

    async def unchanged(self, user: User) -> bool:
        """Publish the stamp, then read the row again: is it still the one that the credential was checked against?"""
        await self._sessions.publish_stamp(user.id, user.tag)
        row = await self._users.by_id(user.id)
        return row is not None and row.stamp == user.stamp and not row.disabled


def _holding(born: Born | Stale, secret: DeviceSecret | None) -> Born | Stale:
    return replace(born, device=secret.text) if isinstance(born, Born) and secret is not None else born
