"""The role of the functions, `app`: it reads and writes rows, and can do nothing else.

The role that migrates owns the tables. The statements can run any number of times, and on any PostgreSQL: the
role `rds_iam`, whose members log in with an IAM token, exists on AWS only.
"""

from collections.abc import Iterable

from sqlalchemy import Connection

from common.connection import ROLE_SETTINGS

APP = "app"

CREATE = f"""
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{APP}') THEN
        CREATE ROLE {APP} LOGIN;
    END IF;
    IF EXISTS (
        SELECT FROM pg_roles WHERE rolname = 'rds_iam' AND NOT pg_has_role('{APP}', oid, 'MEMBER')
    ) THEN
        GRANT rds_iam TO {APP};
    END IF;
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO {APP}', current_database());
END
$$
"""  # noqa: S608  # a constant
BEFORE_REVISIONS = (
    CREATE,
    # Here and not in the functions, because SET pins a session of RDS Proxy.
    *(f"ALTER ROLE {APP} SET {name} = '{value}'" for name, value in ROLE_SETTINGS.items()),
    "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
    f"GRANT USAGE ON SCHEMA public TO {APP}",
    f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {APP}",
    f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE ON SEQUENCES TO {APP}",
)
# Default privileges do not apply to the tables that existed before them.
AFTER_REVISIONS = (
    f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {APP}",
    f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {APP}",
    f"REVOKE ALL ON alembic_version FROM {APP}",
)


def prepare(connection: Connection) -> None:
    """Create the role of the functions, and grant it the use of tables that are created later."""
    _run(connection, BEFORE_REVISIONS)


def grant(connection: Connection) -> None:
    """Grant the role of the functions the use of the tables that exist."""
    _run(connection, AFTER_REVISIONS)


def _run(connection: Connection, statements: Iterable[str]) -> None:
    with connection.begin():
        for statement in statements:
            connection.exec_driver_sql(statement)
