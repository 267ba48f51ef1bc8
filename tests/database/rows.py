"""Rows that tests put into the database."""

from typing import Any

from sqlalchemy import insert

from bridge.database.database import Database
from bridge.database.tables import consents, users
from bridge.types import UserId


def a_user(**columns: object) -> dict[str, Any]:
    """A row of `users`: everything that names the user is "a"."""
    names = {"tag": "a", "sub": "a", "email_key": "a", "stamp": "a"}
    return {"email": "a@example.org", "stamp_changed_at": 1, "created_at": 1, "updated_at": 1} | names | columns


def a_client(client_id: str) -> dict[str, Any]:
    """A row of `oauth_clients`."""
    facts = {"auth_method": "none", "source": "command", "metadata": "{}", "created_at": 1, "updated_at": 1}
    return {"client_id": client_id} | facts


async def add_user(db: Database, name: str = "a", **columns: object) -> UserId:
    """Put a user there who is named `name` everywhere, and say his number."""
    row = a_user(tag=name, sub=name, email_key=name, stamp=name) | columns
    async with db.begin() as tx:
        key = (await tx.execute(insert(users).values(**row))).inserted_primary_key
    assert key is not None
    return UserId(key[0])


async def add_consent(db: Database, user: UserId, client_id: str, changed_at: int, *, granted: bool = False) -> None:
    """Let the user have granted, or withdrawn, something at that time."""
    row = {"user_id": user, "client_id": client_id, "version": 1, "granted": granted, "changed_at": changed_at}
    async with db.begin() as tx:
        await tx.execute(insert(consents).values(**row))
