"""Users in our own tables: the authority that the bridge itself is — DESIGN §5, §8.

What ends sessions (password, second factor, disabling) changes the stamp in the same UPDATE as the cause: SQL is the
truth about endings (security §3).  Whoever calls publishes the stamp afterwards.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from operator import itemgetter
from typing import Any, Final, Unpack

from sqlalchemy import ColumnElement, bindparam, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from bridge.clock import Chance, Clock
from bridge.database.bulk import Bulk
from bridge.database.database import Database, Tx
from bridge.database.lookup import LookUp
from bridge.database.tables import users
from bridge.database.versions import Published, bump
from bridge.errors import Unavailable
from bridge.ring import Ring
from bridge.secret import Secret
from bridge.tokens import Slots, base62
from bridge.types import Stamp, StampReason, Subject, UserId
from bridge.users.backend import Answer, Authenticated, Capability, Refused
from bridge.users.email import email_key
from bridge.users.factors import keep_totp
from bridge.users.passwords import Passwords
from bridge.users.profile import ProfileChange, row_of, write_profile
from bridge.users.rows import groups_value, language_value, name_values, user_of, why_refused
from bridge.users.user import NewUser, Taken, User, UserFacts

VERSION: Final = "users"
"""The name under which caches of users hear of a change (security §20)."""

DrawStamp = Callable[[StampReason], Stamp]


class SqlUsers:
    """A `UserBackend` whose users are ours.  Every method raises `Unavailable` when the database does not answer."""

    name = "bridge"
    capabilities: Capability = (
        Capability.SET_PASSWORD | Capability.SEND_RESET | Capability.LIST | Capability.SECOND_FACTOR | Capability.CREATE
    )

    def __init__(
        self,
        *,
        db: Database,
        passwords: Passwords,
        ring: Ring,
        slots: Slots,
        clock: Clock,
        chance: Chance,
        draw_stamp: DrawStamp,
        versions: Published,
        sub_is_number: bool = False,
    ) -> None:
        """`sub_is_number`: the subject of a new user who brings none along is his number, and no uuid."""
        self._db = db
        self._passwords = passwords
        self._ring = ring
        self._slots = slots
        self._clock = clock
        self._chance = chance
        self._draw_stamp = draw_stamp
        self._versions = versions
        self._sub_is_number = sub_is_number
        noted: dict[str, Any] = {"last_login_at": bindparam("at"), "last_login_ip": bindparam("ip")}
        mine = (users.c.id == bindparam("user")) & users.c.removed_at.is_(None)
        self._last_logins = Bulk(update(users).where(mine).values(noted), db.engine.dialect)

    async def authenticate(self, email: str, password: Secret) -> Answer:
        """Checks the hash of one row, read before; the row's stamp is what a login expects.  Raises `Busy` too."""
        row = await self._db.first(_BY_EMAIL, key=email_key(email) or "")
        stored = row.password_hash if row is not None and row.authority == self.name else None
        verdict = await self._passwords.verify(stored, password)
        if row is None:
            return Refused("unknown")
        if not verdict.ok or row.disabled_at is not None:
            return Refused(why_refused(row, ok=verdict.ok, authority=self.name), row.id)
        if verdict.upgrade is not None:
            with suppress(Unavailable):  # a better hash is not worth a login
                await self.upgrade_hash(UserId(row.id), row.password_hash, verdict.upgrade)
        return Authenticated(user_of(row))

    async def by_id(self, user: UserId) -> User | None:
        """The row now."""
        return _found(await self._db.first(_BY_ID, id=user))

    async def by_email(self, email: str) -> User | None:
        """The row of that address."""
        key = email_key(email)
        return _found(await self._db.first(_BY_EMAIL, key=key)) if key else None

    async def by_sub(self, sub: Subject) -> User | None:
        """The row of that subject."""
        return _found(await self._db.first(_BY_SUB, sub=sub))

    async def list(self, *, after: int = 0, limit: int = 100) -> list[User]:
        """The next users by number."""
        async with self._db.read() as tx:
            wanted = select(users).where(users.c.id > after, users.c.removed_at.is_(None))
            found = await tx.execute(wanted.order_by(users.c.id).limit(limit))
            return [user_of(row) for row in found]

    async def create(self, **facts: Unpack[UserFacts]) -> User:
        """A new user, in a transaction of its own.  Raises as `draft` and `add`."""
        new = await self.draft(**facts)
        return await self._db.transaction(lambda tx: self.add(tx, new))

    async def draft(self, **facts: Unpack[UserFacts]) -> NewUser:
        """What `add` writes.  Hashes the password, which takes too long for a transaction.

        Raises ValueError for an address that is none, a subject that is not 1 to 255 ASCII characters, and a name that
        is too long (InvalidField); Busy.
        """
        key = email_key(facts["email"])
        if key is None:
            raise ValueError("not an e-mail address")
        sub = facts.get("sub")
        if sub is not None and not (sub.isascii() and 0 < len(sub) <= 255):
            raise ValueError("sub: 1 to 255 ASCII characters")
        password, totp = facts.get("password"), facts.get("totp")
        values = {
            "sub": sub or (None if self._sub_is_number else str(uuid.UUID(bytes=self._chance(16), version=4))),
            "email": facts["email"].strip(),
            "email_key": key,
            "email_verified": facts.get("email_verified", False),
            **name_values(facts.get("first_name", ""), facts.get("last_name", "")),
            "language": language_value(facts.get("language", "")),
            "groups": groups_value(facts.get("groups", ())),
            "password_hash": facts.get("password_hash") if password is None else await self._passwords.hash(password),
            "second_factor_state": "totp" if totp else facts.get("second_factor", "none"),
            "authority": facts.get("authority", self.name),
            "source": facts.get("source"),
            "external_id": facts.get("external_id"),
            "created_at": self._now(),
            **self._stamped("new"),
        }
        return NewUser(values, totp)

    async def add(self, tx: Tx, new: NewUser) -> User:
        """The new user, in this transaction.  Raises `Taken`, which undoes nothing else of it but on PostgreSQL: go on
        only from a savepoint."""
        try:
            user = await self._numbered(tx, new.values)
        except IntegrityError:
            raise Taken("another user has this e-mail address, subject or external id") from None
        if new.totp is not None:
            await keep_totp(tx, self._ring, user, new.totp, self._now())
        return user_of((await tx.execute(row_of(user))).one())

    async def change_profile(
        self,
        user: UserId,
        *,
        first_name: str | None = None,
        last_name: str | None = None,
        language: str | None = None,
        groups: Sequence[str] | None = None,
    ) -> User | None:
        """Change what is given, in a transaction of its own; None: no such user.  Raises InvalidField."""

        change = ProfileChange(first_name=first_name, last_name=last_name, language=language, groups=groups)

        async def work(tx: Tx) -> User | None:
            changed = await write_profile(tx, user, change, self._now())
            if changed is not None:
                await bump(tx, VERSION)
            return changed

        return await self._told(await self._db.transaction(work))

    async def set_password(
        self, user: User, new: Secret, *, reason: StampReason = "password", keep: Stamp | None = None
    ) -> User | None:
        """Compare-and-swap on the row that `user` was read from; None: it has changed, or is not ours.

        `keep`: the stamp of the session that shall survive (store §2, rule 4): it must be the row's still.  Raises
        `Busy`, and ValueError over 1,024 bytes or with a NUL.
        """
        made = await self._passwords.hash(new)
        unchanged = (
            (users.c.authority == self.name)
            & (users.c.credential_version == user.credential_version)
            & (users.c.email_key == user.email_key)
            & (users.c.reset_gen == user.reset_gen)
        )
        if keep is not None:
            unchanged &= users.c.stamp == keep
        counted = {"credential_version": users.c.credential_version + 1, "reset_gen": users.c.reset_gen + 1}
        return await self._change(user.id, unchanged, {"password_hash": made, **counted, **self._stamped(reason)})

    async def upgrade_hash(self, user: UserId, old: str, new: str) -> bool:
        """The same password under a better hash; False: somebody changed the password meanwhile, and that stands."""
        mine = (users.c.id == user) & (users.c.password_hash == old)
        async with self._db.begin() as tx:
            done = await tx.execute(update(users).where(mine).values(password_hash=new))
            return done.rowcount == 1

    async def disable(self, user: UserId) -> User | None:
        """Nobody gets in, and everything ends; None: no such user, or he is disabled already."""
        values = {"disabled_at": self._now(), **self._stamped("disabled")}
        return await self._change(user, users.c.disabled_at.is_(None), values)

    async def enable(self, user: UserId) -> User | None:
        """He may come in again; None: no such user, or he is not disabled."""
        values = {"disabled_at": None, **self._stamped("admin")}
        return await self._change(user, users.c.disabled_at.is_not(None), values)

    async def write_logins(self, logins: Sequence[tuple[UserId, int, str | None]]) -> None:
        """Who came in last, when (Unix seconds) and from where."""
        rows = [{"user": user, "at": at, "ip": ip} for user, at, ip in sorted(logins, key=itemgetter(0))]
        async with self._db.begin() as tx:
            await self._last_logins.run(tx, rows)

    async def _numbered(self, tx: Tx, values: Mapping[str, Any]) -> UserId:
        """Insert the row.  Its tag follows from its number, and its subject if it has none; a number of which another
        user has either is skipped."""
        while True:
            # "~" is in no tag and no number.  Two users who are made at once must not meet here.
            not_yet = "~" + base62(int.from_bytes(self._chance(7), "big"), 10)
            made = await tx.execute(insert(users).values({**values, "tag": not_yet, "sub": values["sub"] or not_yet}))
            assert made.inserted_primary_key is not None
            user = UserId(made.inserted_primary_key[0])
            follows = {"tag": self._slots.of_user(user), **({} if values["sub"] else {"sub": str(user)})}
            taken = or_(*(users.c[name] == value for name, value in follows.items()))
            if (await tx.execute(select(users.c.id).where(taken))).first() is None:
                await tx.execute(update(users).where(users.c.id == user).values(follows))
                return user
            await tx.execute(delete(users).where(users.c.id == user))

    async def _change(self, user: UserId, where: ColumnElement[bool], values: Mapping[str, Any]) -> User | None:
        """One guarded UPDATE of one user, told to every worker's cache."""

        async def work(tx: Tx) -> User | None:
            mine = (users.c.id == user) & users.c.removed_at.is_(None)
            done = await tx.execute(update(users).where(mine, where).values(values))
            if done.rowcount != 1:
                return None
            await bump(tx, VERSION)
            return user_of((await tx.execute(row_of(user))).one())

        return await self._told(await self._db.transaction(work))

    async def _told(self, changed: User | None) -> User | None:
        if changed is not None:
            with suppress(Unavailable):  # the reconciler publishes it again
                await self._versions.publish(VERSION)
        return changed

    def _stamped(self, reason: StampReason) -> dict[str, Any]:
        now = self._now()
        return {"stamp": self._draw_stamp(reason), "stamp_changed_at": now, "updated_at": now}

    def _now(self) -> int:
        return int(self._clock.now())


def _found(row: Any) -> User | None:
    return user_of(row) if row is not None else None


_BY_ID: Final = LookUp(select(users).where(users.c.id == bindparam("id"), users.c.removed_at.is_(None)))
_BY_EMAIL: Final = LookUp(select(users).where(users.c.email_key == bindparam("key"), users.c.removed_at.is_(None)))
_BY_SUB: Final = LookUp(select(users).where(users.c.sub == bindparam("sub"), users.c.removed_at.is_(None)))
