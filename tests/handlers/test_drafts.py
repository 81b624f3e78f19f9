"""Drafts: only their owner sees them."""

import pytest

from tests.support.counters import vote_counts
from tests.support.database import Database
from tests.support.lambdas import call


@pytest.fixture
def draft(ada: int, database: Database) -> int:
    """Return the id of a draft of Ada."""
    return database.add_post(ada, "Draft", published=False)


def test_the_owner_of_a_draft_reads_lists_changes_votes_on_and_deletes_it(ada: int, draft: int) -> None:
    assert call("read_post", user=ada, item=draft).json()["published"] is False
    assert [entry["Post"]["id"] for entry in call("list_posts", user=ada).json()] == [draft]
    assert call("vote", user=ada, body={"post_id": draft, "dir": 1}).status == 201
    assert call("vote", user=ada, body={"post_id": draft, "dir": 0}).status == 201
    body = {"title": "t", "content": "c", "published": False}
    assert call("change_post", user=ada, item=draft, body=body).status == 200
    assert call("delete_post", user=ada, item=draft).status == 204


@pytest.mark.parametrize("event", ["read_post", "change_post", "delete_post"])
def test_nobody_else_can_read_a_draft(event: str, bob: int, draft: int, database: Database) -> None:
    response = call(event, user=bob, item=draft)
    assert response.status == 404
    assert response.json() == {"detail": "There is no such post"}
    assert database.run("SELECT title, published FROM posts") == [["Draft", False]]


@pytest.mark.parametrize("direction", [1, 0])
def test_nobody_else_can_vote_on_a_draft(direction: int, bob: int, draft: int, database: Database) -> None:
    response = call("vote", user=bob, body={"post_id": draft, "dir": direction})
    assert response.status == 404
    assert response.json() == {"detail": "There is no such post"}
    assert database.value("SELECT count(*) FROM votes") == 0


@pytest.mark.usefixtures("draft")
@pytest.mark.parametrize("query", [[], [("search", "Draft")], [("limit", "100")]])
def test_nobody_else_lists_a_draft(query: list[tuple[str, str]], bob: int) -> None:
    response = call("list_posts", user=bob, query=query)
    assert (response.status, response.json()) == (200, [])


def test_a_vote_on_a_post_that_became_a_draft_cannot_be_retracted_by_others(
    ada: int, bob: int, database: Database
) -> None:
    post_id = database.add_post(ada)
    database.add_vote(bob, post_id)
    call("change_post", user=ada, item=post_id, body={"title": "t", "content": "c", "published": False})
    assert call("vote", user=bob, body={"post_id": post_id, "dir": 0}).status == 404
    assert list(vote_counts(database.run).values()) == [1]
