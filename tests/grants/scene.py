"""A user, his session and what is granted under it, in a store in memory, with a clock that stands still."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from bridge.grants.families import Families
from bridge.grants.issue import Asked, Drawn, authorization_births, family_of, known_to
from bridge.grants.options import GrantOptions
from bridge.grants.records import Code
from bridge.grants.redemption import Redeemed, keys_of, redeem
from bridge.grants.rotation import Rotated, rotate
from bridge.grants.terms import Fresh, Moment, Tokens
from bridge.grants.wrap import Wrap
from bridge.mint import OAuthToken, TokenMint
from bridge.ring import Ring
from bridge.secret import Secret
from bridge.sessions.birth import Birth, Tools, birth
from bridge.sessions.judge import Alive
from bridge.sessions.options import SessionOptions
from bridge.sessions.record import RecordCodec
from bridge.sessions.stamp import draw_stamp, stamp_value
from bridge.stores.decide import decide_on
from bridge.stores.memory import MemoryStore
from bridge.stores.store import Add, Expect, Store
from bridge.testing.hands import Hands
from bridge.tokens import Names, Slots, new_family
from bridge.types import ClientId, FamilyId, SlotTag, Stamp, Standing, Subject, UserId, Visit

ISSUER = "https://login.example"
SHOP = ClientId("shop")
OTHER = ClientId("other")
BOB = UserId(7)
SLOT_KEY = secrets.token_bytes(32)


def no_objection(_: Code) -> str | None:
    return None


@dataclass
class EndedInSql:
    """The truth about ended families."""

    families: list[tuple[SlotTag, FamilyId]] = field(default_factory=list)
    consents: list[tuple[UserId, SlotTag, ClientId]] = field(default_factory=list)

    async def end_family(self, tag: SlotTag, family: FamilyId, reason: str, until: float) -> None:
        self.families.append((tag, family))


@dataclass
class Scene:
    """Everything that decisions on grants need."""

    options: GrantOptions = field(default_factory=GrantOptions)
    clock: Hands = field(default_factory=Hands)
    ring: Ring = field(default_factory=lambda: Ring.parse(Ring.new_line("k1")))
    user: UserId = BOB
    epoch: int = 3

    def __post_init__(self) -> None:
        self.names = Names(ISSUER)
        self.mint = TokenMint(self.ring)
        self.wrap = Wrap(self.ring)
        self.codec = RecordCodec(self.ring.subkeys("record-mac"), ISSUER)
        self.tag = Slots(Secret(SLOT_KEY)).of_user(self.user)
        self.stamp: Stamp = draw_stamp("new")
        self.store: Store = MemoryStore(self.clock)
        self.sql = EndedInSql()

    @property
    def moment(self) -> Moment:
        return Moment(self.names, self.options, self.clock.now())

    @property
    def families(self) -> Families:
        return Families(store=self.store, names=self.names, truth=self.sql, clock=self.clock)

    @property
    def standing(self) -> Standing:
        return Standing(self.user, self.tag, self.stamp)

    @property
    def stamp_key(self) -> str:
        return self.names.stamp(self.tag)

    @property
    def raw_stamp(self) -> bytes:
        return stamp_value(self.user, self.stamp)

    def fresh(self, token: OAuthToken) -> Fresh:
        return Fresh(
            access=self.mint.draw("access", token.tag, token.family),
            refresh=self.mint.draw("refresh", token.tag, token.family),
        )

    async def signed_in(self) -> Alive:
        """A living `op` session."""
        tools = Tools(self.names, self.codec, SessionOptions())
        await self.store.commit(Add(self.stamp_key, self.raw_stamp, 86_400 * 61))
        wish = Birth.browser(SessionOptions())
        visit = Visit(door="pages")
        born = birth(
            self.standing, wish, visit, amr=("pwd",), now=self.clock.now(), draw=secrets.token_bytes, tools=tools
        )
        assert await self.store.commit(*born.changes)
        return born.alive(self.codec)

    async def authorized(
        self,
        alive: Alive | None = None,
        *,
        scopes: tuple[str, ...] = ("openid", "offline_access"),
        refreshable: bool = True,
        consent: int = 1,
    ) -> OAuthToken:
        """A code for SHOP."""
        alive = alive or await self.signed_in()
        code = self.mint.draw("code", self.tag, new_family())
        asked = Asked(
            client=SHOP,
            sub=Subject("sub-7"),
            scopes=scopes,
            redirect_uri="https://shop.example/cb",
            challenge=None,
            nonce="n1",
            refreshable=refreshable,
        )
        drawn, moment = Drawn(code.family, "sid-1", code), self.moment
        family = family_of(alive, asked, drawn, consent=consent, moment=moment)
        changes = authorization_births(alive, family, asked, drawn=drawn, epoch=self.epoch, moment=moment)
        assert known_to(alive.record, SHOP, "sid-1").clients == {SHOP: "sid-1"}
        assert await self.store.commit(*changes, Expect(alive.key, alive.seen), Expect(self.stamp_key, self.raw_stamp))
        return code

    async def redeem(
        self,
        code: OAuthToken,
        *,
        client: ClientId = SHOP,
        objection: Callable[[Code], str | None] = no_objection,
        epoch: int | None = None,
    ) -> Redeemed:
        """Present a code."""
        fresh = self.fresh(code)
        return await decide_on(
            self.store,
            keys_of(code, self.names),
            lambda *values: redeem(
                *values,
                token=code,
                client=client,
                objection=objection,
                fresh=fresh,
                epoch=self.epoch if epoch is None else epoch,
                moment=self.moment,
            ),
        )

    async def refresh(self, text: str, *, client: ClientId = SHOP, wanted: tuple[str, ...] | None = None) -> Rotated:
        """Present a refresh token."""
        token = self.mint.parse("refresh", text)
        assert token is not None
        fresh = self.fresh(token)
        return await decide_on(
            self.store,
            keys_of(token, self.names),
            lambda *values: rotate(
                *values, token=token, client=client, wanted=wanted, fresh=fresh, wrap=self.wrap, moment=self.moment
            ),
            tries=60,
        )

    async def tokens(self, **how: object) -> Tokens:
        """Those of a fresh authorization, with a refresh token."""
        redeemed = await self.redeem(await self.authorized(**how))  # type: ignore[arg-type]
        assert isinstance(redeemed, Tokens) and redeemed.refresh is not None
        return redeemed
