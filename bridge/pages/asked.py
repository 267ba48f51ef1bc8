"""What a browser has sent, and who and what is behind it — DESIGN §7, W3."""

from dataclasses import dataclass

from bridge.asgi import Scope, header
from bridge.i18n import Languages
from bridge.interactions.interactions import Overtaken
from bridge.interactions.interactions import Visit as Interaction
from bridge.pages.paths import Paths
from bridge.sessions.cookie import Cookies
from bridge.sessions.judge import Alive, Dead
from bridge.tokens import LoginToken
from bridge.types import Visit
from bridge.users.user import User


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What the browser sent; nothing was asked of anybody yet."""

    scope: Scope
    visit: Visit
    query: dict[str, str]
    form: dict[str, str]
    pre: str | None
    """`__Host-lb_pre`; None: no cookie, an ambiguous one, or none of ours."""
    token: LoginToken | None
    """The issuer's own cookie; None: no cookie, an ambiguous one, or no token."""

    @property
    def method(self) -> str:
        return str(self.scope["method"])

    @property
    def posted(self) -> bool:
        return self.method == "POST"

    @property
    def interaction(self) -> str | None:
        """The visit it names."""
        return self.form.get("interaction") or self.query.get("interaction") or None

    def given(self, name: str) -> str | None:
        """A parameter of the form, else of the query."""
        return self.form.get(name) or self.query.get(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the browser sent, and who and what is behind it."""

    heard: Heard
    visit: Visit
    binding: str
    """The value of `__Host-lb_pre`: from the cookie, or new."""
    interaction: Interaction | None
    """A visit of this very browser, of the kind that the page is for."""
    overtaken: Overtaken | None = None
    """Such a visit from before somebody signed in to this browser."""
    session: Alive | Dead | None
    """The person at the issuer; None: no cookie."""
    user: User | None
    """The row of the person whose session is alive."""
    locale: str
    asked_locale: bool
    """The language was chosen on this page, or on another one in this browser."""
    paths: Paths

    @property
    def alive(self) -> Alive | None:
        """The living session at the issuer."""
        return self.session if isinstance(self.session, Alive) else None

    @property
    def session_id(self) -> str:
        """The living session's id; empty: nobody is signed in."""
        return self.session.record.id if isinstance(self.session, Alive) else ""

    @property
    def form(self) -> dict[str, str]:
        return self.heard.form

    @property
    def posted(self) -> bool:
        return self.heard.posted

    @property
    def interaction_id(self) -> str | None:
        return self.interaction.id if self.interaction else None

    @property
    def lost_interaction(self) -> bool:
        """It names a visit that is over, finished, overtaken, of another kind, or another browser's."""
        return self.interaction is None and self.heard.interaction is not None


def reads_html(scope: Scope) -> bool:
    """Browsers ask for `text/html`; programs seldom do."""
    return "text/html" in (header(scope, b"accept") or "")


def kept_language(scope: Scope, cookies: Cookies, languages: Languages) -> str | None:
    """What was chosen in this browser before; None: nothing, no language of ours, or a cookie that came twice."""
    kept = cookies.read(scope, "lang")
    return languages.match(kept) if isinstance(kept, str) else None
