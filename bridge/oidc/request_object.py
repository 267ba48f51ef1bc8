"""A request that its client signed, sent as it is or left at an address — RFC 9101; Core §6; RFC 8725 §3.

What stands inside wins.  Where the client demands signatures, or sends an object that says it is of RFC 9101, nothing
outside counts at all; else what only stands outside is taken too, as Core §6.1 has it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from bridge.clients.client import Client
from bridge.clients.metadata import REQUEST_ALGS
from bridge.clock import Clock
from bridge.fetch.answers import Fetched
from bridge.keys.foreign import Unverified, read
from bridge.oidc.assertion import names_one, outside
from bridge.oidc.client_keys import ClientKeys, Fetches
from bridge.oidc.errors import ErrorCode, OAuthError, SentBack, Shown
from bridge.oidc.params import Parameters
from bridge.oidc.request import UNDERSTOOD
from bridge.oidc.response_modes import ReturnPath

LONGEST_URI: Final = 512
"""Characters (Core §6.2)."""
_JAR: Final = "oauth-authz-req+jwt"
_TYPES: Final = (None, "jwt", _JAR)
_CARRIERS: Final = ("request", "request_uri")


@dataclass(frozen=True, slots=True)
class Offered:
    """By which ways objects are taken."""

    by_value: bool
    by_reference: bool


class RequestObjects:
    """Turns a request with an object into the request that the client meant."""

    def __init__(self, *, issuer: str, offered: Offered, keys: ClientKeys, fetch: Fetches | None, clock: Clock) -> None:
        self._issuer = issuer
        self._offered = offered
        self._keys = keys
        self._fetch = fetch
        self._clock = clock

    async def opened(
        self, parameters: Parameters, client: Client, back: Callable[[Parameters], ReturnPath]
    ) -> Parameters:
        """The parameters that count.  `back`: where errors go by the parameters outside.  Raises SentBack, Shown."""
        try:
            return await self._opened(parameters, client)
        except OAuthError as error:
            try:
                path = back(parameters)
            except Shown:  # the address stands inside, if anywhere, and nothing inside is to be believed
                raise Shown("request", error.description) from None
            raise SentBack(error, path) from error

    async def _opened(self, parameters: Parameters, client: Client) -> Parameters:
        carried = [name for name in _CARRIERS if name in parameters.values]
        if len(carried) > 1:
            raise OAuthError("invalid_request", "request and request_uri must not be sent together")
        if not carried:
            if client.require_signed_request:
                raise OAuthError("invalid_request", "this client must send a signed request object")
            return parameters
        if not (self._offered.by_value if carried == ["request"] else self._offered.by_reference):
            return parameters  # whoever reads them says that it is not offered
        text = await self._text(parameters, client)
        token = read(text)
        if token is None:
            raise _invalid("the request object is no JWT in the compact form")
        await self._check_signature(token, client)
        inner = unpacked(token, client, issuer=self._issuer, now=self._clock.now())
        return merged(parameters, inner, strict=client.require_signed_request or token.typ == _JAR)

    async def _text(self, parameters: Parameters, client: Client) -> str:
        if (text := parameters.get("request")) is not None:
            return text
        uri = parameters.values["request_uri"]
        # Core §6.2: a fragment tells caches that what lies there changed.  We keep none, and the signature vouches.
        place = uri.partition("#")[0]
        if len(uri) > LONGEST_URI or not {uri, place} & set(client.request_uris):
            raise OAuthError("invalid_request_uri", "request_uri is not registered for this client")
        reply = await self._fetch.get(place, accept=f"application/{_JAR}, application/jwt") if self._fetch else None
        if not isinstance(reply, Fetched) or reply.status != 200:
            raise OAuthError("invalid_request_uri", "nothing could be read at request_uri")
        return reply.body.decode("ascii", "replace").strip()

    async def _check_signature(self, token: Unverified, client: Client) -> None:
        if token.alg == "none":
            raise _invalid("the request object must be signed")  # anybody can write one that is not
        algorithms = tuple(alg for alg in REQUEST_ALGS if client.request_alg in (None, alg))
        match await self._keys.judge(client, token, algorithms):
            case "signed":
                return
            case "unknown-key":
                raise _invalid("the request object is signed with a key that this client did not register")
            case "forged":
                raise _invalid("the request object is not signed as this client registered")


def unpacked(token: Unverified, client: Client, *, issuer: str, now: float) -> dict[str, str]:
    """The parameters inside of what was found to be signed.  Pure.  Raises OAuthError."""
    claims = token.claims
    if token.typ not in _TYPES:
        raise _invalid("the request object is a token of another kind")
    if any(name in claims for name in _CARRIERS):
        raise _invalid("a request object must not hold request or request_uri")
    if claims.get("client_id", client.client_id) != client.client_id:
        raise _invalid("client_id of the request object is not the one outside")
    if claims.get("iss", client.client_id) != client.client_id:
        raise _invalid("iss of the request object must be the client_id")
    if claims.get("sub") == client.client_id:
        raise _invalid("a request object must not have the client_id as its sub")  # RFC 9101 §10.8
    if "aud" in claims and not names_one(claims["aud"], (issuer,)):
        raise _invalid("aud of the request object must be the issuer")
    if (why := outside(claims, now)) is not None:
        raise _invalid(f"{why} in the request object")
    return {name: text for name, value in claims.items() if name in UNDERSTOOD and (text := _text(name, value)) != ""}


def merged(outer: Parameters, inner: Mapping[str, str], *, strict: bool) -> Parameters:
    """What counts of both.  Pure.  Raises OAuthError."""
    for name in ("client_id", "response_type"):
        outside, inside = outer.get(name), inner.get(name)
        if outside is not None and inside is not None and outside != inside:
            raise _invalid(f"{name} of the request object is not the one outside")
    kept = {"client_id": outer.values["client_id"]} if strict else outer.values
    values = {**kept, **inner}
    return Parameters({name: value for name, value in values.items() if name not in _CARRIERS}, outer.repeated)


def _text(name: str, value: Any) -> str:
    """As it would stand in a query; "" for what is left out."""
    match value:
        case str():
            return value
        case bool() | None:
            pass
        case int() if name == "max_age":
            return str(value)
        case dict() if name == "claims":
            return msgspec.json.encode(value).decode()
    raise _invalid(f"{name} of the request object is no text")


def _invalid(why: str, code: ErrorCode = "invalid_request_object") -> OAuthError:
    return OAuthError(code, why)
