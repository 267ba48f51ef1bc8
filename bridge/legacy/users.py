"""AddUser, GetUsers, UpdateUser: people, without their passwords once they are there — whmcs-api §3.5, security §30."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bridge.accounts.members import Members
from bridge.accounts.membership import Membership
from bridge.database.search import Page
from bridge.database.text import InvalidField, one_line
from bridge.events.ledger import Deed, Ledger
from bridge.legacy.actions import Action, Answer, Caller, failure, success
from bridge.legacy.languages import language_tag
from bridge.legacy.lists import SPAN, counters, moment, span_of
from bridge.legacy.params import Params
from bridge.legacy.wire import Value
from bridge.outbox.outbox import Outbox
from bridge.types import UserId
from bridge.users.directory import UserDirectory
from bridge.users.email import email_key
from bridge.users.email_changes import CONFIRM, EmailChange, EmailChanges, Unchanged
from bridge.users.profile import ProfileChange
from bridge.users.sql import SqlUsers
from bridge.users.upkeep import UserUpkeep
from bridge.users.user import AddressTaken, User

INVALID_ADDRESS: Final = "The email address entered is not valid"
USER_EXISTS: Final = "A user already exists with that email address"
NO_SUCH_USER: Final = "Invalid User ID requested"
NOTHING_TO_CHANGE: Final = "One of `email`, `firstname`, `lastname`, or `language` is required"

_WORDS: Final[Mapping[str, str]] = {"first_name": "firstname", "last_name": "lastname"}


class AddUser:
    """Makes somebody who can sign in.  No session and no mail comes of it."""

    def __init__(self, *, users: SqlUsers, upkeep: UserUpkeep, ledger: Ledger) -> None:
        self._users = users
        self._upkeep = upkeep
        self._ledger = ledger

    @property
    def action(self) -> Action:
        """For the registry."""
        names = frozenset({"firstname", "lastname", "email", "password2", "language"})
        return Action(name="AddUser", run=self, parameters=names)

    async def __call__(self, params: Params, caller: Caller) -> Answer:
        """In the order in which the documentation lists its errors.  Raises Unavailable."""
        first, last, email = (params.text(name) for name in ("firstname", "lastname", "email"))
        password = params.secret("password2")
        for given, what in ((first, "first name"), (last, "last name"), (email, "email address")):
            if not one_line(given):
                return failure(f"You did not enter {'an' if what[0] == 'e' else 'a'} {what}")
        if not password:
            return failure("You did not enter a password")
        if email_key(email) is None:
            return failure(INVALID_ADDRESS, "email has not the form of an address")
        if await self._users.by_email(email) is not None:  # before a hash is made for nothing
            return failure(USER_EXISTS)
        try:
            new = await self._users.draft(
                email=email,
                password=password,
                first_name=first,
                last_name=last,
                language=language_tag(params.optional("language")),
            )
        except InvalidField as error:
            return too_long(error)
        except ValueError as error:
            return failure("The password entered is not valid", str(error))
        made = await self._ledger.do(caller.visit(), lambda deed: self._upkeep.add(deed, new))
        return failure(USER_EXISTS) if isinstance(made, AddressTaken) else success(user_id=made.id)


class GetUsers:
    """A page of the people, each with the accounts that he belongs to."""

    def __init__(self, *, users: SqlUsers, directory: UserDirectory, members: Members) -> None:
        self._users = users
        self._directory = directory
        self._members = members

    @property
    def action(self) -> Action:
        """For the registry.  `email`, the one user of exactly that address, is ours."""
        return Action(name="GetUsers", run=self, parameters=SPAN | {"search", "email"})

    async def __call__(self, params: Params, caller: Caller) -> Answer:  # noqa: ARG002  # every action's shape
        """No error is documented, and there is none.  Raises Unavailable."""
        # As it was sent: whoever looks for "undefined" must not be given everybody.
        email = params.text("email")
        page = await self._exactly(email) if email else await self._beginning(params)
        theirs = await self._members.of_users(user.id for user in page.items)
        return success(**counters(page), users=[_shown(user, theirs[user.id]) for user in page.items])

    async def _exactly(self, email: str) -> Page[User]:
        found = await self._users.by_email(email)
        return Page(items=[] if found is None else [found], total=0 if found is None else 1, start=0)

    async def _beginning(self, params: Params) -> Page[User]:
        return await self._directory.page(span_of(params), search=params.optional("search"))


class UpdateUser:
    """Changes names and language at once; an address when it was confirmed by a link to it."""

    def __init__(
        self, *, users: SqlUsers, upkeep: UserUpkeep, changes: EmailChanges, outbox: Outbox, ledger: Ledger
    ) -> None:
        self._users = users
        self._upkeep = upkeep
        self._changes = changes
        self._outbox = outbox
        self._ledger = ledger

    @property
    def action(self) -> Action:
        """For the registry."""
        names = frozenset({"user_id", "firstname", "lastname", "email", "language"})
        return Action(name="UpdateUser", run=self, parameters=names)

    async def __call__(self, params: Params, caller: Caller) -> Answer:
        """All of it or none, in the order in which the documentation lists its errors.  Raises Unavailable."""
        wish = _Wish.of(params)
        user = UserId(params.row("user_id"))
        if await self._users.by_id(user) is None:
            return failure(NO_SUCH_USER)
        if not wish:
            return failure(NOTHING_TO_CHANGE)
        if wish.email and email_key(wish.email) is None:
            return failure(INVALID_ADDRESS, "email has not the form of an address")
        try:
            outcome = await self._ledger.do(caller.visit(), lambda deed: self._update(deed, user, wish))
        except InvalidField as error:
            return too_long(error)
        if isinstance(outcome, AddressTaken):
            return failure(USER_EXISTS)
        if outcome is None:
            return failure(NO_SUCH_USER, "removed meanwhile, or another authority keeps the address")
        return success("the address waits for its confirmation" if wish.email else "", user_id=user)

    async def _update(
        self, deed: Deed, user: UserId, wish: "_Wish"
    ) -> User | EmailChange | Unchanged | AddressTaken | None:
        """The address first: a refusal writes nothing."""
        done: User | EmailChange | Unchanged | AddressTaken | None = None
        if wish.email:
            done = await self._changes.request(deed, user, wish.email)
            if done is None or isinstance(done, AddressTaken):
                return done
        if isinstance(done, EmailChange):
            await self._outbox.put(deed.tx, CONFIRM, user, {"change": str(done.id)})
        return await self._upkeep.change(deed, user, wish.profile) if wish.profile != ProfileChange() else done


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """What shall be different."""

    email: str
    profile: ProfileChange

    @classmethod
    def of(cls, params: Params) -> "_Wish":
        """What is absent stays as it is: nobody can be left without a name by a parameter that a client made empty."""
        first, last, language = (one_line(params.optional(name)) for name in ("firstname", "lastname", "language"))
        return cls(
            email=params.optional("email").strip(),
            profile=ProfileChange(
                first_name=first or None,
                last_name=last or None,
                language=language_tag(language) if language else None,
            ),
        )

    def __bool__(self) -> bool:
        return bool(self.email) or self.profile != ProfileChange()


def too_long(error: InvalidField) -> Answer:
    """Of what the documentation says nothing: a value that would have to be cut."""
    return failure(f"{_WORDS.get(error.field, error.field)}: {error.why}")


def _shown(user: User, theirs: Sequence[Membership]) -> dict[str, Value]:
    return {
        "id": user.id,
        "firstname": user.first_name,
        "lastname": user.last_name,
        "email": user.email,
        "datecreated": moment(user.created_at),
        "validationdata": "",
        "clients": [{"id": each.account, "isOwner": each.owner} for each in theirs],
    }
