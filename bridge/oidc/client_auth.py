"""Who is the client? client_secret_basic, client_secret_post, none — RFC 6749 §2.3; Core §9."""

import base64
import binascii
from collections.abc import Mapping
from typing import Final, Protocol
from urllib.parse import unquote, unquote_plus

from msgspec import Struct

from bridge.asgi import Headers, Scope, header
from bridge.clients.client import AuthMethod, Client
from bridge.oidc.errors import OAuthError
from bridge.secret import Secret

METHODS: Final[tuple[AuthMethod, ...]] = ("client_secret_basic", "client_secret_post", "none")
_CHALLENGE: Final[Headers] = ((b"www-authenticate", b'Basic realm="login", charset="UTF-8"'),)


class Clients(Protocol):
    """The registered clients (`bridge.clients.clients.Clients`).  Raises `Unavailable`."""

    async def get(self, client_id: str) -> Client | None: ...

    async def check_secret(self, client: Client, secret: Secret) -> bool: ...


class AuthenticatedClient(Struct, frozen=True):
    """A client that has proved who it is by its registered method; only `authenticate` makes one."""

    client: Client
    method: AuthMethod


class ClientRefused(OAuthError):
    """`invalid_client`: one answer for unknown, disabled, wrong secret and wrong method, with a challenge only for who
    tried Basic.  `client` is for the log: the registered one that was tried."""

    def __init__(self, description: str, *, basic: bool = False, client: Client | None = None) -> None:
        super().__init__("invalid_client", description, headers=_CHALLENGE if basic else ())
        self.client = client


class _Shown(Struct, frozen=True):
    """What the request brought to prove it: one id and one secret, in each reading of its encoding."""

    client_ids: tuple[str, ...]
    method: AuthMethod
    secrets: tuple[str, ...]


async def authenticate(scope: Scope, form: Mapping[str, str], clients: Clients) -> AuthenticatedClient:
    """The client of a token, revocation or introspection request.  Raises OAuthError, Unavailable."""
    authorization = header(scope, b"authorization")
    shown = _by_header(authorization, form) if authorization is not None else _by_body(form)
    tried: Client | None = None
    for client_id in shown.client_ids:
        client = await clients.get(client_id)
        if client is not None and await _proves(client, shown, clients):
            return AuthenticatedClient(client, shown.method)
        tried = client or tried
    why = (
        "client authentication failed" if shown.secrets else "client credentials are required: client_secret is missing"
    )
    raise ClientRefused(why, basic=authorization is not None, client=tried)


async def _proves(client: Client, shown: _Shown, clients: Clients) -> bool:
    if client.disabled or not client.may_authenticate_by(shown.method):
        return False
    if shown.method == "none":
        return True
    for secret in shown.secrets:
        if await clients.check_secret(client, Secret(secret)):
            return True
    return False


def _by_header(authorization: str, form: Mapping[str, str]) -> _Shown:
    if "client_secret" in form or "client_assertion" in form:
        raise OAuthError("invalid_request", "the client must authenticate in one way only")
    shown, secret = _basic(authorization)
    client_ids, named = _readings(shown), form.get("client_id")
    if named is not None and named not in client_ids:
        raise ClientRefused("client_id is not the one that authenticated", basic=True)
    return _Shown(client_ids if named is None else (named,), "client_secret_basic", _readings(secret))


def _by_body(form: Mapping[str, str]) -> _Shown:
    if "client_assertion" in form or "client_assertion_type" in form:
        raise ClientRefused("client assertions are not offered")
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
