"""GET /posts/: the content and the order of a page."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.support.database import Database
from tests.support.lambdas import Response, call

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def ids(response: Response) -> list[int]:
    assert response.status == 200
    return [entry["Post"]["id"] for entry in response.json()]


def test_an_entry_is_a_post_with_its_number_of_votes(ada: int, bob: int, database: Database) -> None:
    post_id = database.add_post(ada, "Hello")
    database.add_vote(ada, post_id)
    database.add_vote(bob, post_id)
    response = call("list_posts", user=bob)
    assert response.status == 200
    assert response.json() == [{"Post": call("read_post", user=bob, item=post_id).json(), "vote": 2}]


def test_without_posts_the_list_is_empty(ada: int) -> None:
    response = call("list_posts", user=ada)
    assert (response.status, response.json()) == (200, [])
    assert "Link" not in response.headers


def test_posts_are_sorted_by_time_and_then_by_id(ada: int, database: Database) -> None:
    oldest = database.add_post(ada, created_at=NOON - timedelta(days=1))
    twins = [database.add_post(ada, created_at=NOON) for _ in range(3)]
    newest = database.add_post(ada, created_at=NOON + timedelta(microseconds=1))
    late_entry = database.add_post(ada, created_at=NOON - timedelta(days=2))
    assert ids(call("list_posts", user=ada)) == [newest, *reversed(twins), oldest, late_entry]


def test_a_page_has_ten_posts_by_default(ada: int, database: Database) -> None:
    posts = [database.add_post(ada) for _ in range(12)]
    newest = posts[::-1]
    assert ids(call("list_posts", user=ada)) == newest[:10]
    assert ids(call("list_posts", user=ada, query=[("limit", "12")])) == newest
    assert ids(call("list_posts", user=ada, query=[("limit", "1")])) == newest[:1]
    assert ids(call("list_posts", user=ada, query=[("skip", "10")])) == newest[10:]
    assert ids(call("list_posts", user=ada, query=[("skip", "3"), ("limit", "4")])) == newest[3:7]
    assert ids(call("list_posts", user=ada, query=[("skip", "12")])) == []
    assert ids(call("list_posts", user=ada, query=[("skip", "10000"), ("limit", "100")])) == []
    assert call("list_posts", user=ada, query=[("skip", "10001")]).status == 422


def test_own_drafts_are_listed_among_all_posts(ada: int, bob: int, database: Database) -> None:
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
def test_an_out_of_range_parameter_is_named(name: str, value: str, ada: int) -> None:
    response = call("list_posts", user=ada, query=[(name, value)])
    assert response.status == 422
    [error] = response.json()["detail"]
    assert error.keys() == {"type", "loc", "msg"}
    assert error["loc"] == ["query", name]


def test_every_invalid_parameter_is_named(ada: int) -> None:
    response = call("list_posts", user=ada, query=[("limit", "0"), ("skip", "-1")])
    assert [error["loc"] for error in response.json()["detail"]] == [["query", "limit"], ["query", "skip"]]


LISTS = pytest.mark.parametrize("event", ["list_posts", "list_user_posts"])


@LISTS
@pytest.mark.parametrize(
    "query",
    [
        [("limit", "2"), ("limit", "1")],
        [("limit", "none"), ("limit", "1")],
        [("Limit", "1")],
        [("Limit", "2"), ("Limit", "1")],
        [("limit", "1"), ("Limit", "2")],
        [("Limit", "2"), ("limit", "1")],
    ],
)
def test_the_last_limit_counts_and_may_have_a_capital_letter(
    event: str, query: list[tuple[str, str]], ada: int, database: Database
) -> None:
    database.add_post(ada)
    newest = database.add_post(ada)
    response = call(event, user=ada, item=ada if event == "list_user_posts" else None, query=query)
    assert ids(response) == [newest]
    assert "Limit=" not in response.headers["Link"][0]


@LISTS
@pytest.mark.parametrize("values", [("one", "two"), ("", "two")])
def test_the_last_of_several_terms_counts(
    event: str, values: tuple[str, str], ada: int, database: Database
) -> None:
    database.add_post(ada, "one")
    post_id = database.add_post(ada, "two")
    query = [("search", value) for value in values]
    response = call(event, user=ada, item=ada if event == "list_user_posts" else None, query=query)
    assert ids(response) == [post_id]


@LISTS
@pytest.mark.parametrize("name", ["limit", "Limit"])
def test_an_invalid_limit_is_named_in_either_spelling(event: str, name: str, ada: int) -> None:
    item = ada if event == "list_user_posts" else None
    response = call(
        event,
        user=ada,
        item=item,
        query=[("limit", "1"), ("limit", "x")] if name == "limit" else [(name, "x")],
    )
    assert response.status == 422
    assert [error["loc"] for error in response.json()["detail"]] == [["query", "limit"]]


def test_unknown_parameters_are_ignored(ada: int, database: Database) -> None:
    post_id = database.add_post(ada)
    assert ids(call("list_posts", user=ada, query=[("color", "red"), ("color", "blue")])) == [post_id]
