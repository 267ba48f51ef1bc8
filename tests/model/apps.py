"""What apps do in the modelled world: authorize, redeem, refresh; and what a person allows and takes back.

The project's own endpoints are asked, but for their HTTP.
"""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from bridge.clients.client import Client
from bridge.errors import Unavailable
from bridge.grants.options import GrantOptions
from bridge.grants.terms import Tokens
from bridge.grants.unclaimed import Unclaimed
from bridge.grants.wrap import Wrap
from bridge.mint import OAuthToken, TokenMint
from bridge.oidc.authorize import AuthorizationEndpoint
from bridge.oidc.claims_parameter import NOTHING
from bridge.oidc.client_auth import AuthenticatedClient
from bridge.oidc.errors import OAuthError
from bridge.oidc.front_channel import FrontChannel
from bridge.oidc.grants.authorization_code import AuthorizationCode
from bridge.oidc.grants.refresh_token import RefreshToken
from bridge.oidc.issue import Issuing
from bridge.oidc.response_modes import CODE, ResponseType
from bridge.tokens import LoginToken
from bridge.types import ClientId, FamilyId, Stamp, UserId, Visit
from bridge.users.user import User
from tests.model.turns import FLOW
from tests.model.world import ANN, RING, World

SHOP = Client(client_id=ClientId("shop"), auth_method="none", grant_types=("authorization_code", "refresh_token"))
VISIT = Visit("oidc")


@dataclass(frozen=True)
class Given:
    """A token that the app was given."""

    token: OAuthToken
    checked_at: int


@dataclass(frozen=True)
class Authorized:
    """What an authorization stands on."""

    code: OAuthToken
    session: str
    offline: bool
    checked_at: int
    consent: int
    step: int


class _Users:
    """The cached users of the issuer."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def by_id(self, user: UserId, *, stamp: Stamp) -> User | None:
        return await self._world.sql.by_id(user)


class _Response:
    """The tokens themselves, instead of JSON."""

    async def of(self, client: Client, tokens: Tokens) -> Mapping[str, object]:
        return {"tokens": tokens}


@dataclass
class Apps:
    """One app, the shop, and everything it was given."""

    world: World
    authorized: dict[FamilyId, Authorized] = field(default_factory=dict)
    given: list[Given] = field(default_factory=list)
    uses: dict[str, set[str]] = field(default_factory=dict)
    """Code or refresh token → the refresh tokens it gave."""
    replayed: set[FamilyId] = field(default_factory=set)
    again: list[str] = field(default_factory=list)
    """What was used, and works again when everything has settled."""
    withdrawn: list[tuple[int, int]] = field(default_factory=list)
    """Step of the acknowledgement, and the version that SQL had then."""

    def __post_init__(self) -> None:
        world = self.world
        self.mint = TokenMint(RING)
        self.issuing = Issuing(
            store=world.gate,
            names=world.names,
            slots=world.sql.slots,
            mint=self.mint,
            wrap=Wrap(RING),
            clock=world.clock,
            chance=world.chance.randbytes,
            options=GrantOptions(code=600),
            epoch=lambda: world.sql.epoch,
            families=world.families,
            publish_stamp=world.sessions.publish_stamp,
            events=world.events,
            unclaimed=Unclaimed(GrantOptions()),
        )
        taking_part: Mapping[str, Any] = {
            "issuing": self.issuing,
            "users": _Users(world),
            "sessions": world.sessions,
            "consents": world.consents,
            "browsers": SimpleNamespace(visit=lambda scope: VISIT),
            "front": FrontChannel(cast(Any, None), cast(Any, None), cast(Any, None)),  # nobody asks for an ID token
        }
        names = inspect.signature(AuthorizationEndpoint).parameters
        self._endpoint = AuthorizationEndpoint(**{name: cast(Any, taking_part.get(name)) for name in names})
        response = cast(Any, _Response())
        self._code, self._refresh = AuthorizationCode(self.issuing, response), RefreshToken(self.issuing, response)
        self._shop = cast(AuthenticatedClient, SimpleNamespace(client=SHOP))

    # ── what happens ──

    async def authorize(self, token: LoginToken, *, offline: bool = False, hybrid: bool = False) -> OAuthToken | None:
        """The person is sent to the issuer, who asks nothing, and comes back with a code; `hybrid`: and with an access
        token beside it."""
        scopes = ("openid", "offline_access") if offline else ("openid",)
        response = ResponseType(code=True, token=True) if hybrid else CODE
        request = SimpleNamespace(
            client=SHOP,
            scopes=scopes,
            redirect_uri=None,
            challenge=None,
            nonce=None,
            response=response,
            wanted=NOTHING,
            acr=(),
        )
        for _ in range(3):
            seen = await self._endpoint._look({}, token, SHOP)
            if seen is None or not seen.consent.covers(scopes):
                return None
            made = await self._endpoint._make(cast(Any, request), seen)
            if await self._endpoint._commit({}, cast(Any, request), seen, made):
                version = seen.consent.version
                return self._hand(dict(made.fields), token, seen.alive.record.id, offline=offline, consent=version)
        raise Unavailable("contended")

    async def redeem(self, code: OAuthToken | None) -> str | None:
        """The app shows a code; its refresh token."""
        return await self._present(self._code, "code", code.text.reveal()) if code is not None else None

    async def refresh(self, text: str | None, times: int = 1) -> str | None:
        """The app shows a refresh token, and the next one, and the next."""
        for _ in range(times):
            text = await self._present(self._refresh, "refresh_token", text) if text is not None else None
        return text

    async def whole_flow(
        self, token: LoginToken, *, offline: bool = False, hybrid: bool = False, refreshes: int = 1
    ) -> None:
        """Authorize, redeem, refresh."""
        code = await self.authorize(token, offline=offline, hybrid=hybrid)
        await self.refresh(await self.redeem(code), refreshes)

    async def allow(self) -> None:
        """Ann consents."""
        await self.world.consents.grant(ANN, self._tag, SHOP.client_id, ("openid", "offline_access"))

    async def withdraw(self) -> None:
        """Ann takes it back."""
        await self.world.consents.withdraw(ANN, self._tag, SHOP.client_id)
        self.withdrawn.append((self.world.turns.step, self._last_withdrawal()))

    async def fill(self) -> None:
        """The copy is brought into the store."""
        await self.world.consents.fill(ANN, self._tag, SHOP.client_id)

    async def try_again(self) -> None:
        """Whoever holds a code shows it once more."""
        for stands in list(self.authorized.values()):
            used = stands.code.text.reveal() in self.uses
            if await self.redeem(stands.code) is not None and used:
                self.again.append("code")

    # ── what is written down ──

    def _hand(
        self, fields: Mapping[str, str], token: LoginToken, session: str, *, offline: bool, consent: int
    ) -> OAuthToken:
        code = self.mint.parse("code", fields["code"])
        assert code is not None
        checked_at = next(each.checked_at for each in self.world.handed if each.token.sid == token.sid)
        self.authorized[code.family] = Authorized(code, session, offline, checked_at, consent, self.world.turns.step)
        if "access_token" in fields:
            access = self.mint.parse("access", fields["access_token"])
            assert access is not None and access.family == code.family
            self.given.append(Given(access, checked_at))
        return code

    async def _present(self, grant: AuthorizationCode | RefreshToken, field: str, text: str) -> str | None:
        try:
            answer = await grant(self._shop, {field: text}, VISIT)
        except OAuthError as error:
            if "used before" in error.description:
                shown = self.mint.parse("code" if field == "code" else "refresh", text)
                assert shown is not None
                self.replayed.add(shown.family)
            self.world.turns.log.append(f"{self.world.turns.step} {FLOW.get()}: {error.description}")
            return None
        tokens = cast(Tokens, answer["tokens"])
        for kind, secret in (("access", tokens.access), ("refresh", tokens.refresh)):
            token = self.mint.parse(cast(Any, kind), secret.reveal()) if secret is not None else None
            assert token is not None
            self.given.append(Given(token, self.authorized[token.family].checked_at))
        refresh = self.given[-1].token
        self.uses.setdefault(text, set()).add(refresh.key(self.world.names))
        return refresh.text.reveal()

    def _last_withdrawal(self) -> int:
        return max(int(row.about.split()[1]) for row in self.world.sql.happened if row.what == "withdrawn")

    @property
    def _tag(self) -> Any:
        return self.world.sql.slots.of_user(ANN)
