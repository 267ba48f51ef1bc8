"""What an answer carries, and how it travels — Multiple Response Types; Form Post; RFC 9207; RFC 9700 §2.1.2.

A code goes in the query, or by a form.  What the browser carries of an implicit or hybrid answer never stands in a
query, which servers log; nor does an error in its place.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal, Protocol
from urllib.parse import quote

from msgspec import Struct

from bridge.asgi import NO_REFERRER, Reply, Scope, see_other
from bridge.clients.words import words
from bridge.oidc.options import OidcOptions
from bridge.oidc.redirect import RedirectTarget

ResponseMode = Literal["query", "fragment", "form_post"]
Fields = Sequence[tuple[str, str]]


class ResponseType(Struct, frozen=True):
    """What the answer to a request carries."""

    code: bool = False
    id_token: bool = False
    token: bool = False


CODE: Final = ResponseType(code=True)
_IMPLICIT: Final = {
    "id_token": ResponseType(id_token=True),
    "id_token token": ResponseType(id_token=True, token=True),
}
_HYBRID: Final = {
    "code id_token": ResponseType(code=True, id_token=True),
    "code token": ResponseType(code=True, token=True),
    "code id_token token": ResponseType(code=True, id_token=True, token=True),
}


class Offer(Struct, frozen=True):
    """Which answers an installation gives."""

    types: Mapping[str, ResponseType]
    """By name, its words in alphabetical order."""
    modes: tuple[ResponseMode, ...]
    create: bool = False
    """Whoever has no account yet may make one on the way: `prompt=create`."""

    @property
    def grant_types(self) -> tuple[str, ...]:
        """The grant types that stand for them in a client's registration (Registration 1.0 §2)."""
        implicit = any(each.id_token or each.token for each in self.types.values())
        return ("authorization_code", "implicit") if implicit else ("authorization_code",)


def offer_of(options: OidcOptions, *, create: bool = False) -> Offer:
    """What these settings offer."""
    types = {"code": CODE}
    if options.implicit:
        types |= _IMPLICIT
    if options.hybrid:
        types |= _HYBRID
    modes: list[ResponseMode] = ["query"]
    if len(types) > 1:
        modes.append("fragment")
    if options.form_post:
        modes.append("form_post")
    return Offer(MappingProxyType(types), tuple(modes), create)


def usual_mode(response_type: str, offer: Offer) -> ResponseMode:
    """How the answer to such a request travels if it does not say: never a token in a query."""
    if response_type == "code" or "fragment" not in offer.modes:
        return "query"
    return "query" if {"id_token", "token"}.isdisjoint(words(response_type)) else "fragment"


class AnswerPages(Protocol):
    """Makes the pages that carry an answer to the client (`bridge.pages`)."""

    def form_post(self, scope: Scope, *, target: str, app_name: str, fields: Fields) -> Reply:
        """By a form with the fields, which a script sends, or a button."""
        ...

    def offer_error(self, scope: Scope, *, text: str, target: str, fields: Fields) -> Reply:
        """By the person alone, who reads what is wrong: a link, or where there are fields a button."""
        ...


class ReturnPath(Struct, frozen=True):
    """The way back to the client: whither, how, and with which `state`."""

    target: RedirectTarget
    mode: ResponseMode
    state: str | None
    app_name: str


class Responses:
    """Sends answers, good and bad; each carries `state` as it came, and `iss` (RFC 9207 §2)."""

    def __init__(self, *, issuer: str, page: AnswerPages) -> None:
        self._issuer = issuer
        self._iss = encoded([("iss", issuer)])
        self._page = page

    def send(self, scope: Scope, back: ReturnPath, fields: Fields) -> Reply:
        """The answer, on its way to a checked target."""
        if back.mode == "form_post":
            whole = self._posted(back, fields)
            return self._page.form_post(scope, target=back.target.uri, app_name=back.app_name, fields=whole)
        # RFC 9700 §4.2.4: the page that the browser comes from is nobody's business.
        return see_other(self._address(back, fields), NO_REFERRER)

    def offer(self, scope: Scope, back: ReturnPath, fields: Fields, *, text: str) -> Reply:
        """The same answer on a page that says why, and leads on by the person's own click alone."""
        if back.mode == "form_post":
            return self._page.offer_error(scope, text=text, target=back.target.uri, fields=self._posted(back, fields))
        return self._page.offer_error(scope, text=text, target=self._address(back, fields), fields=())

    def _address(self, back: ReturnPath, fields: Fields) -> str:
        said = f"{encoded(_with_state(back, fields))}&{self._iss}"
        return back.target.with_query(said) if back.mode == "query" else back.target.with_fragment(said)

    def _posted(self, back: ReturnPath, fields: Fields) -> Fields:
        return [*_with_state(back, fields), ("iss", self._issuer)]


def _with_state(back: ReturnPath, fields: Fields) -> Fields:
    return fields if back.state is None else [*fields, ("state", back.state)]


def encoded(fields: Fields) -> str:
    """Form-encoded, with `%20` for a space: what every client reads alike.  The names are ours, and plain."""
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in fields)
