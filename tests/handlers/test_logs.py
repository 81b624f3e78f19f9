"""What the functions log: enough to find a fault by, and no secret."""

import io
import json
from typing import Any

import pytest
from aws_lambda_powertools.event_handler import APIGatewayRestResolver

import posts.queries
import votes.handler
from common import api
from common.api import log
from common.errors import PostgresError, UnavailableError
from tests.handlers.test_account import session_of
from tests.handlers.test_responses import raising
from tests.support.database import Database
from tests.support.lambdas import call, handlers, invoke, load_event, new_event

SECRETS = ["S3cret-pass", "$2b$", "eyJhbGciOi"]


class Output:
    """Everything that a function writes: its log, and the metrics that it prints."""

    def __init__(self, stream: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
        self._stream = stream
        self._capsys = capsys

    def text(self) -> str:
        printed = self._capsys.readouterr()
        return self._stream.getvalue() + printed.out + printed.err

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text().splitlines()]


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Output:
    """Return what is written from now on."""
    stream = io.StringIO()
    monkeypatch.setattr(log.registered_handler, "stream", stream)
    return Output(stream, capsys)


def test_an_internal_error_is_logged_with_type_and_place_without_its_message(
    ada: int, output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "is_local", lambda: False)
    monkeypatch.setattr(posts.queries, "read", raising(KeyError("SELECT S3cret-pass FROM users")))
    response = call("read_post", user=ada)
    assert response.status == 500
    assert response.json() == {"detail": "Internal Server Error"}
    line, metric = output.lines()
    assert line["message"] == "unexpected error"
    assert line["level"] == "ERROR"
    assert line["error"] == "KeyError"
    assert "sqlstate" not in line
    assert line["places"][-1].startswith(__file__.replace("test_logs", "test_responses") + ":")
    assert "/posts/handler.py:" in line["places"][-2]
    assert line["correlation_id"] == load_event("read_post")["requestContext"]["requestId"]
    assert line["service"] == "social"
    assert metric["UnexpectedError"] == [1.0]
    assert "SELECT" not in json.dumps(line)
    assert "Traceback" not in json.dumps(line)


def test_a_failed_statement_is_logged_with_its_sqlstate_and_place(
    ada: int, output: Output, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "is_local", lambda: False)
    database.run("ALTER TABLE votes RENAME TO ballots")
    try:
        assert call("vote", user=ada).status == 500
    finally:
        database.run("ALTER TABLE ballots RENAME TO votes")
    line, metric = output.lines()
    assert metric["UnexpectedError"] == [1.0]
    assert line["error"] == "PostgresError"
    assert line["sqlstate"] == "42P01"
    assert [place for place in line["places"] if "/votes/handler.py:" in place]
    assert "ballots" not in json.dumps(line)


def test_a_developer_sees_the_traceback_with_the_message(
    ada: int, output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posts.queries, "read", raising(KeyError("no such key")))
    assert call("read_post", user=ada).json() == {"detail": "Internal Server Error"}
    lines = output.text().splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1] == "KeyError: 'no such key'"
    # The first frame is that of the route, not one of the eight frames of Powertools before it.
    assert "/posts/handler.py" in lines[1]


def test_a_developer_sees_the_whole_traceback_of_an_error_in_powertools(
    ada: int, output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(APIGatewayRestResolver, "_to_response", None)
    assert call("list_posts", user=ada).status == 500
    assert "aws_lambda_powertools" in output.text().splitlines()[1]


def test_a_developer_sees_what_postgresql_says(ada: int, output: Output, database: Database) -> None:
    database.run("ALTER TABLE votes RENAME TO ballots")
    try:
        assert call("vote", user=ada).status == 500
    finally:
        database.run("ALTER TABLE ballots RENAME TO votes")
    lines = output.text().splitlines()
    start = lines.index('common.errors.PostgresError: relation "votes" does not exist')
    statement, caret, advice = lines[start + 1 :]
    assert statement[caret.index("^") :].startswith("votes")
    assert advice == "42P01 undefined_table: is a revision missing? Restart `make dev` to migrate."


def test_a_developer_sees_detail_and_hint(ada: int, output: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = {"M": "it failed", "C": "22023", "D": "a detail", "H": "a hint", "P": "16"}
    statement = "SELECT 1\nWHERE " + "x" * 100
    monkeypatch.setattr(posts.queries, "read", raising(PostgresError(fields, statement)))
    call("read_post", user=ada)
    lines = output.text().splitlines()
    assert lines[lines.index("common.errors.PostgresError: it failed") + 1 :] == [
        "    WHERE " + "x" * 60,
        "          ^",
        "DETAIL: a detail",
        "HINT: a hint",
        "SQLSTATE: 22023",
    ]


def test_a_developer_sees_that_the_handler_lacks_a_route(
    ada: int, output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    resource = "/posts/{id}/more"
    event = new_event("read_post", user=ada) | {"resource": resource, "path": "/posts/1/more"}
    monkeypatch.setitem(handlers(), resource, handlers()["/posts/{id}"])
    assert invoke(event).status == 404
    expected = "template.yaml sends GET /posts/{id}/more here, but the handler has no such route\n"
    assert output.text() == expected
    assert call("read_post", user=ada, item=1).status == 404  # a post that does not exist
    monkeypatch.setattr(api, "is_local", lambda: False)
    assert invoke(event).status == 404
    assert output.text() == ""


def test_a_developer_sees_which_field_of_a_response_is_wrong(
    ada: int, output: Output, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(votes.handler, "Message", lambda message: {"text": message})
    post = database.add_post(ada)
    assert call("vote", user=ada, body={"post_id": post, "dir": 1}).status == 500
    assert output.text().splitlines()[-1] == "response.message: Field required"


def test_the_notation_of_the_template_is_rejected_in_a_handler() -> None:
    app = api.resolver()
    with pytest.raises(ValueError, match=r"write ./posts/<id>.$"):
        app.get("/posts/{id}")


def test_a_parameter_of_a_path_must_be_an_argument() -> None:
    def read_post(post_id: int) -> int:
        return post_id

    with pytest.raises(
        ValueError, match=r"^the path ./posts/<id>. has <id>, but read_post has no argument id$"
    ):
        api.resolver().get("/posts/<id>")(read_post)


def test_a_failure_of_the_database_is_logged_and_counted(
    ada: int, output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        posts.queries, "read", raising(UnavailableError("connection refused", retryable=False))
    )
    assert call("read_post", user=ada).status == 503
    logged, metric = output.lines()
    assert (logged["message"], logged["reason"]) == ("database request failed", "connection refused")
    assert metric["DatabaseUnavailable"] == [1.0]
    assert metric["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "social"


@pytest.mark.usefixtures("ada", "_cheap_hashes")
def test_a_failed_login_is_counted(output: Output) -> None:
    assert call("login", body="username=ada%40example.com&password=wrong").status == 403
    [metric] = output.lines()
    assert metric["FailedLogin"] == [1.0]


@pytest.mark.usefixtures("_cheap_hashes")
def test_no_password_token_hash_or_statement_is_logged(output: Output) -> None:
    signed_up = call("sign_up", body={"email": "eve@example.com", "password": "S3cret-pass"})
    taken = call("sign_up", body={"email": "eve@example.com", "password": "S3cret-pass"})
    too_long = call("sign_up", body={"email": "eve@example.com", "password": "S3cret-pass" * 9})
    malformed = call("sign_up", body='{"password": "S3cret-pass"')
    logged_in = call("login", body="username=eve%40example.com&password=S3cret-pass")
    wrong = call("login", body="username=eve%40example.com&password=S3cret-pass%20")
    listed = call("list_posts", user=signed_up.json()["id"], session=session_of(logged_in))
    responses = [signed_up, taken, too_long, malformed, logged_in, wrong, listed]
    assert [response.status for response in responses] == [201, 409, 422, 422, 200, 403, 200]
    written = output.text()
    for secret in [*SECRETS, logged_in.json()["access_token"], "SELECT", "INSERT"]:
        assert secret not in written
    for response in [signed_up, taken, too_long, malformed, wrong, listed]:
        assert all(secret not in response.body for secret in SECRETS)
