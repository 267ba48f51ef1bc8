"""`/dologin.php`: AutoAuth, as WHMCS had it until 8.0 — whmcs-api §5.3, §10 no. 21, security §8.

Whoever has the key signs anybody in, by a link that he makes himself.  A good one is exchanged for a link of our own,
once, and goes on at `singlesignon.php`: who is asked, and what is owed, is decided there.  That it was used is written
in SQL, with the audit's row: a link that we did not make carries no epoch, and a store that was set back would take it
again (security §3).
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from bridge.asgi import (
    NO_REFERRER,
    NO_STORE,
    BadRequest,
    Endpoints,
    Proxies,
    Receive,
    Reply,
    Scope,
    Send,
    is_navigation,
    looks_ahead,
    query,
    see_other,
)
from bridge.clients.credential import SessionTerms
from bridge.clock import Clock
from bridge.database.once import first_use
from bridge.errors import ConfigError, Unavailable
from bridge.events.event import Events
from bridge.events.ledger import Deed, Ledger
from bridge.legacy.create_sso_token import PATH as REDEEM
from bridge.legacy.create_sso_token import Destinations
from bridge.legacy.options import AutoAuth
from bridge.login.sso import BASE, SingleSignOn, SsoRefusal, SsoWish
from bridge.secret import Secret
from bridge.tokens import Names, digest
from bridge.types import UserId, Visit
from bridge.users.backend import UserBackend
from bridge.users.user import User

PATH: Final = "/dologin.php"
VIA: Final = "dologin"
LIFETIME: Final = 900
SKEW: Final = 60
"""Seconds that the clock of whoever makes a link may be ahead of ours."""
_TIMESTAMP: Final = re.compile(r"[0-9]{10}")
_LINK: Final = "the link"


class Errors(Protocol):
    """Shows a person what was wrong (`bridge.pages`)."""

    def render_error(
        self, scope: Scope, *, status: int, text: str, parameter: str, retry_after: int | None = None
    ) -> Reply: ...


Why = SsoRefusal | Literal["malformed", "not-followed", "not-genuine", "leads-elsewhere", "no-such-user"]
"""not-followed: it was fetched, not gone to by a person."""


class Refused(Exception):
    """What a person is told; `why` and `user` are for the log."""

    def __init__(self, why: Why, words: str, user: UserId | None = None) -> None:
        super().__init__(words)
        self.why: Why = why
        self.user = user


@dataclass(frozen=True, slots=True)
class Link:
    """What a genuine link says."""

    email: str
    target: str
    once: str
    """Names it, for the mark of its use."""


class DoLogin:
    """GET alone; HEAD uses nothing up."""

    def __init__(
        self,
        *,
        mode: AutoAuth,
        key: Secret | None,
        users: UserBackend,
        links: SingleSignOn,
        names: Names,
        ledger: Ledger,
        events: Events,
        destinations: Destinations,
        errors: Errors,
        proxies: Proxies,
        clock: Clock,
        base: str,
    ) -> None:
        """`base`: the path of the System URL."""
        if key is None:
            raise ConfigError("legacy.autoauth_key is missing")
        self._mode = mode
        self._key = key
        self._users = users
        self._links = links
        self._names = names
        self._ledger = ledger
        self._events = events
        self._destinations = destinations
        self._errors = errors
        self._proxies = proxies
        self._clock = clock
        self._base = base

    def endpoints(self) -> Endpoints:
        """Path below the mount point → this."""
        return {PATH: self}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reply = await self._reply(scope)
        await reply(scope, receive, send)

    async def _reply(self, scope: Scope) -> Reply:
        if scope["method"] == "HEAD":
            return Reply(200, headers=(*NO_STORE, *NO_REFERRER))
        if scope["method"] != "GET":
            return Reply(405, headers=((b"allow", b"GET, HEAD"), *NO_STORE))
        visit = Visit("legacy", self._proxies.client(scope), caller=VIA)
        try:
            if looks_ahead(scope) or not is_navigation(scope):
                raise Refused("not-followed", "it is to be followed by a person")
            link = self._read(query(scope))
            token = await self._exchanged(link, visit)
        except BadRequest as bad:
            return self._refuse(scope, visit, Refused("malformed", str(bad)))
        except Refused as refused:
            return self._refuse(scope, visit, refused)
        return see_other(f"{self._base}{REDEEM}?access_token={token.reveal()}", NO_REFERRER)

    def _refuse(self, scope: Scope, visit: Visit, refused: Refused) -> Reply:
        self._events.tell("sso.refused", visit, user=refused.user, reason=refused.why)
        return self._errors.render_error(scope, status=400, text=str(refused), parameter=_LINK)

    def _read(self, given: Mapping[str, str]) -> Link:
        """What the link says, if it is genuine and of now.  Raises Refused."""
        email, timestamp, shown = given.get("email", ""), given.get("timestamp", ""), given.get("hash", "")
        goto = given.get("goto", "")
        right = _TIMESTAMP.fullmatch(timestamp) is not None and hmac.compare_digest(
            self._hash(email, timestamp, goto).encode(), shown.encode("utf-8", "replace")
        )
        if not right:
            raise Refused("not-genuine", "it is not genuine")
        if not -SKEW <= self._clock.now() - int(timestamp) < LIFETIME:
            raise Refused("too-old", "it is too old, or of a clock that is wrong")
        target = self._destinations.custom(goto) if goto else self._destinations.named(BASE, {})
        if target is None:
            raise Refused("leads-elsewhere", "it leads to another place")
        return Link(email, target, digest(shown))

    def _hash(self, email: str, timestamp: str, goto: str) -> str:
        """sha1, as WHMCS had it, says nothing of `goto`; hmac says all, and what is which."""
        key = self._key.reveal_bytes()
        if self._mode == "sha1":
            return hashlib.sha1(email.encode() + timestamp.encode() + key, usedforsecurity=False).hexdigest()
        return hmac.new(key, f"{email}\n{timestamp}\n{goto}".encode(), hashlib.sha256).hexdigest()

    async def _exchanged(self, link: Link, visit: Visit) -> Secret:
        """A link of our own for it, once.  Raises Refused."""
        user = await self._users.by_email(link.email)
        if user is None:
            raise Refused("no-such-user", "there is nobody of that address")
        if (refused := await self._links.objection(user, None)) is not None:
            raise Refused(refused.why, refused.words, user.id)
        if not await self._ledger.do(visit, lambda deed: self._use(deed, user, link)):
            raise Refused("used", "it was used before", user.id)
        token = await self._links.issue(user, SsoWish(target=link.target, via=VIA, terms=SessionTerms()))
        if token is None:
            raise Unavailable("the user changed meanwhile")
        return token.text

    async def _use(self, deed: Deed, user: User, link: Link) -> bool:
        """Before there is a link of ours: rather one that nobody got than two."""
        now = int(self._clock.now())
        name = self._names.mark(user.tag, "sso", link.once)
        if not await first_use(deed.tx, name, user.id, user.tag, now=now, until=now + LIFETIME + SKEW):
            return False
        await deed.record("sso.created", user=user.id, target=link.target.partition("?")[0])
        return True
