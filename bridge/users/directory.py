"""All users, a page at a time, and those whose address or name begins so — whmcs-api §3.5 (GetUsers)."""

from sqlalchemy import ColumnElement

from bridge.database.database import Database
from bridge.database.search import Page, Span, begins_with, read_page
from bridge.database.tables import users
from bridge.database.text import fold
from bridge.users.email import key_beginnings
from bridge.users.rows import user_of
from bridge.users.user import User


class UserDirectory:
    """Reads from the primary.  Every call raises `Unavailable` when the database does not answer."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def page(self, span: Span | None = None, *, search: str = "") -> Page[User]:
        """Users by number; with `search`, those whose e-mail address, first, last or full name begins so.

        Case, accents and blanks around make no difference to names, case none to addresses; nothing is a wildcard.
        """
        found = await read_page(
            self._db,
            users,
            span or Span(),
            where=[users.c.removed_at.is_(None)],
            any_of=_beginning(search),
            order_by=users.c.id,
        )
        return Page(items=[user_of(row) for row in found.items], total=found.total, start=found.start)


def _beginning(search: str) -> list[ColumnElement[bool]]:
    name = fold(search)
    if not name:
        return []
    names = (users.c.first_name_key, users.c.last_name_key, users.c.full_name_key)
    return [
        *(begins_with(column, name) for column in names),
        *(begins_with(users.c.email_key, key) for key in key_beginnings(search)),
    ]
