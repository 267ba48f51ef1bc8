"""The endpoint `/includes/api.php`: parse, authenticate, dispatch, render — whmcs-api §0, §1, §2.1."""

from math import ceil
from typing import Final

from msgspec import Struct

from bridge.asgi import (
    BadRequest,
    Endpoints,
    Proxies,
    Receive,
    Reply,
    Scope,
    Send,
    content_type,
    header,
    passed_on,
    read_body,
)
from bridge.errors import Unavailable
from bridge.events.event import Events
from bridge.legacy.actions import UNKNOWN_ACTION, Action, Answer, Caller, Registry, failure
from bridge.legacy.credentials import AuthenticatedCaller, Callers, Refusal
from bridge.legacy.look_ups import LookUps
from bridge.legacy.multipart import read_multipart
from bridge.legacy.options import LegacyOptions
from bridge.legacy.params import Params, merge, read_pairs, sniff
from bridge.legacy.php import Pair
from bridge.legacy.validate_login import WRONG
from bridge.legacy.wire import Content, Format, reply
from bridge.types import IPAddress, Visit

PATH: Final = "/includes/api.php"
TOO_MANY: Final = "Too many requests"
UNAVAILABLE: Final = "Service Temporarily Unavailable"
_FORMS: Final = ("", "application/x-www-form-urlencoded")


class _Said(Struct, frozen=True):
    """What is answered, at which status."""

    content: Content
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()


class LegacyApi:
    """The door."""

    def __init__(
        self,
        *,
        callers: Callers,
        look_ups: LookUps,
        actions: Registry,
        options: LegacyOptions,
        proxies: Proxies,
        events: Events,
    ) -> None:
        self._callers = callers
        self._look_ups = look_ups
        self._actions = actions
        self._options = options
        self._proxies = proxies
        self._events = events

    def endpoints(self) -> Endpoints:
        """Path below the mount point → this."""
        return {PATH: self}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One call.  Raises nothing that a caller can cause."""
        answer = await self._reply(scope, receive)
        await answer(scope, receive, send)

    async def _reply(self, scope: Scope, receive: Receive) -> Reply:
        request = await _read(scope, receive)
        address = self._address(scope)
        said = await self._say(request, scope["method"], address)
        form: Format = "nvp" if said.status == 403 and self._options.nvp_refusals else request.form
        made = reply(request.params.action, said.content, form, self._options, said.status)
        return Reply(made.status, made.body, made.content_type, (*made.headers, *said.headers))

    def _address(self, scope: Scope) -> IPAddress | None:
        """The caller's.  What an unnamed proxy on this machine passes on is from anywhere, and not from here."""
        address = self._proxies.client(scope)
        from_anywhere = address is not None and address.is_loopback and passed_on(scope, address)
        return None if from_anywhere else address

    async def _say(self, request: "_Request", method: str, address: IPAddress | None) -> _Said:
        allowed = ("GET", "POST") if self._options.allow_get else ("POST",)
        if method not in allowed:
            self._log(request, Caller(name="", address=address), "refused", f"method {method}")
            message = f"The method {method} is not allowed" if method.isalpha() else "The method is not allowed"
            return _Said(failure(message).content, 405, ((b"allow", ", ".join(allowed).encode()),))
        try:
            return await self._call(request, address)
        except Unavailable as error:
            self._log(request, Caller(name="", address=address), "unavailable", str(error))
            retry = (b"retry-after", str(error.retry_after).encode())
            return _Said(failure(UNAVAILABLE).content, 503, (retry,))

    async def _call(self, request: "_Request", address: IPAddress | None) -> _Said:
        """The checks in the documented order (§2.1), then the action."""
        params = request.params
        if (refusal := self._callers.admit(params, address)) is not None:
            return self._refused(request, refusal, address)
        if request.trouble is not None:
            self._log(request, Caller(name="", address=address), "error", str(request.trouble))
            return _Said(failure(str(request.trouble)).content, request.trouble.status)
        if not params.action:
            self._log(request, Caller(name="", address=address), "error", "action missing")
            return _Said(failure("Empty action request").content, 400)
        caller = await self._callers.authenticate(params, address)
        if isinstance(caller, Refusal):
            return self._refused(request, caller, address)
        return await self._act(request, caller)

    async def _act(self, request: "_Request", authenticated: AuthenticatedCaller) -> _Said:
        params, credential = request.params, authenticated.credential
        caller = Caller(
            name=credential.name,
            address=authenticated.address,
            sessions=credential.sessions,
            error_on_2fa=credential.error_on_2fa,
            credential=credential,
            sso_without_2fa=credential.sso_without_2fa,
        )
        action = self._actions.get(params.action.lower())
        if action is None or "action" in params.conflicts:
            why = "query and body differ in action" if "action" in params.conflicts else "no such action"
            self._log(request, caller, "error", why)
            return _Said(failure(UNKNOWN_ACTION).content, self._options.unknown_action_status)
        if (refusal := self._callers.may_call(authenticated, action)) is not None:
            return self._refused(request, refusal, authenticated.address)
        if (wait := await self._look_ups.admit(action.name, credential.name)) > 0:
            self._log(request, caller, "refused", "too many look-ups by this credential", action)
            return _Said(failure(TOO_MANY).content, 429, ((b"retry-after", str(ceil(wait)).encode()),))
        answer = await self._run(action, params, caller)
        result = str(answer.content.get("result", ""))
        self._log(request, caller, result, answer.why, action)
        return _Said(answer.content)

    @staticmethod
    async def _run(action: Action, params: Params, caller: Caller) -> Answer:
        if conflicting := sorted(params.conflicts & {"email", "password2", "second_factor"}):
            return failure(WRONG, f"query and body differ in {' and '.join(conflicting)}")
        return await action.run(params, caller)

    def _refused(self, request: "_Request", refusal: Refusal, address: IPAddress | None) -> _Said:
        self._events.tell(
            "credential.refused",
            Visit("legacy", address),
            actor=refusal.credential,
            reason=refusal.why,
            action=self._canonical(request.params),
        )
        return _Said(failure(refusal.message).content, 403)

    def _log(self, request: "_Request", caller: Caller, result: str, why: str, action: Action | None = None) -> None:
        self._events.tell(
            "legacy.call",
            Visit("legacy", caller.address, caller=caller.name or None),
            reason=why,
            action=action.name if action else self._canonical(request.params),
            result=result,
            credentials="query" if request.secrets_in_query else "body",
        )

    def _canonical(self, params: Params) -> str:
        """The action's own name, or what was asked for, as far as a log may show it."""
        action = self._actions.get(params.action.lower())
        if action is not None:
            return action.name
        return "".join(letter for letter in params.action[:40] if letter.isascii() and letter.isalnum())


class _Request(Struct, frozen=True):
    """What was read of a request; `trouble` where that is not all of it."""

    params: Params
    form: Format
    secrets_in_query: bool
    trouble: BadRequest | None = None


_SECRETS: Final = frozenset({"secret", "password", "accesskey", "password2", "second_factor"})


async def _read(scope: Scope, receive: Receive) -> _Request:
    query, trouble = _try(scope.get("query_string", b""))
    raw, body = b"", list[Pair]()
    if scope["method"] == "POST":
        try:
            raw = await read_body(scope, receive)
            body = _body(scope, raw)
        except BadRequest as error:
            trouble = trouble or error
    params = merge(query, body)
    form = (sniff(raw) if trouble else None) or params.form
    return _Request(params, form, any(name in _SECRETS for name, value in query if value), trouble)


def _try(raw: bytes) -> tuple[list[Pair], BadRequest | None]:
    try:
        return read_pairs(raw), None
    except BadRequest as error:
        return [], error


def _body(scope: Scope, raw: bytes) -> list[Pair]:
    match content_type(scope):
        case "multipart/form-data":
            return read_multipart(raw, header(scope, b"content-type") or "")
        case kind if kind in _FORMS:
            return read_pairs(raw)
        case _:
            return []  # PHP reads nothing of another media type either
