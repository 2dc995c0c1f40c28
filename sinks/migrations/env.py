"""Alembic's entry point: runs on the connection that sinks.database hands over."""

from alembic import context

from sinks.schema import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
