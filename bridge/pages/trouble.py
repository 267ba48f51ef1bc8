"""What went wrong, shown: a page to a browser, JSON to a program — DESIGN §11."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bridge.asgi import NO_STORE, Headers, Reply, Scope, header, json_reply
from bridge.clock import Clock
from bridge.pages.app import App
from bridge.pages.asked import kept_language, reads_html
from bridge.pages.headers import new_nonce
from bridge.pages.models import Error, ErrorKind, FormPost, TryLater
from bridge.pages.paths import Paths
from bridge.pages.render import Pages
from bridge.sessions.cookie import Cookies

_KINDS: Final[dict[int, ErrorKind]] = {
    400: "bad-request",
    403: "forbidden",
    404: "not-found",
    405: "method",
    413: "too-large",
    415: "bad-request",
    421: "bad-request",
    500: "ours",
}
_CODES: Final = {404: "not_found", 405: "method_not_allowed", 500: "server_error", 503: "temporarily_unavailable"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Troubles:
    """Makes the answer; knows nothing of why."""

    pages: Pages
    cookies: Cookies
    clock: Clock
    https: bool

    def show(self, scope: Scope, *, status: int, why: str, reference: str | None, retry_after: int | None) -> Reply:
        """`why` is fixed English that may be shown; `reference` is what the operator's log has; seconds."""
        retry = ((b"retry-after", str(retry_after).encode()),) if retry_after is not None else ()
        if not reads_html(scope):
            return self._said(status, why, reference, retry)
        if status == 503:
            page: Error | TryLater = TryLater(kind="unavailable", wait=retry_after, reference=reference)
        else:
            page = Error(kind=_KINDS.get(status, "bad-request"), detail=why or None, reference=reference)
        return self._page(scope, page, status, retry)

    def render_error(
        self, scope: Scope, *, status: int, text: str, parameter: str, retry_after: int | None = None
    ) -> Reply:
        """An error that must not be sent anywhere (RFC 6749 §4.1.2.1): always a page, which names the parameter."""
        if status == 429:
            later = TryLater(kind="too-many", wait=retry_after)
            return self._page(scope, later, status, ((b"retry-after", str(retry_after or 1).encode()),))
        detail = text if parameter in text else f"{parameter}: {text}"
        return self._page(scope, Error(kind=_KINDS.get(status, "bad-request"), detail=detail, reference=None), status)

    def form_post(self, scope: Scope, *, target: str, app_name: str, fields: Sequence[tuple[str, str]]) -> Reply:
        """Carries fields to a checked target by a form, with a script that sends it and a button that does too."""
        page = FormPost(target=target, app_name=app_name, fields=tuple(fields))
        return self._page(scope, page, 200, nonce=new_nonce())

    def offer_error(self, scope: Scope, *, text: str, target: str, fields: Sequence[tuple[str, str]]) -> Reply:
        """An error for an application that nobody vouches for: the person reads it, and may carry it there himself."""
        app = App(name="", redirect_uri=target, verified=False)  # named by its host: what it says of itself is its own
        page = Error(kind="bad-request", detail=text, reference=None, app=app, target=target, fields=tuple(fields))
        return self._page(scope, page, page.status)

    def _page(
        self, scope: Scope, page: Error | TryLater | FormPost, status: int, headers: Headers = (), *, nonce: str = ""
    ) -> Reply:
        languages = self.pages.languages
        kept = kept_language(scope, self.cookies, languages)
        locale = kept or languages.choose(accept_language=header(scope, b"accept-language") or "")
        paths = Paths(scope.get("root_path", ""))
        body = self.pages.render(page, locale=locale, paths=paths, now=int(self.clock.now()), nonce=nonce)
        own = self.pages.headers(page, locale=locale, https=self.https, nonce=nonce)
        return Reply(status, body, headers=(*own, *headers))

    @staticmethod
    def _said(status: int, why: str, reference: str | None, retry: tuple[tuple[bytes, bytes], ...]) -> Reply:
        content = {
            "error": _CODES.get(status, "invalid_request"),
            **({"error_description": why} if why else {}),
            **({"reference": reference} if reference else {}),
        }
        return json_reply(content, status, (*NO_STORE, *retry))
