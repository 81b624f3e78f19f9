"""Databases with the project's schema, filled quickly and the same every time."""

from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple

import bcrypt

from bench.packages import FASTAPI, FLOOR, PROJECT, UVICORN
from local.database import migrate
from local.postgres import Cluster
from tests.support.database import connect

PASSWORD: Final = "correct horse battery"  # noqa: S105  # of made-up users
COST: Final = 12
FILL: Final = Path(__file__).with_name("data.sql").read_text()

# Filling is several times faster if keys and indexes are dropped before it and created after it.
CONSTRAINTS: Final = """
    SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace AND contype IN ('p', 'u', 'f') AND conrelid <> 0
    ORDER BY contype = 'f' DESC
"""
INDEXES: Final = """
    SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
    JOIN pg_class ON pg_class.oid = indrelid WHERE relnamespace = 'public'::regnamespace
"""
# A tutorial's tables have none of these. Its list counts the votes, and its search reads every title.
AS_IN_TUTORIALS: Final = (
    "DROP FUNCTION count_votes, count_moved_votes, count_no_votes, rank_new_posts, forget_deltas CASCADE",
    "DROP FUNCTION copy_new_titles, copy_changed_title CASCADE",
    "DROP TABLE post_ranks, vote_deltas, post_titles",
    "DROP INDEX ix_posts_published_newest, ix_posts_owner_newest, ix_votes_post_id",
    "ALTER TABLE posts DROP vote_count",
)


class Size(NamedTuple):
    """The number of rows; a post cannot have more votes than there are users."""

    users: int
    posts: int
    votes: int


SIZE: Final = Size(users=1_000, posts=10_000, votes=30_000)
# Posts of user 1, who sends the requests: enough for every request that changes or deletes one.
OWN_POSTS: Final = range(4_001, 8_001)
# Published posts of other users. User 1 votes once on each.
FOREIGN_POSTS: Final = range(1, 4_000, 5)


def prepare(cluster: Cluster) -> dict[str, str]:
    """Create a database for each subject, so that none reads what another wrote, and return the URLs."""
    cluster.create_database("seed")
    fill(cluster.url("seed"), SIZE)
    own = f"id BETWEEN {OWN_POSTS[0]} AND {OWN_POSTS[-1]}"
    cluster.execute(f"UPDATE posts SET owner_id = 1 WHERE {own}", "seed")  # noqa: S608  # two numbers
    cluster.execute("VACUUM ANALYZE", "seed")
    names = (FLOOR, FASTAPI, PROJECT, UVICORN)
    for name in names:
        cluster.execute(f'CREATE DATABASE "{name}" TEMPLATE seed')
    for name in (FASTAPI, UVICORN):
        for statement in AS_IN_TUTORIALS:
            cluster.execute(statement, name)
    return {name: cluster.url(name) for name in names}


def fill(url: str, size: Size, more: str = "") -> None:
    """Create the schema in an empty database and fill it; run `more` before the indexes are created."""
    migrate(url)
    with closing(connect(url)) as connection:
        _fill(connection, size, more)


def _fill(connection: Any, size: Size, more: str) -> None:  # noqa: ANN401  # pg8000 has no types
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
    connection.run(FILL + more)
    for _, definition in indexes:
        connection.run(definition)
    for table, name, definition in reversed(constraints):
        connection.run(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
    connection.run("VACUUM ANALYZE")
