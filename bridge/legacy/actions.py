"""The actions of the API, and the registry to which an operator adds his own — whmcs-api §3."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeAlias

from msgspec import Struct, field

from bridge.clients.credential import Credential, SessionTerms
from bridge.errors import ConfigError
from bridge.legacy.params import Params
from bridge.legacy.wire import Content, Value
from bridge.types import Door, IPAddress, Visit

UNKNOWN_ACTION: Final = "The requested API Action could not be found"

POWERFUL: Final = frozenset(
    {
        "createssotoken",
        "createoauthcredential",
        "updateoauthcredential",
        "deleteoauthcredential",
        "adduser",
        "updateuser",
        "updateuserpermissions",
        "createclientinvite",
        "deleteuserclient",
        "addclient",
        "updateclient",
        "closeclient",
        "deleteclient",
    }
)
"""What lets somebody in without his password, changes who may come in, or changes what an app may ask (security §30).

Each must be named by a credential or one of its roles, and has its audit row in the transaction that does it:
`bridge.events.ledger`.  ValidateLogin and ResetPassword are not among them: the one needs the password, the other
writes to the account's own address.
"""


class Caller(Struct, frozen=True, kw_only=True):
    """Who calls an action, after he was let in."""

    name: str
    """The credential's name; "local" for a call within the process."""
    door: Door = "legacy"
    address: IPAddress | None = None
    """The caller's own address: a portal's server, hardly ever the person's."""
    person: IPAddress | None = None
    """The person's address, where the call itself says so (`local_api(…, request=…)`)."""
    user_agent: str = ""
    """The person's browser, in the same case."""
    sessions: SessionTerms = field(default_factory=SessionTerms)
    error_on_2fa: bool | None = None
    """What its credential says in place of `legacy.error_on_2fa`."""
    credential: Credential | None = None
    """None: a call within the process."""
    sso_without_2fa: bool = False
    """Whether its credential may sign people in by links without the code that they owe."""

    def visit(self, person: IPAddress | None = None) -> Visit:
        """What the rooms below are told.  The caller's own address is never a key of theirs (security §23)."""
        return Visit(self.door, person or self.person, self.user_agent, self.name)


class Answer(Struct, frozen=True):
    """What an action says, `result` first, and for the log alone: why."""

    content: Content
    why: str = ""


def success(why: str = "", **members: Value) -> Answer:
    """`result=success` and what belongs to it, in this order."""
    return Answer({"result": "success", **members}, why)


def failure(message: str, why: str = "") -> Answer:
    """`result=error` in the documented words.  A business error: HTTP 200 (§1.4)."""
    return Answer({"result": "error", "message": message}, why)


Run: TypeAlias = Callable[[Params, Caller], Awaitable[Answer]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One action.  `run` may raise Unavailable, which the door answers with 503."""

    name: str
    """As the documentation writes it."""
    run: Run
    parameters: frozenset[str]
    """What it understands: a call within the process may give nothing else (security §30)."""
    powerful: bool = False
    """Allowed only to credentials that name it, not by `*` (security §30): one of `POWERFUL` always is."""

    @property
    def must_be_named(self) -> bool:
        """Whether `*` does not give it."""
        return self.powerful or self.name.lower() in POWERFUL


Registry: TypeAlias = Mapping[str, Action]
"""Lower-case name → action."""


def registry(*actions: Action) -> Registry:
    """The actions by name, whatever its case; a later one takes the place of an earlier one of its name."""
    return MappingProxyType({action.name.lower(): action for action in actions})


def owned(actions: Registry, names: Sequence[str]) -> Registry:
    """Those of the actions that the bridge shall answer: all, or the named ones.  Raises ConfigError."""
    wanted = {name.strip().lower() for name in names}
    if unknown := sorted(wanted - actions.keys()):
        raise ConfigError(f"legacy.actions: there is no action {', '.join(unknown)}")
    return MappingProxyType({name: action for name, action in actions.items() if not wanted or name in wanted})
