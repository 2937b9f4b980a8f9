"""What alembic runs: the revisions, on the connection that holds the lock."""

from alembic import context

from cds_service.web.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
