"""Gathers what a client is told of a person, at userinfo and in ID tokens — Core §5.3.2, §5.4."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from bridge.accounts.account import Profile
from bridge.accounts.membership import Membership
from bridge.clients.client import Client
from bridge.grants.records import Family
from bridge.oidc.claims import ACCOUNTS, OF_ACCOUNT, SCOPE_OF, Value, accounts_claim, claims_of, contact_claims
from bridge.types import Stamp, Subject, UserId
from bridge.users.user import User


class Users(Protocol):
    """Users by number, from a cache (`bridge.users.cached.CachedUsers`).  Raises `Unavailable`."""

    async def by_id(self, user: UserId, *, stamp: Stamp | None = None) -> User | None: ...


class Accounts(Protocol):
    """The accounts of users, from a cache (`bridge.accounts.cached.CachedAccounts`).  Raises `Unavailable`."""

    async def of_user(self, user: UserId) -> Sequence[Membership]: ...

    async def profile_of(self, user: UserId) -> Profile | None:
        """Of the first account that he owns."""
        ...


class Telling:
    """Knows whom to ask for which claim."""

    def __init__(self, users: Users, accounts: Accounts) -> None:
        self._users = users
        self._accounts = accounts

    async def in_id_token(self, client: Client, family: Family, scopes: Collection[str] = ()) -> Mapping[str, Value]:
        """What an ID token of that authorization says of the person, beside who he is."""
        if family.uid is None or family.sub is None or not (scopes or family.id_token):
            return {}
        return await self.of(family.uid, family.sub, client, scopes, family.id_token) or {}

    async def of(
        self,
        uid: UserId,
        sub: Subject,
        client: Client,
        scopes: Collection[str],
        names: Collection[str] = (),
        *,
        stamp: Stamp | None = None,
    ) -> dict[str, Value] | None:
        """What was granted by scope and by name; None: there is no such person (any more)."""
        user = await self._users.by_id(uid, stamp=stamp)
        if user is None:
            return None
        # what a client may not ask for any more it is not told either, by tokens of before
        scopes = frozenset(scopes) & frozenset(client.scopes)
        if names:
            names = [name for name in names if SCOPE_OF.get(name) in client.scopes]
            touched = scopes | {SCOPE_OF[name] for name in names}
        else:
            touched = scopes
        claims = claims_of(user, sub, scopes, names)
        if ACCOUNTS in touched:
            claims[ACCOUNTS] = accounts_claim(await self._accounts.of_user(user.id))
        if not OF_ACCOUNT.isdisjoint(touched):
            profile = await self._accounts.profile_of(user.id)
            if profile is not None:
                contact = contact_claims(profile).items()
                claims |= {name: value for name, value in contact if name in names or SCOPE_OF[name] in scopes}
        return claims
