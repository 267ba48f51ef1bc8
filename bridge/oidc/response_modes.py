"""How an answer travels back to the client — Multiple Response Types; Form Post; RFC 9207."""

from collections.abc import Sequence
from typing import Literal, Protocol
from urllib.parse import quote

from msgspec import Struct

from bridge.asgi import NO_REFERRER, Reply, Scope, see_other
from bridge.oidc.redirect import RedirectTarget

ResponseMode = Literal["query", "form_post"]
Fields = Sequence[tuple[str, str]]


class FormPostPage(Protocol):
    """Makes the page whose form carries the fields to the client (`bridge.pages`), by script or by a button."""

    def form_post(self, scope: Scope, *, target: str, app_name: str, fields: Fields) -> Reply: ...


def modes(*, form_post: bool) -> tuple[ResponseMode, ...]:
    """What is offered for `response_type=code`."""
    return ("query", "form_post") if form_post else ("query",)


class ReturnPath(Struct, frozen=True):
    """The way back to the client: whither, how, and with which `state`."""

    target: RedirectTarget
    mode: ResponseMode
    state: str | None
    app_name: str


class Responses:
    """Sends answers, good and bad; each carries `state` as it came, and `iss` (RFC 9207 §2)."""

    def __init__(self, *, issuer: str, page: FormPostPage) -> None:
        self._issuer = issuer
        self._iss = encoded([("iss", issuer)])
        self._page = page

    def send(self, scope: Scope, back: ReturnPath, fields: Fields) -> Reply:
        """The answer, on its way to a checked target."""
        if back.state is not None:
            fields = [*fields, ("state", back.state)]
        match back.mode:
            case "query":
                # RFC 9700 §4.2.4: the page that the browser comes from is nobody's business.
                return see_other(back.target.with_query(f"{encoded(fields)}&{self._iss}"), NO_REFERRER)
            case "form_post":
                whole = [*fields, ("iss", self._issuer)]
                return self._page.form_post(scope, target=back.target.uri, app_name=back.app_name, fields=whole)


def encoded(fields: Fields) -> str:
    """Form-encoded, with `%20` for a space: what every client reads alike.  The names are ours, and plain."""
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in fields)
