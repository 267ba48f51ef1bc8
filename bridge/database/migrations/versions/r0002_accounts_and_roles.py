"""Customer accounts, their members and invites; changes of address; roles of API credentials — whmcs-api §2.4, §3.5."""

import sqlalchemy as sa
from alembic import op

from bridge.database.migrations.steps import BLOB, ID, LONG, column, exact, index, ordered, table
from bridge.database.text import fold

revision = "0002"
down_revision = "0001"

_PAGE = 1_000
_FOLDED = ("first_name_key", "last_name_key", "full_name_key")


def upgrade() -> None:
    """Make the tables, and bring the rows of users to what a search asks of them."""
    _users()
    _email_changes()
    _accounts()
    _invites()
    _contacts()
    _roles()


def _users() -> None:
    column("users", sa.Column("removed_at", sa.BigInteger()))
    for name in _FOLDED:
        column("users", sa.Column(name, ordered(191)))
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("users", "email_key", type_=ordered(320))
    _fold_names()
    for name in _FOLDED:
        index(f"ix_users_{name}", "users", name)


def _fold_names() -> None:
    users = sa.table("users", *map(sa.column, ("id", "first_name", "last_name", *_FOLDED)))
    change = users.update().where(users.c.id == sa.bindparam("number"))
    change = change.values({name: sa.bindparam(f"new_{name}") for name in _FOLDED})
    page = sa.select(users.c.id, users.c.first_name, users.c.last_name).order_by(users.c.id).limit(_PAGE)
    after = 0
    while rows := op.get_bind().execute(page.where(users.c.id > after)).all():
        op.get_bind().execute(change, [_folded(*row) for row in rows])
        after = rows[-1].id


def _folded(number: int, first: str, last: str) -> dict[str, object]:
    names = zip(_FOLDED, (first, last, f"{first} {last}"), strict=True)
    return {"number": number, **{f"new_{name}": fold(text) for name, text in names}}


def _email_changes() -> None:
    table(
        "email_changes",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("old_email", sa.String(320), nullable=False),
        sa.Column("new_email", sa.String(320), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("token_hash", exact(64), nullable=False),
        sa.Column("token_enc", BLOB),
        sa.Column("requested_by", sa.String(255), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_email_changes"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_email_changes_user_id", ondelete="CASCADE"),
        sa.UniqueConstraint("token_hash", name="uq_email_changes_token_hash"),
        sqlite_autoincrement=True,
    )
    index("ix_email_changes_user_id", "email_changes", "user_id")


def _accounts() -> None:
    table(
        "accounts",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("uuid", exact(36), nullable=False),
        sa.Column("owner_id", ID, nullable=False),
        sa.Column("email", sa.String(320), nullable=False),
        sa.Column("email_key", ordered(320)),
        sa.Column("email_verified", sa.Boolean(), nullable=False),
        sa.Column("first_name", sa.String(100), nullable=False),
        sa.Column("last_name", sa.String(100), nullable=False),
        sa.Column("company_name", sa.String(200), nullable=False),
        sa.Column("first_name_key", ordered(191), nullable=False),
        sa.Column("last_name_key", ordered(191), nullable=False),
        sa.Column("full_name_key", ordered(191), nullable=False),
        sa.Column("company_name_key", ordered(191), nullable=False),
        sa.Column("address1", sa.String(200), nullable=False),
        sa.Column("address2", sa.String(200), nullable=False),
        sa.Column("city", sa.String(100), nullable=False),
        sa.Column("state", sa.String(100), nullable=False),
        sa.Column("postcode", sa.String(32), nullable=False),
        sa.Column("country", sa.String(2), nullable=False),
        sa.Column("phone_number", sa.String(64), nullable=False),
        sa.Column("tax_id", sa.String(64), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("group_id", sa.Integer(), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("credit", sa.String(32), nullable=False),
        sa.Column("language", sa.String(35), nullable=False),
        sa.Column("notes", LONG, nullable=False),
        sa.Column("tax_exempt", sa.Boolean(), nullable=False),
        sa.Column("marketing_opt_in", sa.Boolean(), nullable=False),
        sa.Column("allow_single_sign_on", sa.Boolean(), nullable=False),
        sa.Column("email_preferences", sa.Text(), nullable=False),
        sa.Column("billing", sa.Text(), nullable=False),
        sa.Column("custom_fields", LONG, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_accounts"),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name="fk_accounts_owner_id"),
        sa.UniqueConstraint("uuid", name="uq_accounts_uuid"),
        sa.UniqueConstraint("email_key", name="uq_accounts_email_key"),
        sqlite_autoincrement=True,
    )
    folded = (*_FOLDED, "company_name_key")
    for name in ("owner_id", *folded, "status", "group_id", "created_at"):
        index(f"ix_accounts_{name}", "accounts", name)
    table(
        "memberships",
        sa.Column("account_id", ID, autoincrement=False, nullable=False),
        sa.Column("user_id", ID, autoincrement=False, nullable=False),
        sa.Column("permissions", sa.String(255), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "user_id", name="pk_memberships"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_memberships_account_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_memberships_user_id"),
    )
    index("ix_memberships_user_id", "memberships", "user_id")


def _invites() -> None:
    table(
        "invites",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("email", sa.String(320), nullable=False),
        sa.Column("email_key", exact(320), nullable=False),
        sa.Column("permissions", sa.String(255), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("token_hash", exact(64), nullable=False),
        sa.Column("token_enc", BLOB),
        sa.Column("invited_by", sa.String(255), nullable=False),
        sa.Column("accepted_by", ID),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_invites"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_invites_account_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["accepted_by"], ["users.id"], name="fk_invites_accepted_by"),
        sa.UniqueConstraint("token_hash", name="uq_invites_token_hash"),
        sqlite_autoincrement=True,
    )
    for name in ("account_id", "email_key", "accepted_by"):
        index(f"ix_invites_{name}", "invites", name)


def _contacts() -> None:
    table(
        "contacts",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("email", sa.String(320), nullable=False),
        sa.Column("email_key", exact(320)),
        sa.Column("first_name", exact(100), nullable=False),
        sa.Column("last_name", exact(100), nullable=False),
        sa.Column("company_name", exact(200), nullable=False),
        sa.Column("address1", exact(200), nullable=False),
        sa.Column("address2", exact(200), nullable=False),
        sa.Column("city", exact(100), nullable=False),
        sa.Column("state", exact(100), nullable=False),
        sa.Column("postcode", exact(32), nullable=False),
        sa.Column("country", exact(2), nullable=False),
        sa.Column("phone_number", exact(64), nullable=False),
        sa.Column("tax_id", sa.String(64), nullable=False),
        sa.Column("email_preferences", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_contacts"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_contacts_account_id", ondelete="CASCADE"),
        sqlite_autoincrement=True,
    )
    for name in ("account_id", "email_key"):
        index(f"ix_contacts_{name}", "contacts", name)


def _roles() -> None:
    table(
        "api_roles",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("name", exact(100), nullable=False),
        sa.Column("actions", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_api_roles"),
        sa.UniqueConstraint("name", name="uq_api_roles_name"),
        sqlite_autoincrement=True,
    )
    table(
        "credential_roles",
        sa.Column("credential_id", ID, autoincrement=False, nullable=False),
        sa.Column("role_id", ID, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("credential_id", "role_id", name="pk_credential_roles"),
        sa.ForeignKeyConstraint(
            ["credential_id"], ["api_credentials.id"], name="fk_credential_roles_credential_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["role_id"], ["api_roles.id"], name="fk_credential_roles_role_id"),
    )
    index("ix_credential_roles_role_id", "credential_roles", "role_id")
