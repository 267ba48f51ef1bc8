"""A link that signs in the owner of a service, for that service's credential — RFC 6749 §4.5; whmcs-api §5.2.

What is handed out is no OAuth access token: it opens `singlesignon.php`, once and soon, and nothing else (security §1).
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, Protocol

from bridge.accounts.account import Account
from bridge.clients.client import Client
from bridge.clients.credential import SessionTerms
from bridge.clients.words import words
from bridge.errors import Unavailable
from bridge.events.ledger import Deed, Ledger
from bridge.login.sso import BASE, SingleSignOn, SsoWish
from bridge.oidc.client_auth import AuthenticatedClient
from bridge.oidc.errors import OAuthError
from bridge.oidc.token import Grant
from bridge.types import AccountId, UserId, Visit
from bridge.users.user import User

NAME: Final = "single_sign_on"


class Users(Protocol):
    """Raises `Unavailable`."""

    async def by_id(self, user: UserId) -> User | None: ...


class Accounts(Protocol):
    """Raises `Unavailable`."""

    async def by_id(self, account: AccountId) -> Account | None: ...


class SingleSignOnGrant:
    """grant_type=single_sign_on; and client_credentials of a client that is for this."""

    def __init__(
        self,
        *,
        links: SingleSignOn,
        users: Users,
        accounts: Accounts,
        ledger: Ledger,
        path_of: Callable[[str, int], str | None],
        seconds: int,
        services_are_clients: bool,
    ) -> None:
        """`path_of`: a destination's path, for that service; `seconds`: how long a link is good."""
        self._links = links
        self._users = users
        self._accounts = accounts
        self._ledger = ledger
        self._path_of = path_of
        self._seconds = seconds
        self._services_are_clients = services_are_clients

    async def __call__(
        self, client: AuthenticatedClient, form: Mapping[str, str], visit: Visit
    ) -> Mapping[str, object]:
        who = client.client
        scopes = _scopes(who, form.get("scope"))
        service = who.metadata.get("service_id")
        account = await self._account(service)
        user = await self._users.by_id(account.owner) if account is not None else None
        if account is None or user is None or not isinstance(service, int):
            raise OAuthError("invalid_grant", "the service of this client belongs to nobody")
        refused = await self._links.objection(user, account.id)
        if refused is not None:
            raise OAuthError("invalid_grant", refused.words.replace('"', "'"))
        wish = self._wish(who, account.id, service, scopes)
        await self._ledger.do(visit, partial(_record, user=user, wish=wish))
        token = await self._links.issue(user, wish)
        if token is None:
            raise Unavailable("the user changed meanwhile")
        return {
            "access_token": token.text.reveal(),
            "token_type": "Bearer",
            "expires_in": self._seconds,
            "scope": " ".join(scopes),
        }

    async def _account(self, service: object) -> Account | None:
        if not self._services_are_clients or not isinstance(service, int):
            return None
        return await self._accounts.by_id(AccountId(service))

    def _wish(self, client: Client, account: AccountId, service: int, scopes: tuple[str, ...]) -> SsoWish:
        """It leads to the first place that the scope names, unless its address names another of them."""
        paths = {name: path for name in scopes if (path := self._path_of(name, service)) is not None}
        if unknown := [name for name in scopes if name not in paths]:
            raise OAuthError("invalid_scope", f"there is no destination {unknown[0]}: see legacy.sso_destinations")
        places = [path for name, path in paths.items() if name != BASE]
        target = places[0] if places else paths[BASE]
        return SsoWish(
            target=target,
            via=client.client_id,
            account=account,
            client=client.client_id,
            targets=paths,
            terms=SessionTerms(),
        )


class Either:
    """The grant of a client's own tokens, for all but the clients that are for single sign-on."""

    def __init__(self, sso: Grant, others: Grant) -> None:
        self._sso = sso
        self._others = others

    async def __call__(
        self, client: AuthenticatedClient, form: Mapping[str, str], visit: Visit
    ) -> Mapping[str, object]:
        grant = self._sso if NAME in client.client.grant_types else self._others
        return await grant(client, form, visit)


def _scopes(client: Client, asked: str | None) -> tuple[str, ...]:
    scopes = tuple(dict.fromkeys(words(asked)))
    if not scopes:
        raise OAuthError("invalid_scope", f"scope is missing: this client may ask for {' '.join(client.scopes)}")
    if not set(scopes) <= set(client.scopes):
        raise OAuthError("invalid_scope", f"scope goes beyond what this client may have: {' '.join(client.scopes)}")
    return scopes


async def _record(deed: Deed, *, user: User, wish: SsoWish) -> None:
    await deed.record(
        "sso.created",
        user=user.id,
        client=wish.client,
        account=str(wish.account),
        target=wish.target.partition("?")[0],
    )
