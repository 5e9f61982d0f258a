"""Run by Alembic: applies migrations on the connection that `store/database.py` hands over, in its transaction."""

from alembic import context

from fleetseal.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
