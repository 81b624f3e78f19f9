"""The function that migrates on deploy, against a PostgreSQL where it is no superuser."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import urlsplit

import pg8000.native
import pytest
from pg8000.exceptions import DatabaseError
from sqlalchemy.exc import DBAPIError, InterfaceError

from common import aws
from local.postgres import Cluster, throwaway_cluster
from migrations import handler, migrate
from tests.support.data import connect
from tests.support.lambdas import Context

EVENT = {
    "StackId": "arn:aws:cloudformation:eu-central-1:123456789012:stack/social-dev/1",
    "RequestId": "4f1c",
    "LogicalResourceId": "Migration",
}
NOT_ALLOWED = "42501"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Return a PostgreSQL of its own: roles belong to all of its databases."""
    with throwaway_cluster() as started:
        started.execute("CREATE ROLE migrator LOGIN CREATEROLE CREATEDB")
        yield started


@pytest.fixture
def url(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Return the URL of an empty database of the role that migrates, and name it to the function."""
    cluster.execute("CREATE DATABASE social OWNER migrator")
    url = cluster.url("social").replace("postgres@", "migrator@")
    monkeypatch.setenv("DATABASE_URL", url)
    yield url
    cluster.execute("DROP DATABASE social WITH (FORCE)")


@pytest.fixture
def app(url: str) -> Iterator[pg8000.native.Connection]:
    """Return a connection of the functions' role to the migrated database."""
    migrate.migrate(60)
    connection = connect(url.replace("migrator@", "app@"))
    yield connection
    connection.close()


@contextmanager
def cloudformation() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Give the URL that CloudFormation wants an answer at, and the answers that have come."""
    answers: list[dict[str, Any]] = []

    class Bucket(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            assert self.headers["Content-Type"] == ""
            answers.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with HTTPServer(("127.0.0.1", 0), Bucket) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/", answers
        finally:
            # A test that fails would otherwise be waited for in vain.
            server.shutdown()
            thread.join()


def refused(connection: pg8000.native.Connection, statement: str) -> bool:
    with pytest.raises(DatabaseError) as raised:
        connection.run(statement)
    return bool(raised.value.args[0]["C"] == NOT_ALLOWED)


def test_by_hand_it_says_the_revision_and_may_be_run_again(url: str) -> None:
    first = handler.handler({}, Context(120_000))
    assert handler.handler({}, Context(120_000)) == first
    with connect(url) as connection:
        assert connection.run("SELECT version_num FROM alembic_version") == [[first["Revision"]]]


def test_the_functions_role_reads_and_writes_rows(app: pg8000.native.Connection) -> None:
    sql = "INSERT INTO users (email, password) VALUES ('ada@example.com', 'x') RETURNING id"
    [[user_id]] = app.run(sql)
    [[post_id]] = app.run(
        "INSERT INTO posts (title, content, owner_id) VALUES ('t', 'c', :id) RETURNING id", id=user_id
    )
    app.run("INSERT INTO votes (user_id, post_id) VALUES (:u, :p)", u=user_id, p=post_id)
    assert app.run("SELECT vote_count FROM posts") == [[1]]
    app.run("DELETE FROM users")
    assert app.run("SELECT count(*) FROM posts") == [[0]]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (id integer)",
        "CREATE TEMPORARY TABLE mine (id integer)",
        "CREATE SCHEMA mine",
        "ALTER TABLE posts ADD COLUMN mine integer",
        "ALTER TABLE posts DISABLE TRIGGER ALL",
        "DROP TABLE votes",
        "TRUNCATE votes",
        "CREATE FUNCTION mine() RETURNS integer LANGUAGE sql RETURN 1",
        "SELECT * FROM alembic_version",
        "CREATE ROLE mine",
        "SET ROLE migrator",
    ],
)
def test_the_functions_role_may_do_nothing_else(app: pg8000.native.Connection, statement: str) -> None:
    assert refused(app, statement)


def test_the_functions_role_owns_nothing(app: pg8000.native.Connection) -> None:
    assert app.run("SELECT count(*) FROM pg_shdepend WHERE refobjid = 'app'::regrole AND deptype = 'o'") == [
        [0]
    ]
    assert app.run(
        "SELECT rolsuper, rolcreaterole, rolcreatedb, rolbypassrls FROM pg_roles WHERE rolname = 'app'"
    ) == [[False, False, False, False]]


def test_the_functions_role_is_cut_short_before_the_functions_are(app: pg8000.native.Connection) -> None:
    assert app.run("SHOW statement_timeout") == [["2500ms"]]
    assert app.run("SHOW lock_timeout") == [["2s"]]


def test_a_table_that_comes_later_is_usable_too(app: pg8000.native.Connection, url: str) -> None:
    with connect(url) as migrator:
        migrator.run("CREATE TABLE later (id integer GENERATED BY DEFAULT AS IDENTITY)")
    app.run("INSERT INTO later DEFAULT VALUES")
    assert app.run("SELECT id FROM later") == [[1]]


@pytest.mark.usefixtures("url")
def test_on_rds_the_functions_role_signs_in_with_a_token(cluster: Cluster) -> None:
    cluster.execute("CREATE ROLE rds_iam")
    cluster.execute("GRANT rds_iam TO migrator WITH ADMIN OPTION")
    migrate.migrate(60)
    assert cluster.execute("SELECT pg_has_role('app', 'rds_iam', 'member')") == "t"
    cluster.execute("REVOKE rds_iam FROM app CASCADE")
    cluster.execute("DROP OWNED BY rds_iam")
    cluster.execute("DROP ROLE rds_iam")


def test_a_revision_of_newer_code_is_left_alone(url: str) -> None:
    migrate.migrate(60)
    with connect(url) as connection:
        connection.run("UPDATE alembic_version SET version_num = 'newer'")
    assert migrate.migrate(60) == "newer"


@pytest.mark.usefixtures("url")
def test_the_password_comes_from_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def secret_value(arn: str) -> str:
        asked.append(arn)
        return '{"username": "migrator", "password": "any, for the test trusts everyone"}'

    monkeypatch.setattr(aws, "secret_value", secret_value)
    monkeypatch.setenv("DATABASE_SECRET", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:one")
    migrate.migrate(60)
    assert asked == ["arn:aws:secretsmanager:eu-central-1:123456789012:secret:one"]


def test_one_migration_waits_for_another(url: str) -> None:
    with connect(url) as other:
        other.run(f"SELECT pg_advisory_lock({migrate.LOCK})")
        with pytest.raises(DBAPIError) as raised:
            migrate.migrate(1)
    assert migrate.sqlstate(raised.value) == migrate.LOCK_NOT_AVAILABLE


def test_what_connecting_took_is_not_waited_for_again(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connected = migrate._connected  # noqa: SLF001  # a cluster that comes back from a pause

    def late(*arguments: Any) -> Any:  # noqa: ANN401  # an SQLAlchemy connection
        time.sleep(2)
        return connected(*arguments)

    monkeypatch.setattr(migrate, "_connected", late)
    with connect(url) as other:
        other.run(f"SELECT pg_advisory_lock({migrate.LOCK})")
        start = time.monotonic()
        with pytest.raises(DBAPIError):
            migrate.migrate(4)
    assert time.monotonic() - start < 5


def test_a_database_that_does_not_answer_is_waited_for_until_the_deadline(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("DATABASE_URL", urlsplit(url)._replace(netloc=f"app@127.0.0.1:{port}").geturl())
    monkeypatch.setattr(migrate, "PAUSE_SECONDS", 0.1)
    start = time.monotonic()
    with pytest.raises(InterfaceError):
        migrate.migrate(1)
    assert time.monotonic() - start < 3


def test_a_table_in_use_is_not_waited_for_but_come_back_to(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    migrate.migrate(60)
    attempts = []
    with connect(url) as other:
        other.run("BEGIN")
        other.run("LOCK TABLE users")

        def upgrade(connection: Any) -> str:  # noqa: ANN401  # an SQLAlchemy connection
            attempts.append(1)
            if len(attempts) == 2:
                other.run("ROLLBACK")
            with connection.begin():
                connection.exec_driver_sql("LOCK TABLE users")
            return "head"

        monkeypatch.setattr(migrate, "PAUSE_SECONDS", 0.01)
        monkeypatch.setattr(migrate, "TABLE_LOCK_SECONDS", 1)
        monkeypatch.setattr(migrate, "upgrade_to_head", upgrade)
        assert migrate.migrate(30) == "head"
    assert len(attempts) == 2


@pytest.mark.usefixtures("url")
@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_cloudformation_hears_of_the_revision(kind: str) -> None:
    with cloudformation() as (address, answers):
        data = handler.handler({**EVENT, "RequestType": kind, "ResponseURL": address}, Context(120_000))
    [answer] = answers
    assert answer == {**EVENT, "Status": "SUCCESS", "PhysicalResourceId": "schema", "Data": data}
    assert data["Revision"]


@pytest.mark.usefixtures("url")
def test_a_migration_that_fails_fails_the_deployment_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def upgrade(connection: Any) -> str:  # noqa: ANN401  # an SQLAlchemy connection
        connection.exec_driver_sql("ALTER TABLE nothing ADD COLUMN one integer")
        return ""

    monkeypatch.setattr(migrate, "upgrade_to_head", upgrade)
    with cloudformation() as (address, answers):
        handler.handler({**EVENT, "RequestType": "Update", "ResponseURL": address}, Context(120_000))
    [answer] = answers
    assert answer["Status"] == "FAILED"
    assert answer["PhysicalResourceId"] == "schema"
    assert answer["Reason"].startswith('PostgreSQL: relation "nothing" does not exist (log stream ')
    with pytest.raises(DBAPIError):
        handler.handler({}, Context(120_000))


@pytest.mark.usefixtures("url")
def test_a_fault_of_ours_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "nonsense")
    # Whatever is wrong: here the authorities, too, as in a region that is newer than their files.
    monkeypatch.setenv("AWS_CA_BUNDLE", "/var/task/authorities/xx-new-1.pem")
    with cloudformation() as (address, answers):
        handler.handler({**EVENT, "RequestType": "Create", "ResponseURL": address}, Context(120_000))
    [answer] = answers
    assert answer["Reason"].startswith("SettingsError: DATABASE_URL is not of the form ")


def test_a_reply_needs_no_authorities_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    with cloudformation() as (address, answers):
        handler.handler({**EVENT, "RequestType": "Delete", "ResponseURL": address}, Context(120_000))
    assert [answer["Status"] for answer in answers] == ["SUCCESS"]


def test_a_stack_that_goes_leaves_the_database_as_it_is(url: str) -> None:
    with cloudformation() as (address, answers):
        handler.handler({**EVENT, "RequestType": "Delete", "ResponseURL": address}, Context(120_000))
    assert answers[0]["Status"] == "SUCCESS"
    with connect(url) as connection:
        assert connection.run("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [[0]]
