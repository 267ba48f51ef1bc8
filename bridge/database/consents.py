"""Who consented to what: the rows, which are the truth — store §2 (consent), security §20.

A row is never deleted while its user lives, not even with its client: its version only grows, so that "absent" cannot
hide a withdrawal.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import RowMapping, insert, select, tuple_, update
from sqlalchemy.exc import IntegrityError

from bridge.database.database import Database, Tx
from bridge.database.tables import consents, users
from bridge.types import ClientId, SlotTag, Stamp, UserId

Leave = Callable[[Tx, UserId, Mapping[ClientId, str], str], Awaitable[None]]
"""Leaves for each of these clients, in that transaction, that it be told (`bridge.outbox.farewells`), and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentRow:
    """What a user answered to a client, last."""

    client: ClientId
    version: int
    granted: bool
    scopes: tuple[str, ...]
    claims: tuple[str, ...] = ()
    """Those that were asked for by name (Core §5.5)."""
    places: tuple[str, ...] = ()
    """Where the answers went that he saw a page about, of an application that registered itself."""
    changed_at: int = 0


NEVER_ASKED: Final = 0
"""The version of a consent without a row."""

_AT_ONCE: Final = 200


class ConsentRows:
    """Every call is a transaction of its own on the primary.  Raises `Unavailable`."""

    def __init__(self, db: Database, *, leave: Leave | None = None) -> None:
        self._db = db
        self._leave = leave

    async def of(self, user: UserId, client: ClientId) -> tuple[ConsentRow, Stamp, SlotTag] | None:
        """The consent, and the user's stamp and tag, read together; None: there is no such user."""
        async with self._db.read() as tx:
            who = (await tx.execute(select(users.c.stamp, users.c.tag).where(users.c.id == user))).first()
            row = await _row(tx, user, client)
        return (row, Stamp(who.stamp), SlotTag(who.tag)) if who is not None else None

    async def granted_by(self, user: UserId) -> Sequence[ConsentRow]:
        """What the user granted and did not withdraw."""
        async with self._db.read() as tx:
            found = await tx.execute(
                select(consents).where(consents.c.user_id == user, consents.c.granted).order_by(consents.c.client_id)
            )
        return [_read(row) for row in found.mappings()]

    async def withdrawn(self, answers: Sequence[tuple[UserId, ClientId]]) -> Sequence[tuple[UserId, ConsentRow]]:
        """Which of these stand withdrawn."""
        found: list[tuple[UserId, ConsentRow]] = []
        if not answers:
            return found
        async with self._db.read() as tx:
            for start in range(0, len(answers), _AT_ONCE):
                these = tuple_(consents.c.user_id, consents.c.client_id).in_(answers[start : start + _AT_ONCE])
                rows = await tx.execute(select(consents).where(these, consents.c.granted.is_(False)))
                found += [(UserId(row["user_id"]), _read(row)) for row in rows.mappings()]
        return found

    async def write(self, new: ConsentRow, user: UserId, told: Sequence[str] = ()) -> bool:
        """Replace the row by `new`, if the version before it still stands.  False: somebody was first.

        `told`: the sessions, as the client knows them, of whose end it is told in the same transaction.
        """
        try:
            return await self._db.transaction(lambda tx: self._write(tx, new, user, told))
        except IntegrityError:
            return False  # two first answers at once

    async def _write(self, tx: Tx, new: ConsentRow, user: UserId, told: Sequence[str]) -> bool:
        if not await self._replace(tx, new, user):
            return False
        if self._leave is not None:
            for sid in told:
                await self._leave(tx, user, {new.client: sid}, f"consent {new.version}")
        return True

    async def _replace(self, tx: Tx, new: ConsentRow, user: UserId) -> bool:
        state = {"granted": new.granted, "scopes": " ".join(new.scopes), "version": new.version}
        state |= {"claims": " ".join(new.claims), "places": " ".join(new.places)}
        state |= {"changed_at": int(self._db.clock.now())}
        if new.version == NEVER_ASKED + 1:
            await tx.execute(insert(consents).values(user_id=user, client_id=new.client, **state))
            return True
        here = (consents.c.user_id == user, consents.c.client_id == new.client)
        written = await tx.execute(update(consents).where(*here, consents.c.version == new.version - 1).values(**state))
        return written.rowcount == 1


async def _row(tx: Tx, user: UserId, client: ClientId) -> ConsentRow:
    found = await tx.execute(select(consents).where(consents.c.user_id == user, consents.c.client_id == client))
    row = found.mappings().first()
    return _read(row) if row is not None else ConsentRow(client=client, version=NEVER_ASKED, granted=False, scopes=())


def _read(row: RowMapping) -> ConsentRow:
    return ConsentRow(
        client=ClientId(row["client_id"]),
        version=row["version"],
        granted=bool(row["granted"]),
        scopes=tuple(row["scopes"].split()),
        claims=tuple(row["claims"].split()),
        places=tuple((row["places"] or "").split()),
        changed_at=row["changed_at"],
    )
