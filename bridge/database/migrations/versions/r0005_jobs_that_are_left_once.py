"""A job of the outbox that may be left by several and is delivered once — Back-Channel Logout 1.0."""

import sqlalchemy as sa

from bridge.database.migrations.steps import column, exact, index

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Give it a name; a job without one is as before."""
    column("outbox", sa.Column("once", exact(64)))
    index("ix_outbox_once", "outbox", "once", unique=True)
