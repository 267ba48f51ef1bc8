"""Other addresses of an account, which receive mail and open nothing — whmcs-api §3.6 (GetContacts)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal, get_args

from sqlalchemy import insert, select

from bridge.accounts.account import EmailPreferences, check_details
from bridge.accounts.hold import hold_account
from bridge.accounts.outcomes import NoAccount
from bridge.accounts.rows import preferences_of, preferences_value
from bridge.clock import Clock
from bridge.database.database import Database
from bridge.database.search import Page, Span, read_page
from bridge.database.tables import contacts
from bridge.database.text import one_line
from bridge.events.ledger import Deed
from bridge.types import AccountId
from bridge.users.email import email_key

ContactField = Literal[
    "first_name",
    "last_name",
    "company_name",
    "address1",
    "address2",
    "city",
    "state",
    "postcode",
    "country",
    "phone_number",
]
"""What a contact may be looked for by, besides its account and its address."""

_FIELDS: Final[tuple[ContactField, ...]] = get_args(ContactField)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """One contact.  Making one is the check: raises InvalidField."""

    id: int = 0
    """0: it is not there yet."""
    account: AccountId
    email: str = ""
    first_name: str = ""
    last_name: str = ""
    company_name: str = ""
    address1: str = ""
    address2: str = ""
    city: str = ""
    state: str = ""
    postcode: str = ""
    country: str = ""
    phone_number: str = ""
    tax_id: str = ""
    email_preferences: EmailPreferences = field(default_factory=EmailPreferences)
    created_at: int = 0
    updated_at: int = 0

    def __post_init__(self) -> None:
        check_details(self)


class Contacts:
    """Reads on the primary.  Every call raises `Unavailable` when the database does not answer."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def by_id(self, account: AccountId, contact: int) -> Contact | None:
        """The contact of that number, if it is one of that account."""
        mine = select(contacts).where(contacts.c.id == contact, contacts.c.account_id == account)
        async with self._db.read() as tx:
            row = (await tx.execute(mine)).first()
        return _contact_of(row) if row is not None else None

    async def page(
        self,
        span: Span | None = None,
        *,
        account: AccountId | None = None,
        email: str = "",
        fields: Mapping[ContactField, str] = MappingProxyType({}),
    ) -> Page[Contact]:
        """Contacts by number: of that account, of exactly that address, with exactly these names."""
        where = [contacts.c[name] == one_line(value) for name, value in fields.items()]
        if account is not None:
            where.append(contacts.c.account_id == account)
        if email:
            where.append(contacts.c.email_key == (email_key(email) or ""))
        found = await read_page(self._db, contacts, span or Span(), where=where, order_by=contacts.c.id)
        return Page(items=[_contact_of(row) for row in found.items], total=found.total, start=found.start)

    async def add(self, deed: Deed, new: Contact) -> Contact | NoAccount:
        """A new contact of `new.account`."""
        if await hold_account(deed.tx, new.account) is None:
            return NoAccount()
        now = int(self._clock.now())
        values = {
            **{name: one_line(getattr(new, name)) for name in (*_FIELDS, "tax_id")},
            "account_id": new.account,
            "email": new.email.strip(),
            "email_key": email_key(new.email) if new.email else None,
            "email_preferences": preferences_value(new.email_preferences),
            "created_at": now,
            "updated_at": now,
        }
        key = (await deed.tx.execute(insert(contacts).values(values))).inserted_primary_key
        assert key is not None
        await deed.record("contact.created", account=str(new.account), contact=str(key[0]))
        return _contact_of((await deed.tx.execute(select(contacts).where(contacts.c.id == key[0]))).one())


def _contact_of(row: Any) -> Contact:
    columns = row._asdict()
    names = {name: columns[name] for name in (*_FIELDS, "tax_id", "email", "created_at", "updated_at")}
    preferences = preferences_of(row.email_preferences)
    return Contact(id=row.id, account=AccountId(row.account_id), email_preferences=preferences, **names)
