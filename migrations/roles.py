"""Who may do what in the database: the functions' role reads and writes rows, and that is all.

The role that migrates owns the tables. What is here may be run again and again, and on any PostgreSQL: the
role that lets somebody in with a token of AWS exists only there.
"""

from collections.abc import Iterable

from sqlalchemy import Connection

APPLICATION = "app"

CREATE = f"""
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{APPLICATION}') THEN
        CREATE ROLE {APPLICATION} LOGIN;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'rds_iam') THEN
        GRANT rds_iam TO {APPLICATION};
    END IF;
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO {APPLICATION}', current_database());
END
$$
"""  # noqa: S608  # a constant of ours
BEFORE = (
    CREATE,
    # The functions wait 3 s for an answer: the server gives up before, and leaves nothing in doubt.
    f"ALTER ROLE {APPLICATION} SET statement_timeout = '2500ms'",
    f"ALTER ROLE {APPLICATION} SET lock_timeout = '2s'",
    f"ALTER ROLE {APPLICATION} SET idle_in_transaction_session_timeout = '10s'",
    "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
    f"GRANT USAGE ON SCHEMA public TO {APPLICATION}",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA public"
    f" GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {APPLICATION}",
    f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE ON SEQUENCES TO {APPLICATION}",
)
# For the tables that are older than the default privileges.
AFTER = (
    f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {APPLICATION}",
    f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {APPLICATION}",
    f"REVOKE ALL ON alembic_version FROM {APPLICATION}",
)


def prepare(connection: Connection) -> None:
    """Make the application's role, and let it use the tables that are going to be made."""
    _run(connection, BEFORE)


def grant(connection: Connection) -> None:
    """Let the application's role use the tables that there are."""
    _run(connection, AFTER)


def _run(connection: Connection, statements: Iterable[str]) -> None:
    with connection.begin():
        for statement in statements:
            connection.exec_driver_sql(statement)
