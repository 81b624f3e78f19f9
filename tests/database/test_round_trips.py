"""The number of round trips of each request."""

import re
from typing import Any

import pytest

import auth.handler
from common import passwords
from common.database import ManagedConnection
from common.opaque_tokens import digest
from tests.support.connections import run_sql
from tests.support.database import PASSWORD, Database
from tests.support.lambdas import call
from tests.support.postgres_proxy import PostgresProxy

FORM = f"username=ada%40example.com&password={PASSWORD.replace(' ', '+')}"
NEW_USER = {"email": "eve@example.com", "password": PASSWORD}
CURSOR = "bmV3IDIwMjYtMTEtMjJUMTI6MDA6MDArMDA6MDAgMQ"
SESSION = "2f6c1f0e-7d0b-4c55-8f0e-6b7a2e5d9c10"
PROOF = {"current_password": PASSWORD}

pytestmark = pytest.mark.usefixtures("mailbox", "_no_minimum")

# Requests with two round trips: they check or hash a password between a read and a write.
WITH_PASSWORD: list[tuple[str, dict[str, Any], int]] = [
    ("login", {"body": "username=nobody&password=x"}, 403),
    ("update_account", {"user": "ada", "body": {"email": "a@example.com", "current_password": "x"}}, 403),
    ("update_password", {"user": "ada", "body": {"current_password": "x", "new_password": "y"}}, 403),
    ("delete_account", {"user": "ada", "body": {"current_password": "x"}}, 403),
    ("login", {"body": FORM}, 200),
    ("update_account", {"user": "ada", "body": PROOF | {"email": "lovelace@example.com"}}, 200),
    ("update_account", {"user": "ada", "body": PROOF | {"email": "bob@example.com"}}, 409),
    ("update_password", {"user": "ada", "body": PROOF | {"new_password": PASSWORD}}, 204),
    ("delete_account", {"user": "ada", "body": PROOF}, 204),
    ("confirm_password_reset", {"body": {"token": "reset", "new_password": PASSWORD}}, 204),
]

# All other requests that use the database, with the status of the response.
REQUESTS: list[tuple[str, dict[str, Any], int]] = [
    ("sign_up", {"body": NEW_USER}, 201),
    ("sign_up", {"body": NEW_USER | {"email": "ada@example.com"}}, 409),
    ("read_user", {"item": "ada"}, 200),
    ("read_user", {"item": 0}, 404),
    ("list_posts", {"user": "ada"}, 200),
    ("list_posts", {"user": "ada", "query": [("search", "50%"), ("cursor", CURSOR), ("limit", "100")]}, 200),
    ("create_post", {"user": "ada"}, 201),
    ("create_post", {"user": "ada", "body": {"title": "t", "content": "c" * 1_000}}, 201),
    ("read_post", {"user": "ada", "item": "post"}, 200),
    ("read_post", {"user": "ada", "item": 0}, 404),
    ("change_post", {"user": "ada", "item": "post"}, 200),
    ("change_post", {"user": "bob", "item": "post"}, 403),
    ("delete_post", {"user": "ada", "item": "post"}, 204),
    ("delete_post", {"user": "bob", "item": "post"}, 403),
    ("vote", {"user": "ada", "body": {"post_id": "post", "dir": 1}}, 201),
    ("vote", {"user": "bob", "body": {"post_id": "post", "dir": 1}}, 409),
    ("vote", {"user": "bob", "body": {"post_id": "post", "dir": 0}}, 201),
    ("vote", {"user": "ada", "body": {"post_id": "post", "dir": 0}}, 404),
    ("list_posts", {"user": 0}, 401),
    ("list_posts", {"user": "ada", "query": [("sort", "old")]}, 200),
    ("list_posts", {"user": "ada", "query": [("sort", "top"), ("search", "o")]}, 200),
    ("list_posts", {"user": "ada", "query": [("published", "false")]}, 200),
    ("list_user_posts", {"user": "bob", "item": "ada"}, 200),
    ("list_user_posts", {"user": "bob", "item": 0}, 404),
    ("create_post", {"user": "ada", "headers": {"Idempotency-Key": "k"}}, 201),
    ("read_account", {"user": "ada"}, 200),
    ("update_account", {"user": "ada", "body": {"phone_number": "1"}}, 200),
    ("update_account", {"user": "ada", "body": {}}, 200),
    ("refresh", {"body": {"refresh_token": "x"}}, 401),
    ("refresh", {"body": {"refresh_token": "good"}}, 200),
    ("list_sessions", {"user": "ada"}, 200),
    ("end_session", {"user": "ada"}, 404),
    ("end_session", {"user": "ada", "item": SESSION}, 204),
    ("request_password_reset", {"body": {"email": "ada@example.com"}}, 202),
    ("request_password_reset", {"body": {"email": "nobody@example.com"}}, 202),
    ("confirm_password_reset", {"body": {"token": "x", "new_password": PASSWORD}}, 403),
    ("request_verification", {"user": "ada"}, 202),
    ("confirm_verification", {"body": {"token": "verification"}}, 204),
    ("confirm_verification", {"body": {"token": "x"}}, 403),
    ("log_out", {"user": "ada"}, 204),
    ("log_out_everywhere", {"user": "ada"}, 204),
]

# SQL that makes RDS Proxy pin a connection to a client.
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy-pinning.html
PINS = re.compile(
    r"""^\W*(SET|RESET|DISCARD|PREPARE|EXECUTE|DEALLOCATE|DECLARE|FETCH|MOVE|CLOSE|LISTEN|UNLISTEN|NOTIFY|LOCK
         |BEGIN|START|COMMIT|ROLLBACK|SAVEPOINT|COPY|CREATE|DROP|ALTER|DO|CALL)\b
      |\b(set_config|nextval|setval|currval|lastval|pg_advisory\w*|pg_try_advisory\w*|TEMP|TEMPORARY)\b
      |;""",
    re.IGNORECASE | re.VERBOSE,
)
MAX_STATEMENT_BYTES = 16 * 1024


@pytest.fixture
def _no_minimum(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a request for a new password take as long as it takes."""
    monkeypatch.setattr(auth.handler, "MIN_RESET_SECONDS", 0)


@pytest.fixture
def names(database: Database) -> dict[str, int]:
    """Return the ids of the names in the requests: two users, and a post of Ada with a vote of Bob.

    Ada has the session `SESSION` with the refresh token `good`, and Bob has tokens for a new password and for
    his address.
    """
    ada, bob = database.add_user("ada@example.com"), database.add_user("bob@example.com")
    post = database.add_post(ada, "50% off")
    database.add_vote(bob, post)
    database.run(
        "WITH opened AS (INSERT INTO sessions (id, user_id) VALUES (CAST(:id AS uuid), :ada) RETURNING id)"
        " INSERT INTO refresh_tokens (hash, session_id) SELECT :hash, id FROM opened",
        id=SESSION,
        ada=ada,
        hash=digest("good"),
    )
    for purpose in ("reset", "verification"):
        database.run(
            "INSERT INTO mail_tokens SELECT id, :purpose, 1, :hash, email, lower_case_email,"
            " sha256(convert_to(password || ' ' || email, 'UTF8')), now() + interval '1 hour'"
            " FROM users WHERE id = :bob",
            bob=bob,
            purpose=purpose,
            hash=digest(purpose),
        )
    return {"ada": ada, "bob": bob, "post": post}


def send(event: str, changes: dict[str, Any], names: dict[str, int]) -> int:
    """Send a request, with ids instead of names; return the status of the response."""

    def resolved(value: Any) -> Any:  # noqa: ANN401  # any part of a request
        if isinstance(value, dict):
            return {name: resolved(part) for name, part in value.items()}
        return names.get(value, value) if isinstance(value, str) else value

    return call(event, **resolved(changes)).status


@pytest.mark.usefixtures("connection")
@pytest.mark.parametrize(
    ("event", "changes", "status", "number"),
    [(*request, 1) for request in REQUESTS] + [(*request, 2) for request in WITH_PASSWORD],
)
def test_a_request_takes_one_round_trip_or_two_with_a_password(
    event: str,
    changes: dict[str, Any],
    status: int,
    number: int,
    names: dict[str, int],
    proxy: PostgresProxy,
    connection: ManagedConnection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(passwords, "BCRYPT_COST", 4)
    monkeypatch.setattr(passwords, "DUMMY_HASH", passwords.hash_password("x"))
    run_sql(connection, "SELECT 1")
    assert proxy.round_trips == 2
    proxy.reset()
    assert send(event, changes, names) == status
    assert proxy.round_trips == number
    assert [message.kind for message in proxy.messages] == list("PBES") * number
    assert proxy.connections == 0


def test_no_statement_pins_a_session_of_rds_proxy(
    names: dict[str, int],
    connection: ManagedConnection,
    proxy: PostgresProxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connection.settings = connection.settings._replace(local=False)
    monkeypatch.setattr(passwords, "BCRYPT_COST", 4)
    monkeypatch.setattr(passwords, "DUMMY_HASH", passwords.hash_password("x"))
    *requests, log_out, log_out_everywhere = REQUESTS
    for event, changes, _ in [*requests, *WITH_PASSWORD, log_out, log_out_everywhere]:
        send(event, changes, names)
    startup, *messages = proxy.messages
    assert {message.kind for message in messages} == set("PBES")
    assert len(proxy.statements) == len(REQUESTS) + 2 * len(WITH_PASSWORD)
    for statement in proxy.statements:
        assert not PINS.search(statement), statement
        assert len(statement) < MAX_STATEMENT_BYTES
    # A named portal would exist longer than the request.
    assert all(message.payload.startswith(b"\0") for message in messages if message.kind == "B")
    settings = startup.payload[4:].rstrip(b"\0").split(b"\0")[::2]
    assert set(settings) == {b"user", b"database"}


@pytest.mark.parametrize(
    "statement",
    [
        "SET search_path TO public",
        "SELECT set_config('a.b', 'c', false)",
        "PREPARE p AS SELECT 1",
        "DECLARE c CURSOR FOR SELECT 1",
        "LISTEN posts",
        "CREATE TEMP TABLE t ()",
        "SELECT pg_advisory_xact_lock(1)",
        "SELECT pg_try_advisory_lock(1)",
        "INSERT INTO posts (id) VALUES (nextval('posts_id_seq'))",
        "SELECT 1; SELECT 2",
        "  begin",
    ],
)
def test_a_statement_that_pins_is_detected(statement: str) -> None:
    assert PINS.search(statement)


@pytest.mark.parametrize("event", ["welcome", "openapi", "docs"])
@pytest.mark.usefixtures("connection")
def test_the_documentation_needs_no_database(event: str, proxy: PostgresProxy) -> None:
    assert call(event).status == 200
    assert proxy.connections == 0
