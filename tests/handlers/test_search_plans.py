"""Searches that the newest posts do not satisfy: their pages, and what their statements read.

30 posts that match are behind 2,100 newer ones. The ids of both are in segments of the index of their own,
and older posts are in two more.
"""

from itertools import product
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from common.database import Statement
from common.principal import Principal
from posts import lists
from posts.paging import Sort
from posts.rows import ListParameters, ListRow
from tests.support.database import Database, principal_of
from tests.support.lambdas import call
from tests.support.plans import first_page, plan_of

SEARCHES: dict[Sort, Statement[[Principal, ListParameters], ListRow]] = {
    "new": lists.search_new,
    "old": lists.search_old,
    "top": lists.search_top,
}
# Written from the oldest on; within a segment, the ids are not in the order of age.
ADD_POSTS = """
INSERT INTO posts (id, owner_id, title, content, created_at)
SELECT segment * 65536 + 1 + number, :owner, title, 'c',
    timestamptz '2026-11-01' + segment * interval '1 day' + number * 7 % 31 * interval '1 minute'
FROM generate_series(0, CAST(:last AS integer)) AS number, CAST(:segment AS integer) AS segment,
    CAST(:title AS text) AS title
"""
MATCHES, NEWER = 30, 2_100
TERM = "needle"


@pytest.fixture
def old_matches(ada: int, database: Database) -> list[int]:
    """Write the posts; return the ids of the 30 from the newest to the oldest."""
    for segment, number, title in (
        (-1, 5, "hay"),
        (0, 5, "hay"),
        (1, MATCHES, "a needle in the hay"),
        (2, NEWER, "hay"),
    ):
        database.run(ADD_POSTS, owner=ada, segment=segment, last=number - 1, title=title)
    database.run("ANALYZE")
    return [
        post_id
        for [post_id] in database.run(
            "SELECT id FROM posts WHERE title <> 'hay' ORDER BY created_at DESC, id DESC"
        )
    ]


def explain(database: Database, viewer: int, sort: Sort, limit: int, term: str) -> list[dict[str, Any]]:
    """Run a search, and return the nodes of its plan."""
    # However slow the machine is, the search has time for every segment.
    statement = SEARCHES[sort]
    sql = statement.sql.replace("20 milliseconds", "1 hour")
    assert sql != statement.sql
    patient: Statement[[Principal, ListParameters], ListRow] = Statement(
        ListRow, sql, statement.parameters, writes=False
    )
    return plan_of(database, patient, principal_of(viewer), first_page(sort, limit=limit, term=term))


def searched_segments(nodes: list[dict[str, Any]]) -> int:
    """Return how many segments a statement searched."""
    return sum(node["Actual Loops"] for node in nodes if node.get("Index Name") == "ix_post_titles_keys")


def found_by(user: int, query: list[tuple[str, str]]) -> list[int]:
    """Return the ids on all pages: a search that runs out of time ends a page early."""
    found: list[int] = []
    for _ in range(100):
        response = call("list_posts", user=user, query=query)
        found += [entry["Post"]["id"] for entry in response.json()]
        if "Link" not in response.headers:
            return found
        [link] = response.headers["Link"]
        query = parse_qsl(urlsplit(link.partition(">")[0].removeprefix("<")).query)
    raise AssertionError("the links do not end")


@pytest.mark.parametrize("sort", ["new", "old"])
def test_matches_of_one_time_in_two_segments_are_found_in_order(
    sort: Sort, ada: int, old_matches: list[int], database: Database
) -> None:
    later = "created_at = created_at + interval '1 day'"
    database.run(f"UPDATE posts SET title = 'a needle', {later} WHERE id BETWEEN 1 AND 5")
    order = "created_at DESC, id DESC" if sort == "new" else "created_at, id"
    expected = [
        post_id for [post_id] in database.run(f"SELECT id FROM posts WHERE title <> 'hay' ORDER BY {order}")
    ]
    assert len(expected) == len(old_matches) + 5
    assert found_by(ada, [("search", TERM), ("sort", sort), ("limit", "7")]) == expected


def test_votes_of_candidates_are_read_once(ada: int, old_matches: list[int], database: Database) -> None:
    nodes = explain(database, ada, "top", 10, TERM)
    reads = [node for node in nodes if node.get("Index Name") == "pk_post_ranks"]
    assert sum(node["Actual Loops"] for node in reads) == len(old_matches)


# The tests that only read the posts try all their cases in turn, because writing the posts takes as long as
# ten of them.
def test_old_matches_behind_many_newer_posts_are_found_in_order(ada: int, old_matches: list[int]) -> None:
    for sort, expected in (("new", old_matches), ("old", old_matches[::-1])):
        for limit, skip in product((7, 30, 100), (0, 4)):
            query = [("search", TERM), ("sort", sort), ("limit", str(limit)), ("skip", str(skip))]
            assert found_by(ada, query) == expected[skip:], query


def test_old_matches_behind_many_newer_posts_are_sorted_by_votes(
    ada: int, bob: int, old_matches: list[int], database: Database
) -> None:
    voted = old_matches[5:9]
    for post_id in voted:
        database.add_vote(bob, post_id)
    rest = sorted(set(old_matches) - set(voted), reverse=True)
    for limit in (7, 30, 100):
        query = [("search", TERM), ("sort", "top"), ("limit", str(limit))]
        assert found_by(ada, query) == sorted(voted, reverse=True) + rest, query


def test_a_search_without_a_match_searches_each_segment_once(
    ada: int, old_matches: list[int], database: Database
) -> None:
    assert len(old_matches) == MATCHES
    # From the oldest on, the scan of the first 2,000 posts leaves only a part of the newest segment.
    expected: dict[Sort, int] = {"new": 4, "top": 4, "old": 1}
    for term in ("zzz", "z"):
        searched = {sort: searched_segments(explain(database, ada, sort, 10, term)) for sort in expected}
        assert searched == expected, term


def test_a_search_by_age_ends_with_the_segment_that_fills_its_page(
    ada: int, old_matches: list[int], database: Database
) -> None:
    assert len(old_matches) == MATCHES
    expected = {7: 2, MATCHES - 1: 2, MATCHES: 4}
    searched = {limit: searched_segments(explain(database, ada, "new", limit, TERM)) for limit in expected}
    assert searched == expected


@pytest.mark.parametrize("sort", ["new", "old"])
def test_a_search_whose_first_posts_match_often_reads_on_in_order(
    sort: Sort, ada: int, old_matches: list[int], database: Database
) -> None:
    database.run(ADD_POSTS, owner=ada, segment=3, last=600, title="hay")
    database.run("UPDATE posts SET title = 'a needle' WHERE id % 7 = 0 AND title = 'hay'")
    database.run("ANALYZE")
    order = "created_at DESC, id DESC" if sort == "new" else "created_at, id"
    expected = [
        post_id for [post_id] in database.run(f"SELECT id FROM posts WHERE title <> 'hay' ORDER BY {order}")
    ]
    assert len(expected) > 2_600 / 7 + len(old_matches)
    assert searched_segments(explain(database, ada, sort, 400, TERM)) == 0
    query = [("search", TERM), ("sort", sort), ("limit", "100"), ("skip", "300")]
    assert found_by(ada, query) == expected[300:]
