"""What an API caller may do with a user, written down in the same transaction — whmcs-api §3.5, security §30.

A changed e-mail address is not among it: that waits for its confirmation, in `bridge.users.email_changes`.
"""

from typing import Any

from sqlalchemy import delete, exists, select, update

from bridge.clock import Clock
from bridge.database.tables import email_changes, memberships, passkeys, recovery_codes, second_factors, users
from bridge.events.ledger import Deed
from bridge.types import UserId
from bridge.users.profile import ProfileChange, row_of, write_profile
from bridge.users.rows import groups_value, name_values, user_of
from bridge.users.sql import VERSION, DrawStamp, SqlUsers
from bridge.users.user import AddressTaken, NewUser, Taken, User


class UserUpkeep:
    """Adds, changes and removes users.  Stands on `SqlUsers`."""

    def __init__(self, *, users: SqlUsers, clock: Clock, draw_stamp: DrawStamp) -> None:
        self._users = users
        self._clock = clock
        self._draw_stamp = draw_stamp

    async def add(self, deed: Deed, new: NewUser, *, reason: str = "") -> User | AddressTaken:
        """Write what `SqlUsers.draft` made.  `reason`: how he came to be, for the audit."""
        try:
            async with deed.savepoint():
                user = await self._users.add(deed.tx, new)
        except Taken:
            return AddressTaken()
        await deed.record("user.created", user=user.id, reason=reason)
        deed.outdates(VERSION)
        return user

    async def change(self, deed: Deed, user: UserId, change: ProfileChange) -> User | None:
        """Names, language, groups; None: no such user.  Raises InvalidField."""
        changed = await write_profile(deed.tx, user, change, int(self._clock.now()))
        if changed is None:
            return None
        await deed.record("user.changed", user=user, reason="profile")
        deed.outdates(VERSION)
        return changed

    async def remove(self, deed: Deed, user: UserId) -> User | None:
        """Forget who he was; None: no such user, or he is not ours, or a member of an account.

        His row stays, without anything personal, so that neither his number nor his subject is ever another's; his
        address is free.  Returns what he was: whoever calls publishes his stamp (`Sessions.publish_stamp`) after the
        deed, and everything of his is over; the reconciler does, if nobody else.
        """
        ours = row_of(user).where(users.c.authority == self._users.name).with_for_update()
        before = (await deed.tx.execute(ours)).first()
        if before is None:
            return None
        if (await deed.tx.execute(select(exists().where(memberships.c.user_id == user)))).scalar_one():
            return None
        await deed.tx.execute(update(users).where(users.c.id == user).values(self._nothing_of(user)))
        for table in (second_factors, passkeys, recovery_codes, email_changes):
            await deed.tx.execute(delete(table).where(table.c.user_id == user))
        await deed.record("user.removed", user=user)
        deed.outdates(VERSION)
        return user_of(before)

    def _nothing_of(self, user: UserId) -> dict[str, Any]:
        now = int(self._clock.now())
        return {
            "email": "",
            "email_key": f"~removed:{user}",  # no address has a key like this
            "email_verified": False,
            **name_values("", ""),
            "language": "",
            "groups": groups_value(()),
            "password_hash": None,
            "second_factor_state": "none",
            "credential_version": users.c.credential_version + 1,
            "reset_gen": users.c.reset_gen + 1,
            "source": None,
            "external_id": None,
            "last_login_ip": None,
            "stamp": self._draw_stamp("disabled"),
            "stamp_changed_at": now,
            "disabled_at": now,
            "removed_at": now,
            "updated_at": now,
        }
