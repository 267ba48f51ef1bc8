"""One request of a browser to the pages, read once, and the one way to answer it — DESIGN §7, W2.

A change is taken only by POST, from our own origin, with a proof that this browser was shown this very form.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from bridge.asgi import Proxies, Receive, Reply, Scope, header, query, read_form, see_other
from bridge.clock import Clock
from bridge.interactions.interactions import Interactions
from bridge.interactions.interactions import Visit as Interaction
from bridge.pages.models import Page
from bridge.pages.paths import Paths
from bridge.pages.render import Links, Pages
from bridge.sessions.cookie import Ambiguous, Cookies, Header, Purpose
from bridge.sessions.judge import Alive, Dead
from bridge.sessions.sessions import Sessions
from bridge.tokens import LoginToken
from bridge.types import Visit

_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the browser sent."""

    scope: Scope
    visit: Visit
    query: dict[str, str]
    form: dict[str, str]
    binding: str
    """The value of `__Host-lb_pre`: from the cookie, or new."""
    fresh: bool
    """The binding is new: the answer must set it."""
    interaction: Interaction | None
    session: Alive | Dead | None
    """The person at the issuer; None: no cookie, or an ambiguous one."""
    locale: str
    asked_locale: bool
    paths: Paths

    @property
    def method(self) -> str:
        return str(self.scope["method"])

    @property
    def posted(self) -> bool:
        return self.method == "POST"

    @property
    def alive(self) -> Alive | None:
        """The living session at the issuer."""
        return self.session if isinstance(self.session, Alive) else None

    @property
    def interaction_id(self) -> str | None:
        return self.interaction.id if self.interaction else None

    @property
    def lost_interaction(self) -> bool:
        """It names a visit that is over, finished, or another browser's."""
        return self.interaction is None and bool(self.query.get("interaction") or self.form.get("interaction"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Reads requests and renders answers: what every page endpoint is given."""

    pages: Pages
    sessions: Sessions
    interactions: Interactions
    cookies: Cookies
    proxies: Proxies
    clock: Clock
    base_url: str
    dev: bool
    resume: str = field(default="/oauth/authorize")
    """Where the dispatcher of visits is."""

    async def read(self, scope: Scope, receive: Receive) -> Asked:
        """Raises BadRequest for what cannot be read, `Unavailable` when the store does not answer."""
        asked_query = query(scope)
        form = await read_form(scope, receive) if scope["method"] == "POST" else {}
        pre = self._cookie(scope, "pre")
        visit = Visit(
            "pages",
            self.proxies.client(scope),
            (header(scope, b"user-agent") or "")[:512],
            device=self._cookie(scope, "dev"),
        )
        name = form.get("interaction") or asked_query.get("interaction")
        interaction = await self.interactions.load(name, pre) if name and pre else None
        locale, chosen = self._locale(scope, form.get("lang") or asked_query.get("lang", ""), interaction)
        return Asked(
            scope=scope,
            visit=visit,
            query=asked_query,
            form=form,
            binding=pre or self.interactions.new_binding(),
            fresh=pre is None,
            interaction=interaction,
            session=await self._session(scope, visit),
            locale=locale,
            asked_locale=chosen,
            paths=Paths(scope.get("root_path", "")),
        )

    def page(self, asked: Asked, page: Page, *, status: int = 200, cookies: Sequence[Header] = ()) -> Reply:
        """The page, with its headers; sets the binding where the browser had none."""
        https = self.base_url.startswith("https:")
        body = self.pages.render(
            page, locale=asked.locale, paths=asked.paths, now=int(self.clock.now()), asked_locale=asked.asked_locale
        )
        headers = self.pages.headers(page, locale=asked.locale, https=https)
        return Reply(status, body, headers=(*headers, *self._binding(asked), *cookies))

    def go(self, asked: Asked, place: str, *, cookies: Sequence[Header] = (), **parameters: str | None) -> Reply:
        """303 to one of our own pages."""
        link = Links(asked.paths, asked.locale if asked.asked_locale else None)
        return see_other(link(place, **parameters), (*self._binding(asked), *cookies))

    def back(self, asked: Asked, interaction: str, *, cookies: Sequence[Header] = ()) -> Reply:
        """303 to the dispatcher, which decides anew."""
        return see_other(f"{asked.paths.root}{self.resume}?interaction={interaction}", cookies)

    def proof(self, asked: Asked, purpose: str, *bound: str) -> str:
        """What the form carries: for this question, this visit, this browser (and `bound`: this session)."""
        return self.interactions.proof(asked.interaction_id or "", asked.binding, purpose, *bound)

    def proven(self, asked: Asked, purpose: str, *bound: str) -> bool:
        """Whether this POST came from our own form in this browser (W2)."""
        return self._same_origin(asked.scope) and self.interactions.proven(
            asked.form.get("csrf", ""), asked.interaction_id or "", asked.binding, purpose, *bound
        )

    def _same_origin(self, scope: Scope) -> bool:
        origin, site = header(scope, b"origin"), header(scope, b"sec-fetch-site")
        if origin is None or origin == "null":
            # `null` is what a page without referrer sends; then the browser itself must say that it was ours.
            return site == "same-origin" or (origin is None and site is None)
        return site in (None, "same-origin") and (
            origin == _origin(self.base_url) or self._same_loopback(origin, scope)
        )

    def _same_loopback(self, origin: str, scope: Scope) -> bool:
        """In the dev profile this machine has several names."""
        host = header(scope, b"host")
        return self.dev and origin == f"http://{host}" and urlsplit(origin).hostname in _LOOPBACK

    async def _session(self, scope: Scope, visit: Visit) -> Alive | Dead | None:
        value = self._cookie(scope, "op")
        token = LoginToken.parse(value) if value else None
        return await self.sessions.resolve(token, "issuer", visit.ip) if token else None

    def _cookie(self, scope: Scope, purpose: Purpose) -> str | None:
        value = self.cookies.read(scope, purpose)
        return None if isinstance(value, Ambiguous) else value or None

    def _binding(self, asked: Asked) -> tuple[Header, ...]:
        return (self.cookies.set("pre", asked.binding),) if asked.fresh else ()

    def _locale(self, scope: Scope, chosen: str, interaction: Interaction | None) -> tuple[str, bool]:
        languages = self.pages.languages
        wished = interaction.record.ui_locales if interaction else ""
        accepted = header(scope, b"accept-language") or ""
        return (
            languages.choose(asked=chosen, ui_locales=wished, accept_language=accepted),
            bool(chosen) and languages.match(chosen) is not None,
        )


def local_path(text: str | None) -> str | None:
    """A path on this host, as a target after login (W3): `/…`, but nothing a browser could read as another host."""
    if not text or not text.isascii() or not text.isprintable() or len(text) > 2_048:
        return None
    return text if text.startswith("/") and not text.startswith("//") and "\\" not in text and " " not in text else None


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
