"""Runs the revisions. Alembic imports this module for each of its commands."""

from typing import Any

from alembic import context
from sqlalchemy import Connection, event

from common.models import Base


def end_transaction(connection: Connection, options: dict[str, Any]) -> None:
    """End the transaction in which alembic reads the isolation level before an autocommit block.

    CREATE INDEX CONCURRENTLY cannot run in a transaction.
    """
    if options.get("isolation_level") == "AUTOCOMMIT":
        connection.connection.rollback()


if context.is_offline_mode():  # prints the SQL, for scripts/lint_revisions.py
    context.configure(dialect_name="postgresql", literal_binds=True, transaction_per_migration=True)
else:
    connection = context.config.attributes["connection"]
    event.listen(connection.engine, "set_connection_execution_options", end_transaction)
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        compare_server_default=True,
        # If a revision fails, those before it remain applied.
        transaction_per_migration=True,
    )
with context.begin_transaction():
    context.run_migrations()
