"""Rows that nobody else changes until the transaction ends: an account, a user — DESIGN §5.

The account always first: whoever asks for them in one order never waits in a circle.
"""

from sqlalchemy import select

from bridge.accounts.account import Account
from bridge.accounts.rows import account_of
from bridge.database.database import Tx
from bridge.database.tables import accounts, memberships, users
from bridge.types import AccountId, UserId


async def hold_account(tx: Tx, account: AccountId) -> Account | None:
    """The account; None: there is none.  Who holds it decides alone who is a member of it, and who is invited."""
    row = (await tx.execute(select(accounts).where(accounts.c.id == account).with_for_update())).first()
    return account_of(row) if row is not None else None


async def hold_user(tx: Tx, user: UserId) -> str | None:
    """The key of the user's address; None: there is no such user.  While he is held nobody removes him."""
    wanted = select(users.c.email_key).where(users.c.id == user, users.c.removed_at.is_(None))
    return (await tx.execute(wanted.with_for_update())).scalar()


async def is_member(tx: Tx, user: UserId, account: AccountId) -> bool:
    """Whether he is one of the account's members, its owner too."""
    wanted = select(memberships.c.user_id).where(memberships.c.account_id == account, memberships.c.user_id == user)
    return (await tx.execute(wanted)).first() is not None
