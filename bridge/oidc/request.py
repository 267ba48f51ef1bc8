"""An authorization request, read once and checked, in a fixed order — RFC 6749 §4.1.1; Core §3.1.2.1.

First the client and the address, whose mistakes are shown to the person; from then on every mistake goes back to the
client.  Of two mistakes the same one is named every time.
"""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from msgspec import Struct

from bridge import asgi
from bridge.clients.client import Client
from bridge.clients.redirects import place_of
from bridge.clients.words import is_word, named, words
from bridge.oidc import pkce
from bridge.oidc.claims import SCOPE_OF, SCOPES
from bridge.oidc.claims_parameter import NOTHING, Wanted, read_claims
from bridge.oidc.errors import ErrorCode, OAuthError, Shown
from bridge.oidc.params import Parameters
from bridge.oidc.redirect import NotRegistered, RedirectTarget
from bridge.oidc.response_modes import CODE, Offer, ResponseMode, ResponseType, ReturnPath, usual_mode
from bridge.types import Subject

_NOT_OFFERED: Final[tuple[tuple[str, ErrorCode], ...]] = (
    ("request", "request_not_supported"),
    ("request_uri", "request_uri_not_supported"),
    ("registration", "registration_not_supported"),
)
PROMPTS: Final = frozenset({"none", "login", "consent", "select_account"})
_LONGEST_AGE: Final = 20  # digits: more than any clock counts
LONGEST_STATE: Final = 2_048
_LONGEST: Final = {"state": LONGEST_STATE, "nonce": 512}  # bytes
_LONGEST_HINTS: Final = {"login_hint": 320, "ui_locales": 200}  # characters
_MOST_KEPT: Final = 6_144
"""Bytes, as they lie in the store."""
_SURELY_SHORT: Final = 900
"""Characters of all values: six bytes for each, and the names, are fewer than that."""
_KEPT: Final = (
    *("client_id", "redirect_uri", "response_type", "response_mode", "scope", "state", "nonce"),
    *("code_challenge", "code_challenge_method", "prompt", "max_age", "id_token_hint", "claims", "acr_values"),
)

UNDERSTOOD: Final = frozenset({*_KEPT, *_LONGEST_HINTS, *(name for name, _ in _NOT_OFFERED)})
"""The parameters that mean anything here; whatever else comes is ignored (RFC 6749 §3.1)."""

SubjectOfHint = Callable[[str], Subject | None]
"""Whom a genuine ID token of ours, perhaps an old one, names; None: it is no such token."""


class AuthorizationRequest(Struct, frozen=True, kw_only=True):
    """What a client asks for.  Everything in it has been checked."""

    client: Client
    back: ReturnPath
    response: ResponseType = CODE
    redirect_uri: str | None
    """As it came; None: the client named none, and has one only."""
    scopes: tuple[str, ...]
    wanted: Wanted = NOTHING
    """Beside the scopes, by the `claims` parameter."""
    acr: tuple[str, ...] = ()
    """What the sign-in shall be, the best first (`wanted.acr_essential`: must be)."""
    nonce: str | None = None
    challenge: str | None = None
    prompt: frozenset[str] = frozenset()
    max_age: int | None = None
    """Seconds."""
    expected_sub: Subject | None = None
    """The one person whom the client expects to come back."""
    login_hint: str = ""
    ui_locales: str = ""

    @property
    def claims(self) -> tuple[str, ...]:
        """What it asks for by name, and not by a scope."""
        names = dict.fromkeys((*self.wanted.userinfo, *self.wanted.id_token))
        return tuple(name for name in names if SCOPE_OF[name] not in self.scopes)

    @property
    def place(self) -> str | None:
        """Where the answer goes, if that is part of what the person allows: at the addresses of an application that
        registered itself nobody looked but he (security §17)."""
        return place_of(self.back.target.uri) if self.client.source == "registration" else None

    @property
    def asks_each_time(self) -> bool:
        """The person is to be asked although he allowed it before: `prompt=consent`, or an app on his device that
        anybody may pretend to be (RFC 8252 §8.6).  What registered itself as a web app is not believed to be one."""
        believed = self.client.application_type == "web" and self.client.source != "registration"
        pretended = self.client.public and not believed
        return "consent" in self.prompt or (pretended and not self.back.target.uri.startswith("https:"))


def target_of(parameters: Parameters, client: Client) -> RedirectTarget:
    """Where answers go.  Raises Shown."""
    if "redirect_uri" in parameters.repeated:
        raise Shown("redirect_uri", "redirect_uri must not be repeated")
    uri = parameters.get("redirect_uri")
    if uri is None:
        # Core §3.1.2.1 demands it; plain OAuth may leave it out where there is no doubt.
        if "openid" in words(parameters.get("scope")) or len(client.redirect_uris) != 1:
            raise Shown("redirect_uri", "redirect_uri is missing")
        uri = client.redirect_uris[0]
    try:
        return RedirectTarget(uri, client.redirect_uris, client.application_type == "native")
    except NotRegistered:
        raise Shown("redirect_uri", "redirect_uri is not registered for this client") from None


def return_path(parameters: Parameters, client: Client, target: RedirectTarget, offer: Offer) -> ReturnPath:
    """How answers get there, errors too: what may not be asked for is answered in the usual response_mode."""
    asked, usual = parameters.get("response_mode"), usual_mode(parameters.get("response_type") or "", offer)
    mode = usual
    if asked is not None and (asked != "query" or usual == "query"):
        offered: dict[str, ResponseMode] = {each: each for each in offer.modes}
        mode = offered.get(asked, usual)
    return ReturnPath(target, mode, parameters.get("state"), client.name or client.client_id)


def kept(values: Mapping[str, str]) -> dict[str, str]:
    """What is worth remembering of a request through its visit: all that we understand, but for what the visit itself
    has a place for."""
    return {name: values[name] for name in _KEPT if name in values}


def hinted(values: Mapping[str, str], name: str) -> str:
    """A mere wish of the client's; "" if there is none, or one that is too long to be meant."""
    wish = values.get(name, "")
    return wish if len(wish) <= _LONGEST_HINTS[name] else ""


def prompts_of(offer: Offer) -> frozenset[str]:
    """The values of `prompt` that are understood (Initiating User Registration 1.0 §4)."""
    return PROMPTS | {"create"} if offer.create else PROMPTS


def read_request(
    parameters: Parameters,
    client: Client,
    back: ReturnPath,
    *,
    offer: Offer,
    sub_of: SubjectOfHint,
) -> AuthorizationRequest:
    """The rest of it.  Raises OAuthError."""
    values = parameters.values
    if parameters.repeated:
        raise OAuthError("invalid_request", f"{asgi.named(min(parameters.repeated))} is repeated")
    for name, code in _NOT_OFFERED:
        if name in values:
            raise OAuthError(code, f"{name} is not offered")
    _check_sizes(values)
    response = _response(values, client, back, offer)
    prompt = _prompt(values, offer)
    scopes = _scopes(values, client, prompt, response)
    if response.id_token:
        _check_id_token(values, scopes)
    wanted = read_claims(values["claims"], client.scopes) if "claims" in values else NOTHING
    return AuthorizationRequest(
        client=client,
        back=back,
        response=response,
        wanted=wanted,
        acr=wanted.acr or words(values.get("acr_values")) or client.default_acr_values,
        redirect_uri=values.get("redirect_uri"),
        scopes=scopes,
        nonce=values.get("nonce"),
        challenge=pkce.challenge_of(values, client) if response.code else None,
        prompt=prompt,
        max_age=_max_age(values, client),
        expected_sub=_expected(values, wanted.sub, sub_of),
        login_hint=hinted(values, "login_hint"),
        ui_locales=hinted(values, "ui_locales"),
    )


def _check_sizes(values: Mapping[str, str]) -> None:
    """A visit is kept at the word of somebody who need not be known here: it is no place to store things."""
    for name, most in _LONGEST.items():
        if len(values.get(name, "").encode()) > most:
            raise OAuthError("invalid_request", f"{name} is longer than {most} bytes")
    if sum(map(len, values.values())) > _SURELY_SHORT and len(msgspec.json.encode(kept(values))) > _MOST_KEPT:
        raise OAuthError("invalid_request", "the request is too long")


def _response(values: Mapping[str, str], client: Client, back: ReturnPath, offer: Offer) -> ResponseType:
    given = values.get("response_type")
    if given is None:
        raise OAuthError("invalid_request", "response_type is missing")
    name = given if given in offer.types else named(given)
    response = offer.types.get(name)
    if response is None:
        raise OAuthError("unsupported_response_type", f"response_type must be {' or '.join(offer.types)}")
    grants = client.grant_types
    may = (not response.code or "authorization_code" in grants) and (response is CODE or "implicit" in grants)
    if name not in client.response_types or not may:
        raise OAuthError("unauthorized_client", f"this client may not use response_type {name}")
    if values.get("response_mode", back.mode) != back.mode:
        raise OAuthError("invalid_request", "response_mode is not offered for this response_type")
    return response


def _check_id_token(values: Mapping[str, str], scopes: tuple[str, ...]) -> None:
    """An ID token that the browser carries is about a person, and for this very request (Core §3.2.2.1, §3.3.2.11)."""
    if "openid" not in scopes:
        raise OAuthError("invalid_scope", "an ID token needs the scope openid")
    if "nonce" not in values:
        raise OAuthError("invalid_request", "nonce is missing: an ID token that the browser carries needs it")


def _prompt(values: Mapping[str, str], offer: Offer) -> frozenset[str]:
    prompt = frozenset(words(values.get("prompt")))
    if not prompt <= prompts_of(offer):
        raise OAuthError("invalid_request", "prompt holds a value that is not offered")
    if "none" in prompt and len(prompt) > 1:
        raise OAuthError("invalid_request", "prompt must not hold none beside others")
    return prompt


def _scopes(
    values: Mapping[str, str], client: Client, prompt: frozenset[str], response: ResponseType
) -> tuple[str, ...]:
    """What of it we know and the client may have, in its order (Core §3.1.2.1: the rest is ignored)."""
    may_refresh = response.code and "refresh_token" in client.grant_types  # Core §11: without a code no refresh token
    # Core §11: for somebody who may be gone only what he was asked for, or what we vouch for ourselves.
    offline = may_refresh and ("consent" in prompt or client.first_party)
    scopes = [
        scope
        for scope in dict.fromkeys(words(values.get("scope")))
        if scope in client.scopes and (offline or scope != "offline_access") and (scope in SCOPES or is_word(scope))
    ]
    if not scopes:
        raise OAuthError("invalid_scope", "scope holds nothing that this client may have")
    return tuple(scopes)


def _max_age(values: Mapping[str, str], client: Client) -> int | None:
    given = values.get("max_age")
    if given is None:
        return client.default_max_age
    if not (given.isdecimal() and given.isascii() and len(given) <= _LONGEST_AGE):
        raise OAuthError("invalid_request", "max_age must be a number of seconds")
    return int(given)


def _expected(values: Mapping[str, str], by_claims: Subject | None, sub_of: SubjectOfHint) -> Subject | None:
    """Whom `id_token_hint` or the `claims` parameter names (Core §3.1.2.1, §5.5.1)."""
    hint = values.get("id_token_hint")
    if hint is None:
        return by_claims
    by_hint = sub_of(hint)
    if by_hint is None:
        raise OAuthError("invalid_request", "id_token_hint is not an ID token of this provider")
    if by_claims not in (None, by_hint):
        raise OAuthError("invalid_request", "id_token_hint and claims name different people")
    return by_hint
