"""Passkeys, and codes for whoever lost everything else — sessions-and-accounts A8."""

import sqlalchemy as sa

from bridge.database.migrations.steps import BLOB, ID, exact, index, table

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make their tables."""
    table(
        "passkeys",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("credential_hash", exact(64), nullable=False),
        sa.Column("credential_id", BLOB, nullable=False),
        sa.Column("public_key", BLOB, nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("transports", sa.String(255), nullable=False),
        sa.Column("label", sa.String(100), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_passkeys"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_passkeys_user_id", ondelete="CASCADE"),
        sa.UniqueConstraint("credential_hash", name="uq_passkeys_credential_hash"),
        sqlite_autoincrement=True,
    )
    index("ix_passkeys_user_id", "passkeys", "user_id")
    table(
        "recovery_codes",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("code_hash", exact(64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_recovery_codes"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_recovery_codes_user_id", ondelete="CASCADE"),
        sa.UniqueConstraint("code_hash", name="uq_recovery_codes_code_hash"),
        sqlite_autoincrement=True,
    )
    index("ix_recovery_codes_user_id", "recovery_codes", "user_id")
