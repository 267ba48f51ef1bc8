"""Clients that register themselves, and the tokens by which they may — RFC 7591, RFC 7592."""

import sqlalchemy as sa

from bridge.database.migrations.steps import ID, column, exact, table

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the tokens' table, and the column of the token that manages a client."""
    column("oauth_clients", sa.Column("registration_hash", sa.String(255)))
    table(
        "initial_access_tokens",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("name", exact(100), nullable=False),
        sa.Column("identifier", exact(22), nullable=False),
        sa.Column("token_hash", sa.String(255), nullable=False),
        sa.Column("uses_left", sa.Integer()),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_initial_access_tokens"),
        sa.UniqueConstraint("name", name="uq_initial_access_tokens_name"),
        sa.UniqueConstraint("identifier", name="uq_initial_access_tokens_identifier"),
        sqlite_autoincrement=True,
    )
