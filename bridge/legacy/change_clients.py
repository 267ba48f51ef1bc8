"""AddClient, UpdateClient, CloseClient, DeleteClient — whmcs-api §3.6, security §30."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, assert_never

from bridge.accounts.account import Account, Profile
from bridge.accounts.accounts import Accounts, Removed
from bridge.accounts.outcomes import EmailTaken, NoAccount, NoUser, UserExists
from bridge.asgi import parse_ip
from bridge.database.text import InvalidField, one_line
from bridge.errors import Unavailable
from bridge.events.ledger import Ledger
from bridge.legacy.actions import Action, Answer, Caller, failure, success
from bridge.legacy.client_profile import PROFILE, changed, client_number, invalid, is_country
from bridge.legacy.languages import language_tag
from bridge.legacy.params import Params
from bridge.legacy.users import INVALID_ADDRESS, USER_EXISTS
from bridge.types import AccountId, SlotTag, UserId
from bridge.users.email import email_key
from bridge.users.sql import SqlUsers
from bridge.users.user import NewUser

NOT_FOUND: Final = "Client ID Not Found"
NO_COUNTRY: Final = "Valid country required"

_REQUIRED: Final = {
    "firstname": "first name",
    "lastname": "last name",
    "email": "email address",
    "address1": " address line 1",  # with two blanks, as documented
    "city": "city",
    "state": "state",
    "postcode": "postcode",
    "phonenumber": "phone number",
}

PublishStamp = Callable[[UserId, SlotTag], Awaitable[object]]


class AddClient:
    """Makes a client and its owner: somebody who is there, or a new user of the same name and address."""

    def __init__(self, *, users: SqlUsers, accounts: Accounts, ledger: Ledger) -> None:
        self._users = users
        self._accounts = accounts
        self._ledger = ledger

    @property
    def action(self) -> Action:
        """For the registry."""
        more = {"owner_user_id", "password2", "clientip", "noemail", "skipvalidation"}
        return Action(name="AddClient", run=self, parameters=PROFILE | more)

    async def __call__(self, params: Params, caller: Caller) -> Answer:
        """In the order in which the documentation lists its errors.  Raises Unavailable."""
        owner = _owner_number(params)
        if owner is not None and await self._users.by_id(owner) is None:
            return failure("Invalid Owner User ID")
        if refusal := _refused(params, new_owner=owner is None):
            return refusal
        try:
            profile = changed(Profile(), params)
            who = await self._draft(params) if owner is None else owner
        except InvalidField as error:
            return invalid(error)
        except ValueError as error:
            return failure("The password entered is not valid", str(error))
        return await self._create(profile, who, params, caller)

    async def _draft(self, params: Params) -> NewUser:
        """Raises ValueError."""
        return await self._users.draft(
            email=params.text("email"),
            password=params.secret("password2"),
            first_name=params.text("firstname"),
            last_name=params.text("lastname"),
            language=language_tag(params.optional("language")),
        )

    async def _create(self, profile: Profile, who: UserId | NewUser, params: Params, caller: Caller) -> Answer:
        visit = caller.visit(parse_ip(params.optional("clientip").strip()))
        outcome = await self._ledger.do(visit, lambda deed: self._accounts.create(deed, profile, owner=who))
        match outcome:
            case Account():
                return success(clientid=outcome.id, owner_id=outcome.owner)
            case NoUser():
                return failure("Invalid Owner User ID", "removed meanwhile")
            case EmailTaken():
                return failure("The email address entered is not available for use.")
            case UserExists():
                return failure(USER_EXISTS)
            case _:
                assert_never(outcome)


class UpdateClient:
    """Changes what it is told, and nothing else."""

    def __init__(self, *, accounts: Accounts, ledger: Ledger) -> None:
        self._accounts = accounts
        self._ledger = ledger

    @property
    def action(self) -> Action:
        """For the registry."""
        return Action(name="UpdateClient", run=self, parameters=PROFILE | {"clientid", "clientemail", "clientip"})

    async def __call__(self, params: Params, caller: Caller) -> Answer:
        """By number, or else by exactly the address that the client has now.  Raises Unavailable."""
        client = await self._named(params)
        if client is None:
            return failure(NOT_FOUND)
        email = params.optional("email")
        if email and email_key(email) is None:
            return failure(INVALID_ADDRESS, "email has not the form of an address")
        if (country := params.optional("country").strip()) and not is_country(country):
            return failure(NO_COUNTRY)
        visit = caller.visit(parse_ip(params.optional("clientip").strip()))
        try:
            outcome = await self._ledger.do(
                visit, lambda deed: self._accounts.update(deed, client, lambda before: changed(before, params))
            )
        except InvalidField as error:
            return invalid(error)
        match outcome:
            case Account():
                return success(_unheeded(params), clientid=outcome.id)
            case NoAccount():
                return failure(NOT_FOUND, "removed meanwhile")
            case EmailTaken():
                return failure("Duplicate Email Address")
            case _:
                assert_never(outcome)

    async def _named(self, params: Params) -> AccountId | None:
        if params.optional("clientid"):
            found = await self._accounts.by_id(client_number(params))
        else:
            found = await self._accounts.by_email(params.optional("clientemail"))
        return None if found is None else found.id


class CloseClient:
    """Lets nobody in by this client any more."""

    def __init__(self, *, accounts: Accounts, ledger: Ledger) -> None:
        self._accounts = accounts
        self._ledger = ledger

    @property
    def action(self) -> Action:
        """For the registry."""
        return Action(name="CloseClient", run=self, parameters=frozenset({"clientid"}))

    async def __call__(self, params: Params, caller: Caller) -> Answer:
        """Raises Unavailable."""
        client = client_number(params)
        outcome = await self._ledger.do(caller.visit(), lambda deed: self._accounts.close(deed, client))
        return failure(NOT_FOUND) if isinstance(outcome, NoAccount) else success(clientid=outcome.id)


class DeleteClient:
    """Forgets a client, and with `deleteusers` those who belong to no other; their sessions end at once."""

    def __init__(self, *, accounts: Accounts, ledger: Ledger, publish_stamp: PublishStamp) -> None:
        self._accounts = accounts
        self._ledger = ledger
        self._publish_stamp = publish_stamp

    @property
    def action(self) -> Action:
        """For the registry."""
        names = frozenset({"clientid", "deleteusers", "deletetransactions"})
        return Action(name="DeleteClient", run=self, parameters=names)

    async def __call__(self, params: Params, caller: Caller) -> Answer:
        """`deletetransactions` has nothing to delete here.  Raises Unavailable."""
        client, users = client_number(params), bool(params.flag("deleteusers"))
        outcome = await self._ledger.do(
            caller.visit(), lambda deed: self._accounts.remove(deed, client, with_users=users)
        )
        match outcome:
            case NoAccount():
                return failure(NOT_FOUND)
            case Removed():
                for user in outcome.users:
                    with suppress(Unavailable):  # it has happened; the reconciler publishes it again
                        await self._publish_stamp(user.id, user.tag)
                return success(clientid=client)
            case _:
                assert_never(outcome)


def _owner_number(params: Params) -> UserId | None:
    """None: the owner is to be made.  0, which nobody has, for what is no number."""
    if not params.optional("owner_user_id"):
        return None
    return UserId(params.row("owner_user_id"))


def _refused(params: Params, *, new_owner: bool) -> Answer | None:
    """`skipvalidation` spares what a client may lack, not what a user needs to sign in."""
    lenient = bool(params.flag("skipvalidation"))
    for name, what in _REQUIRED.items():
        needed = not lenient or (new_owner and name == "email")
        if needed and not one_line(params.optional(name)):
            return failure(f"You did not enter your {what}")
    if new_owner and not params.secret("password2"):
        return failure("You did not enter a password")
    email, country = params.optional("email"), params.optional("country").strip()
    if email and email_key(email) is None:
        return failure("The email address you entered was not valid")
    if (country or not lenient) and not is_country(country):
        return failure(NO_COUNTRY)
    return None


def _unheeded(params: Params) -> str:
    """Since 8.0 a user's, not a client's: changed by himself, or by a reset link."""
    moved = [name for name in ("password2", "securityqid", "securityqans") if params.text(name)]
    return f"{', '.join(moved)} not heeded: a user's since 8.0" if moved else ""
