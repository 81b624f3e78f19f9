"""Runs the revisions; alembic imports it."""

from alembic import context

from common.models import Base

if context.is_offline_mode():  # prints the SQL, for the check of the revisions
    context.configure(dialect_name="postgresql", literal_binds=True, transaction_per_migration=True)
else:
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=Base.metadata,
        compare_server_default=True,
        # What one revision did stands when the next one fails.
        transaction_per_migration=True,
    )
with context.begin_transaction():
    context.run_migrations()
