"""Who is the client? A secret, an assertion that it signed, or nothing but its name — RFC 6749 §2.3; Core §9."""

import base64
import binascii
from collections.abc import Mapping
from typing import Final, Protocol
from urllib.parse import unquote, unquote_plus

from msgspec import Struct

from bridge.asgi import Headers, Scope, header, path_of
from bridge.clients.client import AuthMethod, Client
from bridge.clients.metadata import ASSERTION_ALGS
from bridge.clock import Clock, chance
from bridge.keys.foreign import read
from bridge.oidc.assertion import TYPE as ASSERTION_TYPE
from bridge.oidc.assertion import Assertions
from bridge.oidc.errors import OAuthError
from bridge.secret import Mac, Secret, framed

METHODS: Final[tuple[AuthMethod, ...]] = (
    *("client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "none"),
)
ASSERTION_ALGORITHMS: Final = tuple(sorted({alg for algs in ASSERTION_ALGS.values() for alg in algs}))
TOKEN_PATH: Final = "/oauth/token"  # noqa: S105  # a path
"""An assertion may name the token endpoint wherever it is shown (RFC 7523 §3)."""
MOST_PROVED: Final = 1_024
_OTHER_WAYS: Final = frozenset({"client_secret", "client_assertion", "client_assertion_type"})
_CHALLENGE: Final[Headers] = ((b"www-authenticate", b'Basic realm="login", charset="UTF-8"'),)


class Clients(Protocol):
    """The registered clients (`bridge.clients.clients.Clients`).  Raises `Unavailable`."""

    async def get(self, client_id: str) -> Client | None: ...

    def still(self, client: Client) -> bool: ...

    async def check_secret(self, client: Client, secret: Secret) -> bool: ...


class AuthenticatedClient(Struct, frozen=True):
    """A client that has proved who it is by its registered method; only `Authenticator` makes one."""

    client: Client
    method: AuthMethod
    until: int | None = None
    """When an older secret of its ends, which may be the one that was shown (Unix seconds); None: none does."""


class ClientRefused(OAuthError):
    """`invalid_client`: one answer for unknown, disabled, wrong secret and wrong method, with a challenge only for who
    tried Basic.  `client` is for the log: the registered one that was tried."""

    def __init__(self, description: str, *, basic: bool = False, client: Client | None = None) -> None:
        super().__init__("invalid_client", description, headers=_CHALLENGE if basic else ())
        self.client = client


class _Proved:
    """Which client a header has proved before.  Who comes all day with one secret is not decoded and hashed each time.

    A header is known by its MAC under a key of this process alone.  That it proved a client counts only while that is
    `still` the very object that `Clients` gave then: with any change of any client it gives another one
    (docs/decisions/0009), so this outlives neither a new secret nor a disabled client.  Of a secret that ends by the
    clock nobody is told, so then the proof counts no longer than its `until`.
    """

    def __init__(self) -> None:
        self._mac = Mac(chance(32), "proved")
        self._by_mac: dict[bytes, AuthenticatedClient] = {}

    def look(self, authorization: str) -> tuple[bytes, AuthenticatedClient | None]:
        """What the header is known by, and whom it proved; what has become of him since is the caller's to ask."""
        name = self._mac.of(framed(authorization))
        return name, self._by_mac.get(name)

    def keep(self, name: bytes, proved: AuthenticatedClient) -> None:
        """It did.  Nobody is remembered for a wrong secret."""
        if len(self._by_mac) >= MOST_PROVED:
            self._by_mac.clear()
        self._by_mac[name] = proved


class _Shown(Struct, frozen=True):
    """What the request brought to prove it: one id and one secret, in each reading of its encoding."""

    client_ids: tuple[str, ...]
    method: AuthMethod
    secrets: tuple[str, ...]


class Authenticator:
    """Tells the client of a token, revocation or introspection request."""

    def __init__(self, *, issuer: str, clients: Clients, assertions: Assertions, clock: Clock) -> None:
        self._issuer = issuer
        self._clients = clients
        self._assertions = assertions
        self._clock = clock
        self._proved = _Proved()

    async def __call__(self, scope: Scope, form: Mapping[str, str]) -> AuthenticatedClient:
        """Raises OAuthError, Unavailable."""
        authorization = header(scope, b"authorization")
        if authorization is None:
            if "client_assertion" in form or "client_assertion_type" in form:
                return await self._by_assertion(scope, form)
            return await self._checked(_by_body(form), basic=False)
        if not _OTHER_WAYS.isdisjoint(form):
            raise OAuthError("invalid_request", "the client must authenticate in one way only")
        name, proved = self._proved.look(authorization)
        if (
            proved is not None
            and form.get("client_id") in (None, proved.client.client_id)
            and (proved.until is None or self._clock.now() < proved.until)
            and self._clients.still(proved.client)
        ):
            return proved
        proved = await self._checked(_by_header(authorization, form), basic=True)
        self._proved.keep(name, proved)
        return proved

    async def _checked(self, shown: _Shown, *, basic: bool) -> AuthenticatedClient:
        now = self._clock.now()  # of before the check: a secret that ends meanwhile is not taken for one that stays
        tried: Client | None = None
        for client_id in shown.client_ids:
            client = await self._clients.get(client_id)
            if client is not None and await self._proves(client, shown):
                ends = client.old_secret_until
                return AuthenticatedClient(client, shown.method, None if ends is None or ends <= now else ends)
            tried = client or tried
        why = (
            "client authentication failed"
            if shown.secrets
            else "client credentials are required: client_secret is missing"
        )
        raise ClientRefused(why, basic=basic, client=tried)

    async def _proves(self, client: Client, shown: _Shown) -> bool:
        if client.disabled or not client.may_authenticate_by(shown.method):
            return False
        if shown.method == "none":
            return True
        for secret in shown.secrets:
            if await self._clients.check_secret(client, Secret(secret)):
                return True
        return False

    async def _by_assertion(self, scope: Scope, form: Mapping[str, str]) -> AuthenticatedClient:
        """RFC 7521 §4.2.  Whom it names is only who has to have signed it."""
        if "client_secret" in form:
            raise OAuthError("invalid_request", "the client must authenticate in one way only")
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise ClientRefused(f"client_assertion_type must be {ASSERTION_TYPE}")
        token = read(form.get("client_assertion", ""))
        named = token.claims.get("sub") if token is not None else None
        if token is None or not isinstance(named, str):
            raise ClientRefused("client_assertion is no signed JWT with a sub")
        if form.get("client_id", named) != named:
            raise ClientRefused("client_id is not the one that authenticated")
        client = await self._clients.get(named)
        if client is None or client.disabled or client.auth_method not in ASSERTION_ALGS:
            raise ClientRefused("client authentication failed", client=client)
        audiences = (self._issuer, self._issuer + TOKEN_PATH, self._issuer + path_of(scope))
        if (why := await self._assertions.objection(client, token, audiences)) is not None:
            raise ClientRefused(why, client=client)
        return AuthenticatedClient(client, client.auth_method)


def _by_header(authorization: str, form: Mapping[str, str]) -> _Shown:
    shown, secret = _basic(authorization)
    client_ids, named = _readings(shown), form.get("client_id")
    if named is not None and named not in client_ids:
        raise ClientRefused("client_id is not the one that authenticated", basic=True)
    return _Shown(client_ids if named is None else (named,), "client_secret_basic", _readings(secret))


def _by_body(form: Mapping[str, str]) -> _Shown:
    client_id, secret = form.get("client_id"), form.get("client_secret")
    if client_id is None:
        missing = "client_id is" if secret else "client_id and client_secret are"
        raise ClientRefused(f"client credentials are required: {missing} missing")
    return _Shown((client_id,), "none" if secret is None else "client_secret_post", (secret,) if secret else ())


def _basic(authorization: str) -> tuple[str, str]:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise _not_basic()
    try:
        text = base64.b64decode(encoded.strip(" "), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        raise _not_basic() from None
    client_id, colon, secret = text.partition(":")
    if not colon:
        raise _not_basic()
    return client_id, secret


def _readings(text: str) -> tuple[str, ...]:
    # §2.3.1 wants both form-encoded before base64; half of all clients forget it, and `+` means either.
    return tuple(dict.fromkeys((unquote_plus(text), unquote(text), text)))


def _not_basic() -> ClientRefused:
    return ClientRefused("the Authorization header is not Basic as RFC 6749 2.3.1 wants it", basic=True)
