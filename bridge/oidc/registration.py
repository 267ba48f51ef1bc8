"""An application registers itself, and looks after what it registered — RFC 7591 §3; RFC 7592 §2; Registration 1.0.

One address: POST registers; GET, PUT and DELETE with `?client_id=` are for who holds the client's registration access
token.  Nobody's browser comes here, so no script of another origin may read it (security §28).
"""

import json
from collections.abc import Awaitable
from typing import Any, Final, Literal, NoReturn, Protocol
from urllib.parse import urlencode

from msgspec import Struct

from bridge.asgi import (
    NO_STORE,
    BadRequest,
    Headers,
    Proxies,
    Receive,
    Reply,
    Scope,
    Send,
    content_type,
    header,
    json_reply,
    query,
    read_body,
)
from bridge.clients.metadata import Document, InvalidMetadata, is_identifier
from bridge.clients.registrations import NotAdmitted, Registration, Registrations
from bridge.errors import Unavailable
from bridge.events.ledger import Ledger
from bridge.interactions.arrivals import Arrivals
from bridge.oidc.errors import OAuthError, unavailable
from bridge.secret import Secret
from bridge.types import ClientId, Visit

PATH: Final = "/oauth/register"
Who = Literal["token", "open"]
_METHODS: Final = "POST, GET, PUT, DELETE"
_GONE: Final = Reply(204, headers=NO_STORE)


class SectorOf(Protocol):
    """Looks whether the document at a `sector_identifier_uri` names these addresses (`bridge.oidc.sector`).

    Raises InvalidMetadata."""

    def __call__(self, document: Document) -> Awaitable[None]: ...


class _Call(Struct, frozen=True):
    """A request to register or to manage, read once."""

    method: str
    client_id: str | None
    token: Secret | None
    document: Document


class RegistrationEndpoint:
    """`who` may register: those who were given an initial access token, or everybody."""

    def __init__(
        self,
        *,
        issuer: str,
        who: Who,
        registrations: Registrations,
        ledger: Ledger,
        arrivals: Arrivals,
        sector_of: SectorOf,
        proxies: Proxies,
    ) -> None:
        self._issuer = issuer
        self._who = who
        self._registrations = registrations
        self._ledger = ledger
        self._arrivals = arrivals
        self._sector_of = sector_of
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            reply = await self._answer(await _read(scope, receive), Visit("oidc", self._proxies.client(scope)))
        except OAuthError as error:
            reply = error.reply()
        except InvalidMetadata as error:
            reply = _refused(error)
        except Unavailable as error:
            reply = unavailable(error).reply()
        await reply(scope, receive, send)

    async def _answer(self, call: _Call, visit: Visit) -> Reply:
        if call.method == "POST":
            return await self._register(call, visit)
        if call.client_id is None or call.token is None or not is_identifier(call.client_id):
            _refuse_token(shown=call.token is not None)  # and no database is asked for what it may choke on (NUL)
        act = {"GET": self._show, "PUT": self._change, "DELETE": self._remove}[call.method]
        return await act(ClientId(call.client_id), call.token, call.document, visit)

    async def _register(self, call: _Call, visit: Visit) -> Reply:
        if self._who == "token" and call.token is None:
            _refuse_token(shown=False)
        await self._admit(visit)
        if call.token is not None and not await self._registrations.admits(call.token):
            _refuse_token(shown=True)  # before anything is fetched for somebody whom we do not know
        await self._sector_of(call.document)
        try:
            made = await self._ledger.do(
                visit, lambda deed: self._registrations.register(deed, call.document, by=call.token)
            )
        except NotAdmitted:
            _refuse_token(shown=True)
        return json_reply(self._response(made), 201)

    async def _show(self, client_id: ClientId, token: Secret, _: Document, __: Visit) -> Reply:
        client = await self._registrations.find(client_id, token)
        if client is None:
            _refuse_token(shown=True)
        return json_reply(self._response(Registration(client=client, managing=token)))

    async def _change(self, client_id: ClientId, token: Secret, document: Document, visit: Visit) -> Reply:
        if await self._registrations.find(client_id, token) is None:
            _refuse_token(shown=True)  # before anything is fetched for somebody whom we do not know
        await self._admit(visit)
        await self._sector_of(document)
        changed = await self._ledger.do(
            visit, lambda deed: self._registrations.change(deed, client_id, token, document)
        )
        if changed is None:
            _refuse_token(shown=True)
        return json_reply(self._response(changed))

    async def _remove(self, client_id: ClientId, token: Secret, _: Document, visit: Visit) -> Reply:
        if not await self._ledger.do(visit, lambda deed: self._registrations.remove(deed, client_id, token)):
            _refuse_token(shown=True)
        return _GONE

    async def _admit(self, visit: Visit) -> None:
        """Each time a row is written and every worker reads its clients anew, so nobody does it without end."""
        if wait := await self._arrivals.admit(visit.ip):
            later = ((b"retry-after", str(wait).encode()),)
            raise OAuthError("temporarily_unavailable", "too many registrations", status=429, headers=later)

    def _response(self, registration: Registration) -> dict[str, Any]:
        """RFC 7591 §3.2.1, RFC 7592 §3: what is registered, as it holds; the secret only when it was just made."""
        client, secret = registration.client, registration.secret
        shown = {"client_secret": secret.reveal(), "client_secret_expires_at": 0} if secret is not None else {}
        return {
            **client.metadata,
            "client_id": client.client_id,
            "client_id_issued_at": client.created_at,
            **shown,
            "registration_access_token": registration.managing.reveal(),
            "registration_client_uri": f"{self._issuer}{PATH}?{urlencode({'client_id': client.client_id})}",
        }


async def _read(scope: Scope, receive: Receive) -> _Call:
    """Raises OAuthError."""
    method = scope["method"]
    if method not in _METHODS.split(", "):
        allow = ((b"allow", _METHODS.encode()),)
        raise OAuthError("invalid_request", f"this endpoint takes {_METHODS}", status=405, headers=allow)
    try:
        client_id = query(scope).get("client_id")
        document = await _document(scope, receive) if method in ("POST", "PUT") else {}
    except BadRequest as error:
        raise OAuthError("invalid_request", str(error), status=error.status) from error
    return _Call(method, client_id, _token(scope), document)


async def _document(scope: Scope, receive: Receive) -> Document:
    if content_type(scope) != "application/json":
        raise OAuthError("invalid_request", "the body must be application/json", status=415)
    try:
        found = json.loads(await read_body(scope, receive))
    except (ValueError, RecursionError):
        raise OAuthError("invalid_request", "the body is not JSON") from None
    if not isinstance(found, dict):
        raise OAuthError("invalid_request", "the body is not a JSON object")
    return found


def _token(scope: Scope) -> Secret | None:
    scheme, _, token = (header(scope, b"authorization") or "").partition(" ")
    return Secret(token.strip(" ")) if scheme.lower() == "bearer" and token else None


def _refuse_token(*, shown: bool) -> NoReturn:
    """The same for a client that is not there, and for a token that is not its own (RFC 7592 §2.1)."""
    challenge = b'Bearer error="invalid_token"' if shown else b"Bearer"
    headers: Headers = ((b"www-authenticate", challenge),)
    raise OAuthError("invalid_token", "this needs an access token that is valid here", headers=headers)


def _refused(error: InvalidMetadata) -> Reply:
    """RFC 7591 §3.2.2.  The description quotes what was sent, and so is cut to the characters of RFC 6749 A.8."""
    code = "invalid_redirect_uri" if error.field == "redirect_uris" else "invalid_client_metadata"
    said = "".join(sign if " " <= sign <= "~" and sign not in '"\\' else "?" for sign in str(error))
    return json_reply({"error": code, "error_description": said[:500]}, 400)
