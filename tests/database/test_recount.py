"""The statements of docs/operations.md that count votes again."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from tests.docs.pages import ROOT, under
from tests.support.counters import vote_counts, wrong_counters
from tests.support.database import Database, connect

PAGE = ROOT / "docs" / "operations.md"
VOTERS = 4
POSTS = 5


def recount(database: Database) -> None:
    [block] = under(PAGE, "Counting votes again")
    for statement in block.text.split(";\n"):
        database.run(statement)


@pytest.fixture
def voters(database: Database) -> list[int]:
    """Return the ids of the voters; there are posts."""
    voters = [database.add_user(f"voter{number}@example.com") for number in range(VOTERS)]
    for _ in range(POSTS):
        database.add_post(voters[0])
    return voters


@pytest.mark.usefixtures("voters")
def test_everything_that_was_written_without_triggers_is_counted(database: Database) -> None:
    with closing(connect(database.url)) as without_triggers:
        without_triggers.run("SET session_replication_role = replica")
        without_triggers.run(
            "INSERT INTO votes (user_id, post_id) SELECT users.id, posts.id FROM users, posts"
        )
        without_triggers.run("INSERT INTO vote_deltas (post_id, step) SELECT id, 3 FROM posts")
        without_triggers.run("DELETE FROM post_ranks WHERE post_id IN (SELECT max(id) FROM posts)")
        without_triggers.run("INSERT INTO vote_deltas (post_id, step) VALUES (0, 1)")
    recount(database)
    assert list(vote_counts(database.run).values()) == [VOTERS] * POSTS
    assert database.value("SELECT count(*) FROM vote_deltas WHERE post_id = 0") == 0
    recount(database)
    assert list(vote_counts(database.run).values()) == [VOTERS] * POSTS


def test_votes_are_counted_once_while_they_are_counted_again(voters: list[int], database: Database) -> None:
    is_over = threading.Event()

    def vote(voter: int) -> int:
        rounds = 0
        with closing(connect(database.url)) as connection:
            while not is_over.is_set():
                connection.run(
                    "INSERT INTO votes (user_id, post_id) SELECT :voter, id FROM posts", voter=voter
                )
                connection.run("DELETE FROM votes WHERE user_id = :voter AND post_id % 2 = 0", voter=voter)
                connection.run("DELETE FROM votes WHERE user_id = :voter", voter=voter)
                rounds += 1
        return rounds

    with ThreadPoolExecutor(VOTERS) as pool:
        voting = [pool.submit(vote, voter) for voter in voters]
        try:
            for number in range(20):
                database.run("UPDATE post_ranks SET vote_count = vote_count + :number", number=number)
                recount(database)
                assert wrong_counters(database.run) == []
        finally:
            is_over.set()
        assert all(each.result() for each in voting)
    assert wrong_counters(database.run) == []
