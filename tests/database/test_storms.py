"""Many concurrent statements, each on a connection of its own."""

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TypeVar

import pytest

import posts.queries
import users.queries
import votes.queries
from common import database as common_database
from common import deadline
from tests.support.connections import connection_per_thread, run_sql
from tests.support.counters import vote_counts, wrong_counters
from tests.support.database import PASSWORD_HASH, Database, connect, principal_of
from tests.support.lambdas import Context

T = TypeVar("T")

THREADS = 10
ROUNDS = 40
ACTIONS = {"cast": 45, "retract": 25, "edit": 15, "post": 15, "remove": 10, "delete_account": 2}


@pytest.fixture(autouse=True)
def _connection_per_thread() -> Iterator[None]:
    """Give each thread a connection of its own."""
    deadline.start(Context(milliseconds=60_000))
    with connection_per_thread():
        yield


def run_in_threads(number: int, work: Callable[[int], T]) -> list[T]:
    """Run the work in this many threads, which start at the same moment; return the results."""
    start = threading.Barrier(number)

    def wait_and_work(index: int) -> T:
        start.wait()
        return work(index)

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(wait_and_work, range(number)))


def assert_counters_are_exact(database: Database) -> None:
    assert wrong_counters(database.run) == []


def test_of_twenty_concurrent_sign_ups_with_one_address_one_succeeds(database: Database) -> None:
    addresses = ["Ada@example.com", "ada@example.com"] * 10

    def sign_up(index: int) -> int:
        return len(users.queries.create(email=addresses[index], password=PASSWORD_HASH))

    assert sorted(run_in_threads(20, sign_up)) == [0] * 19 + [1]
    assert database.value("SELECT count(*) FROM users") == 1


def test_of_fifty_concurrent_votes_of_one_user_one_counts(database: Database) -> None:
    ada = database.add_user()
    post_id = database.add_post(ada)
    outcomes = run_in_threads(50, lambda _: votes.queries.cast(principal_of(ada), post_id=post_id))
    assert sorted(outcomes) == [[(True, False)]] * 49 + [[(True, True)]]
    assert vote_counts(database.run) == {post_id: 1}


def test_of_fifty_concurrent_retractions_of_one_vote_one_succeeds(database: Database) -> None:
    ada = database.add_user()
    post_id = database.add_post(ada)
    database.add_vote(ada, post_id)
    outcomes = run_in_threads(50, lambda _: votes.queries.retract(principal_of(ada), post_id=post_id))
    assert sorted(outcomes) == [[(True, False)]] * 49 + [[(True, True)]]
    assert vote_counts(database.run) == {post_id: 0}


def test_concurrent_votes_of_many_users_on_one_post_all_count(database: Database) -> None:
    voters = [database.add_user(f"user{number}@example.com") for number in range(30)]
    post_id = database.add_post(voters[0])
    outcomes = run_in_threads(
        30, lambda index: votes.queries.cast(principal_of(voters[index]), post_id=post_id)
    )
    assert outcomes == [[(True, True)]] * 30
    assert vote_counts(database.run) == {post_id: 30}


def test_the_counter_is_exact_after_concurrent_votes_retractions_edits_and_deletions(
    database: Database,
) -> None:
    user_ids = [database.add_user(f"user{number}@example.com") for number in range(12)]
    post_ids = [database.add_post(user_ids[number % 12]) for number in range(8)]

    def act(index: int) -> int:
        rng = random.Random(index)
        for _ in range(ROUNDS):
            user, post_id = rng.choice(user_ids), rng.choice(post_ids)
            match rng.choices(list(ACTIONS), list(ACTIONS.values()))[0]:
                case "cast":
                    votes.queries.cast(principal_of(user), post_id=post_id)
                case "retract":
                    votes.queries.retract(principal_of(user), post_id=post_id)
                case "post":
                    rows = posts.queries.create(principal_of(user), title="t", content="c", published=True)
                    post_ids.extend(row.id for row in rows if row.id is not None)
                case "edit":
                    posts.queries.change(
                        principal_of(user),
                        post_id=post_id,
                        title="e",
                        content="c",
                        published=rng.random() < 0.9,
                    )
                case "remove":
                    posts.queries.mark_deleted(principal_of(user), post_id=post_id)
                case "delete_account":
                    delete_account(user)
        return ROUNDS

    assert run_in_threads(THREADS, act) == [ROUNDS] * THREADS
    assert_counters_are_exact(database)
    # Check that the test did something: some votes are left, and some users were deleted.
    assert database.value("SELECT count(*) FROM votes") > 0
    assert database.value("SELECT count(*) FROM users") < 12


def delete_account(user: int) -> None:
    """Delete an account and, by cascade, its posts and its votes."""
    run_sql(
        common_database.managed_connection(), "DELETE FROM users WHERE id = $1::integer", user, writes=True
    )


def test_accounts_that_voted_on_the_same_posts_can_be_deleted_concurrently(database: Database) -> None:
    user_ids = [database.add_user(f"user{number}@example.com") for number in range(10)]
    author = database.add_user("author@example.com")
    post_ids = [database.add_post(author) for _ in range(20)]
    for number, user in enumerate(user_ids):
        for post_id in post_ids if number % 2 else reversed(post_ids):
            database.add_vote(user, post_id)
    run_in_threads(10, lambda index: delete_account(user_ids[index]))
    assert vote_counts(database.run) == dict.fromkeys(post_ids, 0)


def test_posts_whose_votes_are_deleted_are_locked_in_order_of_their_ids(database: Database) -> None:
    # Otherwise the concurrent deletions of two accounts could lock the same posts in different orders.
    ada = database.add_user()
    first, second = database.add_post(ada), database.add_post(ada)
    for post_id in (first, second):
        database.add_vote(ada, post_id)
    database.run("UPDATE posts SET owner_id = :bob", bob=database.add_user("bob@example.com"))
    # Rewrite the first post, so that a sequential scan finds it last.
    database.run("UPDATE posts SET content = 'new' WHERE id = :first", first=first)
    # `closing` is the inner context: it releases the lock before the pool waits for its thread.
    with ThreadPoolExecutor(1) as pool, closing(connect(database.url)) as other:
        other.run("BEGIN")
        other.run("SELECT FROM posts WHERE id = :first FOR UPDATE", first=first)
        deleting = pool.submit(delete_account, ada)
        waiting = (
            "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = :name AND wait_event_type = 'Lock'"
        )
        name = database.value("SELECT current_database()")
        assert any(database.value(waiting, name=name) for _ in range(100_000))
        free = database.run("SELECT id FROM posts FOR UPDATE SKIP LOCKED")
        other.run("COMMIT")
        deleting.result()
    assert free == [[second]]
    assert vote_counts(database.run) == {first: 0, second: 0}


def test_a_concurrent_change_and_deletion_of_a_post_cause_no_error(database: Database) -> None:
    ada = database.add_user()
    post_ids = [database.add_post(ada) for _ in range(20)]

    def change_or_delete(index: int) -> list[bool]:
        rows = []
        for post_id in post_ids:
            if index % 2:
                rows += posts.queries.mark_deleted(principal_of(ada), post_id=post_id)
            else:
                text = {"title": "n", "content": "c"}
                rows += posts.queries.change(principal_of(ada), post_id=post_id, published=True, **text)
        return [row.post_exists for row in rows]

    deleted = run_in_threads(4, change_or_delete)[1::2]
    assert sum(map(sum, deleted)) == 20
    assert database.value("SELECT count(*) FROM posts WHERE deleted_at IS NULL") == 0
    assert database.value("SELECT count(*) FROM posts WHERE published") == 0
