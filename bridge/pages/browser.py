"""The one way in which pages read a request and answer it — DESIGN §7, W2.

A change is taken only by POST, from our own origin, with a proof that this browser was shown this very form.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from msgspec.structs import replace

from bridge.asgi import Proxies, Receive, Reply, Scope, header, origin_of, query, read_form, see_other
from bridge.clients.redirects import is_loopback
from bridge.clock import Clock
from bridge.interactions.interactions import Interactions, Overtaken, is_binding
from bridge.interactions.interactions import Visit as Interaction
from bridge.interactions.record import InteractionKind
from bridge.pages.asked import Asked, Heard, kept_language, reads_html
from bridge.pages.headers import new_nonce
from bridge.pages.models import Error, Onward, Page
from bridge.pages.paths import Paths
from bridge.pages.render import Links, Pages
from bridge.secret import Secret
from bridge.sessions.birth import Born
from bridge.sessions.cookie import Ambiguous, Cookies, Header, Purpose
from bridge.sessions.judge import Alive, Dead
from bridge.sessions.sessions import Sessions
from bridge.sessions.ticket import AT_ISSUER
from bridge.tokens import LoginToken, new_id
from bridge.types import Visit
from bridge.users.backend import UserBackend
from bridge.users.user import User

CARRIED_SECONDS: Final = 900
"""How long the token of a letter's link waits in a cookie for its form."""
_QUIET: Final = (b"referrer-policy", b"no-referrer")  # the address that is being left holds the token (R4)

SIGNING_IN: Final[tuple[InteractionKind, ...]] = ("authorize", "ticket")
"""Visits on whose way somebody signs in."""
_DISPATCHERS: Final[Mapping[InteractionKind, str]] = {"authorize": "/oauth/authorize", "ticket": AT_ISSUER}


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Reads requests and renders answers: what every page endpoint is given."""

    pages: Pages
    sessions: Sessions
    users: UserBackend
    interactions: Interactions
    cookies: Cookies
    proxies: Proxies
    clock: Clock
    base_url: str
    dev: bool
    watched: bool = False
    """Apps may ask by script whether who is signed in has changed (Session Management 1.0)."""

    async def hear(self, scope: Scope, receive: Receive) -> Heard:
        """What was sent.  Raises BadRequest for what cannot be read."""
        asked_query = query(scope)
        form = await read_form(scope, receive) if scope["method"] == "POST" else {}
        value, pre = self.cookie(scope, "op"), self.cookie(scope, "pre")
        visit = Visit(
            "pages",
            self.proxies.client(scope),
            (header(scope, b"user-agent") or "")[:512],
            device=self.cookie(scope, "known"),
        )
        return Heard(
            scope=scope,
            visit=visit,
            query=asked_query,
            form=form,
            pre=pre if pre and is_binding(pre) else None,
            token=LoginToken.parse(value) if value else None,
        )

    async def know(self, heard: Heard, kinds: tuple[InteractionKind, ...] = SIGNING_IN) -> Asked:
        """Who and what is behind it.  `kinds`: of the visits that the page is for.

        Raises `Unavailable` when the store or the database does not answer.
        """
        found = None
        if heard.interaction and heard.pre:
            found = await self.interactions.load(heard.interaction, heard.pre)
        if found is not None and found.record.kind not in kinds:
            found = None
        session, user = await self._person(heard)
        return self._asked(heard, found, session, user)

    def unknown(self, heard: Heard) -> Asked:
        """The same while nobody can be asked: as if nobody were behind it."""
        return self._asked(heard, None, None, None)

    async def read(self, scope: Scope, receive: Receive, kinds: tuple[InteractionKind, ...] = SIGNING_IN) -> Asked:
        """Both."""
        return await self.know(await self.hear(scope, receive), kinds)

    def page(self, asked: Asked, page: Page, *, status: int = 200, cookies: Sequence[Header] = ()) -> Reply:
        """The page, with its headers; sets the binding where the browser had none."""
        https, nonce = self.base_url.startswith("https:"), new_nonce()
        body = self.pages.render(
            page,
            locale=asked.locale,
            paths=asked.paths,
            now=int(self.clock.now()),
            asked_locale=asked.asked_locale,
            nonce=nonce,
        )
        headers = self.pages.headers(page, locale=asked.locale, https=https, nonce=nonce)
        return Reply(status, body, headers=(*headers, *self._marks(asked), *cookies))

    def stale(self, asked: Asked, detail: str | None = None, *, cookies: Sequence[Header] = ()) -> Reply:
        """It is over, was finished, or is another browser's: nothing can be answered any more.  `detail`: why."""
        page = Error(kind="stale", detail=detail, reference=None)
        return self.page(asked, page, status=page.status, cookies=cookies)

    async def lost(self, asked: Asked) -> Reply:
        """Its visit cannot be answered.  One that only a sign-in in another tab overtook is asked for anew, unless he
        has just said no to it: then it is over."""
        if asked.overtaken is None:
            return self.stale(asked)
        if asked.form.get("cancel"):
            await self.interactions.finish(asked.overtaken)
            return self.stale(asked)
        return self.back(asked, asked.overtaken)

    def go(self, asked: Asked, place: str, *, cookies: Sequence[Header] = (), **parameters: str | None) -> Reply:
        """303 to one of our own pages, which answers by itself and sends nobody on."""
        link = Links(asked.paths, asked.locale if asked.asked_locale else None)
        return see_other(link(place, **parameters), (*self._marks(asked), *cookies))

    def carry(self, asked: Asked, purpose: Purpose, token: str, place: str, *, interaction: str | None = None) -> Reply:
        """On to one of our own pages with the token of a letter's link, which leaves the address bar for a cookie.

        HEAD sets none: whoever only looks has not opened it (R3).  `interaction`: a visit that it goes on in.
        """
        if asked.heard.method == "HEAD":
            return see_other(asked.paths[place], (_QUIET,))
        cookie = self.cookies.set(purpose, token, max_age=CARRIED_SECONDS)
        return self.go(asked, place, interaction=interaction, cookies=(cookie, _QUIET))

    def onward(self, asked: Asked, target: str, *, cookies: Sequence[Header] = ()) -> Reply:
        """On to `target`: a path of this host or a checked address, which may lead on to anywhere.

        After a form a browser is given a page that moves on by itself.  Chromium holds every redirect that follows a
        form against its `form-action`, also those that the application makes on its own way; a page that has arrived
        ends that chain, so the policy need name nobody (docs/decisions/0010).  A program is redirected.
        """
        if not asked.posted or not reads_html(asked.heard.scope):
            return see_other(target, (*self._marks(asked), *cookies))
        return self.page(asked, Onward(target=target), cookies=cookies)

    def back(self, asked: Asked, interaction: Interaction | Overtaken, *, cookies: Sequence[Header] = ()) -> Reply:
        """On to the dispatcher of such visits, which decides anew."""
        dispatcher = asked.paths.root + _DISPATCHERS[interaction.record.kind]
        return self.onward(asked, f"{dispatcher}?interaction={interaction.id}", cookies=cookies)

    def proof(self, asked: Asked, purpose: str, *bound: str) -> str:
        """What the form carries: for this question, this visit, this browser (and `bound`: this session)."""
        return self.interactions.proof(asked.interaction_id or "", asked.binding, purpose, *bound)

    def proven(self, asked: Asked, purpose: str, *bound: str) -> bool:
        """Whether this POST came from our own form in this browser (W2)."""
        return self.proves(asked.heard, asked.interaction_id or "", purpose, *bound)

    def proves(self, heard: Heard, interaction: str, purpose: str, *bound: str) -> bool:
        """The same for who has not looked yet who that is."""
        return (
            heard.pre is not None
            and self._same_origin(heard.scope)
            and self.interactions.proven(heard.form.get("csrf", ""), interaction, heard.pre, purpose, *bound)
        )

    def cookie(self, scope: Scope, purpose: Purpose) -> str | None:
        """The cookie's value; None: there is none, or it came twice, and we do not guess which is ours."""
        value = self.cookies.read(scope, purpose)
        return None if isinstance(value, Ambiguous) else value or None

    def token(self, asked: Asked, purpose: Purpose) -> LoginToken | None:
        """The token in that cookie."""
        value = self.cookie(asked.heard.scope, purpose)
        return LoginToken.parse(value) if value else None

    async def by_link(self, asked: Asked) -> Alive | None:
        """The session of who came by a link: he is nobody at our pages (security §2)."""
        token = self.token(asked, "app")
        found = await self.sessions.resolve(token, "middleware", asked.visit.ip) if token is not None else None
        return found if isinstance(found, Alive) and found.record.kind == "sso" else None

    def signed_in(self, born: Born) -> tuple[Header, ...]:
        """The headers that give this browser its session, and the app's on this origin."""
        if born.record.kind == "sso":  # who came by a link is nobody at our own pages (security §2)
            return (self.cookies.set("app", born.token.text.reveal()),)
        return self.holding(born.token, born.child)

    def holding(self, token: LoginToken, child: LoginToken | None) -> tuple[Header, ...]:
        """The same of the tokens themselves."""
        app = () if child is None else (self.cookies.set("app", child.text.reveal()),)
        return (self.cookies.set("op", token.text.reveal()), *app, *self._changed())

    def signed_out(self) -> tuple[Header, ...]:
        """The headers that make this browser forget who was signed in."""
        return (self.cookies.clear("op"), self.cookies.clear("app"), *self._changed())

    def _changed(self) -> tuple[Header, ...]:
        """It is somebody else now, or nobody: whoever watches may know (security §29)."""
        return (self.cookies.set("op_state", new_id()),) if self.watched else ()

    def staying(self, secret: Secret, until: float) -> Header:
        """The header that gives this browser what keeps it signed in."""
        return self.cookies.set("dev", secret.reveal(), max_age=max(int(until - self.clock.now()), 1))

    def signed_out_for_good(self, asked: Asked) -> tuple[Header, ...]:
        """The same, also of a browser that stays signed in."""
        held = self.cookie(asked.heard.scope, "dev") is not None
        return (*self.signed_out(), *((self.cookies.clear("dev"),) if held else ()))

    def _asked(
        self, heard: Heard, found: Interaction | Overtaken | None, session: Alive | Dead | None, user: User | None
    ) -> Asked:
        languages = self.pages.languages
        overtaken = found if isinstance(found, Overtaken) else None
        interaction = None if isinstance(found, Overtaken) else found
        given, kept = heard.given("lang"), kept_language(heard.scope, self.cookies, languages)
        chosen = (languages.match(given) if given else None) or kept
        locale = chosen or languages.choose(
            user=user.language if user else "",
            ui_locales=found.record.ui_locales if found else "",
            accept_language=header(heard.scope, b"accept-language") or "",
        )
        return Asked(
            heard=heard,
            visit=replace(heard.visit, language=locale),
            binding=heard.pre or self.interactions.new_binding(),
            interaction=interaction,
            overtaken=overtaken,
            session=session,
            user=user,
            locale=locale,
            asked_locale=chosen is not None,
            paths=Paths(heard.scope.get("root_path", "")),
        )

    async def _person(self, heard: Heard) -> tuple[Alive | Dead | None, User | None]:
        if heard.token is None:
            return None, None
        session = await self.sessions.resolve(heard.token, "issuer", heard.visit.ip)
        if isinstance(session, Dead):
            return session, None
        user = await self.users.by_id(session.record.uid)
        if user is None or user.disabled:  # SQL knows it first
            return Dead("disabled", session.record), None
        self.sessions.used(session)
        return session, user

    def _same_origin(self, scope: Scope) -> bool:
        origin, site = header(scope, b"origin"), header(scope, b"sec-fetch-site")
        if origin is None or origin == "null":
            # `null` is what a page without referrer sends; then the browser itself must say that it was ours.
            return site == "same-origin" or (origin is None and site is None)
        return site in (None, "same-origin") and (
            origin == origin_of(self.base_url) or self._same_loopback(origin, scope)
        )

    def _same_loopback(self, origin: str, scope: Scope) -> bool:
        """In the dev profile this machine has several names."""
        host = header(scope, b"host")
        return self.dev and origin == f"http://{host}" and is_loopback(urlsplit(origin).hostname)

    def _marks(self, asked: Asked) -> tuple[Header, ...]:
        """What the browser shall be known by, and the language it chose: the headers for what it has not got yet."""
        binding = (self.cookies.set("pre", asked.binding),) if asked.heard.pre is None else ()
        chosen = asked.asked_locale and self.cookie(asked.heard.scope, "lang") != asked.locale
        return (*binding, self.cookies.set("lang", asked.locale)) if chosen else binding
