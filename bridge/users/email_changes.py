"""Another e-mail address, once it was confirmed there — security §30, sessions-and-accounts §6.2.

    waiting ──confirm──▶ confirmed ──undo──▶ undone        cancelled: by its owner, or by a newer request

While it waits nothing of the account changes.  A link that confirms goes to the new address; one that undoes goes to
the old one, for seven days: it shuts the account, and signs nobody in (security §24).  What a person asked for himself
is over as soon as all his sessions are: whoever had got into the account cannot have left a way back.  This room keeps
the rows and their tokens; letters and pages are others'.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import BindParameter, ColumnElement, Select, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from bridge.clock import Chance, Clock, chance
from bridge.database.database import Database
from bridge.database.lookup import LookUp
from bridge.database.mailed import MailedTokens, hash_of
from bridge.database.tables import email_changes, users
from bridge.database.text import InvalidField
from bridge.events.ledger import Deed
from bridge.ring import Ring
from bridge.secret import Secret
from bridge.types import UserId
from bridge.users.email import email_key
from bridge.users.profile import row_of
from bridge.users.rows import user_of
from bridge.users.sql import VERSION, DrawStamp, SqlUsers
from bridge.users.user import AddressTaken, User

EmailChangeState = Literal["waiting", "confirmed", "undone", "cancelled"]

CONFIRM: Final = "email-confirm"
UNDO: Final = "email-undo"
"""Of the outbox's jobs; their payload's `change` is the number."""
UNDO_SECONDS: Final = 7 * 86_400
KEPT_SECONDS: Final = 30 * 86_400
"""How long a request is remembered when nothing can come of it any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailChange:
    """One request."""

    id: int
    user: UserId
    old_email: str
    """Where the letter that undoes goes."""
    new_email: str
    """Where the letter that confirms goes."""
    state: EmailChangeState
    requested_by: str
    """The API credential; "": the person himself."""
    created_at: int
    expires_at: int
    """Of the token that is out: it confirms while `waiting`, and undoes while `confirmed`."""
    finished_at: int | None = None


@dataclass(frozen=True, slots=True)
class Unchanged:
    """It is his address already, to the letter.  Nothing was written."""


@dataclass(frozen=True, slots=True)
class Gone:
    """No such token, or it was used, cancelled, or too late.  Nothing was written."""


class EmailChanges:
    """Every call raises `Unavailable` when the database does not answer."""

    def __init__(
        self,
        *,
        db: Database,
        users: SqlUsers,
        ring: Ring,
        clock: Clock,
        draw_stamp: DrawStamp,
        lifetime: int,
        draw: Chance = chance,
    ) -> None:
        """`lifetime`: seconds for which a request waits."""
        self._db = db
        self._authority = users.name
        self._clock = clock
        self._draw_stamp = draw_stamp
        self._lifetime = lifetime
        self._tokens = MailedTokens("email_changes", ring, draw)

    async def request(self, deed: Deed, user: UserId, email: str) -> EmailChange | Unchanged | AddressTaken | None:
        """Let the address wait for its confirmation, in place of any that waited; None: no such user, or not ours.

        Another spelling of the same address waits too: mail to it may reach somebody else.  Raises InvalidField for
        what is no address.
        """
        key = _key_of(email)
        row = (await deed.tx.execute(self._held(user))).first()
        if row is None or row.email == email.strip():
            return None if row is None else Unchanged()
        taken = select(users.c.id).where(users.c.email_key == key, users.c.id != user)
        if (await deed.tx.execute(taken)).first() is not None:
            return AddressTaken()
        return await self._wait(deed, row, email)

    async def ask(self, deed: Deed, user: UserId, email: str) -> EmailChange | Unchanged | None:
        """The same for the person himself, who must not learn whose address that is: it waits, whoever has it."""
        _key_of(email)
        row = (await deed.tx.execute(self._held(user))).first()
        if row is None or row.email == email.strip():
            return None if row is None else Unchanged()
        return await self._wait(deed, row, email)

    async def waiting(self, user: UserId) -> EmailChange | None:
        """The address that waits for its confirmation; None: none does."""
        return _still_on(await self._db.first(_WAITING, user=user, now=self._now()))

    async def by_token(self, token: Secret) -> EmailChange | None:
        """What the token confirms or undoes, for a page that asks; None: nothing, or no longer."""
        return _still_on(await self._db.first(_BY_TOKEN, hash=hash_of(token) or "", now=self._now()))

    async def token_of(self, change: int) -> tuple[EmailChange, Secret] | None:
        """For the letter: the request and the token that is out; None: nothing can come of it any more."""
        row = await self._db.first(_BY_ID, id=change, now=self._now())
        found = _still_on(row)
        token = self._tokens.open(row) if found is not None else None
        return (found, token) if found is not None and token is not None else None

    async def confirm(self, deed: Deed, token: Secret) -> User | AddressTaken | Gone:
        """Make it his address, verified.  His stamp changes: whoever calls publishes it, and sends the letter that
        undoes."""
        found = await self._open(deed, token, "waiting")
        if found is None or found[1].email != found[0].old_email:  # the address was changed meanwhile
            return Gone()
        change, now = found[0], self._now()
        values = {
            "email": change.new_email,
            "email_key": email_key(change.new_email),
            "email_verified": True,
            "reset_gen": users.c.reset_gen + 1,
            **self._stamped("email"),
        }
        try:
            async with deed.savepoint():
                await deed.tx.execute(update(users).where(users.c.id == change.user_id).values(values))
        except IntegrityError:
            return AddressTaken()
        undo = {"state": "confirmed", "finished_at": now, "expires_at": now + UNDO_SECONDS, **self._tokens.new()}
        await deed.tx.execute(update(email_changes).where(email_changes.c.id == change.id).values(undo))
        return await self._done(deed, "email.changed", UserId(change.user_id))

    async def undo(self, deed: Deed, token: Secret) -> User | Gone:
        """It was not he: nobody comes in until somebody has looked.  The address stays as it is; his stamp changes."""
        found = await self._open(deed, token, "confirmed")
        if found is None:
            return Gone()
        user = UserId(found[0].user_id)
        values = {"disabled_at": self._now(), **self._stamped("disabled")}
        await deed.tx.execute(update(users).where(users.c.id == user).values(values))
        over = {"state": "undone", "finished_at": self._now(), "token_enc": None}
        await deed.tx.execute(update(email_changes).where(email_changes.c.id == found[0].id).values(over))
        return await self._done(deed, "email.undone", user)

    async def cancel(self, deed: Deed, user: UserId) -> bool:
        """Let it wait no longer.  False: nothing did."""
        if (await deed.tx.execute(self._held(user))).first() is None or not await self._cancel(deed, user):
            return False
        await deed.record("email.cancelled", user=user)
        return True

    async def forget(self) -> int:
        """Delete what nothing can come of since thirty days; says how many rows that were."""
        old = email_changes.c.expires_at < self._now() - KEPT_SECONDS
        async with self._db.begin() as tx:
            return (await tx.execute(delete(email_changes).where(old))).rowcount

    async def _wait(self, deed: Deed, row: Any, email: str) -> EmailChange:
        user, now = UserId(row.id), self._now()
        await self._cancel(deed, user)
        values = {
            "user_id": user,
            "old_email": row.email,
            "new_email": email.strip(),
            "state": "waiting",
            "requested_by": deed.actor,
            "created_at": now,
            "expires_at": now + self._lifetime,
            **self._tokens.new(),
        }
        key_of = (await deed.tx.execute(insert(email_changes).values(values))).inserted_primary_key
        assert key_of is not None
        await deed.record("email.requested", user=user)
        return _change_of((await deed.tx.execute(select(email_changes).where(email_changes.c.id == key_of[0]))).one())

    async def _open(self, deed: Deed, token: Secret, state: EmailChangeState) -> tuple[Any, Any] | None:
        """The request of that token and its user's row, both held until the transaction ends."""
        wanted = select(email_changes).where(self._live(token), email_changes.c.state == state)
        seen = (await deed.tx.execute(wanted)).first()
        if seen is None:
            return None
        user = (await deed.tx.execute(self._held(UserId(seen.user_id)))).first()
        # Again, now that nobody else can change it: of two who show one token, the second finds it used.
        change = (await deed.tx.execute(wanted.with_for_update())).first()
        if change is None or user is None or _overtaken(change, user.stamp_changed_at):
            return None
        return change, user

    async def _cancel(self, deed: Deed, user: UserId) -> bool:
        waiting = (email_changes.c.user_id == user) & (email_changes.c.state == "waiting")
        over = {"state": "cancelled", "finished_at": self._now(), "token_enc": None}
        return (await deed.tx.execute(update(email_changes).where(waiting).values(over))).rowcount > 0

    async def _done(self, deed: Deed, kind: Literal["email.changed", "email.undone"], user: UserId) -> User:
        await deed.record(kind, user=user)
        deed.outdates(VERSION)
        return user_of((await deed.tx.execute(row_of(user))).one())

    def _held(self, user: UserId) -> Select[Any]:
        return row_of(user).where(users.c.authority == self._authority).with_for_update()

    def _live(self, token: Secret) -> ColumnElement[bool]:
        return _useful(hash_of(token) or "", self._now())

    def _stamped(self, reason: Literal["email", "disabled"]) -> dict[str, Any]:
        now = self._now()
        return {"stamp": self._draw_stamp(reason), "stamp_changed_at": now, "updated_at": now}

    def _now(self) -> int:
        return int(self._clock.now())


def _key_of(email: str) -> str:
    key = email_key(email)
    if key is None:
        raise InvalidField("email", "not an e-mail address")
    return key


def _still_on(row: Any) -> EmailChange | None:
    """The request of a row of `_ROWS`, unless there is none or nothing can come of it."""
    return None if row is None or _overtaken(row, row.stamp_changed_at) else _change_of(row)


def _overtaken(change: Any, stamp_changed_at: int) -> bool:
    """Whether all sessions of the person have ended since he asked: it may have been another who did (security §14).

    In whole seconds: what ended in the same second ended it too.
    """
    return change.state == "waiting" and not change.requested_by and stamp_changed_at >= change.created_at


def _change_of(row: Any) -> EmailChange:
    return EmailChange(
        id=row.id,
        user=UserId(row.user_id),
        old_email=row.old_email,
        new_email=row.new_email,
        state=row.state,
        requested_by=row.requested_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
        finished_at=row.finished_at,
    )


def _useful(hashed: str | BindParameter[str], now: int | BindParameter[int]) -> ColumnElement[bool]:
    state = email_changes.c.state
    mine = (email_changes.c.token_hash == hashed) & (email_changes.c.expires_at > now)
    return mine & ((state == "waiting") | (state == "confirmed"))


_ROWS: Final = select(email_changes, users.c.stamp_changed_at).join(users, users.c.id == email_changes.c.user_id)
_BY_TOKEN: Final = LookUp(_ROWS.where(_useful(bindparam("hash"), bindparam("now"))))
_BY_ID: Final = LookUp(
    _ROWS.where(email_changes.c.id == bindparam("id"), email_changes.c.expires_at > bindparam("now"))
)
_WAITING: Final = LookUp(
    _ROWS.where(
        email_changes.c.user_id == bindparam("user"),
        email_changes.c.expires_at > bindparam("now"),
        email_changes.c.state == "waiting",
    )
)
