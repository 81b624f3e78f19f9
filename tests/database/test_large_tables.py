"""No statement reads all rows of a table that requests add to, however many there are."""

from tests.support.database import Database
from tests.support.plans import plan_with, rows_read
from tests.support.statements import statements, values

ROWS = 40_000
FILL = (
    "INSERT INTO users (email, lower_case_email, password)"
    f" SELECT n || '@example.com', n || '@example.com', 'x' FROM generate_series(1, {ROWS}) AS n",
    "INSERT INTO sessions (id, user_id) SELECT md5(id::text)::uuid, id FROM users",
    "INSERT INTO refresh_tokens (hash, session_id) SELECT id, id FROM sessions",
    "INSERT INTO login_attempts (key, touched_at) SELECT sha256(email::bytea), now() FROM users",
    "INSERT INTO mail_tokens"
    " SELECT id, 'reset', 1, id, email, email, '', now() + interval '1 day' FROM users",
    "INSERT INTO idempotency_keys (user_id, key, fingerprint, post_id, created_at)"
    " SELECT id, 'key', repeat('x', 64), 1, now() FROM users",
    "INSERT INTO quota_usage (user_id, action, used, resets_at) SELECT id, 'posts', 1, now() FROM users",
)
TABLES = [sql.split()[2] for sql in FILL]


def test_no_statement_reads_all_rows(database: Database) -> None:
    viewer = database.add_user()
    database.run("SET session_replication_role = replica")
    for sql in FILL:
        database.run(sql)
    database.run("SET session_replication_role = DEFAULT")
    database.run("VACUUM ANALYZE")
    for name, statement in statements():
        nodes = plan_with(database, statement, values(name, viewer, post_id=1, author=1, limit=10))
        read = {table: rows_read(nodes, table) for table in TABLES}
        # Maintenance reads a part of a table at once.
        assert max(read.values()) < ROWS / 2, (name, read)
