"""What a user says of himself, and how a row of his is changed to it — whmcs-api §3.5."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, select, update

from bridge.database.database import Tx
from bridge.database.tables import users
from bridge.types import UserId
from bridge.users.rows import groups_value, language_value, name_values, user_of
from bridge.users.user import User


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileChange:
    """What shall be different; None: as it is."""

    first_name: str | None = None
    last_name: str | None = None
    language: str | None = None
    groups: Sequence[str] | None = None


def row_of(user: UserId) -> Select[Any]:
    """The row of that user, unless he was removed."""
    return select(users).where(users.c.id == user, users.c.removed_at.is_(None))


async def write_profile(tx: Tx, user: UserId, change: ProfileChange, now: int) -> User | None:
    """Change what is given; None: no such user.  Whoever calls tells the caches.  Raises InvalidField."""
    row = (await tx.execute(row_of(user).with_for_update())).first()
    if row is None:
        return None
    first = row.first_name if change.first_name is None else change.first_name
    last = row.last_name if change.last_name is None else change.last_name
    values: dict[str, Any] = {**name_values(first, last), "updated_at": now}
    if change.language is not None:
        values["language"] = language_value(change.language)
    if change.groups is not None:
        values["groups"] = groups_value(change.groups)
    await tx.execute(update(users).where(users.c.id == user).values(values))
    return user_of((await tx.execute(row_of(user))).one())
