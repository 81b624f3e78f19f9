"""Functions refuse requests without a user in the authorizer context, and those of deleted users."""

import pytest

from tests.support.database import Database
from tests.support.lambdas import Response, call, invoke, new_event

PROTECTED = ["list_posts", "create_post", "read_post", "change_post", "delete_post", "vote"]


def assert_unauthorized(response: Response) -> None:
    assert response.status == 401
    assert response.json() == {"detail": "Could not validate credentials"}
    assert response.headers["WWW-Authenticate"] == ["Bearer"]


@pytest.fixture
def post_id(ada: int, database: Database) -> int:
    """Return the id of a post of Ada."""
    return database.add_post(ada)


@pytest.mark.parametrize(
    "context",
    [
        None,
        {},
        {"principalId": "1"},
        {"user_id": None},
        {"user_id": ""},
        {"user_id": "ada"},
        {"user_id": "-1"},
        {"user_id": "1.0"},
        {"user_id": " 1"},
        {"user_id": "²"},
    ],
)
@pytest.mark.parametrize("event", PROTECTED)
def test_a_function_fails_closed_without_a_user(
    event: str, context: object, post_id: int, database: Database
) -> None:
    lowered = new_event(event, item=post_id if event.endswith("_post") and event != "create_post" else None)
    lowered["requestContext"]["authorizer"] = context
    assert_unauthorized(invoke(lowered))
    assert database.value("SELECT count(*) FROM posts WHERE title = 'Title'") == 1


@pytest.mark.parametrize("event", PROTECTED)
def test_a_function_fails_closed_without_an_authorizer(event: str) -> None:
    open_door = new_event(event)
    del open_door["requestContext"]["authorizer"]
    assert_unauthorized(invoke(open_door))


@pytest.mark.parametrize("event", ["read_post", "change_post", "delete_post"])
@pytest.mark.parametrize("present", [True, False])
def test_a_deleted_user_cannot_access_a_post(
    event: str, *, present: bool, post_id: int, deleted_user: int, database: Database
) -> None:
    assert_unauthorized(call(event, user=deleted_user, item=post_id if present else post_id + 1))
    assert database.run("SELECT title FROM posts") == [["Title"]]


def test_a_deleted_user_cannot_create_or_list_posts(deleted_user: int, database: Database) -> None:
    assert_unauthorized(call("create_post", user=deleted_user))
    assert_unauthorized(call("list_posts", user=deleted_user))
    assert database.value("SELECT count(*) FROM posts") == 0


@pytest.mark.parametrize("direction", [1, 0])
@pytest.mark.parametrize("present", [True, False])
def test_a_deleted_user_cannot_vote(
    direction: int, *, present: bool, post_id: int, deleted_user: int, database: Database
) -> None:
    body = {"post_id": post_id if present else post_id + 1, "dir": direction}
    assert_unauthorized(call("vote", user=deleted_user, body=body))
    assert database.value("SELECT count(*) FROM votes") == 0
