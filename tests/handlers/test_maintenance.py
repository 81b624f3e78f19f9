"""The daily removal of rows that requests only marked or left behind."""

from collections.abc import Callable
from contextlib import closing
from functools import partial

import pytest

from maintenance import queries
from maintenance.sweeper import REMOVALS, Batches, handler
from tests.docs.pages import ROOT, under
from tests.support.counters import vote_counts, wrong_counters
from tests.support.database import PASSWORD, Database, connect
from tests.support.lambdas import Context, call

pytestmark = pytest.mark.usefixtures("_cheap_hashes")


def count(database: Database, table: str) -> int:
    number: int = database.value(f"SELECT count(*) FROM {table}")
    return number


def delete_account(user: int) -> None:
    assert call("delete_account", user=user, body={"current_password": PASSWORD}).status == 204


def add_posts(database: Database, owner: int, number: int) -> None:
    database.run(
        "INSERT INTO posts (owner_id, title, content)"
        " SELECT :owner, 'Title', 'Content' FROM generate_series(1, CAST(:number AS integer))",
        owner=owner,
        number=number,
    )


def add_voters(database: Database, number: int) -> None:
    database.run(
        "INSERT INTO users (email, password) SELECT 'voter' || n || '@example.com', 'x'"
        " FROM generate_series(1, CAST(:number AS integer)) AS n",
        number=number,
    )


def vote_on_all_posts(database: Database, voters: str) -> None:
    database.run(
        f"INSERT INTO votes (user_id, post_id) SELECT u.id, p.id FROM users u, posts p WHERE {voters}"
    )


def test_the_statements_of_operations_md_delete_an_account_like_its_user(
    ada: int, bob: int, database: Database
) -> None:
    database.run("UPDATE users SET phone_number = '1', verified_email = email")
    for user in (ada, bob):
        database.add_mail_token(user, f"hash {user}", f"old{user}@example.com", "revert")
    post = database.add_post(ada)
    database.add_vote(ada, database.add_post(bob))
    [block] = under(ROOT / "docs" / "operations.md", "Deleting an account by hand")
    for statement in block.text.split(";\n"):
        database.run(statement.replace(":id", str(ada)))
    assert call("read_account", user=ada).status == 401
    assert call("read_post", user=bob, item=post).status == 404
    delete_account(bob)
    [by_hand], [by_user] = database.run(
        "SELECT replace((to_jsonb(u) - '{id,created_at,deleted_at}'::text[])::text, id::text, '')"
        " FROM users u"
    )
    assert by_hand == by_user
    assert database.value("SELECT count(*) FROM sessions WHERE ended_at IS NULL") == 0
    assert count(database, "mail_tokens") == 0
    assert handler({}, Context())["deleted users"] == 2


def test_a_deleted_account_is_removed_in_batches_with_all_that_is_its_own(
    ada: int, bob: int, database: Database
) -> None:
    add_posts(database, ada, 300)
    add_posts(database, bob, 1200)
    add_voters(database, 5)
    vote_on_all_posts(database, "true")
    for user in (ada, bob):
        assert call("update_account", user=user, body={"phone_number": "1"}).status == 200
    delete_account(ada)
    assert count(database, "votes") == 7 * 1500
    removed = handler({}, Context())
    # 1,500 votes of the user, and 300 posts with six votes each that are left.
    assert removed["votes of deleted users"] == 1500
    assert removed["deleted posts and their votes"] == 300 + 6 * 300
    assert removed["deleted users"] == 1
    assert count(database, "posts") == 1200
    assert count(database, "votes") == 6 * 1200
    assert set(vote_counts(database.run).values()) == {6}
    assert count(database, "deleted_users") == 0
    assert database.value("SELECT count(*) FROM users WHERE id = :ada", ada=ada) == 0
    assert database.run("SELECT user_id FROM quota_usage") == [[bob]]
    assert not any(handler({}, Context()).values())


def test_a_deleted_post_is_removed_after_its_last_vote(ada: int, database: Database) -> None:
    kept, deleted = database.add_post(ada), database.add_post(ada)
    add_voters(database, 1500)
    vote_on_all_posts(database, "u.email LIKE 'voter%'")
    assert call("delete_post", user=ada, item=deleted).status == 204
    removed = handler({}, Context())
    assert removed["deleted posts and their votes"] == 1501
    assert vote_counts(database.run) == {kept: 1500}


def test_a_run_stops_when_its_time_is_up_and_the_next_one_goes_on(ada: int, database: Database) -> None:
    add_posts(database, ada, 1500)
    vote_on_all_posts(database, "true")
    delete_account(ada)
    assert not any(handler({}, Context(milliseconds=500)).values())
    assert count(database, "votes") == 1500
    assert handler({}, Context())["votes of deleted users"] == 1500


class CrashError(Exception):
    """The function ends in the middle of a run."""


def crash_after(batches: Callable[[], Batches]) -> Batches:
    for removed in batches():
        if removed:
            raise CrashError
        yield removed


def completes_a_run() -> bool:
    try:
        handler({}, Context())
    except CrashError:
        return False
    return True


def test_runs_that_each_crash_after_a_batch_remove_everything_in_the_end(
    ada: int, bob: int, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_posts(database, ada, 450)
    add_posts(database, bob, 1200)
    add_voters(database, 1)
    vote_on_all_posts(database, "true")
    delete_account(ada)
    deleted = database.value("SELECT min(id) FROM posts WHERE owner_id = :bob", bob=bob)
    assert call("delete_post", user=bob, item=deleted).status == 204
    for kind, batches in REMOVALS.items():
        monkeypatch.setitem(REMOVALS, kind, partial(crash_after, batches))
    crashes = 0
    while not completes_a_run():
        crashes += 1
        assert wrong_counters(database.run) == []
    # Two batches of 1,650 votes, three of 450 posts, and those of a session and a user.
    assert crashes >= 7
    assert set(vote_counts(database.run).values()) == {2}
    assert count(database, "posts") == 1199
    assert count(database, "deleted_users") == 0


def test_a_batch_waits_for_no_row_that_others_have_locked(ada: int, bob: int, database: Database) -> None:
    posts = [database.add_post(bob) for _ in range(2)]
    vote_on_all_posts(database, f"u.id = {ada}")
    delete_account(ada)
    other = connect(database.url)
    other.run("BEGIN")
    other.run("SELECT FROM votes WHERE post_id = :post FOR UPDATE", post=posts[0])
    try:
        removed = handler({}, Context())
        assert (removed["votes of deleted users"], removed["deleted users"]) == (1, 0)
    finally:
        other.run("ROLLBACK")
        other.close()
    assert handler({}, Context())["deleted users"] == 1
    assert count(database, "votes") == 0


def test_ended_and_abandoned_sessions_are_removed_with_their_tokens(ada: int, database: Database) -> None:
    sessions = [
        database.value(
            "INSERT INTO sessions (user_id, ended_at, renewed_at)"
            " VALUES (:ada, CAST(:ended_at AS timestamptz), now() - make_interval(days => :days))"
            " RETURNING id",
            ada=ada,
            ended_at=ended_at,
            days=days,
        )
        for ended_at, days in ((None, 29), (None, 31), ("2026-01-01", 0))
    ]
    for session in sessions:
        database.run(
            "INSERT INTO refresh_tokens (hash, session_id, created_at, used_at)"
            " SELECT id || ' ' || days, id, now() - make_interval(days => days + 1),"
            "        now() - make_interval(days => days)"
            " FROM (SELECT CAST(:id AS uuid)) AS s (id), unnest(ARRAY[29, 31]) AS days",
            id=session,
        )
    removed = handler({}, Context())
    # The second session has a token that was used less than a month ago.
    assert (removed["tokens of ended sessions"], removed["old refresh tokens"]) == (2, 2)
    assert removed["sessions"] == 1
    left = {row[0] for row in database.run("SELECT session_id FROM refresh_tokens")}
    assert left == {sessions[0], sessions[1]}


def test_a_row_in_the_last_part_of_a_table_is_removed(ada: int, database: Database) -> None:
    database.run(
        "INSERT INTO sessions (user_id, user_agent)"
        " SELECT :ada, repeat('x', 500) FROM generate_series(1, 3000)",
        ada=ada,
    )
    ended = "INSERT INTO sessions (user_id, ended_at) VALUES (:ada, now())"
    database.run(ended, ada=ada)
    assert database.value("SELECT pg_relation_size('sessions') / 8192") > 128
    assert handler({}, Context())["sessions"] == 1


def test_old_idempotency_keys_and_login_attempts_are_removed(ada: int, database: Database) -> None:
    database.run(
        "INSERT INTO idempotency_keys (user_id, key, fingerprint, post_id, created_at)"
        " SELECT :ada, hours::text, 'x', 1, now() - make_interval(hours => hours)"
        " FROM unnest(ARRAY[23, 25]) AS hours",
        ada=ada,
    )
    database.run(
        "INSERT INTO login_attempts (key, touched_at)"
        " SELECT sha256(hours::text::bytea), now() - make_interval(hours => hours)"
        " FROM unnest(ARRAY[23, 25]) AS hours"
    )
    removed = handler({}, Context())
    assert (removed["idempotency keys"], removed["login attempts"]) == (1, 1)
    assert database.run("SELECT key FROM idempotency_keys") == [["23"]]


@pytest.mark.usefixtures("bob")
def test_votes_that_could_not_lock_a_counter_are_added_to_it(ada: int, database: Database) -> None:
    first, second = database.add_post(ada), database.add_post(ada)
    with closing(connect(database.url)) as other:
        other.run("BEGIN")
        other.run("SELECT FROM post_ranks FOR UPDATE")
        vote_on_all_posts(database, "true")
        assert count(database, "vote_deltas") == 2
        assert handler({}, Context())["vote deltas"] == 0
        other.run("ROLLBACK")
    database.add_vote(database.add_user("eve@example.com"), first)
    assert count(database, "vote_deltas") == 1
    assert handler({}, Context())["vote deltas"] == 1
    assert dict(database.run("SELECT post_id, vote_count FROM post_ranks")) == {first: 3, second: 2}
    assert wrong_counters(database.run) == []


def test_tokens_of_mails_are_removed_when_they_have_expired(ada: int, database: Database) -> None:
    database.run(
        "INSERT INTO mail_tokens SELECT :ada, 'reset', n, n::text, 'e', 'e', '', now() + seconds"
        " FROM (VALUES (1, interval '-1 s'), (2, interval '1 hour')) AS tokens (n, seconds)",
        ada=ada,
    )
    assert handler({}, Context())["tokens of mails"] == 1
    assert database.run("SELECT slot FROM mail_tokens") == [[2]]


def test_a_batch_of_tokens_of_mails_has_a_thousand(ada: int, database: Database) -> None:
    database.run(
        "INSERT INTO mail_tokens SELECT :ada, 'reset', n, n::text, 'e', 'e', '', now() - interval '1 s'"
        " FROM generate_series(1, 1001) AS n",
        ada=ada,
    )
    assert [batch.removed for _ in range(2) for batch in queries.remove_mail_tokens()] == [1000, 1]
