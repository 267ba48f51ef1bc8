"""Links by which an API caller signs a person in: made, looked at, redeemed once — store §2 "SSO token / redeem",
security §8, §14; whmcs-api §3.3, §5.1.

The caller vouches for the person; nobody gave a password.  So what is born is a session of kind `sso`, never as good as
a login, and a second factor is still owed unless the caller's credential says otherwise.
"""

from collections.abc import Callable
from typing import Final, Literal, Protocol

from msgspec import Struct

from bridge.accounts.single_sign_on import Blocked, Closed, NoMember
from bridge.clients.client import Client
from bridge.clients.credential import SessionTerms
from bridge.clock import Chance, Clock
from bridge.errors import Unavailable
from bridge.events.event import Events
from bridge.login.entry import TRIES, Arrival, Entry
from bridge.login.options import LoginOptions
from bridge.login.outcome import LoggedIn, SecondFactorNeeded
from bridge.login.pending import Vouched
from bridge.login.second_factor import SecondFactor
from bridge.ring import Ring
from bridge.sessions.birth import Born
from bridge.sessions.judge import Alive
from bridge.sessions.sealed import Sealed, used, was_used
from bridge.sessions.sessions import Stale
from bridge.sessions.stamp import stamp_value
from bridge.stores.store import Add, Expect, Store, Swap
from bridge.tokens import LoginToken, Names, new_id
from bridge.types import AccountId, ClientId, Key, Stamp, UserId, Visit
from bridge.users.backend import UserBackend
from bridge.users.user import User

AMR: Final = ("sso",)
BASE: Final = "clientarea:sso"
"""The scope that asks for a sign-in and for no place in particular (whmcs-api §3.3)."""
_KEPT: Final = 600.0  # seconds that a used one stays (store §2, rule 2)

SsoRefusal = Literal[
    "unknown",
    "used",
    "too-old",
    "signed-out",
    "client-gone",
    "disabled",
    "closed",
    "blocked",
    "not-a-member",
    "re-enrol",
]
"""unknown: never ours, or of before the store lost data; signed-out: all of the user's sessions were ended since;
re-enrol: he has to set up his second factor again first (security §7)."""


class SsoWish(Struct, frozen=True, kw_only=True):
    """What a link shall do."""

    target: str
    """The path on this host where it leads."""
    via: str
    """The API credential that asks."""
    account: AccountId | None = None
    """For which account; None: none in particular."""
    client: ClientId | None = None
    """The OAuth client that asked at the token endpoint: while that is there, the link is good."""
    targets: dict[str, str] = {}
    """Scope → path: where it may lead instead, if its address says so."""
    terms: SessionTerms
    exempt: bool = False
    """The caller has asked for the second factor itself."""


class SsoToken(Struct, frozen=True, kw_only=True):
    """As it lies in the store until it is used.  Times are Unix seconds."""

    uid: UserId
    stamp: Stamp
    epoch: int
    """`store_epoch` at its birth: unequal after a loss, and then refused (store §2, rule 9)."""
    until: int
    wish: SsoWish


class Offer(Struct, frozen=True):
    """A link that is good at this moment."""

    token: LoginToken
    key: Key
    seen: bytes
    user: User
    wish: SsoWish


class SsoRefused(Struct, frozen=True):
    """It opens nothing; nothing was used up."""

    why: SsoRefusal
    user: UserId | None = None
    account: AccountId | None = None

    @property
    def words(self) -> str:
        """What a caller or a person is told, in the documentation's words where it has any."""
        denied = "Single Sign-On authentication denied for"
        match self.why:
            case "closed":
                return f'{denied} "Closed" User ID: {self.account}'
            case "disabled":
                return f'{denied} "Disabled" User ID: {self.user}'
            case "blocked":
                return f"Single Sign-On can only be performed for clients that allow it: {self.account}"
            case "not-a-member":
                return f"Single Sign-On can only be performed for clients of the user: {self.account}"
            case "re-enrol":
                return "the second factor must be set up again"
            case "unknown" | "used" | "too-old" | "signed-out" | "client-gone":
                return f"access_token: {self.why}"


class Rules(Protocol):
    """What a user's accounts say (`bridge.accounts.single_sign_on`).  Raises `Unavailable`."""

    async def is_member(self, user: UserId, account: AccountId) -> bool: ...

    async def objection(self, user: UserId, account: AccountId | None) -> Closed | Blocked | NoMember | None: ...


class Clients(Protocol):
    """The registered clients (`bridge.clients.clients.Clients`).  Raises `Unavailable`."""

    async def get(self, client_id: str) -> Client | None: ...


def sso_seal(ring: Ring) -> Sealed[SsoToken]:
    """What they are sealed with: keys that no reader of sessions is given."""
    return Sealed(ring.subkeys("token-mac"), "sso", SsoToken)


class SingleSignOn:
    """All such links of one instance.  Every method raises `Unavailable` when store or SQL does not answer."""

    def __init__(
        self,
        *,
        store: Store,
        names: Names,
        seal: Sealed[SsoToken],
        users: UserBackend,
        rules: Rules,
        clients: Clients,
        entry: Entry,
        second_factor: SecondFactor,
        epoch: Callable[[], int],
        clock: Clock,
        chance: Chance,
        options: LoginOptions,
        events: Events,
    ) -> None:
        """`epoch`: the store's, as SQL last said it."""
        self._store = store
        self._names = names
        self._seal = seal
        self._users = users
        self._rules = rules
        self._clients = clients
        self._entry = entry
        self._second_factor = second_factor
        self._epoch = epoch
        self._clock = clock
        self._chance = chance
        self._options = options
        self._events = events

    async def is_member(self, user: User, account: AccountId) -> bool:
        """Whether that account is one of his."""
        return await self._rules.is_member(user.id, account)

    async def objection(self, user: User, account: AccountId | None) -> SsoRefused | None:
        """Why nobody may be signed in so."""
        if user.disabled:
            return SsoRefused("disabled", user.id, account)
        match await self._rules.objection(user.id, account):
            case Closed(closed):
                return SsoRefused("closed", user.id, closed)
            case Blocked(blocked):
                return SsoRefused("blocked", user.id, blocked)
            case NoMember():
                return SsoRefused("not-a-member", user.id, account)
            case None:
                return None

    async def issue(self, user: User, wish: SsoWish) -> LoginToken | None:
        """A token for that very row of a user; None: the row has changed meanwhile."""
        token = LoginToken.draw(user.tag, self._chance)
        key = self._names.sso(token)
        until = int(self._clock.now()) + self._options.sso_seconds
        record = SsoToken(uid=user.id, stamp=user.stamp, epoch=self._epoch(), until=until, wish=wish)
        changes = (
            Add(key, self._seal.encode(key, record), self._options.sso_seconds + _KEPT),
            Expect(self._names.stamp(user.tag), stamp_value(user.id, user.stamp)),
        )

        async def attempt() -> LoginToken | Stale:
            return token if await self._store.commit(*changes) else Stale()

        return await self._entry.against(user, attempt)

    async def look(self, text: str) -> Offer | SsoRefused:
        """What the token is good for now.  Nothing is used up."""
        token = LoginToken.parse(text)
        if token is None:
            return SsoRefused("unknown")
        key = self._names.sso(token)
        (raw,) = await self._store.read(key)
        record = self._seal.decode(key, raw)
        if record is None or raw is None:
            return SsoRefused("used" if was_used(raw) else "unknown")
        if self._clock.now() >= record.until:
            return SsoRefused("too-old", record.uid)
        if record.epoch != self._epoch():
            return SsoRefused("unknown", record.uid)
        if record.wish.client is not None and not await self._may_still(record.wish.client):
            return SsoRefused("client-gone", record.uid)
        user = await self._users.by_id(record.uid)
        if user is None:
            return SsoRefused("signed-out", record.uid)
        if (refused := await self.objection(user, record.wish.account)) is not None:
            return refused
        if user.stamp != record.stamp:
            return SsoRefused("signed-out", record.uid)
        if user.second_factor == "re-enrol" and not record.wish.exempt:
            return SsoRefused("re-enrol", record.uid)
        return Offer(token, key, raw, user, record.wish)

    async def redeem(self, offer: Offer, visit: Visit) -> LoggedIn | SecondFactorNeeded | SsoRefused:
        """A new session, or the way to the code that is owed.  Of all who redeem one token, one is told so."""
        for _ in range(TRIES):
            use = Swap(offer.key, offer.seen, used(new_id(self._chance)), _KEPT)
            vouched = Vouched(via=offer.wish.via, terms=offer.wish.terms)
            if offer.user.second_factor != "none" and not offer.wish.exempt:
                pending = await self._second_factor.begin(offer.user, vouched=vouched, also=(use,))
                if not isinstance(pending, Stale):
                    return SecondFactorNeeded(offer.user, pending)
            else:
                arrival = Arrival(wish=self._entry.by_link(vouched), visit=visit)
                born = await self._entry.enter(offer.user, arrival, amr=AMR, also=(use,))
                if not isinstance(born, Stale):
                    return LoggedIn(offer.user, born)
            await self._entry.unchanged(offer.user)  # the store may not know the stamp: absent means, ask SQL
            again = await self.look(offer.token.text.reveal())
            if isinstance(again, SsoRefused):
                return again
            offer = again
        raise Unavailable("contended")

    async def go_on(self, came: Alive, visit: Visit) -> tuple[User, Born] | None:
        """He came by a link, and says at our pages that it is he.  None: nobody is signed in by that any more."""
        user = await self._users.by_id(came.record.uid)
        if user is None or user.disabled or user.stamp != came.record.stamp:
            return None

        async def attempt() -> Born | Stale:
            return await self._entry.go_on(user, came, visit, session=new_id(self._chance))

        born = await self._entry.against(user, attempt)
        return None if born is None else (user, born)

    def tell_redeemed(self, offer: Offer, visit: Visit, outcome: LoggedIn | SecondFactorNeeded) -> None:
        """Somebody came in, or owes a code still."""
        born = outcome.born if isinstance(outcome, LoggedIn) else None
        self._events.tell(
            "sso.redeemed",
            visit,
            user=offer.user.id,
            actor=offer.wish.via,
            sid=born.token.sid if born else None,
            session=born.record.id if born else None,
            amr=AMR,
            reason="" if born else "second-factor-owed",
        )

    def tell_refused(self, refused: SsoRefused, visit: Visit) -> None:
        """Nobody came in."""
        self._events.tell("sso.refused", visit, user=refused.user, reason=refused.why)

    async def _may_still(self, client_id: ClientId) -> bool:
        client = await self._clients.get(client_id)
        return client is not None and not client.disabled
