"""POST /vote/."""

import pytest

from tests.support.counters import COUNTERS
from tests.support.database import Database
from tests.support.lambdas import Response, call


def vote(user: int, post_id: object, direction: object = 1) -> Response:
    return call("vote", user=user, body={"post_id": post_id, "dir": direction})


def counted(database: Database) -> list[list[int]]:
    """Return the number of votes on each post, as it is counted and as it is stored."""
    return [counters[1:] for counters in database.run(COUNTERS)]


def test_a_vote_is_cast_once(ada: int, bob: int, database: Database) -> None:
    post_id = database.add_post(ada)
    response = vote(bob, post_id)
    assert response.status == 201
    assert response.json().keys() == {"message"}
    again = vote(bob, post_id)
    assert again.status == 409
    assert again.json() == {"detail": "You have voted on this post already"}
    assert counted(database) == [[1, 1]]


@pytest.mark.parametrize("direction", [0, -1, -(10**30)])
def test_any_lower_direction_retracts_a_vote_once(
    direction: int, ada: int, bob: int, database: Database
) -> None:
    post_id = database.add_post(ada)
    database.add_vote(ada, post_id)
    database.add_vote(bob, post_id)
    response = vote(bob, post_id, direction)
    assert response.status == 201
    assert response.json().keys() == {"message"}
    again = vote(bob, post_id, direction)
    assert again.status == 404
    assert again.json() == {"detail": "You have not voted on this post"}
    assert counted(database) == [[1, 1]]


def test_owners_can_vote_on_their_posts_and_again_after_retracting(ada: int, database: Database) -> None:
    post_id = database.add_post(ada)
    assert [vote(ada, post_id, direction).status for direction in (1, 0, 1)] == [201, 201, 201]
    assert counted(database) == [[1, 1]]


@pytest.mark.parametrize("direction", [1, 0])
@pytest.mark.parametrize("post_id", [0, -1, 2**31 - 1, -(2**31)])
def test_a_vote_on_a_missing_post_is_not_found(post_id: int, direction: int, ada: int) -> None:
    response = vote(ada, post_id, direction)
    assert response.status == 404
    assert response.json() == {"detail": "There is no such post"}


def test_votes_are_deleted_with_the_account(ada: int, bob: int, database: Database) -> None:
    post_id = database.add_post(ada)
    vote(ada, post_id)
    vote(bob, post_id)
    database.run("DELETE FROM users WHERE id = :bob", bob=bob)
    assert counted(database) == [[1, 1]]


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, ["post_id", "dir"]),
        ({"post_id": 1}, ["dir"]),
        ({"dir": 1}, ["post_id"]),
        ({"post_id": 1, "dir": 2}, ["dir"]),
        ({"post_id": 1, "dir": 0.5}, ["dir"]),
        ({"post_id": 1, "dir": None}, ["dir"]),
        ({"post_id": 1, "dir": "up"}, ["dir"]),
        ({"post_id": 2**31, "dir": 1}, ["post_id"]),
        ({"post_id": -(2**31) - 1, "dir": 0}, ["post_id"]),
        ({"post_id": "one", "dir": 1}, ["post_id"]),
        ({"post_id": [1], "dir": {}}, ["post_id", "dir"]),
        ({"post_id": float("nan"), "dir": float("inf")}, ["post_id", "dir"]),
    ],
)
def test_every_invalid_field_is_named(body: object, wrong: list[str], ada: int) -> None:
    response = call("vote", user=ada, body=body)
    assert response.status == 422
    assert [error["loc"] for error in response.json()["detail"]] == [["body", field] for field in wrong]
    assert all(error.keys() == {"type", "loc", "msg"} for error in response.json()["detail"])
