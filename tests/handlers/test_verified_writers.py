"""The parameter VerifiedWritersOnly: writing posts and voting requires a verified address."""

from collections.abc import Callable

import pytest

import posts.handler
import votes.handler
from common.settings import verified_writers_only
from tests.support.database import Database
from tests.support.lambdas import Response, call

UNVERIFIED = {"detail": "Verify your e-mail first: POST /auth/verification sends a link"}
POST = {"title": "Other title", "content": "Content"}

Send = Callable[[int, int], Response]
WRITES: dict[str, Send] = {
    "create": lambda user, _: call("create_post", user=user, body=POST),
    "create once": lambda user, _: call(
        "create_post", user=user, body=POST, headers={"Idempotency-Key": "key"}
    ),
    "change": lambda user, post: call("change_post", user=user, item=post, body=POST),
    "change nothing": lambda user, post: call(
        "change_post", user=user, item=post, body={"title": "Title", "content": "Content"}
    ),
    "cast": lambda user, post: call("vote", user=user, body={"post_id": post, "dir": 1}),
    "retract": lambda user, post: call("vote", user=user, body={"post_id": post, "dir": 0}),
}


@pytest.fixture
def _verified_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the parameter."""
    monkeypatch.setattr(posts.handler, "VERIFIED_ONLY", True)
    monkeypatch.setattr(votes.handler, "VERIFIED_ONLY", True)


@pytest.fixture
def post(ada: int, database: Database) -> int:
    """Return the id of a post of Ada."""
    return database.add_post(ada)


def written(database: Database) -> list[list[object]]:
    return database.run(
        "SELECT posts::text FROM posts UNION ALL SELECT votes::text FROM votes"
        " UNION ALL SELECT quota_usage::text FROM quota_usage"
        " UNION ALL SELECT idempotency_keys::text FROM idempotency_keys ORDER BY 1"
    )


def verify(database: Database) -> None:
    database.run("UPDATE users SET verified_email = email")


@pytest.mark.usefixtures("_verified_only")
@pytest.mark.parametrize("write", WRITES)
def test_an_unverified_user_writes_nothing(write: str, ada: int, post: int, database: Database) -> None:
    if write == "retract":
        database.add_vote(ada, post)
    before = written(database)
    response = WRITES[write](ada, post)
    assert (response.status, response.json()) == (403, UNVERIFIED)
    assert written(database) == before


@pytest.mark.usefixtures("_verified_only")
def test_a_verified_user_writes(ada: int, post: int, database: Database) -> None:
    verify(database)
    statuses = {write: send(ada, post).status for write, send in WRITES.items()}
    assert statuses == {
        "create": 201,
        "create once": 201,
        "change": 200,
        "change nothing": 200,
        "cast": 201,
        "retract": 201,
    }


@pytest.mark.usefixtures("_verified_only")
def test_a_user_whose_address_is_another_one_now_is_not_verified(
    ada: int, post: int, database: Database
) -> None:
    verify(database)
    database.run("UPDATE users SET email = 'another@example.com'")
    assert WRITES["create"](ada, post).json() == UNVERIFIED


@pytest.mark.usefixtures("_verified_only")
def test_an_unverified_user_reads_and_deletes(ada: int, post: int) -> None:
    assert call("list_posts", user=ada).status == 200
    assert call("read_post", user=ada, item=post).status == 200
    assert call("delete_post", user=ada, item=post).status == 204


@pytest.mark.usefixtures("_verified_only")
@pytest.mark.parametrize("write", WRITES)
def test_a_deleted_user_is_unauthorized(write: str, deleted_user: int) -> None:
    assert WRITES[write](deleted_user, 0).status == 401


def test_without_the_parameter_everybody_writes(ada: int, post: int) -> None:
    assert WRITES["create"](ada, post).status == 201
    assert WRITES["cast"](ada, post).status == 201


@pytest.mark.parametrize(("value", "expected"), [("true", True), ("false", False), ("", False)])
def test_the_setting_is_a_variable(value: str, *, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERIFIED_WRITERS_ONLY", value)
    assert verified_writers_only() is expected
