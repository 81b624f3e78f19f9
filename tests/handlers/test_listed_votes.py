"""Lists show every vote on a post, even if the counter of the post does not include it yet."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.support.database import Database
from tests.support.lambdas import call

LISTS = {
    "newest": [],
    "oldest": [("sort", "old")],
    "most votes": [("sort", "top")],
    "search": [("search", "Title")],
    "search, most votes": [("search", "Title"), ("sort", "top")],
}
VOTES = [2, 1, 0]


@pytest.fixture
def post_ids(ada: int, bob: int, database: Database) -> list[int]:
    """Return the ids of Ada's posts with VOTES. The counters of the first two lack a vote."""
    first, second, third = [database.add_post(ada) for _ in VOTES]
    for voter, post_id in ((ada, first), (bob, first), (bob, second)):
        database.add_vote(voter, post_id)
    for post_id in (first, second):
        database.run("UPDATE post_ranks SET vote_count = vote_count - 1 WHERE post_id = :id", id=post_id)
        database.run("INSERT INTO vote_deltas (post_id, step) VALUES (:id, -1), (:id, 2)", id=post_id)
    return [first, second, third]


def votes_by_post(page: list[dict[str, Any]]) -> dict[int, int]:
    return {entry["Post"]["id"]: entry["vote"] for entry in page}


@pytest.mark.parametrize("name", LISTS)
def test_each_list_shows_every_vote(name: str, bob: int, post_ids: list[int]) -> None:
    response = call("list_posts", user=bob, query=LISTS[name])
    assert votes_by_post(response.json()) == dict(zip(post_ids, VOTES, strict=True))


@pytest.mark.parametrize("sort", ["new", "old", "top"])
def test_the_lists_of_an_author_show_every_vote(sort: str, ada: int, bob: int, post_ids: list[int]) -> None:
    response = call("list_user_posts", user=bob, item=ada, query=[("sort", sort)])
    assert votes_by_post(response.json()) == dict(zip(post_ids, VOTES, strict=True))


@pytest.mark.parametrize("sort", ["new", "old", "top"])
def test_the_lists_of_drafts_show_every_vote(
    sort: str, ada: int, post_ids: list[int], database: Database
) -> None:
    database.run("UPDATE posts SET published = false")
    response = call("list_posts", user=ada, query=[("published", "false"), ("sort", sort)])
    assert votes_by_post(response.json()) == dict(zip(post_ids, VOTES, strict=True))


def test_a_list_by_votes_continues_after_the_rank_of_a_post(ada: int, database: Database) -> None:
    post_ids = [database.add_post(ada) for _ in range(3)]
    # In the order of the counters, which other numbers are shown with.
    for number, post_id in enumerate(post_ids):
        database.run(
            "UPDATE post_ranks SET vote_count = :votes WHERE post_id = :id", votes=-number, id=post_id
        )
    database.run("INSERT INTO vote_deltas (post_id, step) VALUES (:id, 9)", id=post_ids[1])
    query = [("sort", "top"), ("limit", "1")]
    shown: list[tuple[int, int]] = []
    while query:
        response = call("list_posts", user=ada, query=query)
        shown += votes_by_post(response.json()).items()
        [link] = response.headers.get("Link", [""])
        query = parse_qsl(urlsplit(link.partition(">")[0].removeprefix("<")).query)
    assert shown == list(zip(post_ids, [0, 8, -2], strict=True))


def test_a_post_without_a_counter_does_not_break_a_list(
    ada: int, post_ids: list[int], database: Database
) -> None:
    database.run("DELETE FROM post_ranks WHERE post_id = :id", id=post_ids[2])
    response = call("list_posts", user=ada)
    assert votes_by_post(response.json()) == dict(zip(post_ids, VOTES, strict=True))
