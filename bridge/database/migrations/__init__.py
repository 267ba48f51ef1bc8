"""Alembic's folder: how an empty or an older database becomes today's; run by `bridge.database.migrate`."""
