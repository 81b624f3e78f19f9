"""What all responses have in common: headers, and errors that reveal nothing."""

from collections.abc import Callable
from typing import NoReturn

import pytest

import posts.queries
import votes.queries
from common import api
from common.errors import UnavailableError, UnknownOutcomeError
from tests.support.database import Database
from tests.support.lambdas import Context, Response, call, invoke, new_event

ORIGIN = "https://app.example.com"


def raising(error: Exception) -> Callable[..., NoReturn]:
    def run(*_objects: object, **_values: object) -> NoReturn:
        raise error

    return run


def assert_private(response: Response) -> None:
    assert response.headers["Cache-Control"] == ["no-store"]
    assert response.headers["X-Content-Type-Options"] == ["nosniff"]
    assert response.headers["Strict-Transport-Security"] == ["max-age=63072000; includeSubDomains"]


def test_every_response_has_security_headers(
    ada: int, bob: int, deleted_user: int, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    post_id = database.add_post(ada)
    monkeypatch.setattr(votes.queries, "cast", raising(KeyError("a mistake")))
    responses = {
        200: call("list_posts", user=ada),
        201: call("create_post", user=ada),
        204: call("delete_post", user=ada, item=call("create_post", user=ada).json()["id"]),
        401: call("list_posts", user=deleted_user),
        403: call("delete_post", user=bob, item=post_id),
        404: call("read_post", user=ada, item=0),
        409: call("sign_up"),
        422: call("sign_up", body={}),
        500: call("vote", user=ada),
    }
    assert {status: response.status for status, response in responses.items()} == {
        status: status for status in responses
    }
    for response in responses.values():
        assert_private(response)


@pytest.mark.parametrize("event", ["list_posts", "create_post", "read_post"])
def test_a_page_of_our_origin_may_read_every_response(event: str, ada: int) -> None:
    response = call(event, user=ada, headers={"Origin": ORIGIN})
    assert response.headers["Access-Control-Allow-Origin"] == [ORIGIN]
    assert response.headers["Access-Control-Expose-Headers"] == ["Link,Retry-After"]
    assert "Access-Control-Allow-Credentials" not in response.headers


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "https://app.example.com.evil.example", "null", None]
)
def test_a_page_of_another_origin_may_not(origin: str | None, ada: int) -> None:
    response = call("list_posts", user=ada, headers={"Origin": origin})
    assert "Access-Control-Allow-Origin" not in response.headers


def test_a_wildcard_origin_comes_without_credentials(ada: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORS_ORIGIN", "*")
    nothing = api.handler(api.resolver())
    response = nothing(new_event("list_posts", user=ada, headers={"Origin": ORIGIN}), Context())
    assert response["multiValueHeaders"]["Access-Control-Allow-Origin"] == ["*"]
    assert "Access-Control-Allow-Credentials" not in response["multiValueHeaders"]


@pytest.mark.parametrize("path", ["/posts/7/likes", "/nothing"])
def test_an_unknown_path_is_not_found(path: str, ada: int) -> None:
    lost = new_event("read_post", user=ada) | {"path": path}
    response = invoke(lost)
    assert response.status == 404
    assert response.json() == {"detail": "Not found"}
    assert_private(response)


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(
    ("event", "path", "status"),
    [
        ("list_posts", "/posts", 200),
        ("create_post", "/posts", 201),
        ("read_post", "/posts/0", 404),
        ("change_post", "/posts/0", 404),
        ("delete_post", "/posts/0", 404),
        ("vote", "/vote", 404),
        ("sign_up", "/users", 409),
        ("read_user", "/users/0", 404),
        ("login", "/login", 200),
    ],
)
def test_a_trailing_slash_makes_no_difference(
    event: str, path: str, slash: str, status: int, ada: int
) -> None:
    user = ada if event not in {"sign_up", "read_user", "login"} else None
    response = invoke(new_event(event, user=user) | {"path": path + slash})
    assert response.status == status
    assert "Location" not in response.headers


def test_a_failed_read_is_unavailable(ada: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posts.queries, "read", raising(UnavailableError("refused", retryable=True)))
    response = call("read_post", user=ada)
    assert response.status == 503
    assert response.json() == {"detail": "Unavailable, nothing was changed"}
    assert response.headers["Retry-After"] == ["1"]
    assert_private(response)


def test_a_write_with_an_unknown_outcome_says_so(ada: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posts.queries, "create", raising(UnknownOutcomeError("broken")))
    response = call("create_post", user=ada)
    assert response.status == 504
    assert response.json() == {"detail": "The database did not respond; the change may have been made"}
    assert "Retry-After" not in response.headers
    assert_private(response)


def test_an_invocation_without_time_left_sends_no_statement(ada: int, database: Database) -> None:
    response = invoke(new_event("create_post", user=ada), Context(milliseconds=900))
    assert response.status == 503
    assert database.value("SELECT count(*) FROM posts") == 0


def test_a_malformed_authorizer_context_is_an_internal_error(ada: int) -> None:
    broken = new_event("list_posts", user=ada)
    broken["requestContext"]["authorizer"]["user_id"] = ada
    response = invoke(broken)
    assert response.status == 500
    assert response.json() == {"detail": "Internal Server Error"}
