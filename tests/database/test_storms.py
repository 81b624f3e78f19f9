"""Many concurrent statements, each on a connection of its own."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TypeVar

import pytest

import posts.queries
import users.queries
import votes.queries
from common import deadline
from tests.support.connections import connection_per_thread
from tests.support.counters import vote_counts, wrong_counters
from tests.support.database import PASSWORD_HASH, PER_DAY, Database, connect, principal_of
from tests.support.lambdas import Context
from tests.support.storm import CLIENTS, Storm, delete_account
from users.rows import Address

T = TypeVar("T")

ROUNDS = 40


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


def test_of_twenty_concurrent_sign_ups_with_one_address_one_succeeds(database: Database) -> None:
    addresses = ["Ada@example.com", "ada@example.com"] * 10

    def sign_up(index: int) -> int:
        address = Address(addresses[index], addresses[index].lower())
        return len(users.queries.create(address, password=PASSWORD_HASH, token_hash=None))

    assert sorted(run_in_threads(20, sign_up)) == [0] * 19 + [1]
    assert database.value("SELECT count(*) FROM users") == 1


def test_of_fifty_concurrent_votes_of_one_user_one_counts(database: Database) -> None:
    ada = database.add_user()
    post_id = database.add_post(ada)
    outcomes = run_in_threads(
        50,
        lambda _: votes.queries.cast(
            principal_of(ada), post_id=post_id, per_day=PER_DAY, verified_only=False
        ),
    )
    assert sorted(outcomes) == [[(True, False, None, True)]] * 49 + [[(True, True, None, True)]]
    assert vote_counts(database.run) == {post_id: 1}


def test_of_fifty_concurrent_retractions_of_one_vote_one_succeeds(database: Database) -> None:
    ada = database.add_user()
    post_id = database.add_post(ada)
    database.add_vote(ada, post_id)
    outcomes = run_in_threads(
        50,
        lambda _: votes.queries.retract(
            principal_of(ada), post_id=post_id, per_day=PER_DAY, verified_only=False
        ),
    )
    assert sorted(outcomes) == [[(True, False, None, True)]] * 49 + [[(True, True, None, True)]]
    assert vote_counts(database.run) == {post_id: 0}


def test_concurrent_votes_of_many_users_on_one_post_all_count(database: Database) -> None:
    voters = [database.add_user(f"user{number}@example.com") for number in range(30)]
    post_id = database.add_post(voters[0])
    outcomes = run_in_threads(
        30,
        lambda index: votes.queries.cast(
            principal_of(voters[index]), post_id=post_id, per_day=PER_DAY, verified_only=False
        ),
    )
    assert outcomes == [[(True, True, None, True)]] * 30
    assert vote_counts(database.run) == {post_id: 30}


def test_lists_show_the_stored_votes_while_clients_vote_write_and_delete(database: Database) -> None:
    storm = Storm(database)
    storm.run(lambda: range(ROUNDS))
    assert storm.differences == []
    assert storm.snapshots_with_deltas > 0
    assert len(storm.refusals) < CLIENTS * ROUNDS / 50, storm.refusals
    assert wrong_counters(database.run) == []
    # Check that the test did something: some votes are left, and some users were deleted.
    assert database.value("SELECT count(*) FROM votes") > 0
    assert database.value("SELECT count(*) FROM users WHERE deleted_at IS NULL") < database.value(
        "SELECT last_value FROM users_id_seq"
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


def test_the_deletion_of_an_account_does_not_wait_for_posts_that_it_voted_on(database: Database) -> None:
    ada = database.add_user()
    post_ids = [database.add_post(database.add_user(f"user{number}@example.com")) for number in range(3)]
    for post_id in post_ids:
        database.add_vote(ada, post_id)
    with closing(connect(database.url)) as other:
        other.run("BEGIN")
        other.run("SELECT FROM posts FOR UPDATE")
        other.run("SELECT FROM post_ranks FOR UPDATE")
        delete_account(ada)
        assert vote_counts(database.run) == dict.fromkeys(post_ids, 0)


def test_a_concurrent_change_and_deletion_of_a_post_cause_no_error(database: Database) -> None:
    ada = database.add_user()
    post_ids = [database.add_post(ada) for _ in range(20)]

    def change_or_delete(index: int) -> list[bool]:
        existed = []
        for post_id in post_ids:
            if index % 2:
                [deleted] = posts.queries.mark_deleted(principal_of(ada), post_id=post_id)
                existed.append(deleted.post_exists)
            else:
                text = {"title": "n", "content": "c"}
                posts.queries.change(
                    principal_of(ada),
                    post_id=post_id,
                    published=True,
                    per_day=PER_DAY,
                    verified_only=False,
                    **text,
                )
        return existed

    deleted = run_in_threads(4, change_or_delete)[1::2]
    assert sum(map(sum, deleted)) == 20
    assert database.value("SELECT count(*) FROM posts WHERE deleted_at IS NULL") == 0
    assert database.value("SELECT count(*) FROM posts WHERE published") == 0
