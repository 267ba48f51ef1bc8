"""The same actions within the process, as `localAPI` is to a WHMCS module — security §30, DESIGN §6.

    answer = await local_api("ValidateLogin", {"email": email, "password2": password}, request=request)

No credentials, no wire: who can call this has the process.  Only what an action declares may be given to it, so that
nothing of a request's own parameters reaches it by accident.
"""

from collections.abc import Mapping
from typing import Protocol

from bridge.asgi import Proxies, Scope, header
from bridge.legacy.actions import UNKNOWN_ACTION, Caller, Registry, failure
from bridge.legacy.params import Plain, of_mapping
from bridge.legacy.wire import Content


class Request(Protocol):
    """A Starlette request or WebSocket, or whatever else has an ASGI scope."""

    @property
    def scope(self) -> Scope: ...


class LocalApi:
    """Callable from the host app."""

    def __init__(self, *, actions: Registry, proxies: Proxies) -> None:
        self._actions = actions
        self._proxies = proxies

    async def __call__(
        self, action: str, values: Mapping[str, Plain] | None = None, *, request: Request | None = None
    ) -> Content:
        """What the API would answer to that action, `result` and all.

        `request`: the person's; login attempts are counted for its address, and a session is bound to it.
        ValueError for a parameter that the action does not declare; Unavailable.
        """
        found = self._actions.get(action.lower())
        if found is None:
            return failure(UNKNOWN_ACTION).content
        given = dict(values or {})
        if undeclared := sorted(given.keys() - found.parameters):
            raise ValueError(f"{found.name} has no parameter {undeclared[0]!r}")
        return (await found.run(of_mapping(given), self._caller(request))).content

    def _caller(self, request: Request | None) -> Caller:
        if request is None:
            return Caller(name="local", door="local")
        address = self._proxies.client(request.scope)
        agent = header(request.scope, b"user-agent") or ""
        return Caller(name="local", door="local", address=address, person=address, user_agent=agent)
