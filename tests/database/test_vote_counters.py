"""The counter of a post and its deltas add up to the votes that are stored, whatever writes to the tables."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from io import BytesIO

import pg8000.native
import pytest
from pg8000.exceptions import DatabaseError

import votes.queries
from maintenance.queries import fold_vote_deltas
from tests.support.counters import wrong_counters
from tests.support.database import PER_DAY, Database, connect, principal_of

ADA, BOB, EVE = 1, 2, 3
FIRST, SECOND, THIRD = 101, 102, 103
SERIALIZATION_FAILURE = "40001"
FEATURE_NOT_SUPPORTED = "0A000"

# Ada has voted on all posts, Bob on the first; each owns one, Eve two.
FILL = (
    "INSERT INTO users (id, email, password)"
    " SELECT n, n || '@example.com', 'x' FROM generate_series(1, 3) AS n",
    "INSERT INTO posts (id, title, content, owner_id)"
    " SELECT 100 + n, 'Title', 'Content', least(n, 3) FROM generate_series(1, 4) AS n",
    "INSERT INTO votes (post_id, user_id) SELECT id, 1 FROM posts",
    "INSERT INTO votes (post_id, user_id) VALUES (101, 2)",
)
WRITERS = {
    "insert": "INSERT INTO votes (user_id, post_id) VALUES (2, 102)",
    "insert of many": "INSERT INTO votes (user_id, post_id) SELECT 3, id FROM posts",
    "insert of what is there": "INSERT INTO votes (user_id, post_id) VALUES (1, 101) ON CONFLICT DO NOTHING",
    "insert or update": "INSERT INTO votes (user_id, post_id) SELECT users.id, posts.id FROM users, posts"
    " ON CONFLICT (user_id, post_id) DO UPDATE SET post_id = excluded.post_id",
    "insert or move": "INSERT INTO votes (user_id, post_id) VALUES (1, 101), (3, 101)"
    " ON CONFLICT (user_id, post_id) DO UPDATE SET user_id = 2, post_id = 103",
    "merge": "MERGE INTO votes USING users ON user_id = users.id AND post_id = 101"
    " WHEN MATCHED AND user_id = 1 THEN DELETE WHEN MATCHED THEN UPDATE SET post_id = 104"
    " WHEN NOT MATCHED THEN INSERT (user_id, post_id) VALUES (users.id, 102)",
    "delete": "DELETE FROM votes WHERE user_id = 1 AND post_id = 101",
    "delete of many": "DELETE FROM votes",
    "delete of none": "DELETE FROM votes WHERE user_id = 3",
    "move to another post": "UPDATE votes SET post_id = 104 WHERE user_id = 2",
    "move to another voter": "UPDATE votes SET user_id = 3 WHERE user_id = 1",
    "move nowhere": "UPDATE votes SET post_id = post_id",
    "several at once": "WITH removed AS (DELETE FROM votes WHERE user_id = 1 RETURNING post_id),"
    " moved AS (UPDATE votes SET post_id = 104 WHERE user_id = 2)"
    " INSERT INTO votes (user_id, post_id) SELECT 3, post_id FROM removed",
}
# These delete counters as well, and wait for a transaction that has locked one.
DELETIONS = {
    "delete a post": "DELETE FROM posts WHERE id = 101",
    "delete all posts": "DELETE FROM posts",
    "delete a voter": "DELETE FROM users WHERE id = 1",
    "delete an author": "DELETE FROM users WHERE id = 3",
    "delete everyone": "DELETE FROM users",
    "truncate votes": "TRUNCATE votes",
    "truncate posts": "TRUNCATE posts CASCADE",
    "truncate users": "TRUNCATE users CASCADE",
}


@pytest.fixture
def other(database: Database) -> Iterator[pg8000.native.Connection]:
    """Return another connection."""
    with closing(connect(database.url)) as connection:
        yield connection


@pytest.fixture(autouse=True)
def _no_long_waits(database: Database) -> Iterator[None]:
    """Let a statement that waits for a lock fail, where the test itself holds the lock."""
    database.run("SET lock_timeout = '5s'")
    yield
    database.run("RESET lock_timeout")


@contextmanager
def locked_counters(connection: pg8000.native.Connection) -> Iterator[None]:
    """Hold the lock of each counter."""
    connection.run("BEGIN")
    connection.run("SELECT FROM post_ranks FOR NO KEY UPDATE")
    try:
        yield
    finally:
        connection.run("COMMIT")


@contextmanager
def rolled_back(database: Database) -> Iterator[None]:
    """Roll back what is done."""
    database.run("BEGIN")
    try:
        yield
    finally:
        database.run("ROLLBACK")


@pytest.fixture
def _filled(database: Database) -> None:
    """Add users, posts and votes, all of which the counters include."""
    for statement in FILL:
        database.run(statement)
    for user in (ADA, BOB, EVE):
        database.add_session(user)
    assert deltas(database) == 0


@pytest.fixture
def _pending(_filled: None, database: Database, other: pg8000.native.Connection) -> None:
    """Delete some votes and add them again, so that some posts have deltas."""
    with locked_counters(other):
        database.run("DELETE FROM votes WHERE user_id = 1 AND post_id <= 102")
        database.run("INSERT INTO votes (user_id, post_id) VALUES (1, 101), (1, 102)")
        database.run("UPDATE votes SET post_id = 102 WHERE user_id = 2")
        database.run("UPDATE votes SET post_id = 101 WHERE user_id = 2")
    assert deltas(database) == 8


def deltas(database: Database) -> int:
    number: int = database.value("SELECT count(*) FROM vote_deltas")
    return number


def assert_exact(database: Database) -> None:
    assert wrong_counters(database.run) == []
    assert database.value("SELECT count(*) FROM posts") == database.value("SELECT count(*) FROM post_ranks")
    assert database.run("SELECT post_id FROM vote_deltas WHERE post_id NOT IN (SELECT id FROM posts)") == []


def vote_on_everything(database: Database) -> None:
    """Vote on each post, and take the vote back, so that its deltas are folded."""
    database.run("INSERT INTO users (id, email, password) VALUES (9, '9@example.com', 'x')")
    database.run("INSERT INTO votes (user_id, post_id) SELECT 9, id FROM posts")
    database.run("DELETE FROM votes WHERE user_id = 9")


@pytest.mark.usefixtures("_pending")
@pytest.mark.parametrize("writer", [*WRITERS, *DELETIONS])
def test_each_writer_leaves_exact_counters(writer: str, database: Database) -> None:
    statement = (WRITERS | DELETIONS)[writer]
    with rolled_back(database):
        database.run(statement)
        assert_exact(database)
    assert_exact(database)
    database.run(statement)
    assert_exact(database)
    vote_on_everything(database)
    assert_exact(database)
    assert deltas(database) == 0


@pytest.mark.usefixtures("_pending")
@pytest.mark.parametrize("writer", WRITERS)
def test_each_writer_of_votes_does_not_wait_for_a_locked_counter(
    writer: str, database: Database, other: pg8000.native.Connection
) -> None:
    with locked_counters(other):
        database.run(WRITERS[writer])
        assert_exact(database)
    vote_on_everything(database)
    assert_exact(database)
    assert deltas(database) == 0


@pytest.mark.usefixtures("_filled")
def test_copied_votes_are_counted(database: Database, other: pg8000.native.Connection) -> None:
    other.run("COPY votes (user_id, post_id) FROM STDIN", stream=BytesIO(b"3\t101\n3\t102\n"))
    assert_exact(database)
    assert database.value("SELECT vote_count FROM post_ranks WHERE post_id = 101") == 3


@pytest.mark.usefixtures("_filled")
def test_a_vote_returns_at_once_while_another_transaction_has_the_counter(
    database: Database, other: pg8000.native.Connection
) -> None:
    with locked_counters(other):
        assert votes.queries.cast(principal_of(EVE), post_id=FIRST, per_day=PER_DAY, verified_only=False) == [
            (True, True, None, True)
        ]
        assert votes.queries.retract(
            principal_of(BOB), post_id=FIRST, per_day=PER_DAY, verified_only=False
        ) == [(True, True, None, True)]
        assert votes.queries.cast(
            principal_of(BOB), post_id=SECOND, per_day=PER_DAY, verified_only=False
        ) == [(True, True, None, True)]
        assert database.run("SELECT post_id, step FROM vote_deltas ORDER BY id") == [
            [FIRST, 1],
            [FIRST, -1],
            [SECOND, 1],
        ]
        assert_exact(database)


@pytest.mark.usefixtures("_filled")
def test_the_next_vote_folds_the_deltas_of_its_post(
    database: Database, other: pg8000.native.Connection
) -> None:
    with locked_counters(other):
        votes.queries.cast(principal_of(EVE), post_id=FIRST, per_day=PER_DAY, verified_only=False)
        votes.queries.cast(principal_of(EVE), post_id=SECOND, per_day=PER_DAY, verified_only=False)
    votes.queries.retract(principal_of(ADA), post_id=FIRST, per_day=PER_DAY, verified_only=False)
    assert database.run("SELECT post_id FROM vote_deltas") == [[SECOND]]
    assert database.value("SELECT vote_count FROM post_ranks WHERE post_id = 101") == 2
    assert_exact(database)


@pytest.mark.usefixtures("_filled")
def test_one_vote_folds_a_thousand_deltas_at_most(database: Database) -> None:
    database.run("INSERT INTO vote_deltas (post_id, step) SELECT 101, 1 FROM generate_series(1, 1500)")
    database.run("UPDATE post_ranks SET vote_count = vote_count - 1500 WHERE post_id = 101")
    votes.queries.cast(principal_of(EVE), post_id=FIRST, per_day=PER_DAY, verified_only=False)
    assert deltas(database) == 500
    assert_exact(database)
    votes.queries.retract(principal_of(EVE), post_id=FIRST, per_day=PER_DAY, verified_only=False)
    assert deltas(database) == 0
    assert_exact(database)


def begin_repeatable_read(connection: pg8000.native.Connection) -> None:
    """Begin a transaction whose snapshot is of this moment."""
    connection.run("BEGIN ISOLATION LEVEL REPEATABLE READ")
    connection.run("SELECT count(*) FROM posts")


@pytest.mark.usefixtures("_pending")
@pytest.mark.parametrize("writer", [*WRITERS, *DELETIONS])
@pytest.mark.parametrize("folded", [False, True])
def test_a_writer_with_an_old_snapshot_leaves_exact_counters_or_fails(
    writer: str, database: Database, other: pg8000.native.Connection, *, folded: bool
) -> None:
    begin_repeatable_read(other)
    with closing(connect(database.url)) as third, locked_counters(third):
        vote_on_everything(database)
    if folded:
        database.run("INSERT INTO votes (user_id, post_id) VALUES (9, 101)")
    outcome = run_and_commit(other, (WRITERS | DELETIONS)[writer])
    assert outcome in {"", FEATURE_NOT_SUPPORTED if writer.startswith("truncate") else SERIALIZATION_FAILURE}
    assert wrong_counters(database.run) == []
    database.run("DELETE FROM votes WHERE user_id = 9")
    assert wrong_counters(database.run) == []


def run_and_commit(connection: pg8000.native.Connection, statement: str) -> str:
    """Run a statement in an open transaction and end it; return the SQLSTATE of an error, else nothing."""
    try:
        connection.run(statement)
    except DatabaseError as error:
        connection.run("ROLLBACK")
        return str(error.args[0]["C"])
    connection.run("COMMIT")
    return ""


@pytest.mark.usefixtures("_filled")
def test_votes_of_a_post_that_an_old_snapshot_does_not_see_are_not_truncated(
    database: Database, other: pg8000.native.Connection
) -> None:
    begin_repeatable_read(other)
    database.run("INSERT INTO posts (id, title, content, owner_id) VALUES (105, 'Title', 'Content', 1)")
    database.run("INSERT INTO votes (user_id, post_id) VALUES (1, 105)")
    with pytest.raises(DatabaseError, match="READ COMMITTED"):
        other.run("TRUNCATE votes")
    other.run("ROLLBACK")
    assert_exact(database)


@pytest.mark.usefixtures("_filled")
def test_a_truncation_resets_what_another_transaction_folds_meanwhile(
    database: Database, other: pg8000.native.Connection
) -> None:
    database.run("DELETE FROM votes")
    database.run("INSERT INTO votes (user_id, post_id) VALUES (1, 101)")
    with locked_counters(other):
        database.run("UPDATE votes SET post_id = 102")
    # Its counter is 0 in each snapshot before the fold ends.
    other.run("BEGIN")
    other.run(fold_vote_deltas.sql)
    with ThreadPoolExecutor(1) as pool, closing(connect(database.url)) as third:
        truncated = pool.submit(third.run, "TRUNCATE votes")
        database.wait_for_locks(1)
        other.run("COMMIT")
        truncated.result()
    assert_exact(database)


MANY = 1_000


def rows_read(connection: pg8000.native.Connection) -> int:
    """Return how many rows this transaction has read of tables that counting votes touches."""
    [[number]] = connection.run(
        "SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)) FROM pg_stat_xact_user_tables"
        " WHERE relname IN ('posts', 'post_ranks', 'vote_deltas')"
    )
    return int(number)


def test_a_statement_of_many_votes_does_not_slow_down_the_next_votes(
    database: Database, other: pg8000.native.Connection
) -> None:
    # They share a session behind RDS Proxy, and with it the plans of the functions.
    ada = database.add_user()
    other.run(
        "INSERT INTO posts (title, content, owner_id)"
        " SELECT 'Title', '', :ada FROM generate_series(1, :many)",
        ada=ada,
        many=MANY,
    )
    database.run("ANALYZE")
    other.run("INSERT INTO votes (user_id, post_id) SELECT :ada, id FROM posts", ada=ada)
    other.run("DELETE FROM votes")
    other.run("BEGIN")
    before = rows_read(other)
    other.run("INSERT INTO votes (user_id, post_id) SELECT :ada, max(id) FROM posts", ada=ada)
    assert rows_read(other) - before < 20
    other.run("COMMIT")
