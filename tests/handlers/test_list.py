"""GET /posts/: what is on a page, and in which order."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.support.database import Database
from tests.support.lambdas import Response, call

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def ids(response: Response) -> list[int]:
    assert response.status == 200
    return [entry["Post"]["id"] for entry in response.json()]


def test_an_entry_is_a_post_beside_the_number_of_its_votes(ada: int, bob: int, database: Database) -> None:
    post_id = database.add_post(ada, "Hello")
    database.add_vote(ada, post_id)
    database.add_vote(bob, post_id)
    response = call("list_posts", user=bob)
    assert response.status == 200
    assert response.json() == [{"Post": call("read_post", user=bob, item=post_id).json(), "vote": 2}]


def test_no_posts_are_an_empty_list(ada: int) -> None:
    response = call("list_posts", user=ada)
    assert (response.status, response.json()) == (200, [])
    assert "Link" not in response.headers


def test_the_newest_come_first_and_of_one_moment_the_latest_written(ada: int, database: Database) -> None:
    oldest = database.add_post(ada, created_at=NOON - timedelta(days=1))
    twins = [database.add_post(ada, created_at=NOON) for _ in range(3)]
    newest = database.add_post(ada, created_at=NOON + timedelta(microseconds=1))
    late_entry = database.add_post(ada, created_at=NOON - timedelta(days=2))
    assert ids(call("list_posts", user=ada)) == [newest, *reversed(twins), oldest, late_entry]


def test_a_page_has_ten_posts_unless_stated(ada: int, database: Database) -> None:
    posts = [database.add_post(ada) for _ in range(12)]
    newest = posts[::-1]
    assert ids(call("list_posts", user=ada)) == newest[:10]
    assert ids(call("list_posts", user=ada, query=[("limit", "12")])) == newest
    assert ids(call("list_posts", user=ada, query=[("limit", "1")])) == newest[:1]
    assert ids(call("list_posts", user=ada, query=[("skip", "10")])) == newest[10:]
    assert ids(call("list_posts", user=ada, query=[("skip", "3"), ("limit", "4")])) == newest[3:7]
    assert ids(call("list_posts", user=ada, query=[("skip", "12")])) == []
    assert ids(call("list_posts", user=ada, query=[("skip", str(2**31 - 1)), ("limit", "100")])) == []


def test_drafts_of_one_s_own_stand_among_the_posts_of_all(ada: int, bob: int, database: Database) -> None:
    draft = database.add_post(ada, published=False)
    theirs = database.add_post(bob)
    mine = database.add_post(ada)
    database.add_post(bob, published=False)
    assert ids(call("list_posts", user=ada)) == [mine, theirs, draft]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "0"),
        ("limit", "101"),
        ("limit", "-1"),
        ("limit", ""),
        ("limit", "ten"),
        ("limit", "1.5"),
        ("limit", "9" * 5_000),
        ("skip", "-1"),
        ("skip", str(2**31)),
        ("skip", "9" * 5_000),
        ("skip", "few"),
        ("search", "nul\0"),
        ("search", "\ud800"),
        ("cursor", "nonsense"),
        ("cursor", "\0"),
        ("cursor", "é"),
        ("cursor", "\ud800"),
    ],
)
def test_a_parameter_out_of_bounds_is_named(name: str, value: str, ada: int) -> None:
    response = call("list_posts", user=ada, query=[(name, value)])
    assert response.status == 422
    [error] = response.json()["detail"]
    assert error.keys() == {"type", "loc", "msg"}
    assert error["loc"] == ["query", name]


def test_every_wrong_parameter_is_named(ada: int) -> None:
    response = call("list_posts", user=ada, query=[("limit", "0"), ("skip", "-1")])
    assert [error["loc"] for error in response.json()["detail"]] == [["query", "limit"], ["query", "skip"]]


def test_a_parameter_that_comes_twice_is_invalid(ada: int) -> None:
    assert call("list_posts", user=ada, query=[("limit", "1"), ("limit", "2")]).status == 422


def test_unknown_parameters_are_ignored(ada: int, database: Database) -> None:
    post_id = database.add_post(ada)
    assert ids(call("list_posts", user=ada, query=[("color", "red"), ("color", "blue")])) == [post_id]
