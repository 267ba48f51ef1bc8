"""Second factors of the users in our own tables — A7, A8, S9, security §5.

Whoever changes one changes the stamp in the same transaction, so every session ends but the one whose stamp the caller
names (store §2, rule 4).  Letters and pages are others'.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import BindParameter, ColumnElement, Select, bindparam, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from bridge.clock import Chance, Clock
from bridge.database.database import Database, Tx
from bridge.database.lookup import LookUp
from bridge.database.tables import passkeys, recovery_codes, second_factors, users
from bridge.events.ledger import Deed
from bridge.ring import Ring
from bridge.secret import Secret
from bridge.types import FactorChange, Stamp, StampReason, UserId
from bridge.users.passkey import NewPasskey, Passkey, hash_of, passkey_of
from bridge.users.recovery import draw_codes, hashes_of
from bridge.users.rows import user_of
from bridge.users.user import SecondFactorState, User

MOST_PASSKEYS: Final = 20
_VERSION: Final = "users"


@dataclass(frozen=True, slots=True)
class FactorsChanged:
    """It is done.  `codes`: recovery codes that were made with it, to be shown once and never again."""

    user: User
    codes: tuple[Secret, ...] = ()


@dataclass(frozen=True, slots=True)
class KnownCode:
    """A recovery code of his."""

    id: int
    used: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """What somebody has, for his account page and for the second step.  Times are Unix seconds."""

    totp_since: int | None = None
    passkeys: tuple[Passkey, ...] = ()
    codes_left: int = 0


class SqlFactors:
    """Every call raises `Unavailable` when the database does not answer."""

    def __init__(
        self,
        *,
        db: Database,
        ring: Ring,
        clock: Clock,
        chance: Chance,
        draw_stamp: Callable[[StampReason], Stamp],
        authority: str,
    ) -> None:
        """`authority`: whose users these are; of others nothing is changed."""
        self._db = db
        self._ring = ring
        self._clock = clock
        self._chance = chance
        self._draw_stamp = draw_stamp
        self._authority = authority

    async def enrolled(self, user: UserId) -> Enrolled:
        """What he has."""
        async with self._db.read() as tx:
            since = (await tx.execute(select(second_factors.c.created_at).where(_totp_of(user)))).scalar()
            keys = await tx.execute(select(passkeys).where(passkeys.c.user_id == user).order_by(passkeys.c.id))
            unused = select(func.count()).where(recovery_codes.c.user_id == user, recovery_codes.c.used_at.is_(None))
            return Enrolled(
                totp_since=since,
                passkeys=tuple(passkey_of(row) for row in keys),
                codes_left=(await tx.execute(unused)).scalar_one(),
            )

    async def totp_secret(self, user: UserId) -> Secret | None:
        """The base32 secret of his authenticator; None: he has none, or it was sealed under a key that is gone."""
        row = await self._db.first(_TOTP_OF, user=user)
        plain = self._ring.open(row.secret_enc, *_place(user)) if row is not None else None
        return Secret(plain.decode()) if plain is not None else None

    async def passkey(self, credential_id: bytes) -> Passkey | None:
        """The passkey of that name, whosever it is."""
        row = await self._db.first(_PASSKEY, hashed=hash_of(credential_id))
        return passkey_of(row) if row is not None else None

    async def use_passkey(self, passkey: Passkey, sign_count: int) -> bool:
        """Note that it was used, with the count of signatures that its authenticator gave.

        False: it is not there any more, or has counted as far already: somebody holds a copy of it (WebAuthn §7.2).
        One that does not count says 0 for ever.
        """
        further = passkeys.c.sign_count < sign_count
        if sign_count == 0:
            further |= passkeys.c.sign_count == 0
        mine = (passkeys.c.id == passkey.id) & (passkeys.c.user_id == passkey.user)
        used = update(passkeys).where(mine, further).values(sign_count=sign_count, last_used_at=self._now())
        async with self._db.begin() as tx:
            return (await tx.execute(used)).rowcount == 1

    async def recovery_code(self, user: UserId, code: Secret) -> KnownCode | None:
        """The code of his that this is; None: it is none."""
        for known in hashes_of(self._ring, user, code):
            row = await self._db.first(_CODE_OF, user=user, known=known)
            if row is not None:
                return KnownCode(row.id, row.used_at is not None)
        return None

    async def spend_code(self, deed: Deed, user: UserId, code: int) -> int | None:
        """Use it up, and say how many are left; None: somebody was first.  Of all who try, one is told a number."""
        unused = (recovery_codes.c.user_id == user) & recovery_codes.c.used_at.is_(None)
        this = update(recovery_codes).where(recovery_codes.c.id == code, unused).values(used_at=self._now())
        if (await deed.tx.execute(this)).rowcount != 1:
            return None
        left: int = (await deed.tx.execute(select(func.count()).where(unused))).scalar_one()
        await deed.record("recovery-code.used", user=user, left=str(left))
        return left

    async def set_totp(
        self, deed: Deed, user: UserId, secret: Secret, *, keep: Stamp | None = None
    ) -> FactorsChanged | None:
        """From now on he owes a code from this secret (base32), in place of any that he had.

        `keep`: the stamp of the session that shall survive; it must be the row's still.  None: it is not, there is no
        such user, he is disabled, or another system keeps him.
        """
        before = await self._held(deed, user, keep)
        if before is None:
            return None
        await deed.tx.execute(delete(second_factors).where(_totp_of(user)))
        await keep_totp(deed.tx, self._ring, user, secret, self._now())
        return await self._first_or_more(deed, user, before, "totp-added")

    async def remove_totp(self, deed: Deed, user: UserId, *, keep: Stamp | None = None) -> FactorsChanged | None:
        """His authenticator app shows no codes for us any more; None: as above, or he has none."""
        if await self._held(deed, user, keep) is None:
            return None
        if (await deed.tx.execute(delete(second_factors).where(_totp_of(user)))).rowcount == 0:
            return None
        return await self._changed(deed, user, "totp-removed")

    async def add_passkey(
        self, deed: Deed, user: UserId, new: NewPasskey, label: str, *, keep: Stamp | None = None
    ) -> FactorsChanged | None:
        """One passkey more; None: as above, he has too many, or it is somebody's already."""
        before = await self._held(deed, user, keep)
        theirs = select(func.count()).where(passkeys.c.user_id == user)
        if before is None or (await deed.tx.execute(theirs)).scalar_one() >= MOST_PASSKEYS:
            return None
        row = {
            "user_id": user,
            "credential_hash": hash_of(new.credential_id),
            "credential_id": new.credential_id,
            "public_key": new.public_key,
            "sign_count": new.sign_count,
            "transports": " ".join(new.transports),
            "label": label,
            "created_at": self._now(),
        }
        try:
            async with deed.savepoint():
                await deed.tx.execute(insert(passkeys).values(row))
        except IntegrityError:
            return None
        return await self._first_or_more(deed, user, before, "passkey-added")

    async def remove_passkey(
        self, deed: Deed, user: UserId, passkey: int, *, keep: Stamp | None = None
    ) -> FactorsChanged | None:
        """That passkey opens nothing any more; None: as above, or it is none of his."""
        if await self._held(deed, user, keep) is None:
            return None
        his = (passkeys.c.id == passkey) & (passkeys.c.user_id == user)
        if (await deed.tx.execute(delete(passkeys).where(his))).rowcount == 0:
            return None
        return await self._changed(deed, user, "passkey-removed")

    async def renew_codes(self, deed: Deed, user: UserId, *, keep: Stamp | None = None) -> FactorsChanged | None:
        """New recovery codes, and the old ones are worth nothing; None: as above, or he has no second factor."""
        if await self._held(deed, user, keep) is None or await self._state(deed.tx, user) == "none":
            return None
        codes = await self._new_codes(deed.tx, user)
        return await self._changed(deed, user, "codes-renewed", codes)

    async def remove_all(self, deed: Deed, user: UserId) -> FactorsChanged | None:
        """From now on the password is enough: an administrator's help for whoever lost everything.  None: he has no
        second factor, and none to renew."""
        before = await self._held(deed, user, None)
        if before == "none" or before is None:
            return None
        for table in (second_factors, passkeys):
            await deed.tx.execute(delete(table).where(table.c.user_id == user))
        return await self._changed(deed, user, "all-removed")

    async def _held(self, deed: Deed, user: UserId, keep: Stamp | None) -> SecondFactorState | None:
        """What his row says, which is held until the transaction ends; None: it is none that we may change."""
        here = users.c.disabled_at.is_(None) & users.c.removed_at.is_(None)
        ours = (users.c.id == user) & (users.c.authority == self._authority) & here
        if keep is not None:
            ours &= users.c.stamp == keep
        row = (await deed.tx.execute(select(users).where(ours).with_for_update())).first()
        return user_of(row).second_factor if row is not None else None

    async def _first_or_more(
        self, deed: Deed, user: UserId, before: SecondFactorState, what: FactorChange
    ) -> FactorsChanged | None:
        """With the first factor come codes for the day on which it is lost."""
        codes = await self._new_codes(deed.tx, user) if before in ("none", "re-enrol") else ()
        return await self._changed(deed, user, what, codes)

    async def _new_codes(self, tx: Tx, user: UserId) -> tuple[Secret, ...]:
        codes, now = draw_codes(self._chance), self._now()
        hashes = [hashes_of(self._ring, user, code)[0] for code in codes]
        await tx.execute(delete(recovery_codes).where(recovery_codes.c.user_id == user))
        rows = [{"user_id": user, "code_hash": hashed, "created_at": now} for hashed in hashes]
        await tx.execute(insert(recovery_codes), rows)
        return codes

    async def _changed(
        self, deed: Deed, user: UserId, what: FactorChange, codes: tuple[Secret, ...] = ()
    ) -> FactorsChanged:
        now, state = self._now(), await self._state(deed.tx, user)
        if state == "none":  # without a factor there is nothing to recover
            await deed.tx.execute(delete(recovery_codes).where(recovery_codes.c.user_id == user))
        stamp = self._draw_stamp("second-factor")
        values = {"second_factor_state": state, "stamp": stamp, "stamp_changed_at": now, "updated_at": now}
        await deed.tx.execute(update(users).where(users.c.id == user).values(values))
        await deed.record("second-factor.changed", user=user, reason=what)
        deed.outdates(_VERSION)
        return FactorsChanged(user_of((await deed.tx.execute(select(users).where(users.c.id == user))).one()), codes)

    async def _state(self, tx: Tx, user: UserId) -> SecondFactorState:
        """What his rows say."""
        if await _any(tx, select(second_factors.c.id).where(_totp_of(user))):
            return "totp"
        return "passkey" if await _any(tx, select(passkeys.c.id).where(passkeys.c.user_id == user)) else "none"

    def _now(self) -> int:
        return int(self._clock.now())


async def keep_totp(tx: Tx, ring: Ring, user: UserId, secret: Secret, now: int) -> None:
    """Write the secret down, sealed."""
    sealed = ring.seal(secret.reveal_bytes(), *_place(user))
    row = {"user_id": user, "kind": "totp", "secret_enc": sealed, "created_at": now, "confirmed_at": now}
    await tx.execute(insert(second_factors).values(row))


async def _any(tx: Tx, query: Select[Any]) -> bool:
    return (await tx.execute(query.limit(1))).first() is not None


def _totp_of(user: "UserId | BindParameter[UserId]") -> ColumnElement[bool]:
    return (second_factors.c.user_id == user) & (second_factors.c.kind == "totp")


def _place(user: UserId) -> tuple[str, str, str]:
    """Where the sealed secret stands: one moved to another user does not open (security §5)."""
    return "second_factors", "secret_enc", str(user)


_TOTP_OF: Final = LookUp(select(second_factors.c.secret_enc).where(_totp_of(bindparam("user"))))
_PASSKEY: Final = LookUp(select(passkeys).where(passkeys.c.credential_hash == bindparam("hashed")))
_CODE_OF: Final = LookUp(
    select(recovery_codes).where(
        recovery_codes.c.user_id == bindparam("user"), recovery_codes.c.code_hash == bindparam("known")
    )
)
