"""What Alembic runs: the revisions, in the transaction that `bridge.database.migrate` began and locked."""

from alembic import context

from bridge.database.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
