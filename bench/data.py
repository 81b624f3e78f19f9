"""Data sets: the project's schema, filled quickly and the same every time."""

from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import bcrypt
import pg8000.native

import migrations

PASSWORD: Final = "correct horse battery"  # noqa: S105  # of made-up users
COST: Final = 12
FILL: Final = Path(__file__).with_name("data.sql").read_text()

# Keys and indexes are dropped first and made from the full table last, which is several times faster.
CONSTRAINTS: Final = """
    SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace AND contype IN ('p', 'u', 'f') AND conrelid <> 0
    ORDER BY contype = 'f' DESC
"""
INDEXES: Final = """
    SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
    JOIN pg_class ON pg_class.oid = indrelid WHERE relnamespace = 'public'::regnamespace
"""


class Size(NamedTuple):
    """How much data; a post cannot have more votes than there are users."""

    users: int
    posts: int
    votes: int


def connect(url: str) -> Any:  # noqa: ANN401  # pg8000 has no types
    """Return a connection to the database at a URL of the cluster."""
    parts = urlsplit(url)
    return pg8000.native.Connection(
        parts.username, host=parts.hostname, port=parts.port, database=parts.path[1:], ssl_context=False
    )


def fill(url: str, size: Size) -> None:
    """Make the schema in an empty database and fill it."""
    migrations.upgrade(url)
    connection = connect(url)
    try:
        _fill(connection, size)
    finally:
        connection.close()


def _fill(connection: Any, size: Size) -> None:  # noqa: ANN401  # pg8000 has no types
    connection.run(
        "SET maintenance_work_mem = '1GB'; SET work_mem = '512MB'; SET session_replication_role = replica"
    )
    constraints = connection.run(CONSTRAINTS)
    for table, name, _ in constraints:
        connection.run(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    indexes = connection.run(INDEXES)
    for name, _ in indexes:
        connection.run(f"DROP INDEX {name}")
    connection.run("CREATE TEMP TABLE size (users integer, posts integer, votes integer, hash text)")
    digest = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(COST)).decode()
    connection.run(
        "INSERT INTO size VALUES (:users, :posts, :votes, :digest)", **size._asdict(), digest=digest
    )
    connection.run(FILL)
    for _, definition in indexes:
        connection.run(definition)
    for table, name, definition in reversed(constraints):
        connection.run(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
    connection.run("VACUUM ANALYZE")
