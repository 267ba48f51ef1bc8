"""Who may do what with a client: permissions, invites, removal — whmcs-api §3.5, security §30.

A client is a customer account (`bridge.accounts`); each action speaks of one user of one of them.
"""

from typing import Final, assert_never

from bridge.accounts.invites import Invite, Invites
from bridge.accounts.members import Members
from bridge.accounts.membership import Membership
from bridge.accounts.outcomes import AlreadyMember, IsOwner, NoAccount, NoAddress, NoPermissions, NotAMember, NoUser
from bridge.accounts.permissions import EVERY_PERMISSION, Permissions, parse_permissions
from bridge.events.ledger import Ledger
from bridge.legacy.actions import Action, Answer, Caller, failure, success
from bridge.legacy.params import Params
from bridge.legacy.users import INVALID_ADDRESS
from bridge.types import AccountId, UserId

INVALID_USER: Final = "Invalid user id"
INVALID_CLIENT: Final = "Invalid client id"
NOT_ASSOCIATED: Final = "User is not associated with client"

_BOTH: Final = frozenset({"user_id", "client_id"})


class GetPermissionsList:
    """Which permissions there are."""

    @property
    def action(self) -> Action:
        """For the registry."""
        return Action(name="GetPermissionsList", run=self, parameters=frozenset())

    async def __call__(self, params: Params, caller: Caller) -> Answer:  # noqa: ARG002  # every action's shape
        """With `status` too: the documentation prints that and no `result`, and callers look for either."""
        return success(status="success", permissions=_list(EVERY_PERMISSION))


class GetUserPermissions:
    """What a user may do with a client."""

    def __init__(self, *, members: Members) -> None:
        self._members = members

    @property
    def action(self) -> Action:
        """For the registry."""
        return Action(name="GetUserPermissions", run=self, parameters=_BOTH)

    async def __call__(self, params: Params, caller: Caller) -> Answer:  # noqa: ARG002  # every action's shape
        """The documentation shows `result` alone, which would be of no use.  Raises Unavailable."""
        outcome = await self._members.permissions(*_both(params))
        match outcome:
            case NoUser() | NoAccount() | NotAMember():
                return _refusal(outcome)
            case tuple():
                return success(permissions=_list(outcome))
            case _:
                assert_never(outcome)


class UpdateUserPermissions:
    """Sets what a user, not its owner, may do with a client."""

    def __init__(self, *, members: Members, ledger: Ledger) -> None:
        self._members = members
        self._ledger = ledger

    @property
    def action(self) -> Action:
        """For the registry."""
        return Action(name="UpdateUserPermissions", run=self, parameters=_BOTH | {"permissions"})

    async def __call__(self, params: Params, caller: Caller) -> Answer:
        """In the order in which the documentation lists its errors.  Raises Unavailable."""
        user, client = _both(params)
        wanted = parse_permissions(params.optional("permissions"))
        outcome = await self._ledger.do(
            caller.visit(), lambda deed: self._members.set_permissions(deed, user, client, wanted)
        )
        match outcome:
            case Membership():
                return success()
            case IsOwner():
                return failure("Permissions cannot be set on a client owner")
            case NoPermissions():
                return failure("Missing permissions definition", "permissions names none that there is")
            case NoUser() | NoAccount() | NotAMember():
                return _refusal(outcome)
            case _:
                assert_never(outcome)


class DeleteUserClient:
    """Lets a user have nothing to do with a client any more."""

    def __init__(self, *, members: Members, ledger: Ledger) -> None:
        self._members = members
        self._ledger = ledger

    @property
    def action(self) -> Action:
        """For the registry."""
        return Action(name="DeleteUserClient", run=self, parameters=_BOTH)

    async def __call__(self, params: Params, caller: Caller) -> Answer:
        """In the order in which the documentation lists its errors.  Raises Unavailable."""
        user, client = _both(params)
        outcome = await self._ledger.do(caller.visit(), lambda deed: self._members.remove(deed, user, client))
        match outcome:
            case Membership():
                return success()
            case IsOwner():
                return failure("You cannot remove the account owner")
            case NoUser() | NoAccount() | NotAMember():
                return _refusal(outcome)
            case _:
                assert_never(outcome)


class CreateClientInvite:
    """Invites an address to a client, by a letter with a link."""

    def __init__(self, *, invites: Invites, ledger: Ledger) -> None:
        self._invites = invites
        self._ledger = ledger

    @property
    def action(self) -> Action:
        """For the registry."""
        names = frozenset({"client_id", "email", "permissions"})
        return Action(name="CreateClientInvite", run=self, parameters=names)

    async def __call__(self, params: Params, caller: Caller) -> Answer:
        """In the order in which the documentation lists its errors.  Raises Unavailable."""
        client, email = AccountId(params.row("client_id")), params.text("email")
        wanted = parse_permissions(params.optional("permissions"))
        if not email.strip():
            return failure("Email is required")
        outcome = await self._ledger.do(caller.visit(), lambda deed: self._invites.create(deed, client, email, wanted))
        match outcome:
            case Invite():
                return success()
            case NoAccount():
                return _refusal(outcome)
            case NoAddress():
                return failure(INVALID_ADDRESS)
            case NoPermissions():
                return failure("User permissions are required", "permissions names none that there is")
            case AlreadyMember():
                return failure("User already associated with client")
            case _:
                assert_never(outcome)


def _both(params: Params) -> tuple[UserId, AccountId]:
    return UserId(params.row("user_id")), AccountId(params.row("client_id"))


def _list(permissions: Permissions) -> dict[str, list[str]]:
    return {"permission": list(permissions)}


def _refusal(outcome: NoUser | NoAccount | NotAMember) -> Answer:
    match outcome:
        case NoUser():
            return failure(INVALID_USER)
        case NoAccount():
            return failure(INVALID_CLIENT)
        case NotAMember():
            return failure(NOT_ASSOCIATED)
