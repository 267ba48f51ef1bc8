"""Where the answers go that a person allowed to an application which registered itself — security §17."""

import sqlalchemy as sa

from bridge.database.migrations.steps import column

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Remember it; who allowed such an application something before is asked once more."""
    column("consents", sa.Column("places", sa.Text()))
