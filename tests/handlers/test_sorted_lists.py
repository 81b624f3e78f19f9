"""Lists sorted by age and by votes: of all posts, of one author, and of the viewer's drafts."""

import random
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.support.database import Database
from tests.support.lambdas import Response, call

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def others(ada: int, bob: int, database: Database) -> list[int]:
    """Return the ids of posts of Bob: every third is a draft, some have the same time, some have votes."""
    dice = random.Random(7)  # for test data
    voters = [database.add_user(f"voter{number}@example.com") for number in range(4)]
    posts = []
    for number in range(24):
        moment = MOMENT + timedelta(hours=number // 4)
        post = database.add_post(bob, published=number % 3 != 0, created_at=moment)
        for voter in dice.sample(voters, dice.randrange(5)):
            database.add_vote(voter, post)
        posts.append(post)
    database.add_post(ada, created_at=MOMENT + timedelta(days=1))
    return posts


def ids(response: Response) -> list[int]:
    assert response.status == 200
    return [entry["Post"]["id"] for entry in response.json()]


def follow_links(name: str, user: int, query: list[tuple[str, str]], item: int | None = None) -> list[int]:
    """Return the ids of all posts in a list with pages of three."""
    query = [("limit", "3"), *query]
    found: list[int] = []
    while True:
        response = call(name, user=user, item=item, query=query)
        found += ids(response)
        if "Link" not in response.headers:
            return found
        [link] = response.headers["Link"]
        query = parse_qsl(urlsplit(link.partition(">")[0].removeprefix("<")).query)


VOTES = "(SELECT count(*) FROM votes WHERE post_id = posts.id)"
ORDERS = {"new": "created_at DESC, id DESC", "old": "created_at, id", "top": f"{VOTES} DESC, id DESC"}


@pytest.mark.usefixtures("others")
@pytest.mark.parametrize("sort", ORDERS)
def test_the_links_of_a_list_lead_through_all_posts_in_order(sort: str, ada: int, database: Database) -> None:
    expected = database.run(f"SELECT id FROM posts WHERE published ORDER BY {ORDERS[sort]}")
    assert follow_links("list_posts", user=ada, query=[("sort", sort)]) == [row[0] for row in expected]


@pytest.mark.usefixtures("others")
@pytest.mark.parametrize("sort", ORDERS)
def test_only_the_author_sees_drafts_in_the_author_s_list(
    sort: str, ada: int, bob: int, database: Database
) -> None:
    every = database.run(f"SELECT id, published FROM posts WHERE owner_id = {bob} ORDER BY {ORDERS[sort]}")
    query = [("sort", sort)]
    assert follow_links("list_user_posts", user=bob, item=bob, query=query) == [row[0] for row in every]
    published = [row[0] for row in every if row[1]]
    assert follow_links("list_user_posts", user=ada, item=bob, query=query) == published


@pytest.mark.usefixtures("others")
@pytest.mark.parametrize("sort", ORDERS)
def test_own_drafts_can_be_listed(sort: str, ada: int, bob: int, database: Database) -> None:
    expected = database.run(f"SELECT id FROM posts WHERE NOT published ORDER BY {ORDERS[sort]}")
    query = [("sort", sort), ("published", "false")]
    assert follow_links("list_posts", user=bob, query=query) == [row[0] for row in expected]
    assert follow_links("list_posts", user=ada, query=query) == []


def test_the_list_of_an_author_without_posts_is_empty(ada: int, bob: int) -> None:
    assert ids(call("list_user_posts", user=ada, item=bob)) == []


def test_the_list_of_an_unknown_author_is_not_found(ada: int) -> None:
    response = call("list_user_posts", user=ada, item=2_000_000_000)
    assert response.status == 404
    assert response.json() == {"detail": "There is no such user"}


def test_a_deleted_user_cannot_list_posts(deleted_user: int, bob: int) -> None:
    assert call("list_user_posts", user=deleted_user, item=bob).status == 401


@pytest.mark.parametrize(
    "query", [("sort", "best"), ("sort", ""), ("published", "perhaps"), ("limit", "101")]
)
def test_an_unknown_order_is_invalid(query: tuple[str, str], ada: int) -> None:
    assert call("list_posts", user=ada, query=[query]).status == 422


@pytest.mark.usefixtures("others")
def test_a_cursor_of_another_order_is_invalid(ada: int) -> None:
    response = call("list_posts", user=ada, query=[("limit", "3")])
    [link] = response.headers["Link"]
    query = dict(parse_qsl(urlsplit(link.partition(">")[0].removeprefix("<")).query))
    for sort in ("old", "top"):
        assert call("list_posts", user=ada, query=[*query.items(), ("sort", sort)]).status == 422
