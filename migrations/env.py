"""Runs the revisions; alembic imports it."""

from typing import Any

from alembic import context
from sqlalchemy import Connection, event

from common.models import Base


def leave_transaction(connection: Connection, options: dict[str, Any]) -> None:
    """End what alembic began when it asked for the isolation level: no index is made CONCURRENTLY in that."""
    if options.get("isolation_level") == "AUTOCOMMIT":
        connection.connection.rollback()


if context.is_offline_mode():  # prints the SQL, for the check of the revisions
    context.configure(dialect_name="postgresql", literal_binds=True, transaction_per_migration=True)
else:
    connection = context.config.attributes["connection"]
    event.listen(connection.engine, "set_connection_execution_options", leave_transaction)
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        compare_server_default=True,
        # What one revision did stands when the next one fails.
        transaction_per_migration=True,
    )
with context.begin_transaction():
    context.run_migrations()
