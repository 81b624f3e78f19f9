"""How often a request waits for the database: once."""

import re
from typing import Any

import pytest

from common import passwords
from common.database import Session
from tests.data import PASSWORD, Database
from tests.lambdas import call
from tests.wire import Wire

FORM = f"username=ada%40example.com&password={PASSWORD.replace(' ', '+')}"
NEW_USER = {"email": "eve@example.com", "password": PASSWORD}
CURSOR = "MjAyNi0xMS0yMlQxMjowMDowMCswMDowMCAx"

# Every path that uses the database: what is asked, and the answer.
REQUESTS: list[tuple[str, dict[str, Any], int]] = [
    ("sign_up", {"body": NEW_USER}, 201),
    ("sign_up", {"body": NEW_USER | {"email": "ada@example.com"}}, 409),
    ("read_user", {"item": "ada"}, 200),
    ("read_user", {"item": 0}, 404),
    ("login", {"body": FORM}, 200),
    ("login", {"body": "username=nobody&password=x"}, 403),
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
]

# What makes RDS Proxy keep a server connection for one client.
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy-pinning.html
PINS = re.compile(
    r"""^\W*(SET|RESET|DISCARD|PREPARE|EXECUTE|DEALLOCATE|DECLARE|FETCH|MOVE|CLOSE|LISTEN|UNLISTEN|NOTIFY|LOCK
         |BEGIN|START|COMMIT|ROLLBACK|SAVEPOINT|COPY|CREATE|DROP|ALTER|DO|CALL)\b
      |\b(set_config|nextval|setval|currval|lastval|pg_advisory\w*|pg_try_advisory\w*|TEMP|TEMPORARY)\b
      |;""",
    re.IGNORECASE | re.VERBOSE,
)
LONGEST_STATEMENT = 16 * 1024


@pytest.fixture
def names(database: Database) -> dict[str, int]:
    """Return the ids behind the names in the requests: two users, and a post of Ada's that Bob voted on."""
    ada, bob = database.add_user("ada@example.com"), database.add_user("bob@example.com")
    post = database.add_post(ada, "50% off")
    database.add_vote(bob, post)
    return {"ada": ada, "bob": bob, "post": post}


def send(event: str, changes: dict[str, Any], names: dict[str, int]) -> int:
    """Send a request with ids in place of names and return the status of the answer."""

    def resolved(value: Any) -> Any:  # noqa: ANN401  # any part of a request
        if isinstance(value, dict):
            return {name: resolved(part) for name, part in value.items()}
        return names.get(value, value) if isinstance(value, str) else value

    return call(event, **resolved(changes)).status


@pytest.mark.usefixtures("session")
@pytest.mark.parametrize(("event", "changes", "status"), REQUESTS)
def test_a_request_takes_one_round_trip_and_the_first_one_more_to_connect(
    event: str,
    changes: dict[str, Any],
    status: int,
    names: dict[str, int],
    wire: Wire,
    session: Session,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(passwords, "COST", 4)
    monkeypatch.setattr(passwords, "NOBODY", passwords.hash_password("x"))
    session.run("SELECT 1", [], writes=False)
    assert wire.round_trips == 2
    wire.reset()
    assert send(event, changes, names) == status
    assert wire.round_trips == 1
    # pg8000 adds messages that ask the server to answer early, and does not wait for it.
    assert [message.kind for message in wire.messages if message.kind != "H"] == ["P", "B", "D", "E", "S"]
    assert wire.connections == 0


@pytest.mark.usefixtures("session")
def test_nothing_that_is_sent_pins_a_session_of_rds_proxy(
    names: dict[str, int], wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "COST", 4)
    monkeypatch.setattr(passwords, "NOBODY", passwords.hash_password("x"))
    for event, changes, _ in REQUESTS:
        send(event, changes, names)
    startup, *messages = wire.messages
    assert {message.kind for message in messages} == set("PHBDES")
    assert len(wire.statements) == len(REQUESTS)
    for statement in wire.statements:
        assert not PINS.search(statement), statement
        assert len(statement) < LONGEST_STATEMENT
    # A statement or a portal with a name would outlive the request.
    assert all(message.payload.startswith(b"\0") for message in messages if message.kind in "PB")
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
def test_a_statement_that_pins_would_be_seen(statement: str) -> None:
    assert PINS.search(statement)


@pytest.mark.parametrize("event", ["welcome", "openapi", "docs"])
@pytest.mark.usefixtures("session")
def test_the_documentation_needs_no_database(event: str, wire: Wire) -> None:
    assert call(event).status == 200
    assert wire.connections == 0
