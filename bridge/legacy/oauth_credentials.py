"""CreateOAuthCredential, ListOAuthCredentials, UpdateOAuthCredential, DeleteOAuthCredential — whmcs-api §3.4.

The credentials are clients of the OpenID Provider: what is made here signs in there.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from bridge.accounts.accounts import Accounts
from bridge.clients.metadata import Document, InvalidMetadata
from bridge.clients.upkeep import SINGLE_SIGN_ON, ClientUpkeep, Numbered
from bridge.events.ledger import Deed, Ledger
from bridge.legacy.actions import Action, Answer, Caller, failure, success
from bridge.legacy.options import LegacyOptions
from bridge.legacy.params import Params
from bridge.legacy.wire import Value
from bridge.types import AccountId

CODE: Final = "authorization_code"
GRANT_TYPES: Final = (CODE, SINGLE_SIGN_ON)
SCOPES: Final = frozenset(
    {
        "openid",
        "profile",
        "email",
        "sso:custom_redirect",
        "clientarea:sso",
        "clientarea:profile",
        "clientarea:billing_info",
        "clientarea:emails",
        "clientarea:announcements",
        "clientarea:downloads",
        "clientarea:knowledgebase",
        "clientarea:network_status",
        "clientarea:services",
        "clientarea:product_details",
        "clientarea:domains",
        "clientarea:domain_details",
        "clientarea:invoices",
        "clientarea:tickets",
        "clientarea:submit_ticket",
        "clientarea:shopping_cart",
        "clientarea:shopping_cart_addons",
        "clientarea:shopping_cart_domain_register",
        "clientarea:shopping_cart_domain_transfer",
    }
)
"""What may be asked for: the provider's, and the destinations of single sign-on."""

NO_ID: Final = "Invalid Credential ID provided."
_FIELDS: Final = ("grantType", "scope", "name", "serviceId", "description", "logoUri", "redirectUri")
_MOST: Final = 25_000
_SUFFIX: Final = {1: "st", 2: "nd", 3: "rd", 21: "st", 22: "nd", 23: "rd", 31: "st"}


class Wrong(Exception):
    """What the caller is told."""


class OAuthCredentials:
    """All four."""

    def __init__(
        self,
        *,
        upkeep: ClientUpkeep,
        accounts: Accounts,
        ledger: Ledger,
        options: LegacyOptions,
        company: str,
    ) -> None:
        """`company`: what every identifier begins with, as far as it is letters and digits."""
        self._upkeep = upkeep
        self._accounts = accounts
        self._ledger = ledger
        self._options = options
        self._prefix = re.sub(r"[^A-Z0-9]+", "-", company.upper()).strip("-")[:64] or "LOGIN"

    @property
    def actions(self) -> tuple[Action, ...]:
        """For the registry."""
        update = ("credentialId", "clientApiIdentifier", "resetSecret", *_FIELDS)
        lists = ("grantType", "sortField", "sortOrder", "limit")
        return (
            Action(name="CreateOAuthCredential", run=self.create, parameters=frozenset(_FIELDS)),
            Action(name="ListOAuthCredentials", run=self.list, parameters=frozenset(lists)),
            Action(name="UpdateOAuthCredential", run=self.update, parameters=frozenset(update)),
            Action(name="DeleteOAuthCredential", run=self.delete, parameters=frozenset({"credentialId"})),
        )

    async def create(self, params: Params, caller: Caller) -> Answer:
        """In the order in which the documentation lists its errors.  Raises Unavailable."""
        try:
            document = await self._changed({}, params)
            made = await self._ledger.do(caller.visit(), partial(self._add, document=document))
        except Wrong as wrong:
            return failure(str(wrong))
        assert made.secret is not None
        return success(
            credentialId=made.number, clientIdentifier=made.client.client_id, clientSecret=made.secret.reveal()
        )

    async def list(self, params: Params, caller: Caller) -> Answer:  # noqa: ARG002  # an action's shape
        """Secrets are not listed: we keep hashes.  Raises Unavailable."""
        shown = [_item(each) for each in await self._upkeep.all()]
        if wanted := params.optional("grantType").strip():
            shown = [item for item in shown if wanted in str(item["grantTypes"]).split()]
        field = params.optional("sortField").strip()
        descending = params.optional("sortOrder").strip().upper() == "DESC"
        order = _ORDERS.get(field, "number")
        found = sorted(shown, key=lambda item: _sorting(item[order]), reverse=descending)
        limit = params.number("limit")
        most = limit if limit is not None and 0 < limit <= _MOST else _MOST
        clients = [{name: value for name, value in item.items() if name in _SHOWN} for item in found[:most]]
        return success(clients=clients)

    async def update(self, params: Params, caller: Caller) -> Answer:
        """What is not given stays as it is.  Raises Unavailable."""
        try:
            there = await self._meant(params)
            document = await self._changed(there.client.metadata, params)
            given = {name: document[name] for name in document if document[name] != there.client.metadata.get(name)}
            reset = params.flag("resetSecret") is True
            work = partial(self._alter, number=there.number, given=given, reset=reset)
            changed = await self._ledger.do(caller.visit(), work)
        except Wrong as wrong:
            return failure(str(wrong))
        if changed.secret is None:
            return success(credentialId=changed.number)
        return success(credentialId=changed.number, newClientSecret=changed.secret.reveal())

    async def delete(self, params: Params, caller: Caller) -> Answer:
        """What was given to it ends with it.  Raises Unavailable."""
        number = params.row("credentialId")
        gone = await self._ledger.do(caller.visit(), lambda deed: self._upkeep.remove(deed, number))
        return success(credentialId=number) if gone is not None else failure(NO_ID)

    async def _meant(self, params: Params) -> Numbered:
        """Which credential an update is about.  Raises Wrong."""
        identifier = params.optional("clientApiIdentifier")
        if params.optional("credentialId").strip():
            found = await self._upkeep.find(number=params.row("credentialId"))
            wrong = NO_ID
        elif identifier:
            found = await self._upkeep.find(client_id=identifier) if identifier.isprintable() else None
            wrong = "Invalid Client Identifier provided."
        else:
            raise Wrong("A Credential ID or Client Identifier is required.")
        if found is None:
            raise Wrong(wrong)
        return found

    async def _changed(self, before: Document, params: Params) -> dict[str, Any]:
        """The document with what the caller says, checked in the documented order.  Raises Wrong."""
        document = dict(before)
        grant = _grant(before, params)
        name = params.optional("name").strip() or str(before.get("client_name", ""))
        if grant == CODE and not name:
            raise Wrong("A name for the Client Credential is required.")
        service = params.optional("serviceId").strip() or str(before.get("service_id") or "")
        if grant == SINGLE_SIGN_ON and not service:
            raise Wrong("A service ID is required for the single sign-on grant type.")
        scopes = _scopes(before, params)
        if service:
            document["service_id"] = await self._service(params, service)
        document |= {"client_name": name, **scopes}
        uris = _uris(params)
        if uris is not None or grant != _grant_of(before):
            redirects = list(before.get("redirect_uris", ())) if uris is None else uris
            document |= {"grant_type": grant, "redirect_uris": redirects, **_offered(grant, redirects)}
        for ours, theirs in (("description", "description"), ("logo_uri", "logoUri")):
            if text := params.optional(theirs).strip():
                document[ours] = text
        return document

    async def _service(self, params: Params, text: str) -> int:
        if not params.optional("serviceId").strip():
            return int(text)  # as it was: nobody asks about it again
        number = params.row("serviceId")
        if not number:
            raise Wrong("A valid Service ID is required.")
        known = self._options.service_ids == "clients" and await self._accounts.by_id(AccountId(number)) is not None
        if not known:
            raise Wrong("Service ID not associated with valid Client.")
        return number

    async def _add(self, deed: Deed, *, document: Document) -> Numbered:
        pkce = self._options.credentials_require_pkce
        try:
            return await self._upkeep.add(deed, document, prefix=self._prefix, require_pkce=pkce)
        except InvalidMetadata as error:
            raise Wrong(_said(error)) from None

    async def _alter(self, deed: Deed, *, number: int, given: Document, reset: bool) -> Numbered:
        """`given` over what the row says now, so that two callers at once do not undo one another."""
        try:
            changed = await self._upkeep.change(deed, number, lambda now: {**now, **given}, reset_secret=reset)
        except InvalidMetadata as error:
            raise Wrong(_said(error)) from None
        if changed is None:
            raise Wrong(NO_ID)
        return changed


def _grant(before: Document, params: Params) -> str:
    grant = params.optional("grantType").strip() or _grant_of(before)
    if not grant:
        raise Wrong("A valid grant type is required.")
    if grant not in GRANT_TYPES:
        raise Wrong(f'The requested grant type "{grant[:64]}" is invalid.')
    return grant


def _scopes(before: Document, params: Params) -> dict[str, str]:
    given = params.optional("scope")
    if not given.split():
        if before:
            return {}
        raise Wrong("At least one valid scope is required.")
    for scope in given.split():
        if scope not in SCOPES:
            raise Wrong(f'The requested scope "{scope[:64]}" is invalid.')
    return {"scope": " ".join(dict.fromkeys(given.split()))}


def _offered(grant: str, redirects: list[str]) -> dict[str, Any]:
    """The members of RFC 7591.  An application without a redirect URI can do nothing yet."""
    if grant == SINGLE_SIGN_ON:
        return {"grant_types": [SINGLE_SIGN_ON, "client_credentials"], "response_types": []}
    return {"grant_types": [CODE] if redirects else [], "response_types": ["code"] if redirects else []}


def _uris(params: Params) -> list[str] | None:
    """As text, or as an array of texts; None: not given."""
    given = params.values.get("redirectUri")
    if given is None:
        return None
    listed = [given] if isinstance(given, str) else [each for each in given.values() if isinstance(each, str)]
    return list(dict.fromkeys(uri for each in listed if (uri := each.strip())))


def _grant_of(document: Document) -> str:
    """The grant type as the API names it: WHMCS has one for each credential."""
    known = document.get("grant_type")
    if isinstance(known, str):
        return known
    return CODE if document and CODE in document.get("grant_types", (CODE,)) else ""


def _said(error: InvalidMetadata) -> str:
    names = {"redirect_uris": "redirect URI", "logo_uri": "logo URI", "client_name": "name"}
    return f"The requested {names.get(error.field, 'credential')} is invalid."


def _item(each: Numbered) -> dict[str, Value]:
    client, document = each.client, each.client.metadata
    return {
        "number": each.number,
        "created": client.created_at,
        "updated": client.updated_at,
        "credentialId": each.number,
        "name": client.name,
        "description": str(document.get("description") or ""),
        "grantTypes": _grant_of(document) or " ".join(client.grant_types),
        "scope": " ".join(client.scopes),
        "clientIdentifier": client.client_id,
        "clientSecret": "",
        "uuid": None,
        "serviceId": document.get("service_id") or 0,
        "logoUri": client.logo_uri or "",
        "redirectUri": list(client.redirect_uris),
        "rsaKeyPairId": 0,
        "createdAt": said_as(client.created_at),
        "updatedAt": said_as(client.updated_at),
    }


_SHOWN: Final = frozenset(
    {
        "credentialId",
        "name",
        "description",
        "grantTypes",
        "scope",
        "clientIdentifier",
        "clientSecret",
        "uuid",
        "serviceId",
        "logoUri",
        "redirectUri",
        "rsaKeyPairId",
        "createdAt",
        "updatedAt",
    }
)
_ORDERS: Final[Mapping[str, str]] = {
    "credentialId": "number",
    "id": "number",
    "name": "name",
    "description": "description",
    "grantTypes": "grantTypes",
    "scope": "scope",
    "clientIdentifier": "clientIdentifier",
    "serviceId": "serviceId",
    "createdAt": "created",
    "created_at": "created",
    "updatedAt": "updated",
    "updated_at": "updated",
}


def _sorting(value: Value) -> tuple[int, str]:
    return (value, "") if isinstance(value, int) else (0, str(value).casefold())


def said_as(at: int) -> str:
    """`18th November 2016 9:32:24am`, in UTC."""
    when = datetime.fromtimestamp(at, UTC)
    hour, half = (when.hour - 1) % 12 + 1, "am" if when.hour < 12 else "pm"
    day = f"{when.day}{_SUFFIX.get(when.day, 'th')}"
    return f"{day} {_MONTHS[when.month - 1]} {when.year} {hour}:{when.minute:02}:{when.second:02}{half}"


_MONTHS: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)  # not strftime, which speaks the language of the machine
