"""CreateSsoToken: a link that signs a person in, once and soon — whmcs-api §3.3, security §8, §30.

The caller vouches for him, so whoever may call this can be anybody: a credential must name it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from bridge.accounts.account import Account
from bridge.accounts.accounts import Accounts
from bridge.accounts.contacts import Contacts
from bridge.errors import Unavailable
from bridge.events.ledger import Deed, Ledger
from bridge.legacy.actions import Action, Answer, Caller, failure, success
from bridge.legacy.params import Params
from bridge.legacy.relative import relative_path
from bridge.login.sso import BASE, SingleSignOn, SsoRefused, SsoWish
from bridge.types import AccountId, UserId
from bridge.users.backend import UserBackend
from bridge.users.user import User

PATH: Final = "/oauth/singlesignon.php"
CUSTOM: Final = "sso:custom_redirect"
"""The destination that `sso_redirect_path` says."""
_PLACES: Final = ("service_id", "domain_id")


class Wrong(Exception):
    """What the caller is told."""


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a link shall sign in, and for which of his accounts."""

    user: User
    account: AccountId | None


class Destinations:
    """Where links may lead: the documentation's names, and the paths that an operator gave them."""

    def __init__(self, lines: tuple[str, ...], base_url: str) -> None:
        """`lines`: `legacy.sso_destinations`, checked."""
        named = {name: path for name, _, path in (line.partition("=") for line in lines)}
        self._paths: Mapping[str, str] = MappingProxyType({BASE: "/", **named})
        self._base = urlsplit(base_url).path.rstrip("/")

    def path(self, params: Params) -> str | None:
        """The path on our host that is meant; None: there is none such."""
        name = params.optional("destination").strip()
        if name == CUSTOM:
            return self.custom(params.text("sso_redirect_path"))
        return self.named(name or BASE, {place: number for place in _PLACES if (number := params.row(place))})

    def named(self, name: str, places: Mapping[str, int]) -> str | None:
        """The path of that name, with these numbers in it; None: there is none, or a number is missing."""
        path = self._paths.get(name)
        for place in _PLACES:
            if path is not None and f"{{{place}}}" in path:
                path = path.replace(f"{{{place}}}", str(places[place])) if place in places else None
        return path

    def custom(self, text: str) -> str | None:
        """As a browser would resolve it at the System URL."""
        path = relative_path(text)
        return path if path is None or text.startswith("/") else self._base + path


class CreateSsoToken:
    """By `client_id`, `user_id` or both; `contact_id` as callers of 7.x send it."""

    def __init__(
        self,
        *,
        users: UserBackend,
        accounts: Accounts,
        contacts: Contacts,
        links: SingleSignOn,
        ledger: Ledger,
        destinations: Destinations,
        base_url: str,
    ) -> None:
        self._users = users
        self._accounts = accounts
        self._contacts = contacts
        self._links = links
        self._ledger = ledger
        self._destinations = destinations
        self._base_url = base_url

    @property
    def action(self) -> Action:
        """For the registry."""
        names = ("client_id", "user_id", "contact_id", "destination", "sso_redirect_path", *_PLACES)
        return Action(name="CreateSsoToken", run=self, parameters=frozenset(names))

    async def __call__(self, params: Params, caller: Caller) -> Answer:
        """In the order in which the documentation lists its errors.  Raises Unavailable."""
        try:
            person = await self._person(params)
        except Wrong as wrong:
            return failure(str(wrong))
        target = self._destinations.path(params)
        if target is None:
            return failure("Invalid destination", f"destination {params.optional('destination')[:64]}")
        refused = await self._links.objection(person.user, person.account)
        if refused is not None:
            return failure(_refusal(refused), refused.why)
        return await self._issue(person, target, caller)

    async def _person(self, params: Params) -> Person:
        """Raises Wrong."""
        account, user = await self._account(params), await self._user(params)
        if account is not None:
            user = await self._of_account(params, account, user)
        if user is None:
            raise Wrong("A valid client_id or user_id is required")
        return Person(user, account.id if account else None)

    async def _account(self, params: Params) -> Account | None:
        if not params.optional("client_id").strip():
            return None
        number = params.row("client_id")
        account = await self._accounts.by_id(AccountId(number)) if number else None
        if account is None:
            raise Wrong("Invalid client_id")
        return account

    async def _user(self, params: Params) -> User | None:
        if not params.optional("user_id").strip():
            return None
        number = params.row("user_id")
        user = await self._users.by_id(UserId(number)) if number else None
        if user is None:
            raise Wrong("Invalid user_id")
        return user

    async def _of_account(self, params: Params, account: Account, user: User | None) -> User:
        """Who is meant, if it is somebody of that account: its owner, unless the caller says otherwise."""
        if user is not None:
            if not await self._links.is_member(user, account.id):
                raise Wrong("Invalid user_id for client")
            return user
        if params.optional("contact_id").strip():
            return await self._contact(params, account)
        owner = await self._users.by_id(account.owner)
        if owner is None:
            raise Wrong("Token could not be provisioned: the client has no owner")
        return owner

    async def _contact(self, params: Params, account: Account) -> User:
        """A sub-account of 7.x is a user of the contact's address now, who is a member."""
        number = params.row("contact_id")
        contact = await self._contacts.by_id(account.id, number) if number else None
        user = await self._users.by_email(contact.email) if contact is not None and contact.email else None
        if user is None or not await self._links.is_member(user, account.id):
            raise Wrong("Invalid contact_id")
        return user

    async def _issue(self, person: Person, target: str, caller: Caller) -> Answer:
        wish = SsoWish(
            target=target,
            via=caller.name,
            account=person.account,
            terms=caller.sessions,
            exempt=caller.sso_without_2fa,
        )
        await self._ledger.do(caller.visit(), partial(_record, person=person, wish=wish))
        token = await self._links.issue(person.user, wish)
        if token is None:
            raise Unavailable("the user changed meanwhile")
        text = token.text.reveal()
        return success(access_token=text, redirect_url=f"{self._base_url}{PATH}?access_token={text}")


async def _record(deed: Deed, *, person: Person, wish: SsoWish) -> None:
    """Written before the token is there: rather a row of one that was never made than one without a row."""
    account = str(person.account) if person.account else ""
    await deed.record("sso.created", user=person.user.id, account=account, target=wish.target.partition("?")[0])


def _refusal(refused: SsoRefused) -> str:
    if refused.why == "blocked":
        return f"SSO authentication blocked for client {refused.account}"
    return f"Token could not be provisioned: {refused.words}"
