"""Requests for accounts, which wait for whoever reads the mail of their address — sessions-and-accounts §6.2."""

import sqlalchemy as sa

from bridge.database.migrations.steps import BLOB, ID, exact, index, ordered, table

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the table."""
    table(
        "sign_ups",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("email", sa.String(320), nullable=False),
        sa.Column("email_key", ordered(320), nullable=False),
        sa.Column("token_hash", exact(64), nullable=False),
        sa.Column("token_enc", BLOB),
        sa.Column("browser", exact(64), nullable=False),
        sa.Column("interaction", exact(64)),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sign_ups"),
        sa.UniqueConstraint("token_hash", name="uq_sign_ups_token_hash"),
        sqlite_autoincrement=True,
    )
    index("ix_sign_ups_email_key", "sign_ups", "email_key")
    index("ix_sign_ups_expires_at", "sign_ups", "expires_at")
