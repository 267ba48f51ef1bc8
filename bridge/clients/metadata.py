"""Client metadata, checked once when it comes in — RFC 7591 §2, Registration 1.0 §2."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET, Struct, UnsetType

from bridge.clients.client import DEFAULT_SCOPES, ApplicationType, AuthMethod, SubjectType
from bridge.clients.jwks import jwks_problem
from bridge.clients.redirects import (
    ANSWERS,
    GOODBYES,
    clash_problem,
    is_loopback,
    link_problem,
    only_https_problem,
    redirect_problem,
)
from bridge.clients.words import named, words

SYMMETRIC: Final = frozenset({"HS256"})
WITH_SECRET: Final = frozenset({"client_secret_basic", "client_secret_post", "client_secret_jwt"})
ASSERTION_ALGS: Final[dict[str, tuple[str, ...]]] = {
    "client_secret_jwt": ("HS256",),
    "private_key_jwt": ("RS256", "PS256", "ES256", "EdDSA"),
}
"""How each method's assertions may be signed."""
REQUEST_ALGS: Final = ("RS256", "PS256", "ES256", "EdDSA", "HS256")
"""How request objects may be signed."""
ENCRYPTION_ALGS: Final = ("RSA-OAEP", "RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW")
ENCRYPTION_ENCS: Final = ("A128CBC-HS256", "A256CBC-HS512", "A128GCM", "A256GCM")
DEFAULT_ENC: Final = "A128CBC-HS256"
"""Registration 1.0 §2: where only an `alg` is named."""
_MOST_REQUEST_URIS: Final = 20
SHORTEST_KEY: Final = 32
"""Bytes of a secret that is itself a key (RFC 7518 §3.2; Core §16.19)."""
LONGEST_ID: Final = 255
_LONGEST_NAME: Final = 255
_IDENTIFIER: Final = re.compile(rf"[\x20-\x7e]{{1,{LONGEST_ID}}}")
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
_LINKS: Final = ("logo_uri", "policy_uri", "tos_uri", "client_uri")
_LOCALIZED: Final = re.compile(rf"(client_name|{'|'.join(_LINKS)})#[A-Za-z0-9-]{{1,35}}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """What the provider can do, and so what a client may register for."""

    grant_types: frozenset[str] = frozenset({"authorization_code", "refresh_token", "client_credentials"})
    response_types: frozenset[str] = frozenset({"code"})
    """Each with its words in alphabetical order."""
    id_token_algs: frozenset[str] = frozenset({"RS256", "ES256", "EdDSA"})


OFFERED: Final = Offered()


Document = Mapping[str, Any]
"""RFC 7591 metadata as it came, and whatever else is to be kept with it."""


class InvalidMetadata(ValueError):
    """The document cannot be registered.  `field` is the metadata name at fault ("" when it is none)."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}" if field else why)
        self.field = field
        self.why = why


class Metadata(Struct, frozen=True, kw_only=True):
    """The members that are checked when they come; what else a document has is kept with it, untouched.

    Of some nobody asks afterwards: `sid` and `auth_time` are always told, whether they are required or not.
    """

    client_name: str = ""
    token_endpoint_auth_method: AuthMethod = "client_secret_basic"  # noqa: S105  # a method
    token_endpoint_auth_signing_alg: str | None = None
    jwks: dict[str, Any] | None = None
    jwks_uri: str | None = None
    redirect_uris: tuple[str, ...] = ()
    post_logout_redirect_uris: tuple[str, ...] = ()
    grant_types: tuple[str, ...] = ("authorization_code",)
    response_types: tuple[str, ...] | UnsetType = UNSET
    scope: str | UnsetType = UNSET
    application_type: ApplicationType = "web"
    id_token_signed_response_alg: str = "RS256"  # noqa: S105  # an algorithm
    id_token_encrypted_response_alg: str | None = None
    id_token_encrypted_response_enc: str | None = None
    userinfo_signed_response_alg: str | None = None
    userinfo_encrypted_response_alg: str | None = None
    userinfo_encrypted_response_enc: str | None = None
    logo_uri: str | None = None
    policy_uri: str | None = None
    tos_uri: str | None = None
    client_uri: str | None = None
    backchannel_logout_uri: str | None = None
    backchannel_logout_session_required: bool = False
    frontchannel_logout_uri: str | None = None
    frontchannel_logout_session_required: bool = False
    initiate_login_uri: str | None = None
    subject_type: SubjectType = "public"
    sector_identifier_uri: str | None = None
    default_max_age: int | None = None
    default_acr_values: tuple[str, ...] = ()
    require_auth_time: bool = False
    request_object_signing_alg: str | None = None
    request_uris: tuple[str, ...] = ()
    require_signed_request_object: bool = False
    resource_server: bool = False

    @property
    def scopes(self) -> tuple[str, ...]:
        """What the client may ask for, each once, in the order it was named."""
        return DEFAULT_SCOPES if self.scope is UNSET else tuple(dict.fromkeys(words(self.scope)))

    @property
    def responses(self) -> tuple[str, ...]:
        """The response types: `code`, unless the client said otherwise or never comes to the browser."""
        if self.response_types is UNSET:
            return ("code",) if "authorization_code" in self.grant_types else ()
        return tuple(named(one) for one in self.response_types)

    @property
    def sector(self) -> str | None:
        """The host whose clients know a person by one `sub` of their own (Core §8.1); None: the `sub` that all know."""
        if self.subject_type == "public":
            return None
        return urlsplit(self.sector_identifier_uri or self.redirect_uris[0]).hostname if self.redirect_uris else None

    @property
    def symmetric(self) -> bool:
        """Whether the secret itself is a key, and so must be recoverable (security §22)."""
        by_secret = self.token_endpoint_auth_method == "client_secret_jwt"  # noqa: S105  # a method
        return by_secret or bool({self.id_token_signed_response_alg, self.request_object_signing_alg} & SYMMETRIC)

    @property
    def secret_at_hand(self) -> bool:
        """Whether its method to authenticate gives it a secret."""
        return self.token_endpoint_auth_method in WITH_SECRET

    @property
    def secret(self) -> bool:
        """Whether it has one at all: whoever signs with a key of his own, or proves nothing, has none."""
        return self.symmetric or self.secret_at_hand


def read_metadata(document: Mapping[str, Any]) -> Metadata:
    """The members of the document, of the right types.  Raises InvalidMetadata.  A null means absent."""
    present = {name: value for name, value in document.items() if value is not None}
    try:
        return msgspec.convert(present, Metadata)
    except msgspec.ValidationError as error:
        why, _, where = str(error).partition(" - at `$.")
        raise InvalidMetadata(re.split(r"[\[`]", where)[0], why) from None


def check_metadata(metadata: Metadata, *, offered: Offered = OFFERED, imported: bool = False) -> None:
    """Raise InvalidMetadata for what no client may register.  `imported`: its private scheme, and what stands in
    the queries of its addresses, is taken as it is."""
    problems = chain(  # one after the other: the later ones take the addresses apart that the first found sound
        _problems(metadata, imported=imported),
        () if imported else _fragment_problems(metadata),
        _protocol_problems(metadata, offered),
        _key_problems(metadata),
    )
    for field, why in problems:
        raise InvalidMetadata(field, why)


def localized(name: str) -> str | None:
    """The member of which that is the one in another language, as `client_name#zh` (RFC 7591 §2.2); None: it is not."""
    formed = _LOCALIZED.fullmatch(name)
    return formed[1] if formed is not None else None


def check_localized(document: Document) -> None:
    """Raise InvalidMetadata for what may not stand in the member without a language either."""
    for name, value in document.items():
        if (member := localized(name)) is None:
            continue
        try:
            for field, why in _shown_problems(read_metadata({member: value})):
                raise InvalidMetadata(field, why)
        except InvalidMetadata as error:
            raise InvalidMetadata(name, error.why) from None


def is_identifier(client_id: str) -> bool:
    """Whether anything could have been registered by that name."""
    return _IDENTIFIER.fullmatch(client_id) is not None


def check_identifier(client_id: str) -> None:
    """Raise InvalidMetadata unless it is a `client_id` (RFC 6749 §A.1) that fits."""
    if not is_identifier(client_id):
        raise InvalidMetadata("client_id", f"must be 1 to {LONGEST_ID} printable ASCII characters")


def _problems(metadata: Metadata, *, imported: bool) -> Iterable[tuple[str, str]]:
    for field, uris, ours in (
        ("redirect_uris", metadata.redirect_uris, ANSWERS),
        ("post_logout_redirect_uris", metadata.post_logout_redirect_uris, GOODBYES),
    ):
        for uri in uris:
            why = redirect_problem(uri, metadata.application_type, reverse_domain=not imported)
            if why or (not imported and (why := clash_problem(uri, ours))):
                yield field, f"{uri!r} {why}"
    yield from _shown_problems(metadata)
    if metadata.backchannel_logout_uri and (why := link_problem(metadata.backchannel_logout_uri, https=True)):
        yield "backchannel_logout_uri", why
    if metadata.frontchannel_logout_uri and (why := _frame_problem(metadata.frontchannel_logout_uri, metadata)):
        yield "frontchannel_logout_uri", why
    if metadata.initiate_login_uri and (why := only_https_problem(metadata.initiate_login_uri)):
        yield "initiate_login_uri", why
    if metadata.sector_identifier_uri and (why := only_https_problem(metadata.sector_identifier_uri)):
        yield "sector_identifier_uri", why


def _shown_problems(metadata: Metadata) -> Iterable[tuple[str, str]]:
    if len(metadata.client_name) > _LONGEST_NAME or not metadata.client_name.isprintable():
        yield "client_name", f"must be at most {_LONGEST_NAME} characters that can be shown"
    for field in _LINKS:
        if (link := getattr(metadata, field)) and (why := link_problem(link)):
            yield field, why


def _fragment_problems(metadata: Metadata) -> Iterable[tuple[str, str]]:
    """Registration 1.0 §2: what comes in a fragment goes to no web address that another program of the device, or
    whoever listens on the way, could have."""
    if metadata.application_type != "web" or "implicit" not in metadata.grant_types:
        return
    for uri in metadata.redirect_uris:
        parts = urlsplit(uri)
        if parts.scheme != "https" or is_loopback(parts.hostname):
            yield "redirect_uris", f"{uri!r} must be https, and not localhost, for implicit grants of a web application"


def _frame_problem(uri: str, metadata: Metadata) -> str | None:
    """Front-Channel Logout 1.0 §2: it is on one of the hosts to which the browser is sent anyhow."""
    if why := link_problem(uri, https=True):
        return why
    same = {_origin(one) for one in metadata.redirect_uris}
    return None if _origin(uri) in same else "must have the scheme, host and port of a redirect URI"


def _origin(uri: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(uri)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def _key_problems(metadata: Metadata) -> Iterable[tuple[str, str]]:
    method, alg = metadata.token_endpoint_auth_method, metadata.token_endpoint_auth_signing_alg
    if metadata.jwks is not None and metadata.jwks_uri is not None:
        yield "jwks", "must not stand beside jwks_uri"
    if metadata.jwks is not None and (why := jwks_problem(metadata.jwks)):
        yield "jwks", why
    if metadata.jwks_uri is not None and (why := link_problem(metadata.jwks_uri, https=True)):
        yield "jwks_uri", why
    if method == "private_key_jwt" and metadata.jwks is None and metadata.jwks_uri is None:
        yield "jwks", "or jwks_uri is needed for private_key_jwt"
    yield from _request_problems(metadata)
    yield from _encryption_problems(metadata)
    if alg is not None and alg not in ASSERTION_ALGS.get(method, ()):
        yield "token_endpoint_auth_signing_alg", f"{alg!r} is not offered for {method}"


def _encryption_problems(metadata: Metadata) -> Iterable[tuple[str, str]]:
    for field in ("id_token_encrypted_response", "userinfo_encrypted_response"):
        alg, enc = getattr(metadata, f"{field}_alg"), getattr(metadata, f"{field}_enc")
        if alg is not None and alg not in ENCRYPTION_ALGS:
            yield f"{field}_alg", f"{alg!r} is not offered"
        if enc is not None and enc not in ENCRYPTION_ENCS:
            yield f"{field}_enc", f"{enc!r} is not offered"
        if enc is not None and alg is None:
            yield f"{field}_enc", f"needs {field}_alg"
        if alg is not None and metadata.jwks is None and metadata.jwks_uri is None:
            yield f"{field}_alg", "needs jwks or jwks_uri"


def _request_problems(metadata: Metadata) -> Iterable[tuple[str, str]]:
    alg, field = metadata.request_object_signing_alg, "request_object_signing_alg"
    if alg is not None and alg not in REQUEST_ALGS:
        yield field, f"{alg!r} is not offered"
    if alg in SYMMETRIC and not metadata.secret_at_hand:
        yield field, "a client without a secret shares no key with us"
    if alg not in (None, *SYMMETRIC) and metadata.jwks is None and metadata.jwks_uri is None:
        yield field, "needs jwks or jwks_uri"
    if len(metadata.request_uris) > _MOST_REQUEST_URIS:
        yield "request_uris", f"must be at most {_MOST_REQUEST_URIS}"
    for uri in metadata.request_uris:
        if why := link_problem(uri.partition("#")[0], https=True):
            yield "request_uris", f"{uri!r} {why}"


def _protocol_problems(metadata: Metadata, offered: Offered) -> Iterable[tuple[str, str]]:
    grants, responses = set(metadata.grant_types), set(metadata.responses)
    if unknown := sorted(grants - offered.grant_types):
        yield "grant_types", f"{unknown[0]!r} is not offered"
    yield from _response_problems(responses, grants, offered)
    if grants & {"authorization_code", "implicit"} and not metadata.redirect_uris:
        yield "redirect_uris", "at least one is needed"
    if "client_credentials" in grants and metadata.token_endpoint_auth_method == "none":  # noqa: S105  # a method
        yield "grant_types", "client_credentials needs a client that can authenticate"
    if metadata.id_token_signed_response_alg not in offered.id_token_algs:
        yield "id_token_signed_response_alg", f"{metadata.id_token_signed_response_alg!r} is not offered"
    if metadata.resource_server and metadata.token_endpoint_auth_method == "none":  # noqa: S105  # a method
        yield "resource_server", "a client that cannot authenticate may not introspect"
    if metadata.id_token_signed_response_alg in SYMMETRIC and not metadata.secret_at_hand:
        yield "id_token_signed_response_alg", "a client without a secret shares no key with us"
    if metadata.userinfo_signed_response_alg not in (None, *offered.id_token_algs):
        yield "userinfo_signed_response_alg", f"{metadata.userinfo_signed_response_alg!r} is not offered"
    if metadata.default_max_age is not None and metadata.default_max_age < 0:
        yield "default_max_age", "must not be negative"
    if any(one.split() != [one] for one in metadata.default_acr_values):
        yield "default_acr_values", "must be values without spaces"
    if metadata.subject_type == "pairwise" and not _one_sector(metadata):
        yield "sector_identifier_uri", "is needed unless all redirect_uris are https addresses of one host (Core 8.1)"
    if unknown := [one for one in metadata.scopes if not _SCOPE.fullmatch(one)]:
        yield "scope", f"{unknown[0]!r} is no scope"


def _response_problems(responses: set[str], grants: set[str], offered: Offered) -> Iterable[tuple[str, str]]:
    """Registration 1.0 §2: each word of a response type has its grant type."""
    if unknown := sorted(responses - offered.response_types):
        yield "response_types", f"{unknown[0]!r} is not offered"
    if grants & {"authorization_code", "implicit"} and not responses:
        # Also `implicit` alone, with the default left to hold, which is code (RFC 7591 §2): no request could be right.
        yield "response_types", "at least one is needed for authorization_code or implicit"
    asked = {word for response in responses for word in words(response)}
    if "code" in asked and "authorization_code" not in grants:
        yield "response_types", "code needs the grant type authorization_code"
    if {"id_token", "token"} & asked and "implicit" not in grants:
        yield "response_types", "id_token and token need the grant type implicit"


def _one_sector(metadata: Metadata) -> bool:
    """Whether it is plain who shares a person's `sub` (Core §8.1).  The host in an address of a private scheme is
    nobody's, and the loopback everybody's: whoever registered one would know people as another's apps do."""
    if metadata.sector_identifier_uri is not None:
        return True
    places = {(parts.scheme, parts.hostname) for parts in map(urlsplit, metadata.redirect_uris)}
    scheme, host = places.pop() if len(places) == 1 else ("", None)
    return scheme == "https" and not is_loopback(host)
