"""What a person allowed a client to have: the truth in SQL, a short-lived copy beside his session — store §2, rule 7.

The copy is (version, state) under the user's stamp and is never dropped: it is filled, and it lapses.  An issue
expects it exactly as it was read, and the family records its version, so no authorization outlives a withdrawal.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from bridge.database.consents import ConsentRow
from bridge.errors import Unavailable
from bridge.grants.families import Families
from bridge.stores.publish import publish
from bridge.stores.store import Store
from bridge.tokens import Names
from bridge.types import ClientId, SlotTag, Stamp, UserId

COPY_TTL: Final = 300.0
"""Seconds (security §20)."""


class ConsentCopy(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the store knows of a consent."""

    version: int
    granted: bool
    scopes: tuple[str, ...]
    claims: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    stamp: Stamp

    def covers(self, scopes: Sequence[str], claims: Sequence[str] = (), place: str | None = None) -> bool:
        """Whether all of these were granted, and, where `place` matters, for answers that go there."""
        if not self.granted or (place is not None and place not in self.places):
            return False
        return set(scopes) <= set(self.scopes) and (not claims or set(claims) <= set(self.claims))


class Allowing(Struct, frozen=True):
    """What a person allows a client now."""

    scopes: tuple[str, ...]
    claims: tuple[str, ...] = ()
    """By name, beside those that the scopes give."""
    places: tuple[str, ...] = ()
    """Where he saw that the answers go, of an application that registered itself."""


class Rows(Protocol):
    """The truth (`bridge.database.consents.ConsentRows`).  Raises `Unavailable`."""

    async def of(self, user: UserId, client: ClientId) -> tuple[ConsentRow, Stamp, SlotTag] | None: ...

    async def granted_by(self, user: UserId) -> Sequence[ConsentRow]: ...

    async def withdrawn(self, answers: Sequence[tuple[UserId, ClientId]]) -> Sequence[tuple[UserId, ConsentRow]]: ...

    async def write(self, new: ConsentRow, user: UserId, told: Sequence[str] = ()) -> bool: ...


class RecentConsents(Protocol):
    """What the reconciler was told of consents."""

    @property
    def consents(self) -> Sequence[tuple[UserId, SlotTag, ClientId]]: ...


KnownAs = Callable[[UserId, SlotTag, ClientId], Awaitable[set[str]]]
"""What that client knows the user's sessions by (`Sessions.known_as`)."""


class Consents:
    """Grants, withdraws, fills.  `store` is the raw one for the reconciler, the gate for everybody else."""

    def __init__(
        self, *, store: Store, names: Names, rows: Rows, families: Families, known_as: KnownAs | None = None
    ) -> None:
        """`known_as`: so that a client is told when it loses its user; else none is."""
        self._store = store
        self._names = names
        self._rows = rows
        self._families = families
        self._known_as = known_as

    async def fill(self, user: UserId, tag: SlotTag, client: ClientId) -> None:
        """Make the store's copy say what SQL says.  Raises `Unavailable`."""

        async def truth() -> bytes | None:
            found = await self._rows.of(user, client)
            return None if found is None else encode_copy(found[0], found[1])

        await publish(self._store, self._names.consent(tag, client), truth, COPY_TTL)

    async def list_of(self, user: UserId) -> Sequence[ConsentRow]:
        """What the person's account page shows."""
        return await self._rows.granted_by(user)

    async def grant(
        self,
        user: UserId,
        tag: SlotTag,
        client: ClientId,
        scopes: Sequence[str],
        claims: Sequence[str] = (),
        *,
        place: str | None = None,
    ) -> None:
        """He allows these too, of an application that registered itself for answers that go to `place`.  An earlier
        withdrawal is finished first, lest this version hide it."""
        places = () if place is None else (place,)
        await self._change(user, tag, client, Allowing(tuple(scopes), tuple(claims), places))

    async def withdraw(self, user: UserId, tag: SlotTag, client: ClientId) -> None:
        """He allows nothing any more; whatever stands on it is dead when this returns, and the client will be told."""
        told = sorted(await self._sids(user, tag, client))
        await self._finish(user, tag, await self._change(user, tag, client, None, told=told))

    async def reconcile(self, recent: RecentConsents) -> None:
        """Publish withdrawals again and end what stands on them (store §2, rule 8).  A grant that the store missed
        only asks the person once more."""
        tags = {user: tag for user, tag, _ in recent.consents}
        answers = [(user, client) for user, _, client in recent.consents]
        for user, withdrawn in await self._rows.withdrawn(answers):
            await self._finish(user, tags[user], withdrawn)

    async def _change(
        self,
        user: UserId,
        tag: SlotTag,
        client: ClientId,
        granting: Allowing | None,
        *,
        told: Sequence[str] = (),
    ) -> ConsentRow:
        for _ in range(6):
            found = await self._rows.of(user, client)
            if found is None:
                raise Unavailable("the user is gone")
            old = found[0]
            if granting is not None and not old.granted and old.version:
                await self._finish(user, tag, old)
            new = _after(old, granting)
            if await self._rows.write(new, user, told):
                await self.fill(user, tag, client)
                return new
        raise Unavailable("the consent met too many others")

    async def _sids(self, user: UserId, tag: SlotTag, client: ClientId) -> set[str]:
        if self._known_as is None:
            return set()
        return await self._known_as(user, tag, client) | await self._families.sids(self._names.families_of(tag, client))

    async def _finish(self, user: UserId, tag: SlotTag, withdrawn: ConsentRow) -> None:
        await self.fill(user, tag, withdrawn.client)
        index = self._names.families_of(tag, withdrawn.client)
        await self._families.end_older(tag, index, withdrawn.version, "consent-withdrawn")


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(ConsentCopy).decode


def encode_copy(row: ConsentRow, stamp: Stamp) -> bytes:
    """The copy of a row."""
    return _encode(
        ConsentCopy(
            version=row.version,
            granted=row.granted,
            scopes=row.scopes,
            claims=row.claims,
            places=row.places,
            stamp=stamp,
        )
    )


def read_copy(raw: bytes | None, stamp: Stamp) -> ConsentCopy | None:
    """The copy, if it was made under that stamp; None: it is to be filled first."""
    if raw is None:
        return None
    try:
        copy = _decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return copy if copy.stamp == stamp else None


def _after(old: ConsentRow, granting: Allowing | None) -> ConsentRow:
    if granting is None:
        return replace(old, version=old.version + 1, granted=False, scopes=(), claims=(), places=())
    return replace(
        old,
        version=old.version + 1,
        granted=True,
        scopes=tuple(dict.fromkeys((*old.scopes, *granting.scopes))),
        claims=tuple(dict.fromkeys((*old.claims, *granting.claims))),
        places=tuple(dict.fromkeys((*old.places, *granting.places))),
    )
